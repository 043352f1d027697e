package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/daemon/boot"
	"github.com/sriov-offload/sriov-offload-operator/daemon/cleanup"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/linux"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/probes"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
)

type commandOptions struct {
	node, namespace, hostRoot, kubeletSocket string
	nodeIP, ovsSocket                        string
	metricsAddress, probeAddress             string
	specFile                                 string
	once, dryRun                             bool
}

// NewCommand returns the command that runs the daemon.
func NewCommand() *cobra.Command {
	var o commandOptions
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "Configure the SR-IOV NICs of this node as its SriovNetworkNodeState says",
		Long: `Configure the SR-IOV NICs of this node as its SriovNetworkNodeState says.

With --once --dry-run it needs no cluster and touches nothing: it prints what it
finds on this machine as a SriovNetworkNodeState, and the plan that the spec in
--spec would lead to.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.node, "node", os.Getenv("NODE_NAME"), "name of the node; default: environment variable NODE_NAME")
	f.StringVar(&o.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "namespace of the operator; default: environment variable POD_NAMESPACE")
	f.StringVar(&o.nodeIP, "node-ip", os.Getenv("HOST_IP"), "address of the node in its cluster: the link that carries it is left alone; default: environment variable HOST_IP")
	f.StringVar(&o.hostRoot, "host-root", "/", "folder under which the root of the host is seen")
	f.StringVar(&o.kubeletSocket, "kubelet-socket", "var/lib/kubelet/pod-resources/kubelet.sock", "pod-resources socket of the kubelet, below --host-root")
	f.StringVar(&o.ovsSocket, "ovs-socket", "", "socket of Open vSwitch's database server, below --host-root; default: run/openvswitch/db.sock or var/run/openvswitch/db.sock")
	f.StringVar(&o.metricsAddress, "metrics-bind-address", "0", `address of the metrics endpoint; "0" turns it off`)
	f.StringVar(&o.probeAddress, "health-probe-bind-address", "0", `address of /healthz and /readyz; "0" turns it off`)
	f.BoolVar(&o.once, "once", false, "take one turn and end; needs --dry-run")
	f.BoolVar(&o.dryRun, "dry-run", false, "print inventory and plan, touch nothing; needs --once")
	f.StringVar(&o.specFile, "spec", "", "file with a SriovNetworkNodeState whose spec --dry-run plans for")
	cmd.AddCommand(cleanup.NewCommand())
	cmd.AddCommand(boot.NewCommand(ledger.DefaultPath))
	return cmd
}

func (o *commandOptions) run(ctx context.Context, out io.Writer) error {
	if o.once != o.dryRun {
		return errors.New("--once and --dry-run go together: give both, or neither")
	}
	if o.specFile != "" && !o.dryRun {
		return errors.New("--spec is for --once --dry-run; without them the spec comes from the cluster")
	}
	nodeIP, err := o.parseNodeIP()
	if err != nil {
		return err
	}
	options := linux.Options{Root: o.hostRoot, KubeletSocket: filepath.Join(o.hostRoot, o.kubeletSocket), NodeIP: nodeIP}
	if o.ovsSocket != "" {
		options.OVSSocket = filepath.Join(o.hostRoot, o.ovsSocket)
	}
	restConfig, configErr := o.clusterConfig()
	if configErr == nil && restConfig != nil {
		options.APIServer, configErr = probes.ServerOf(restConfig.Host)
	}
	h, closer, err := linux.Open(options)
	if err != nil {
		return fmt.Errorf("opening the host at %s: %w", o.hostRoot, err)
	}
	defer func() { _ = closer.Close() }()
	store := ledger.FileStore{Path: filepath.Join(o.hostRoot, ledger.DefaultPath)}
	if o.dryRun {
		observed, err := observe.Node(ctx, h)
		if err != nil {
			return fmt.Errorf("observing the host: %w", err)
		}
		return o.print(ctx, out, observed, store)
	}
	switch {
	case o.node == "":
		return errors.New("--node is not set: give it, or the environment variable NODE_NAME")
	case o.namespace == "":
		return errors.New("--namespace is not set: give it, or the environment variable POD_NAMESPACE")
	case configErr != nil:
		return fmt.Errorf("finding the cluster: %w", configErr)
	}
	lock, err := store.WaitLock(ctx, func(err error) { log.FromContext(ctx).Info("Waiting", "reason", err.Error()) })
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		// Where there is no place for a lock, there is none for a ledger: nothing is
		// touched, and the status says why.
		log.FromContext(ctx).Error(err, "Running without a lock")
	default:
		defer func() { _ = lock.Unlock() }()
	}
	return Run(ctx, Options{
		Config: restConfig, Node: o.node, Namespace: o.namespace, Host: h, Store: store,
		MetricsBindAddress: o.metricsAddress, ProbeBindAddress: o.probeAddress,
		Boot: boot.Keeper{NodeIP: o.nodeIP, KubeletSocket: strings.TrimPrefix(filepath.Join("/", o.kubeletSocket), "/")},
	})
}

// clusterConfig is how to reach the cluster; nil for a dry run, which needs none.
func (o *commandOptions) clusterConfig() (*rest.Config, error) {
	if o.dryRun {
		return nil, nil
	}
	return config.GetConfig()
}

// parseNodeIP returns the node's address, the zero value when it was not given.
func (o *commandOptions) parseNodeIP() (netip.Addr, error) {
	if o.nodeIP == "" {
		return netip.Addr{}, nil
	}
	ip, err := netip.ParseAddr(o.nodeIP)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("--node-ip (or the environment variable HOST_IP) must be one IP address: %w", err)
	}
	return ip, nil
}

// print shows inventory and plan as the status of a node state.
func (o *commandOptions) print(ctx context.Context, out io.Writer, observed inventory.Node, store ledger.Store) error {
	state := sriovv1.SriovNetworkNodeState{}
	if o.specFile != "" {
		data, err := os.ReadFile(o.specFile)
		if err != nil {
			return fmt.Errorf("reading --spec: %w", err)
		}
		if err := yaml.UnmarshalStrict(data, &state); err != nil {
			return fmt.Errorf("reading --spec %s: %w", o.specFile, err)
		}
		if state.Spec.ComputedFrom == "" {
			state.Spec.ComputedFrom = "file"
		}
	}
	opened, err := ledger.Open(ctx, store)
	if err != nil {
		return err
	}
	facts := Facts{Spec: state.Spec, Observed: &observed, Owned: opened.Record()}
	facts.Plan = Plan(state.Spec, observed, facts.Owned, driver.Default())
	facts.Decision = Decide(state.Spec, observed, facts.Plan, Before{})
	state.TypeMeta = metav1.TypeMeta{APIVersion: sriovv1.GroupVersion.String(), Kind: "SriovNetworkNodeState"}
	if o.node != "" {
		state.Name = o.node
	}
	state.Status = Report(sriovv1.SriovNetworkNodeStateStatus{}, facts, metav1.Now())
	data, err := yaml.Marshal(state)
	if err != nil {
		return fmt.Errorf("encoding the node state: %w", err)
	}
	_, err = out.Write(data)
	return err
}
