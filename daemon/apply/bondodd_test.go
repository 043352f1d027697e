package apply_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/apply"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// lagSpec is the VF-LAG of a ConnectX-5.
func lagSpec() sriovv1.SriovNetworkNodeStateSpec {
	spec := guide(2, pf0, pf1)
	spec.Bonds = []sriovv1.Bond{{
		BondSpec: sriovv1.BondSpec{Name: "bond1", Mode: sriovv1.BondModeLACP}, Members: []string{pf0, pf1}, PolicyName: "policy",
	}}
	return spec
}

// onLAG runs f on a machine with a ConnectX-5 in virtual time.
func onLAG(t *testing.T, o simhost.Options, f func(context.Context, *simhost.Kernel) error) {
	t.Helper()
	o.NICs = []simhost.NIC{simhost.ConnectX5()}
	o.Delays = simhost.TypicalDelays()
	err := bubble(t, func(ctx context.Context) error {
		k := simhost.New(o)
		defer k.Close()
		return f(ctx, k)
	})
	if err != nil {
		t.Error(err)
	}
}

// Without debugfs the NIC is given its time, and VFs are bound after it.
func TestLAGUnknown(t *testing.T) {
	onLAG(t, simhost.Options{NoDebugfs: true}, func(ctx context.Context, k *simhost.Kernel) error {
		turn, err := take(ctx, k, lagSpec())
		if err != nil {
			return err
		}
		again, err := take(ctx, k, lagSpec())
		if err != nil || turn.result.Err() != nil || !again.plan.Empty() || k.LAG(pf0) != "active" {
			return fmt.Errorf("%w, %w, LAG %s, left %v", err, turn.result.Err(), k.LAG(pf0), again.plan.Steps())
		}
		return nil
	})
}

// A NIC that does not offload the bond: the VFs stay unbound, and the failure has
// the kernel's words.
func TestLAGRefused(t *testing.T) {
	onLAG(t, simhost.Options{}, func(ctx context.Context, k *simhost.Kernel) error {
		// Nobody knows of a limit of this device's: the driver has one all the same.
		k.Fail(simhost.Fault{Op: "fs.ReadFile */lag/state", Times: -1, Errno: syscall.EIO})
		turn, err := take(ctx, k, lagSpec())
		if err != nil {
			return err
		}
		if got := codes(&turn); len(got) != 1 || got[0] != pf0+" DeviceError" {
			return fmt.Errorf("failures are %v", got)
		}
		if strings.Contains(k.Dump(), "driver mlx5_core admin MAC") {
			return fmt.Errorf("VFs are bound:\n%s", k.Dump())
		}
		k.ClearFaults()
		return stabilize(ctx, k, lagSpec())
	})
}

// Another name on a kernel that has no bonding at all.
func TestBondingMissing(t *testing.T) {
	onLAG(t, simhost.Options{NoBonding: true}, func(ctx context.Context, k *simhost.Kernel) error {
		turn, err := take(ctx, k, lagSpec())
		if got := codes(&turn); err != nil || len(got) != 1 || got[0] != pf0+" BondingMissing" {
			return fmt.Errorf("failures are %v, %w", got, err)
		}
		return nil
	})
}

// A bond of the name that somebody makes between the plan and the step is not ours,
// and the ledger does not say so: it is never removed.
func TestBondAppears(t *testing.T) {
	onLAG(t, simhost.Options{}, func(ctx context.Context, k *simhost.Kernel) error {
		h := k.Host()
		led, err := ledger.Open(ctx, k.Store())
		if err != nil {
			return err
		}
		observed, p, err := look(ctx, h, lagSpec(), led)
		if err != nil {
			return err
		}
		if err := k.AddBond("bond1", simhost.BondOptions{Mode: "active-backup"}); err != nil {
			return err
		}
		result := apply.Run(ctx, h, led, observed, p)
		if len(result.Failures) != 1 || result.Failures[0].Code != "BondExists" {
			return fmt.Errorf("failures are %w", result.Err())
		}
		if len(led.Record().Bonds) > 0 {
			return errors.New("the ledger has it as ours")
		}
		if err := stabilize(ctx, k, sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}); err != nil {
			return err
		}
		if !strings.Contains(k.Dump(), "bond bond1 active-backup") {
			return errors.New("somebody else's bond was removed")
		}
		return nil
	})
}

// A LAG that somebody broke says what helps.
func TestLAGBroken(t *testing.T) {
	onLAG(t, simhost.Options{}, func(ctx context.Context, k *simhost.Kernel) error {
		if err := stabilize(ctx, k, lagSpec()); err != nil {
			return err
		}
		if err := k.Release("ens41f1np1"); err != nil {
			return err
		}
		k.Settle()
		turn, err := take(ctx, k, lagSpec())
		if err != nil {
			return err
		}
		if got := codes(&turn); len(got) != 1 || got[0] != pf0+" LAGVFsBound" || !strings.Contains(turn.result.Failures[0].Remedy, "reload the driver") {
			return fmt.Errorf("failures are %v", got)
		}
		return nil
	})
}

// A port that somebody sets up between the plan and the step is set down again: a
// bond takes no member that is up.
func TestMemberSetUpMeanwhile(t *testing.T) {
	onLAG(t, simhost.Options{}, func(ctx context.Context, k *simhost.Kernel) error {
		spec := lagSpec()
		if err := stabilize(ctx, k, spec); err != nil {
			return err
		}
		set := onLink("ens41f1np1", func(ctx context.Context, l host.Links, index int) error { return l.SetUp(ctx, index, true) })
		for _, vf := range []string{"0000:5f:00.2", "0000:5f:00.3", "0000:5f:01.2", "0000:5f:01.3"} {
			if err := k.Admin().FS.WriteFile(ctx, "sys/bus/pci/drivers/mlx5_core/unbind", []byte(vf)); err != nil {
				return err
			}
		}
		if err := k.Release("ens41f1np1"); err != nil {
			return err
		}
		k.Settle()
		h := k.Host()
		led, err := ledger.Open(ctx, k.Store())
		if err != nil {
			return err
		}
		observed, p, err := look(ctx, h, spec, led)
		if err != nil {
			return err
		}
		if err := set(ctx, k); err != nil {
			return err
		}
		result := apply.Run(ctx, h, led, observed, p)
		if f := k.Forbidden(); result.Err() != nil || len(f) > 0 || k.LAG(pf0) != "active" {
			return fmt.Errorf("%w, forbidden %v, LAG %s", result.Err(), f, k.LAG(pf0))
		}
		return nil
	})
}
