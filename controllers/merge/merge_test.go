package merge_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
)

// spec is shorthand for the spec of a policy under test.
type spec = sriovv1.SriovNetworkNodePolicySpec

func policy(name string, s spec) sriovv1.SriovNetworkNodePolicy {
	if s.ResourceName == "" {
		s.ResourceName = "r_" + name
	}
	return sriovv1.SriovNetworkNodePolicy{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ns"}, Spec: s}
}

func pfNames(names ...string) sriovv1.NicSelector  { return sriovv1.NicSelector{PfNames: names} }
func priority(p int) *int                          { return &p }
func vfs(first, last int) sriovv1.VFRange          { return sriovv1.VFRange{First: first, Last: last} }
func lost(pf, field, winner string) lostValue      { return lostValue{pf, field, winner} }
func group(name string, first, last int) groupLine { return groupLine{name, vfs(first, last)} }

// The inventory of most tests: a dual-port Mellanox NIC, a single port of
// another one and an Intel port.
const (
	port0 = "0000:5f:00.0"
	port1 = "0000:5f:00.1"
	other = "0000:86:00.0"
	intel = "0000:02:00.0"
)

func nics() []sriovv1.InterfaceStatus {
	return []sriovv1.InterfaceStatus{
		{PCIAddress: port0, Name: "ens41f0np0", AltNames: []string{"enp95s0f0np0", "uplink0"}, Vendor: "15b3", DeviceID: "1017", LinkType: "ETH", TotalVfs: 8},
		{PCIAddress: port1, Name: "ens41f1np1", AltNames: []string{"enp95s0f1np1"}, Vendor: "15b3", DeviceID: "1017", LinkType: "ETH", TotalVfs: 8},
		{PCIAddress: other, Name: "ens5np0", Vendor: "15b3", DeviceID: "101d", LinkType: "ETH", TotalVfs: 8},
		{PCIAddress: intel, Name: "eno1", Vendor: "8086", DeviceID: "10c9", LinkType: "ETH", TotalVfs: 7, NetFilter: "openstack/NetworkID:8d1f"},
	}
}

func node() merge.Node {
	return merge.Node{Name: "n1", Labels: map[string]string{"zone": "a", "sriov": "true"}, Interfaces: nics()}
}

type groupLine struct {
	Policy string
	VFs    sriovv1.VFRange
}

type lostValue struct{ PCIAddress, Field, Winner string }

func groupsOf(s sriovv1.SriovNetworkNodeStateSpec, pf string) []groupLine {
	var lines []groupLine
	for _, i := range s.Interfaces {
		for _, g := range i.VfGroups {
			if i.PCIAddress == pf {
				lines = append(lines, groupLine{g.PolicyName, g.VfRange})
			}
		}
	}
	return lines
}

func lostBy(r merge.Result) map[string][]lostValue {
	m := map[string][]lostValue{}
	for name, p := range r.Policies {
		for _, c := range p.Conflicts {
			m[name] = append(m[name], lostValue{c.PCIAddress, c.Field, c.Winner})
		}
	}
	return m
}

func iface(t *testing.T, r merge.Result, pf string) sriovv1.Interface {
	t.Helper()
	for _, i := range r.Spec.Interfaces {
		if i.PCIAddress == pf {
			return i
		}
	}
	t.Fatalf("PF %s is not in the spec: %+v", pf, r.Spec.Interfaces)
	return sriovv1.Interface{}
}

func wantDiff(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// TestGroups covers which VFs of the first port each policy gets, and what it loses.
func TestGroups(t *testing.T) {
	tests := []struct {
		name     string
		policies []sriovv1.SriovNetworkNodePolicy
		groups   []groupLine // on port0
		numVfs   int
		lost     map[string][]lostValue
	}{
		{
			name:     "no range means all VFs",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("a", spec{NumVfs: 4, NicSelector: pfNames("ens41f0np0")})},
			groups:   []groupLine{group("a", 0, 3)}, numVfs: 4,
		},
		{
			name: "lower priority number wins",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("weak", spec{NumVfs: 4, Priority: priority(20), NicSelector: pfNames("ens41f0np0")}),
				policy("strong", spec{NumVfs: 4, Priority: priority(10), NicSelector: pfNames("ens41f0np0")}),
			},
			groups: []groupLine{group("strong", 0, 3)}, numVfs: 4,
			lost: map[string][]lostValue{"weak": {lost(port0, "numVfs", "strong")}},
		},
		{
			name: "unset priority is 99",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("z-unset", spec{NumVfs: 4, NicSelector: pfNames("ens41f0np0")}),
				policy("a-98", spec{NumVfs: 4, Priority: priority(98), NicSelector: pfNames("ens41f0np0")}),
			},
			groups: []groupLine{group("a-98", 0, 3)}, numVfs: 4,
			lost: map[string][]lostValue{"z-unset": {lost(port0, "numVfs", "a-98")}},
		},
		{
			name: "unset priority ties with 99 and priority 0 is the strongest",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("b-unset", spec{NumVfs: 4, NicSelector: pfNames("ens41f0np0")}),
				policy("a-99", spec{NumVfs: 4, Priority: priority(99), NicSelector: pfNames("ens41f0np0")}),
				policy("a-0", spec{NumVfs: 4, Priority: priority(0), NicSelector: pfNames("ens41f0np0#0")}),
			},
			groups: []groupLine{group("a-0", 0, 0)}, numVfs: 4,
			lost: map[string][]lostValue{"b-unset": {lost(port0, "numVfs", "a-0")}, "a-99": {lost(port0, "numVfs", "a-0")}},
		},
		{
			name: "on a tie the alphabetically last name is stronger",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("b", spec{NumVfs: 4, NicSelector: pfNames("ens41f0np0")}),
				policy("a", spec{NumVfs: 4, NicSelector: pfNames("ens41f0np0")}),
			},
			groups: []groupLine{group("b", 0, 3)}, numVfs: 4,
			lost: map[string][]lostValue{"a": {lost(port0, "numVfs", "b")}},
		},
		{
			name: "one resource on disjoint ranges is kept twice, listed by first VF",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("b", spec{ResourceName: "r", NumVfs: 8, NicSelector: pfNames("ens41f0np0#4-7")}),
				policy("a", spec{ResourceName: "r", NumVfs: 8, NicSelector: pfNames("ens41f0np0#0-3")}),
			},
			groups: []groupLine{group("a", 0, 3), group("b", 4, 7)}, numVfs: 8,
		},
		{
			name: "only the overlapping group is dropped, on the loser alone",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("strong", spec{NumVfs: 8, Priority: priority(1), NicSelector: pfNames("ens41f0np0#2-3")}),
				policy("weak", spec{NumVfs: 8, Priority: priority(2), NicSelector: pfNames("ens41f0np0#0-2,5-6")}),
			},
			groups: []groupLine{group("strong", 2, 3), group("weak", 5, 6)}, numVfs: 8,
			lost: map[string][]lostValue{"weak": {lost(port0, "nicSelector.pfNames", "strong")}},
		},
		{
			name: "a range that lost blocks nobody",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("a", spec{NumVfs: 8, Priority: priority(1), NicSelector: pfNames("ens41f0np0#0-1")}),
				policy("b", spec{NumVfs: 8, Priority: priority(2), NicSelector: pfNames("ens41f0np0#1-4")}),
				policy("c", spec{NumVfs: 8, Priority: priority(3), NicSelector: pfNames("ens41f0np0#3-5")}),
			},
			groups: []groupLine{group("a", 0, 1), group("c", 3, 5)}, numVfs: 8,
			lost: map[string][]lostValue{"b": {lost(port0, "nicSelector.pfNames", "a")}},
		},
		{
			name:     "several entries of one PF add up",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("a", spec{NumVfs: 8, NicSelector: pfNames("ens41f0np0#5", "ens41f0np0#0-1,3", "ens41f0np0#0")})},
			groups:   []groupLine{group("a", 0, 1), group("a", 3, 3), group("a", 5, 5)}, numVfs: 8,
		},
		{
			name:     "an entry for the whole PF absorbs ranges of the same policy",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("a", spec{NumVfs: 8, NicSelector: pfNames("ens41f0np0#5", "ens41f0np0")})},
			groups:   []groupLine{group("a", 0, 7)}, numVfs: 8,
		},
		{
			name:     "altNames carry ranges too and add to those of the name",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("a", spec{NumVfs: 8, NicSelector: pfNames("uplink0#2-3", "ens41f0np0#6")})},
			groups:   []groupLine{group("a", 2, 3), group("a", 6, 6)}, numVfs: 8,
		},
		{
			name: "root devices carry ranges, in any case",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("a", spec{NumVfs: 8,
				NicSelector: sriovv1.NicSelector{RootDevices: []string{"0000:5F:00.0#1-2,4"}}})},
			groups: []groupLine{group("a", 1, 2), group("a", 4, 4)}, numVfs: 8,
		},
		{
			name: "ranges of name and root device are both to hold",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("a", spec{NumVfs: 8,
				NicSelector: sriovv1.NicSelector{RootDevices: []string{port0 + "#1-4"}, PfNames: []string{"ens41f0np0#3-6"}}})},
			groups: []groupLine{group("a", 3, 4)}, numVfs: 8,
		},
		{
			name: "a name without range leaves the range of the root device",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("a", spec{NumVfs: 8,
				NicSelector: sriovv1.NicSelector{RootDevices: []string{port0 + "#1-4"}, PfNames: []string{"ens41f0np0"}}})},
			groups: []groupLine{group("a", 1, 4)}, numVfs: 8,
		},
		{
			name: "name and root device without a common VF",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("a", spec{NumVfs: 8,
				NicSelector: sriovv1.NicSelector{RootDevices: []string{port0 + "#1"}, PfNames: []string{"ens41f0np0#2"}}})},
			lost: map[string][]lostValue{"a": {lost(port0, "nicSelector.pfNames", "")}},
		},
		{
			name: "a malformed range concerns its own policy alone",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("bad", spec{NumVfs: 8, Priority: priority(0), MTU: 9000, NicSelector: pfNames("ens41f0np0#3-1")}),
				policy("good", spec{NumVfs: 4, NicSelector: pfNames("ens41f0np0")}),
			},
			groups: []groupLine{group("good", 0, 3)}, numVfs: 4,
			lost: map[string][]lostValue{"bad": {lost(port0, "nicSelector.pfNames", "")}},
		},
		{
			name: "a malformed entry leaves the policy's other entries alone",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("a", spec{NumVfs: 8, NicSelector: pfNames("ens41f0np0#x", "ens41f0np0#0-1", "#3")}),
			},
			groups: []groupLine{group("a", 0, 1)}, numVfs: 8,
			lost: map[string][]lostValue{"a": {lost("", "nicSelector.pfNames", ""), lost(port0, "nicSelector.pfNames", "")}},
		},
		{
			name:     "the same mistake twice is one conflict",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("a", spec{NumVfs: 4, NicSelector: pfNames("ens41f0np0#x", "ens41f0np0#0", "ens41f0np0#x")})},
			groups:   []groupLine{group("a", 0, 0)}, numVfs: 4,
			lost: map[string][]lostValue{"a": {lost(port0, "nicSelector.pfNames", "")}},
		},
		{
			name: "a common VF is lost in the field that narrows it down",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("strong", spec{NumVfs: 8, Priority: priority(1), NicSelector: pfNames("ens41f0np0")}),
				policy("by-address", spec{NumVfs: 8, NicSelector: sriovv1.NicSelector{RootDevices: []string{port0 + "#1-4"}, PfNames: []string{"ens41f0np0#3-6"}}}),
				policy("by-name", spec{NumVfs: 8, NicSelector: sriovv1.NicSelector{RootDevices: []string{port0 + "#1-6"}, PfNames: []string{"ens41f0np0#3-4"}}}),
			},
			groups: []groupLine{group("strong", 0, 7)}, numVfs: 8,
			lost: map[string][]lostValue{
				"by-address": {lost(port0, "nicSelector.rootDevices", "strong")},
				"by-name":    {lost(port0, "nicSelector.pfNames", "strong")},
			},
		},
		{
			name:     "a range beyond numVfs",
			policies: []sriovv1.SriovNetworkNodePolicy{policy("a", spec{NumVfs: 4, NicSelector: pfNames("ens41f0np0#0-1,2-4")})},
			groups:   []groupLine{group("a", 0, 1)}, numVfs: 4,
			lost: map[string][]lostValue{"a": {lost(port0, "nicSelector.pfNames", "")}},
		},
		{
			name: "numVfs 0 adds nothing",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("zero", spec{NumVfs: 0, Priority: priority(0), MTU: 9000, NicSelector: pfNames("ens41f0np0")}),
				policy("a", spec{NumVfs: 2, NicSelector: pfNames("ens41f0np0")}),
			},
			groups: []groupLine{group("a", 0, 1)}, numVfs: 2,
		},
		{
			name: "the policy named default is ignored",
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("default", spec{NumVfs: 8, Priority: priority(0), NicSelector: pfNames("ens41f0np0")}),
				policy("a", spec{NumVfs: 2, NicSelector: pfNames("ens41f0np0")}),
			},
			groups: []groupLine{group("a", 0, 1)}, numVfs: 2,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := merge.Compile(tt.policies).Merge(node())
			wantDiff(t, "groups", tt.groups, groupsOf(r.Spec, port0))
			wantDiff(t, "conflicts", tt.lost, lostBy(r))
			if tt.numVfs > 0 {
				wantDiff(t, "numVfs", tt.numVfs, iface(t, r, port0).NumVfs)
			} else {
				wantDiff(t, "interfaces", []sriovv1.Interface(nil), r.Spec.Interfaces)
			}
		})
	}
}

// TestSelection covers which PFs a nicSelector matches.
func TestSelection(t *testing.T) {
	tests := []struct {
		name string
		nic  sriovv1.NicSelector
		want []string
	}{
		{"name", pfNames("ens41f0np0"), []string{port0}},
		{"altName", pfNames("uplink0"), []string{port0}},
		{"names are ORed", pfNames("eno1", "ens41f1np1"), []string{intel, port1}},
		{"names are exact", pfNames("ENO1"), nil},
		{"vendor", sriovv1.NicSelector{Vendor: "15b3"}, []string{port0, port1, other}},
		{"vendor and deviceID in any case", sriovv1.NicSelector{Vendor: "15B3", DeviceID: "101D"}, []string{other}},
		{"fields are ANDed", sriovv1.NicSelector{Vendor: "8086", PfNames: []string{"ens41f0np0"}}, nil},
		{"root device", sriovv1.NicSelector{RootDevices: []string{other, "0000:5F:00.1"}}, []string{port1, other}},
		{"root device needs the domain", sriovv1.NicSelector{RootDevices: []string{"5f:00.0"}}, nil},
		{"netFilter", sriovv1.NicSelector{NetFilter: "openstack/NetworkID:8d1f"}, []string{intel}},
		{"netFilter with spaces", sriovv1.NicSelector{NetFilter: " openstack/NetworkID : 8d1f"}, []string{intel}},
		{"netFilter of another network", sriovv1.NicSelector{NetFilter: "openstack/NetworkID:8d1"}, nil},
		{"empty selector matches nothing", sriovv1.NicSelector{}, nil},
		{"empty lists match nothing", sriovv1.NicSelector{PfNames: []string{}, RootDevices: []string{}}, nil},
		{"empty entry matches nothing", sriovv1.NicSelector{PfNames: []string{""}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := merge.Compile([]sriovv1.SriovNetworkNodePolicy{policy("p", spec{NumVfs: 1, NicSelector: tt.nic})}).Merge(node())
			wantDiff(t, "matched PFs", tt.want, r.Policies["p"].MatchedPFs)
			var inSpec []string
			for _, i := range r.Spec.Interfaces {
				inSpec = append(inSpec, i.PCIAddress)
			}
			wantDiff(t, "interfaces in the spec", tt.want, inSpec)
			if missed := len(r.Policies["p"].Misses) > 0; missed != (tt.want == nil) {
				t.Errorf("misses: %+v", r.Policies["p"].Misses)
			}
		})
	}
}

func TestNodeSelection(t *testing.T) {
	set := merge.Compile([]sriovv1.SriovNetworkNodePolicy{
		policy("every", spec{NumVfs: 1, NicSelector: pfNames("x")}),
		policy("both", spec{NumVfs: 1, NodeSelector: map[string]string{"zone": "a", "sriov": "true"}, NicSelector: pfNames("x")}),
		policy("zero", spec{NodeSelector: map[string]string{"zone": "a"}, NicSelector: pfNames("x")}),
		policy("empty-value", spec{NumVfs: 1, NodeSelector: map[string]string{"absent": ""}, NicSelector: pfNames("x")}),
		policy("default", spec{NumVfs: 1, NicSelector: pfNames("x")}),
	})
	labels := node().Labels
	wantDiff(t, "selecting", []string{"both", "every", "zero"}, set.Selecting(labels))
	wantDiff(t, "selecting an unlabelled node", []string{"every"}, set.Selecting(nil))
	for name, want := range map[string]bool{"every": true, "both": true, "zero": true, "empty-value": false, "default": false, "unknown": false} {
		if got := set.Selects(name, labels); got != want {
			t.Errorf("Selects(%q) = %t, want %t", name, got, want)
		}
	}
	if !set.Selects("empty-value", map[string]string{"absent": ""}) {
		t.Error("a label with an empty value is a label")
	}
	r := set.Merge(node())
	var names []string
	for name := range r.Policies {
		names = append(names, name)
	}
	wantDiff(t, "policies of the result", []string{"both", "every", "zero"}, sorted(names))
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}
