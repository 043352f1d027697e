package boot

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/linux"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// Defaults of the command. The units give a phase 300 s; what is left of them is
// for the result.
const (
	defaultPatience = 30 * time.Second
	defaultTimeout  = 280 * time.Second
)

type commandOptions struct {
	phase, hostRoot, ledgerPath string
	patience, timeout           time.Duration
}

// NewCommand returns the command that the units run. The ledger is below the
// host's root.
func NewCommand(ledgerPath string) *cobra.Command {
	o := commandOptions{ledgerPath: ledgerPath}
	cmd := &cobra.Command{
		Use:   "boot --phase early|late",
		Short: "Configure the SR-IOV NICs while the node boots, as they were before",
		Long: `Configure the SR-IOV NICs while the node boots, as they were before.

Units that the daemon installs with configurationMode systemd run it; there is
nothing to run by hand. It reads /` + statePath + `, needs no
cluster, and refuses to act once a kubelet runs.

It ends with status 0 when the phase is done, 1 when something is not as it was
before, and 2 when it has touched nothing: the state cannot be used, or a kubelet
runs.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	f := cmd.Flags()
	f.StringVar(&o.phase, "phase", "", "early: VFs and modes, before the network; late: drivers of VFs, before the kubelet")
	f.StringVar(&o.hostRoot, "host-root", "/", "folder under which the root of the host is seen")
	f.DurationVar(&o.patience, "patience", defaultPatience, "how long NICs are waited for that are not there yet")
	f.DurationVar(&o.timeout, "timeout", defaultTimeout, "how long the phase may take")
	return cmd
}

func (o *commandOptions) run(ctx context.Context) error {
	if phase := Phase(o.phase); phase != Early && phase != Late {
		return fmt.Errorf("--phase must be %s or %s, it is %q", Early, Late, o.phase)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("it took longer than %s", o.timeout))
	defer cancel()
	options, err := o.hostOptions(ctx)
	if err != nil {
		return err
	}
	h, closer, err := linux.Open(options)
	if err != nil {
		return fmt.Errorf("opening the host at %s: %w", o.hostRoot, err)
	}
	defer func() { _ = closer.Close() }()
	run := Run{
		Host: h, Store: ledger.FileStore{Path: filepath.Join(o.hostRoot, o.ledgerPath)}, Drivers: driver.Default(),
		Phase: Phase(o.phase), Patience: o.patience,
	}
	if err := run.Do(ctx); err != nil {
		return &failed{phase: run.Phase, err: err}
	}
	return nil
}

// hostOptions reads from the state what opening the host needs. A state that
// cannot be used is Run's to report.
func (o *commandOptions) hostOptions(ctx context.Context) (linux.Options, error) {
	options := linux.Options{Root: o.hostRoot}
	h, closer, err := linux.Open(options)
	if err != nil {
		return options, fmt.Errorf("opening the host at %s: %w", o.hostRoot, err)
	}
	defer func() { _ = closer.Close() }()
	state, err := ReadState(ctx, h)
	if err != nil {
		return options, nil
	}
	if state.KubeletSocket != "" {
		options.KubeletSocket = filepath.Join(o.hostRoot, state.KubeletSocket)
	}
	if state.NodeIP != "" {
		if options.NodeIP, err = netip.ParseAddr(state.NodeIP); err != nil {
			return options, fmt.Errorf("reading the node's address: %w", err)
		}
	}
	return options, nil
}

// failed is the error of a phase.
type failed struct {
	phase Phase
	err   error
}

func (f *failed) Error() string { return fmt.Sprintf("the %s part of the boot: %v", f.phase, f.err) }

func (f *failed) Unwrap() error { return f.err }

// ExitCode is 2 when nothing was touched, see NewCommand.
func (f *failed) ExitCode() int {
	if errors.Is(f.err, ErrState) || errors.Is(f.err, ErrKubelet) {
		return 2
	}
	return 1
}
