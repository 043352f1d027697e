package apply_test

import (
	"context"
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
)

func bondText(b *sriovv1.Bond) string {
	miimon := 0
	if b.MiimonMilliseconds != nil {
		miimon = *b.MiimonMilliseconds
	}
	return fmt.Sprintf("bond %s %s over %v miimon %d hash %q rate %q mtu %d %s", b.Name, b.Mode, b.Members, miimon, b.XmitHashPolicy, b.LacpRate, b.MTU, b.Ownership)
}

// bondScenarios draws a NIC whose two ports are to be in a bond in some of the
// specs, and what others did to it before. Nothing keeps the kernel from telling
// the state of the LAG.
func bondScenarios(most int) *rapid.Generator[*scenario] {
	return rapid.Custom(func(t *rapid.T) *scenario {
		s := &scenario{}
		if rapid.Bool().Draw(t, "delays") {
			s.opts.Delays = simhost.TypicalDelays()
		}
		name := rapid.SampledFrom([]string{"cx5", "cx6dx"}).Draw(t, "nic")
		s.text = fmt.Sprintf("%s delays %v", name, s.opts.Delays)
		s.addNIC(t, name)
		if rapid.IntRange(0, 3).Draw(t, "igb") == 3 {
			s.addNIC(t, "igb")
		}
		for _, p := range s.ports {
			s.before = append(s.before, past(t, p)...)
		}
		s.before = append(s.before, bondsPast(t, s.ports)...)
		for range rapid.IntRange(1, most).Draw(t, "specs") {
			spec := specOf(t, s.ports, false)
			// VFs that are somebody else's from now on have no driver in the end, should
			// we die between unbinding them for the bond's sake and binding them again.
			for i := range spec.Interfaces {
				if slices.Contains([]string{s.ports[0].address, s.ports[1].address}, spec.Interfaces[i].PCIAddress) {
					spec.Interfaces[i].ExternallyManaged = false
				}
			}
			if rapid.IntRange(0, 3).Draw(t, "bond") > 0 {
				addBond(t, &spec, s.ports)
			}
			s.specs = append(s.specs, spec)
		}
		return s
	})
}

// addBond makes the first two ports equal, as the merge does, and bonds them.
func addBond(t *rapid.T, spec *sriovv1.SriovNetworkNodeStateSpec, ports []port) {
	first := ifaceOf(t, ports[0], false)
	first.EswitchMode, first.ExternallyManaged = "switchdev", false
	second := *first.DeepCopy()
	second.PCIAddress = ports[1].address
	spec.Interfaces = slices.DeleteFunc(spec.Interfaces, func(i sriovv1.Interface) bool {
		return i.PCIAddress == first.PCIAddress || i.PCIAddress == second.PCIAddress
	})
	spec.Interfaces = append(spec.Interfaces, first, second)
	b := sriovv1.Bond{BondSpec: sriovv1.BondSpec{
		Name: rapid.SampledFrom([]string{"bond1", "bond1", "bond2"}).Draw(t, "bond name"),
		Mode: rapid.SampledFrom([]string{"active-backup", "balance-xor", "802.3ad"}).Draw(t, "bond mode"),
		MTU:  rapid.SampledFrom([]int{0, 1500, 4000}).Draw(t, "bond mtu"),
	}, Members: []string{first.PCIAddress, second.PCIAddress}, PolicyName: "policy"}
	if rapid.Bool().Draw(t, "options") {
		miimon := rapid.SampledFrom([]int{50, 100}).Draw(t, "miimon")
		b.MiimonMilliseconds = &miimon
		if b.Mode != "active-backup" {
			b.XmitHashPolicy = rapid.SampledFrom([]string{"", "layer2", "layer2+3"}).Draw(t, "hash")
		}
		if b.Mode == "802.3ad" {
			b.LacpRate = rapid.SampledFrom([]string{"", "fast"}).Draw(t, "rate")
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "adopted") == 3 {
		b.Ownership = sriovv1.OwnershipAdopted
	}
	spec.Bonds = []sriovv1.Bond{b}
}

// bondsPast draws what others did with bonds. An administrator is refused what the
// kernel refuses; one with bound VFs breaks nothing that is there yet.
func bondsPast(t *rapid.T, ports []port) []action {
	if rapid.IntRange(0, 3).Draw(t, "bond before") < 3 {
		return nil
	}
	mode := rapid.SampledFrom([]string{"active-backup", "802.3ad", "balance-rr"}).Draw(t, "mode before")
	out := []action{{"bond1 " + mode, func(_ context.Context, k *simhost.Kernel) error {
		return k.AddBond("bond1", simhost.BondOptions{Mode: mode})
	}}}
	for _, p := range ports[:rapid.IntRange(0, 2).Draw(t, "members before")] {
		out = append(out, action{"bond1 takes " + p.netdev, func(ctx context.Context, k *simhost.Kernel) error { return joinBond(ctx, k, "bond1", p.netdev) }})
	}
	return out
}

// joinBond sets a netdev down and puts it into a bond.
func joinBond(ctx context.Context, k *simhost.Kernel, bond, netdev string) error {
	links := k.Admin().Links
	list, err := links.List(ctx)
	if err != nil {
		return err
	}
	for _, l := range list {
		if l.Name == netdev {
			if err := links.SetUp(ctx, l.Index, false); err != nil {
				return err
			}
		}
	}
	return k.Enslave(bond, netdev)
}

// bondsReached compares the bonds of the host with those of the spec,
// independently of the planner.
func bondsReached(spec sriovv1.SriovNetworkNodeStateSpec, observed *inventory.Node, skip map[string]bool) error {
	for i := range spec.Bonds {
		want := &spec.Bonds[i]
		if skip[want.Members[0]] || skip[want.Members[1]] {
			continue
		}
		b := observed.Bond(want.Name)
		if b == nil {
			return fmt.Errorf("%s: it is not there", bondText(want))
		}
		var members []string
		mtu := 0
		for _, name := range b.Members {
			pf := observed.ByNetdev(name)
			if pf == nil || pf.LAG == nil || pf.LAG.Known && !pf.LAG.Active {
				return fmt.Errorf("%s: member %s, LAG %+v", bondText(want), name, pf)
			}
			members = append(members, pf.PCIAddress)
		}
		for _, iface := range spec.Interfaces {
			if slices.Contains(want.Members, iface.PCIAddress) {
				mtu = max(mtu, iface.MTU)
			}
		}
		slices.Sort(members)
		switch adopted := want.Ownership == sriovv1.OwnershipAdopted; {
		case !slices.Equal(members, want.Members):
			return fmt.Errorf("%s: members are %v", bondText(want), members)
		case adopted:
		case b.Mode != want.Mode || !b.Up || b.MTU < max(mtu, want.MTU):
			return fmt.Errorf("%s: it is %+v", bondText(want), b)
		case want.XmitHashPolicy != "" && b.XmitHashPolicy != want.XmitHashPolicy, want.LacpRate != "" && b.LACPRate != want.LacpRate:
			return fmt.Errorf("%s: options are %+v", bondText(want), b)
		case want.MiimonMilliseconds != nil && b.MiimonMilliseconds != *want.MiimonMilliseconds:
			return fmt.Errorf("%s: miimon is %d", bondText(want), b.MiimonMilliseconds)
		}
	}
	return nil
}

// bondProperty checks a property of scenarios with bonds in virtual time.
func bondProperty(t *testing.T, most int, holds func(context.Context, *rapid.T, *scenario) func(context.Context) error) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		s := bondScenarios(most).Draw(rt, "scenario")
		if err := bubble(t, holds(t.Context(), rt, s)); err != nil {
			rt.Fatalf("%v\n%s", err, s)
		}
	})
}

// From any start to any bond: one run converges, or what is left is explained; no
// VF is bound before the NIC offloads the bond, nothing that is up is put into a
// bond, and no mode changes under bound VFs: the simulated kernel forbids it.
func TestBondConverge(t *testing.T) {
	bondProperty(t, 3, func(_ context.Context, _ *rapid.T, s *scenario) func(context.Context) error {
		return func(ctx context.Context) error { return converges(ctx, s) }
	})
}

// A daemon that dies at any operation comes to the same bonds.
func TestBondCrash(t *testing.T) {
	bondProperty(t, 2, func(_ context.Context, rt *rapid.T, s *scenario) func(context.Context) error {
		c := crashes().Draw(rt, "crash")
		return func(ctx context.Context) error { return survives(ctx, s, c) }
	})
}

// The same when the machine reboots in the middle.
func TestBondReboot(t *testing.T) {
	bondProperty(t, 1, func(_ context.Context, rt *rapid.T, s *scenario) func(context.Context) error {
		c := crashes().Draw(rt, "crash")
		c.reboot = true
		return func(ctx context.Context) error { return survives(ctx, s, c) }
	})
}

// Whatever the kernel answers to any operation.
func TestBondFaults(t *testing.T) {
	bondProperty(t, 1, func(_ context.Context, rt *rapid.T, s *scenario) func(context.Context) error {
		f := faults().Draw(rt, "fault")
		return func(ctx context.Context) error {
			if err := recovers(ctx, s, f); err != nil {
				return fmt.Errorf("%+v: %w", f, err)
			}
			return nil
		}
	})
}

// When all policies leave, so do the bonds that we made, and no other; the ports
// are what they were.
func TestBondUndo(t *testing.T) {
	bondProperty(t, 2, func(_ context.Context, _ *rapid.T, s *scenario) func(context.Context) error {
		s.before = withoutPods(s.before)
		return func(ctx context.Context) error {
			k := s.boot(ctx)
			defer k.Close()
			before := bondLines(k.Dump())
			if err := undoes(ctx, k, s, true, false); err != nil {
				return err
			}
			led, err := ledger.Open(ctx, k.Store())
			if err != nil {
				return err
			}
			handedOver := slices.ContainsFunc(s.specs, func(spec sriovv1.SriovNetworkNodeStateSpec) bool {
				return len(spec.Bonds) > 0 && spec.Bonds[0].Ownership == sriovv1.OwnershipAdopted
			})
			if len(led.Record().PFs) > 0 || handedOver {
				return nil
			}
			if bonds := led.Record().Bonds; len(bonds) > 0 {
				return fmt.Errorf("the ledger did not forget %v", bonds)
			}
			if diff := cmp.Diff(before, bondLines(k.Dump())); diff != "" {
				return fmt.Errorf("bonds (-before +after):\n%s", diff)
			}
			return nil
		}
	})
}

// bondLines are the names, modes and members of the bonds in a dump.
func bondLines(dump string) []string {
	var out []string
	for line := range strings.Lines(dump) {
		if rest, ok := strings.CutPrefix(line, "bond "); ok {
			before, _, _ := strings.Cut(rest, "]")
			out = append(out, before)
		}
	}
	return out
}
