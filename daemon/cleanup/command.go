package cleanup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/linux"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

type commandOptions struct {
	hostRoot, kubeletSocket, nodeIP, ovsSocket string
	force, dryRun                              bool
}

// NewCommand returns the command that cleans up a node.
func NewCommand() *cobra.Command {
	var o commandOptions
	cmd := &cobra.Command{
		Use:   "cleanup",
		Short: "Bring this node's NICs back to what they were and remove all that is ours",
		Long: `Bring this node's NICs back to what they were at first contact, remove our files
and folders, and in the end the ledger. It needs no cluster. The daemon of the
node must not run.

The plan is printed first. VFs that pods use are left alone, with all that
depends on them, unless --force is given.

Exit codes: 0 nothing of ours is left (or --dry-run), 1 a step failed or the host
could not be read, 3 VFs are in use, 4 something forbids it or a PF is missing,
5 a daemon or another cleanup is running. After 1, 3 and 4 the next cleanup goes on.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.hostRoot, "host-root", "/", "folder under which the root of the host is seen")
	f.StringVar(&o.kubeletSocket, "kubelet-socket", linux.KubeletSocket, "pod-resources socket of the kubelet, below --host-root")
	f.StringVar(&o.ovsSocket, "ovs-socket", "", "socket of Open vSwitch's database server, below --host-root; default: run/openvswitch/db.sock or var/run/openvswitch/db.sock")
	f.StringVar(&o.nodeIP, "node-ip", os.Getenv("HOST_IP"), "address of the node in its cluster: the link that carries it is left alone; default: environment variable HOST_IP")
	f.BoolVar(&o.force, "force", false, "take VFs from pods that use them, and forget PFs that are not on the node any more")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the plan, touch nothing")
	return cmd
}

func (o *commandOptions) run(ctx context.Context, out io.Writer) (err error) {
	var nodeIP netip.Addr
	if o.nodeIP != "" {
		if nodeIP, err = netip.ParseAddr(o.nodeIP); err != nil {
			return fmt.Errorf("--node-ip (or the environment variable HOST_IP) must be one IP address: %w", err)
		}
	}
	where := linux.Options{Root: o.hostRoot, KubeletSocket: filepath.Join(o.hostRoot, o.kubeletSocket), NodeIP: nodeIP}
	if o.ovsSocket != "" {
		where.OVSSocket = filepath.Join(o.hostRoot, o.ovsSocket)
	}
	h, closer, err := linux.Open(where)
	if err != nil {
		return fmt.Errorf("opening the host at %s: %w", o.hostRoot, err)
	}
	defer func() { _ = closer.Close() }()
	store := ledger.FileStore{Path: filepath.Join(o.hostRoot, ledger.DefaultPath)}
	options := Options{Host: h, Store: store, Drivers: driver.Default(), Force: o.force, DryRun: o.dryRun, Out: out}
	if o.dryRun {
		// It may look beside a daemon that runs.
		return Run(ctx, options)
	}
	if _, err := os.Stat(filepath.Dir(store.Path)); errors.Is(err, fs.ErrNotExist) {
		// Not even a lock is left behind where we have never been.
		_, err := fmt.Fprintln(out, "Nothing on this node is ours.")
		return err
	}
	lock, err := store.Lock()
	if err != nil {
		return locked(err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	return Run(ctx, options)
}
