package apply_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/firmware"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
)

// footprint is what a PF gets back when it leaves the spec.
type footprint struct {
	NumVFs   int
	Mode     string
	Steering string
	// Inline mode, in switchdev mode or without VFs: bound VFs keep it.
	Inline      string
	Autoprobe   bool
	MTU         int
	HWTCOffload bool
	App         string
	// Drivers by VF index; a VF on its kernel driver with its MTU.
	Drivers []string
}

func footprintOf(pf *inventory.PF) footprint {
	f := footprint{
		NumVFs: *pf.NumVFs, Mode: pf.Eswitch.Mode, Steering: pf.SteeringMode, Autoprobe: *pf.Autoprobe,
		MTU: pf.Netdev.MTU, HWTCOffload: pf.Netdev.HWTCOffload.On,
	}
	if pf.Application != nil {
		f.App = pf.Application.Running
	}
	if f.Mode == "switchdev" || f.NumVFs == 0 {
		f.Inline = pf.Eswitch.InlineMode
	}
	for i := range pf.VFs {
		vf := &pf.VFs[i]
		text := vf.Driver + " " + vf.DriverOverride
		if vf.Netdev != nil {
			text += fmt.Sprintf(" mtu %d", vf.Netdev.MTU)
		}
		if vf.VDPA != nil {
			text += " vdpa " + vf.VDPA.Type
		}
		f.Drivers = append(f.Drivers, text)
	}
	return f
}

// A PF that leaves the spec goes back to what it was at first contact, and the
// ledger forgets it; what we never touched stays as it is.
func TestUndo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := podless(rt, 2)
		undo := func(ctx context.Context) error {
			k := s.boot(ctx)
			defer k.Close()
			return undoes(ctx, k, s, true, false)
		}
		if err := bubble(t, undo); err != nil {
			rt.Fatalf("%v\n%s", err, s)
		}
	})
}

// After a reboot nothing is ours: a PF that has left the spec stays as others
// made it since, and one that was taken anew goes back to that.
func TestUndoAfterReboot(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := podless(rt, 2)
		anew := rapid.Bool().Draw(rt, "taken anew")
		later := &scenario{}
		for _, p := range s.ports {
			later.before = append(later.before, past(rt, p)...)
			later.before = append(later.before, pastOVS(rt, p)...)
		}
		later.before = withoutPods(later.before)
		undo := func(ctx context.Context) error {
			k := s.boot(ctx)
			defer k.Close()
			for _, spec := range s.specs {
				if err := stabilize(ctx, k, spec); err != nil {
					return err
				}
			}
			k.Reboot()
			k.Settle()
			later.happen(ctx, k)
			return undoes(ctx, k, s, anew, true)
		}
		if err := bubble(t, undo); err != nil {
			rt.Fatalf("%v\n%s\nafter the reboot, taken anew %t: %v", err, s, anew, later.before)
		}
	})
}

// podless draws a scenario without pods: what others do to the machine later is
// theirs, not the first state.
func podless(rt *rapid.T, most int) *scenario {
	s := scenarios(most, true).Draw(rt, "scenario")
	s.before = withoutPods(s.before)
	return s
}

func withoutPods(actions []action) []action {
	return slices.DeleteFunc(actions, func(a action) bool { return strings.HasSuffix(a.text, " pod") })
}

// undoes carries out the specs, if the PFs are to be taken, and gives them back.
func undoes(ctx context.Context, k *simhost.Kernel, s *scenario, taken, rebooted bool) error {
	files := ownFiles(k)
	before, err := observe.Node(ctx, k.Admin())
	if err != nil {
		return err
	}
	for _, spec := range s.specs {
		if !taken {
			break
		}
		if err := stabilize(ctx, k, spec); err != nil {
			return err
		}
	}
	nothing := sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}
	k.ResetOps()
	if err := stabilize(ctx, k, nothing); err != nil {
		return err
	}
	// Not even for a while: what is made anew in the end is not what was there. Files
	// of ours outlive a boot.
	linked := slices.ContainsFunc(s.specs, wantsFirmware)
	if ops := k.Ops(); !taken && !linked && ops.Writes > ofFiles(ops)+leftBridges(ops) {
		return fmt.Errorf("what is not ours was touched: %v", ops.ByKind)
	}
	last, err := take(ctx, k, nothing)
	if err != nil {
		return err
	}
	kept := map[string]bool{}
	for _, spec := range s.specs {
		for _, b := range spec.Bonds {
			// A bond that was handed over keeps its members, and they its MTU.
			for _, pf := range b.Members {
				kept[pf] = kept[pf] || b.Ownership == sriovv1.OwnershipAdopted && len(s.specs) > 1
			}
		}
		for i := range spec.Interfaces {
			// A link to firmware outlives the boot in which it was made.
			if spec.Interfaces[i].FirmwareApp != "" && rebooted {
				kept[spec.Interfaces[i].PCIAddress] = true
			}
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
	if err := unbridged(&before, &last.observed, led.Record(), kept); err != nil {
		return err
	}
	for pf := range led.Record().Firmware {
		if !kept[pf] {
			return fmt.Errorf("the ledger did not forget the firmware of %s", pf)
		}
	}
	if diff := cmp.Diff(files, ownFiles(k)); diff != "" && len(kept) == 0 {
		return fmt.Errorf("files (-before +after):\n%s", diff)
	}
	for i := range before.PFs {
		if linkedLater(&before, &before.PFs[i]) {
			kept[before.PFs[i].PCIAddress] = true
		}
		was, is := &before.PFs[i], last.observed.PF(before.PFs[i].PCIAddress)
		if kept[was.PCIAddress] {
			continue
		}
		if diff := cmp.Diff(footprintOf(was), footprintOf(is), unlessBridged(&before, was.PCIAddress)); diff != "" {
			return fmt.Errorf("%s (-before +after):\n%s", was.PCIAddress, diff)
		}
	}
	if f := k.Forbidden(); len(f) > 0 {
		return fmt.Errorf("forbidden: %s", strings.Join(f, "; "))
	}
	return nil
}

// linkedLater tells whether an administrator changed a card's link after its driver
// was bound: what runs is not what the link leads to, and nobody can go back to it.
func linkedLater(node *inventory.Node, pf *inventory.PF) bool {
	if pf.Application == nil {
		return false
	}
	link := path.Join(firmware.System, firmware.Vendor, "pci-"+pf.PCIAddress+".nffw")
	now, there := node.Firmware.At(link)
	return there && (now.Broken || firmware.Runs(firmware.Linked(node.Firmware, pf.PCIAddress)) != pf.Application.Running)
}

// ofFiles is how many writes were to the ledger, to files of ours, and to tell
// others of them.
func ofFiles(ops simhost.Ops) int {
	return ops.ByKind["store.Save"] + ops.ByKind["files.Remove"] + ops.ByKind["fs.WriteUevent"] + ops.ByKind["networkmanager.Reload"]
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
		if diff := cmp.Diff([]string{" LedgerUnwritable", pf0 + " LedgerUnwritable", pf1 + " LedgerUnwritable"}, codes(&turn)); diff != "" {
			return errors.New(diff)
		}
		if diff := cmp.Diff(before, k.Dump()); diff != "" {
			return fmt.Errorf("the machine was touched:\n%s", diff)
		}
		return nil
	})
}
