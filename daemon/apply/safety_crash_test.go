package apply_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/apply"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
)

// recoverAlone is what a daemon does at its start, before it has asked the API
// for anything.
func recoverAlone(ctx context.Context, k *simhost.Kernel) error {
	led, err := ledger.Open(ctx, k.Store())
	if err != nil {
		return err
	}
	_, err = apply.Recover(ctx, k.Host(), led, apply.Recovery{
		Observe: func(ctx context.Context) (inventory.Node, error) { return observe.Node(ctx, k.Host()) }, Drivers: driver.Default(),
	})
	return err
}

// A daemon that dies at any write of a change that cuts the node off, and at any
// write of its way back, brings the connections back at its start, without a spec.
// What it interrupted and did not cost a connection stays.
func TestRecoverAtStart(t *testing.T) {
	for _, times := range []int{1, 2} {
		t.Run(fmt.Sprintf("crashes %d", times), func(t *testing.T) {
			on(t, func(ctx context.Context, calm *simhost.Kernel) error {
				calm.ResetOps()
				if _, err := take(ctx, calm, guide(3, pf0)); err != nil {
					return err
				}
				for n := 1; n <= calm.Ops().Writes+5; n++ {
					if err := diesAt(ctx, n, times); err != nil {
						return fmt.Errorf("death at write %d: %w", n, err)
					}
				}
				return nil
			})
		})
	}
}

func diesAt(ctx context.Context, n, times int) error {
	k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}, Delays: simhost.TypicalDelays()})
	defer k.Close()
	k.PermitNodeNetwork()
	if err := all(converged(guide(2, pf0)), onlyRoute)(ctx, k); err != nil {
		return err
	}
	k.Settle()
	before := sectionOf(k.Dump(), pf0)
	k.Cut(everything(simhost.Cut{PF: pf0, VFs: 3}))
	k.CrashAfter(n, simhost.CountWrites)
	_, err := take(ctx, k, allowing(guide(3, pf0)))
	if !k.Crashed() {
		return err
	}
	if times > 1 {
		k.Restart()
		k.CrashAfter(n/2+1, simhost.CountWrites)
		if err := recoverAlone(ctx, k); err != nil && !k.Crashed() {
			return err
		}
	}
	k.Restart()
	cutOff := !k.Connected()
	if err := recoverAlone(ctx, k); err != nil {
		return err
	}
	k.Settle()
	if !k.Connected() {
		return fmt.Errorf("the node is cut off\n%s", k.Dump())
	}
	if diff := cmp.Diff(before, sectionOf(k.Dump(), pf0)); diff != "" && cutOff {
		return fmt.Errorf("the PF is not what it was:\n%s", diff)
	}
	led, err := ledger.Open(ctx, k.Store())
	if err != nil {
		return err
	}
	if p := led.Record().Probations; len(p) > 0 {
		return fmt.Errorf("probations are left: %v", p)
	}
	return nil
}

// After a reboot nothing of a change is left to be taken back, whatever the node
// has lost meanwhile.
func TestNothingToRecoverAfterReboot(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		if err := stabilize(ctx, k, guide(2, pf0)); err != nil {
			return err
		}
		k.CrashAfter(8, simhost.CountWrites)
		if _, err := take(ctx, k, guide(3, pf0)); !k.Crashed() {
			return fmt.Errorf("the daemon did not crash: %w", err)
		}
		k.Reboot()
		k.Settle()
		k.Cut(simhost.Cut{PF: pf0, APIServer: true})
		want := k.Dump()
		if err := recoverAlone(ctx, k); err != nil {
			return err
		}
		led, err := ledger.Open(ctx, k.Store())
		if err != nil {
			return err
		}
		if r := led.Record(); len(r.Probations)+len(r.Losses) > 0 {
			return fmt.Errorf("the ledger has %v %v", r.Probations, r.Losses)
		}
		if diff := cmp.Diff(want, k.Dump()); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
}

// While the node's own network is interrupted with permission, for longer than
// connections may take to come back, no other PF is blamed for it.
func TestInterruptionsOneByOne(t *testing.T) {
	err := bubble(t, func(ctx context.Context) error {
		delays := simhost.TypicalDelays()
		delays.Representor = 45 * time.Second
		k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}, Delays: delays})
		defer k.Close()
		k.PermitNodeNetwork()
		if err := onlyRoute(ctx, k); err != nil {
			return err
		}
		k.Fail(simhost.Fault{Op: "fs.WriteFile *:00.1/sriov_numvfs = *", Delay: 10 * time.Second})
		spec := allowing(guide(3, pf0, pf1))
		spec.Interfaces[1].EswitchMode = ""
		got, err := take(ctx, k, spec)
		return errors.Join(err, got.result.Err(), reached(ctx, k, spec, &turn{}))
	})
	if err != nil {
		t.Error(err)
	}
}

// The connection is lost while another PF is at work: it begins nothing more, is
// not blamed, and is carried out in the next turn.
func TestLossStopsOthers(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		k.Cut(everything(simhost.Cut{PF: pf0, VFs: 1}))
		k.Fail(simhost.Fault{Op: "fs.WriteFile *:00.1/sriov_drivers_autoprobe = 0", Delay: 18 * time.Second})
		k.Fail(simhost.Fault{Op: "ethtool.SetFeature ens41f1np1/* = true", Delay: 18 * time.Second})
		got, err := take(ctx, k, guide(3, pf0, pf1))
		if err != nil {
			return err
		}
		want := []string{pf0 + " ConnectivityLost", pf1 + " PlanOutdated"}
		if diff := cmp.Diff(want, sortedCodes(&got)); diff != "" {
			return fmt.Errorf("failures:\n%s", diff)
		}
		if s := sectionOf(k.Dump(), pf1); !strings.Contains(s, " numvfs 0/") || strings.Contains(fmt.Sprint(got.result.Done), pf1+": create") {
			return fmt.Errorf("the other PF went on: %v\n%s", got.result.Done, s)
		}
		again, err := take(ctx, k, guide(3, pf0, pf1))
		return errors.Join(err, again.result.Err(), reached(ctx, k, guide(3, pf1), &turn{}))
	})
}

func sortedCodes(t *turn) []string { return slices.Sorted(slices.Values(codes(t))) }

// Nothing is required of the node that it did not have before.
func TestNotConnectedBefore(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		k.Cut(everything(simhost.Cut{PF: pf0}))
		spec := guide(3, pf0, pf1)
		got, err := take(ctx, k, spec)
		return errors.Join(err, got.result.Err(), reached(ctx, k, spec, &turn{}))
	})
}

// Ports that were changed together, for the sake of a bond, go back together, and
// the bond that was made of them goes.
func TestBondLost(t *testing.T) {
	bonded := guide(3, pf0, pf1)
	bonded.Bonds = []sriovv1.Bond{{
		BondSpec: sriovv1.BondSpec{Name: "bond1", Mode: "active-backup"}, Members: []string{pf0, pf1}, PolicyName: "lag",
	}}
	// The last change of the chain: both ports are in the bond.
	bonded.Bonds[0].MTU = 4000
	for name, cut := range map[string]simhost.Cut{"by the mode": {PF: pf0, Mode: "switchdev"}, "by the bond": {PF: pf1, MTU: 4000}} {
		t.Run(name, func(t *testing.T) {
			on(t, func(ctx context.Context, k *simhost.Kernel) error {
				before := k.Dump()
				k.Cut(everything(cut))
				got, err := take(ctx, k, bonded)
				if err != nil {
					return err
				}
				k.Settle()
				if diff := cmp.Diff(before, k.Dump()); diff != "" || !k.Connected() || len(got.losses) != 2 {
					return fmt.Errorf("connected %t, losses %v:\n%s", k.Connected(), got.losses, diff)
				}
				if err := stabilize(ctx, k, bonded); err != nil {
					return err
				}
				again, err := take(ctx, k, bonded)
				if err != nil {
					return err
				}
				want := []string{pf0 + " ConnectivityLost", pf1 + " ConnectivityLost"}
				if diff := cmp.Diff(want, blockersOf(&again.plan)); diff != "" || len(again.plan.Steps()) > 0 {
					return fmt.Errorf("left to do: %v\n%s", again.plan.Steps(), diff)
				}
				return nil
			})
		})
	}
}

// A bridge that was there before a change is there after it was taken back.
func TestBridgeStays(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		bridged := bridgeSpec(func(*sriovv1.OVSConfigExt) {})
		if err := stabilize(ctx, k, bridged); err != nil {
			return err
		}
		before := k.Dump()
		k.Cut(everything(simhost.Cut{PF: pf0, MTU: 4000}))
		bridged.Interfaces[0].MTU = 4000
		got, err := take(ctx, k, bridged)
		if err != nil {
			return err
		}
		k.Settle()
		if diff := cmp.Diff(before, k.Dump()); diff != "" || !k.Connected() {
			return fmt.Errorf("connected %t, losses %v:\n%s", k.Connected(), got.losses, diff)
		}
		return nil
	})
}

// Ports that have left their bond for a change do not join it again when that is
// taken back: the loss says so.
func TestMemberLost(t *testing.T) {
	bonded := func(vfs int) sriovv1.SriovNetworkNodeStateSpec {
		spec := guide(vfs, pf0, pf1)
		spec.Bonds = []sriovv1.Bond{{BondSpec: sriovv1.BondSpec{Name: "bond1", Mode: "active-backup"}, Members: []string{pf0, pf1}}}
		return spec
	}
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		if err := stabilize(ctx, k, bonded(2)); err != nil {
			return err
		}
		k.Cut(everything(simhost.Cut{PF: pf0, VFs: 3}))
		got, err := take(ctx, k, bonded(3))
		if err != nil {
			return err
		}
		for _, pf := range []string{pf0, pf1} {
			if m := got.losses[pf].Message; !strings.Contains(m, "no longer a member of bond bond1") || !k.Connected() {
				return fmt.Errorf("message is %q", m)
			}
		}
		return nil
	})
}
