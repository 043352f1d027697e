package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/test/controlplane"
	"github.com/sriov-offload/sriov-offload-operator/test/fleet"
)

// The policy of the Kube-OVN guide, as it is written there.
const policyFile = "config/samples/sriovnetwork_v1_sriovnetworknodepolicy_kube-ovn.yaml"

// namespace of the operator in the Kube-OVN guide.
const namespace = "kube-system"

// patience is how long the nodes may take.
const patience = 60 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo failed:", err)
		stop()
		os.Exit(1) //nolint:gocritic // exitAfterDefer: stop was called by hand
	}
}

func run(ctx context.Context) error {
	setLogger()
	say("starting a control plane (etcd and kube-apiserver)")
	cp, err := controlplane.Start(ctx, controlplane.Options{})
	if err != nil {
		return err
	}
	err = runOn(ctx, cp)
	return errors.Join(err, cp.Stop())
}

func runOn(ctx context.Context, cp *controlplane.ControlPlane) error {
	say("starting the manager and three nodes: node1 and node2 with a dual-port ConnectX-5, node3 with an Intel 82576")
	nodes := simulatedNodes()
	defer func() {
		for _, n := range nodes {
			n.Kernel.Close()
		}
	}()
	f, err := fleet.Start(ctx, fleet.Options{Config: cp.Config, Namespace: namespace, Nodes: nodes})
	if err != nil {
		return err
	}
	err = show(ctx, cp, f, nodes)
	return errors.Join(err, f.Stop())
}

func show(ctx context.Context, cp *controlplane.ControlPlane, f *fleet.Fleet, nodes []fleet.Node) error {
	policy, err := loadPolicy()
	if err != nil {
		return err
	}
	began := time.Now()
	say("applying the policy of the Kube-OVN guide, unchanged: " + policyFile)
	if err := f.Client.Create(ctx, policy); err != nil {
		return fmt.Errorf("applying the policy: %w", err)
	}
	if err := watch(ctx, f, nodes, policy); err != nil {
		return err
	}
	say(fmt.Sprintf("converged in %.1f s", time.Since(began).Seconds()))
	if err := printResult(ctx, f, policy); err != nil {
		return err
	}
	return goOn(ctx, cp)
}

// goOn tells how to look around, and waits when KEEP=1.
func goOn(ctx context.Context, cp *controlplane.ControlPlane) error {
	if os.Getenv("KEEP") != "1" {
		say("to look around with kubectl, keep it running: KEEP=1 make demo")
		return nil
	}
	data, err := cp.Kubeconfig()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "sriov-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	file := filepath.Join(folder, "kubeconfig")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return err
	}
	fmt.Printf(`
  export KUBECONFIG=%s
  bin/k8s/kubectl get sriov -A
  bin/k8s/kubectl -n %s get sns node1 -o yaml
  bin/k8s/kubectl -n %s patch snp policy --type merge -p '{"spec":{"numVfs":2}}'

`, file, namespace, namespace)
	say("running until interrupted (Ctrl-C)")
	<-ctx.Done()
	return nil
}

func simulatedNodes() []fleet.Node {
	machine := func(nic simhost.NIC) *simhost.Kernel {
		return simhost.New(simhost.Options{NICs: []simhost.NIC{nic}, Delays: simhost.TypicalDelays()})
	}
	// As in the guide, whose firmware allows three VFs on each port.
	connectX := func() *simhost.Kernel { return machine(simhost.ConnectX5(simhost.TotalVFs(3))) }
	return []fleet.Node{
		{Name: "node1", Kernel: connectX()},
		{Name: "node2", Kernel: connectX()},
		{Name: "node3", Kernel: machine(simhost.Igb82576())},
	}
}

func loadPolicy() (*sriovv1.SriovNetworkNodePolicy, error) {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(root, policyFile))
	if err != nil {
		return nil, fmt.Errorf("reading the policy: %w", err)
	}
	policy := &sriovv1.SriovNetworkNodePolicy{}
	if err := yaml.UnmarshalStrict(data, policy); err != nil {
		return nil, fmt.Errorf("reading the policy %s: %w", policyFile, err)
	}
	return policy, nil
}

// printResult shows what the API server holds in the end.
func printResult(ctx context.Context, f *fleet.Fleet, policy *sriovv1.SriovNetworkNodePolicy) error {
	for _, name := range []string{"node1", "node2", "node3"} {
		state := &sriovv1.SriovNetworkNodeState{}
		if err := f.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, state); err != nil {
			return err
		}
		state.ManagedFields = nil
		if err := printYAML("SriovNetworkNodeState "+name, map[string]any{"spec": state.Spec, "status": state.Status}); err != nil {
			return err
		}
	}
	configMap, err := devicePluginConfig(ctx, f, "node1")
	if err != nil {
		return err
	}
	say("ConfigMap device-plugin-config-node1, config.json")
	fmt.Println(configMap)
	if err := f.Client.Get(ctx, client.ObjectKeyFromObject(policy), policy); err != nil {
		return err
	}
	return printYAML("status of the policy", policy.Status)
}

func printYAML(title string, v any) error {
	data, err := yaml.Marshal(v)
	if err != nil {
		return err
	}
	say(title)
	fmt.Println(string(data))
	return nil
}

func say(text string) { fmt.Println("==>", text) }

// setLogger keeps the components quiet unless VERBOSE=1.
func setLogger() {
	logger := logr.Discard()
	if os.Getenv("VERBOSE") == "1" {
		logger = zap.New(zap.WriteTo(os.Stderr))
	}
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	klog.LogToStderr(false)
}

// readyCondition returns the Ready condition, Unknown if there is none.
func readyCondition(conditions []metav1.Condition) metav1.Condition {
	for _, c := range conditions {
		if c.Type == sriovv1.ConditionReady {
			return c
		}
	}
	return metav1.Condition{Status: metav1.ConditionUnknown, Reason: sriovv1.ReasonUnknown}
}
