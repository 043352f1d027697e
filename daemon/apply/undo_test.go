package apply_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
)

// footprint is what a PF gets back when it leaves the spec.
type footprint struct {
	NumVFs      int
	Mode        string
	Autoprobe   bool
	MTU         int
	HWTCOffload bool
	// Drivers by VF index; a VF on its kernel driver with its MTU.
	Drivers []string
}

func footprintOf(pf *inventory.PF) footprint {
	f := footprint{
		NumVFs: *pf.NumVFs, Mode: pf.Eswitch.Mode, Autoprobe: *pf.Autoprobe,
		MTU: pf.Netdev.MTU, HWTCOffload: pf.Netdev.HWTCOffload.On,
	}
	for i := range pf.VFs {
		vf := &pf.VFs[i]
		text := vf.Driver + " " + vf.DriverOverride
		if vf.Netdev != nil {
			text += fmt.Sprintf(" mtu %d", vf.Netdev.MTU)
		}
		f.Drivers = append(f.Drivers, text)
	}
	return f
}

// A PF that leaves the spec goes back to what it was at first contact, and the
// ledger forgets it; what we never touched stays as it is.
func TestUndo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := scenarios(2, true).Draw(rt, "scenario")
		// What others do to the machine later is theirs, not the first state.
		s.before = slices.DeleteFunc(s.before, func(a action) bool { return strings.HasSuffix(a.text, " pod") })
		if err := bubble(t, func(ctx context.Context) error { return undoes(ctx, s) }); err != nil {
			rt.Fatalf("%v\n%s", err, s)
		}
	})
}

func undoes(ctx context.Context, s *scenario) error {
	k := s.boot(ctx)
	defer k.Close()
	before, err := observe.Node(ctx, k.Admin())
	if err != nil {
		return err
	}
	for _, spec := range s.specs {
		if err := stabilize(ctx, k, spec); err != nil {
			return err
		}
	}
	nothing := sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}
	if err := stabilize(ctx, k, nothing); err != nil {
		return err
	}
	last, err := take(ctx, k, nothing)
	if err != nil {
		return err
	}
	kept := map[string]bool{}
	for _, spec := range s.specs {
		for i := range spec.Interfaces {
			// Once somebody else managed a PF, its first state is nothing to go back to.
			if spec.Interfaces[i].ExternallyManaged && len(s.specs) > 1 {
				kept[spec.Interfaces[i].PCIAddress] = true
			}
		}
	}
	for _, b := range last.plan.Blockers {
		kept[b.PF] = true
	}
	for i := range last.result.Failures {
		kept[last.result.Failures[i].PF] = true
	}
	led, err := ledger.Open(ctx, k.Store())
	if err != nil {
		return err
	}
	for pf := range led.Record().PFs {
		if !kept[pf] {
			return fmt.Errorf("the ledger did not forget %s", pf)
		}
	}
	for i := range before.PFs {
		was, is := &before.PFs[i], last.observed.PF(before.PFs[i].PCIAddress)
		if kept[was.PCIAddress] {
			continue
		}
		if diff := cmp.Diff(footprintOf(was), footprintOf(is)); diff != "" {
			return fmt.Errorf("%s (-before +after):\n%s", was.PCIAddress, diff)
		}
	}
	if f := k.Forbidden(); len(f) > 0 {
		return fmt.Errorf("forbidden: %s", strings.Join(f, "; "))
	}
	return nil
}

// A ledger that cannot be written stops everything before the first effect.
func TestLedgerUnwritable(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		k.Fail(simhost.Fault{Op: "store.Save*", Times: -1, Errno: 28})
		before := k.Dump()
		turn, err := take(ctx, k, guide(3, pf0, pf1))
		if err != nil {
			return err
		}
		if diff := cmp.Diff([]string{pf0 + " LedgerUnwritable", pf1 + " LedgerUnwritable"}, codes(&turn)); diff != "" {
			return errors.New(diff)
		}
		if diff := cmp.Diff(before, k.Dump()); diff != "" {
			return fmt.Errorf("the machine was touched:\n%s", diff)
		}
		return nil
	})
}
