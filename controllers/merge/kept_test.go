package merge_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
)

// blank removes facts that selection uses from a PF.
var blank = map[string]func(*sriovv1.InterfaceStatus){
	"vendor":   func(pf *sriovv1.InterfaceStatus) { pf.Vendor = "" },
	"deviceID": func(pf *sriovv1.InterfaceStatus) { pf.DeviceID = "" },
	"linkType": func(pf *sriovv1.InterfaceStatus) { pf.LinkType = "" },
	"switchID": func(pf *sriovv1.InterfaceStatus) { pf.SwitchID = "" },
	"name":     func(pf *sriovv1.InterfaceStatus) { pf.Name = "" },
	"netdev":   func(pf *sriovv1.InterfaceStatus) { pf.Name, pf.AltNames, pf.LinkType, pf.SwitchID = "", nil, "", "" },
	"all": func(pf *sriovv1.InterfaceStatus) {
		*pf = sriovv1.InterfaceStatus{PCIAddress: pf.PCIAddress}
	},
}

// TestPropertyUnknownTakesNothing: as long as the policies stay, no fact that is
// missing removes or changes what is in force.
func TestPropertyUnknownTakesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, pfs := drawPolicies(t, true), drawInventory(t)
		set := merge.Compile(policies)
		n := node()
		n.Interfaces, n.RdmaMode = pfs, "shared"
		n.Current = set.Merge(n).Spec
		known := set.Merge(n)
		requireEqual(t, "merge with everything known", n.Current, known.Spec)

		n.Interfaces = slices.Clone(pfs)
		facts := []string{"vendor", "deviceID", "linkType", "switchID", "name", "netdev", "all"}
		for i := range n.Interfaces {
			for _, fact := range rapid.SliceOfN(rapid.SampledFrom(facts), 0, 3).Draw(t, "unknown") {
				blank[fact](&n.Interfaces[i])
			}
		}
		got := set.Merge(n)
		requireKept(t, n.Current.Interfaces, got.Spec.Interfaces)
		requireKept(t, n.Current.Bridges.OVS, got.Spec.Bridges.OVS)
		requireKept(t, n.Current.Bonds, got.Spec.Bonds)
		if len(got.Spec.Bonds) == len(n.Current.Bonds) {
			requireEqual(t, "spec", n.Current, got.Spec)
		}
		for _, i := range got.Spec.Interfaces {
			for _, g := range i.VfGroups {
				if !slices.Contains(got.Policies[g.PolicyName].MatchedPFs, i.PCIAddress) {
					t.Fatalf("PF %s has VFs of policy %s, which is not reported to match it", i.PCIAddress, g.PolicyName)
				}
			}
		}
		n.Current, n.Interfaces = got.Spec, pfs
		requireEqual(t, "once everything is known again", known.Spec, set.Merge(n).Spec)
	})
}

func requireKept[T any](t *rapid.T, before, now []T) {
	for _, b := range before {
		if !slices.ContainsFunc(now, func(n T) bool { return cmp.Equal(b, n) }) {
			t.Fatalf("gone or changed: %+v\nnow: %+v", b, now)
		}
	}
}

// TestKept covers until when the present entry of the first port stays although
// a fact of it is not known.
func TestKept(t *testing.T) {
	vendor := sriovv1.NicSelector{Vendor: "15b3", DeviceID: "1017"}
	tests := []struct {
		name      string
		nic       sriovv1.NicSelector
		unknown   string
		change    func(*sriovv1.SriovNetworkNodePolicy, *merge.Node)
		numVfs    []int // of the ports; 4 is what is in force
		unmatched string
	}{
		{name: "vendor", nic: vendor, unknown: "vendor", numVfs: []int{4, 4}, unmatched: "nicSelector.vendor: the vendor of 0000:5f:00.0 on node n1 is not known"},
		{name: "device ID", nic: vendor, unknown: "deviceID", numVfs: []int{4, 4}, unmatched: "nicSelector.deviceID: the device ID of"},
		{name: "name", nic: pfNames("uplink0#0-1", "ens41f0np0#2-3", "ens41f1np1"), unknown: "name", numVfs: []int{4, 4}, unmatched: "nicSelector.pfNames: the name of"},
		{name: "netdev", nic: pfNames("ens41f0np0", "ens41f1np1"), unknown: "netdev", numVfs: []int{4, 4}, unmatched: "nicSelector.pfNames: the name of"},
		{name: "nothing that matters", nic: pfNames("ens41f0np0", "ens41f1np1"), unknown: "vendor", numVfs: []int{4, 4}},
		{name: "a new number of VFs", nic: vendor, unknown: "vendor", numVfs: []int{4, 6}, unmatched: "nicSelector.vendor",
			change: func(p *sriovv1.SriovNetworkNodePolicy, _ *merge.Node) { p.Spec.NumVfs = 6 }},
		{name: "a selector that could match", nic: vendor, unknown: "vendor", numVfs: []int{4}, unmatched: "nicSelector.vendor",
			change: func(p *sriovv1.SriovNetworkNodePolicy, _ *merge.Node) {
				p.Spec.NicSelector = sriovv1.NicSelector{Vendor: "8086", DeviceID: "1017"}
			}},
		{name: "a selector that cannot match", nic: vendor, unknown: "vendor", numVfs: nil, unmatched: "nicSelector.deviceID: wanted",
			change: func(p *sriovv1.SriovNetworkNodePolicy, _ *merge.Node) {
				p.Spec.NicSelector = sriovv1.NicSelector{Vendor: "15b3", DeviceID: "ffff"}
			}},
		{name: "a policy that is gone", nic: vendor, unknown: "vendor", numVfs: nil,
			change: func(p *sriovv1.SriovNetworkNodePolicy, _ *merge.Node) { p.Name = "another" }},
		{name: "a policy that asks for nothing", nic: vendor, unknown: "vendor", numVfs: nil,
			change: func(p *sriovv1.SriovNetworkNodePolicy, _ *merge.Node) { p.Spec.NumVfs = 0 }},
		{name: "a node that is not selected", nic: vendor, unknown: "vendor", numVfs: nil,
			change: func(p *sriovv1.SriovNetworkNodePolicy, _ *merge.Node) {
				p.Spec.NodeSelector = map[string]string{"zone": "b"}
			}},
		{name: "a PF that is not there", nic: vendor, unknown: "vendor", numVfs: []int{4},
			change: func(_ *sriovv1.SriovNetworkNodePolicy, n *merge.Node) { n.Interfaces = n.Interfaces[1:] }},
		{name: "nothing in force", nic: vendor, unknown: "vendor", numVfs: []int{4},
			change: func(_ *sriovv1.SriovNetworkNodePolicy, n *merge.Node) {
				n.Current = sriovv1.SriovNetworkNodeStateSpec{}
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, n := policy("p", spec{NumVfs: 4, MTU: 9000, EswitchMode: "switchdev", NicSelector: tt.nic, Bridge: ovs("system")}), node()
			n.Current = merge.Compile([]sriovv1.SriovNetworkNodePolicy{p}).Merge(n).Spec
			before := n.Current
			blank[tt.unknown](&n.Interfaces[0])
			if tt.change != nil {
				tt.change(&p, &n)
			}
			got := merge.Compile([]sriovv1.SriovNetworkNodePolicy{p}).Merge(n)
			var numVfs []int
			for _, i := range got.Spec.Interfaces {
				if i.PCIAddress == port0 || i.PCIAddress == port1 {
					numVfs = append(numVfs, i.NumVfs)
				}
			}
			if tt.name == "a policy that is gone" {
				// The new one matches the port whose vendor is known.
				numVfs = slices.DeleteFunc(numVfs, func(n int) bool { return n == 4 && len(numVfs) == 1 })
			}
			wantDiff(t, "numVfs", tt.numVfs, numVfs)
			wantDiff(t, "bridges", len(got.Spec.Interfaces), len(got.Spec.Bridges.OVS))
			if tt.change == nil {
				wantDiff(t, "spec", before, got.Spec)
			}
			var said []string
			for _, u := range merge.Unmatched(&p, []merge.NodeLabels{{Name: n.Name, Labels: n.Labels}}, got.Policies[p.Name].Misses) {
				said = append(said, u.Field+": "+u.Message)
			}
			if all := strings.Join(said, "\n"); !strings.Contains(all, tt.unmatched) {
				t.Errorf("unmatched fields: %q, want %q", all, tt.unmatched)
			}
		})
	}
}

// TestKeptWithOthers: what one policy's selector lacks keeps the PF as it is for
// all policies on it, and a policy that has no VFs on it keeps its share too.
func TestKeptWithOthers(t *testing.T) {
	byAddress := policy("address", spec{NumVfs: 4, NicSelector: sriovv1.NicSelector{RootDevices: []string{port0 + "#0-3"}}})
	byVendor := policy("vendor", spec{NumVfs: 8, MTU: 9000, NicSelector: sriovv1.NicSelector{Vendor: "15b3", RootDevices: []string{port0 + "#0-1"}}})
	byAddress.Spec.NumVfs, byVendor.Name = 6, "a-vendor" // the weaker of equals: no VFs, but numVfs and mtu
	policies := []sriovv1.SriovNetworkNodePolicy{byAddress, byVendor}
	n := node()
	n.Current = merge.Compile(policies).Merge(n).Spec
	wantDiff(t, "groups", []groupLine{group("address", 0, 3)}, groupsOf(n.Current, port0))
	wantDiff(t, "numVfs", 8, n.Current.Interfaces[0].NumVfs)
	blank["vendor"](&n.Interfaces[0])
	got := merge.Compile(policies).Merge(n)
	wantDiff(t, "spec", n.Current, got.Spec)
	policies = policies[:1]
	if got := merge.Compile(policies).Merge(n).Spec.Interfaces[0].NumVfs; got != 6 {
		t.Errorf("numVfs %d after the policy with the unknown fact is gone, want 6", got)
	}
}

// TestKeptBond: a bond stays with both ports when a fact of one is not known,
// and without a switch ID when only that told that they are of one NIC.
func TestKeptBond(t *testing.T) {
	p := policy("p", bonded(1, "bond1", "ens41f1np1", "ens5np0"))
	n := node()
	n.Interfaces[1].SwitchID, n.Interfaces[2].SwitchID = "aa", "aa"
	n.Current = merge.Compile([]sriovv1.SriovNetworkNodePolicy{p}).Merge(n).Spec
	if len(n.Current.Bonds) != 1 {
		t.Fatalf("no bond: %+v", n.Current)
	}
	for _, fact := range []string{"switchID", "netdev", "name"} {
		unknown := n
		unknown.Interfaces = slices.Clone(n.Interfaces)
		blank[fact](&unknown.Interfaces[1])
		got := merge.Compile([]sriovv1.SriovNetworkNodePolicy{p}).Merge(unknown)
		wantDiff(t, fact, n.Current, got.Spec)
		wantDiff(t, "conflicts without "+fact, []sriovv1.PolicyConflict(nil), got.Policies[p.Name].Conflicts)
		more := *p.DeepCopy()
		more.Spec.NumVfs++
		got = merge.Compile([]sriovv1.SriovNetworkNodePolicy{more}).Merge(unknown)
		if a, b := got.Spec.Interfaces[0], got.Spec.Interfaces[1]; a.NumVfs != b.NumVfs || len(got.Spec.Bonds) != 1 {
			t.Errorf("without %s, one port of the bond changed alone: %+v", fact, got.Spec)
		}
	}
}
