package merge_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
)

// The generators draw from a small world, so that policies meet on PFs.

func drawInventory(t *rapid.T) []sriovv1.InterfaceStatus {
	all := nics()
	for i := range all {
		all[i].SwitchID = rapid.SampledFrom([]string{"", "aa", "bb"}).Draw(t, "switchID")
	}
	n := rapid.IntRange(1, len(all)).Draw(t, "PFs")
	return rapid.Permutation(all).Draw(t, "order")[:n]
}

func drawSelector(t *rapid.T) sriovv1.NicSelector {
	ranges := rapid.SampledFrom([]string{"", "", "", "#0", "#0-1", "#2-3", "#1-2,5", "#4-7", "#0-9", "#3-1", "#", "#x"})
	entries := func(values ...string) []string {
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			return rapid.SampledFrom(values).Draw(t, "name") + ranges.Draw(t, "ranges")
		}), 0, 3).Draw(t, "entries")
	}
	var s sriovv1.NicSelector
	s.PfNames = entries("ens41f0np0", "uplink0", "ens41f1np1", "ens5np0", "eno1", "absent", "")
	if rapid.IntRange(0, 2).Draw(t, "byAddress") == 0 {
		s.RootDevices = entries(port0, port1, other, intel)
	}
	s.Vendor = rapid.SampledFrom([]string{"", "", "15b3", "8086"}).Draw(t, "vendor")
	s.DeviceID = rapid.SampledFrom([]string{"", "", "", "1017"}).Draw(t, "deviceID")
	return s
}

func drawPolicies(t *rapid.T, bonds bool) []sriovv1.SriovNetworkNodePolicy {
	names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h", "default"}), 0, 8, rapid.ID[string]).Draw(t, "names")
	maybe := func(label string, values ...string) string {
		return rapid.SampledFrom(append([]string{"", ""}, values...)).Draw(t, label)
	}
	var policies []sriovv1.SriovNetworkNodePolicy
	for _, name := range names {
		s := spec{
			NumVfs:            rapid.IntRange(0, 8).Draw(t, "numVfs"),
			MTU:               rapid.SampledFrom([]int{0, 1500, 9000}).Draw(t, "mtu"),
			NicSelector:       drawSelector(t),
			LinkType:          maybe("linkType", "eth", "ETH", "ib"),
			EswitchMode:       maybe("eSwitchMode", "legacy", "switchdev"),
			FlowSteeringMode:  maybe("flowSteeringMode", "smfs", "dmfs"),
			FirmwareApp:       maybe("firmwareApp", "flower"),
			ExternallyManaged: rapid.IntRange(0, 5).Draw(t, "externallyManaged") == 0,
		}
		if rapid.Bool().Draw(t, "has priority") {
			s.Priority = priority(rapid.IntRange(97, 99).Draw(t, "priority"))
		}
		if rapid.IntRange(0, 3).Draw(t, "narrow") == 0 {
			s.NodeSelector = map[string]string{"zone": rapid.SampledFrom([]string{"a", "b"}).Draw(t, "zone")}
		}
		if rapid.IntRange(0, 3).Draw(t, "has bridge") == 0 {
			s.Bridge = ovs(rapid.SampledFrom([]string{"system", "netdev"}).Draw(t, "datapath"))
		}
		if bonds && rapid.Bool().Draw(t, "has bond") {
			s.Bond = &sriovv1.BondSpec{Name: rapid.SampledFrom([]string{"bond1", "bond2"}).Draw(t, "bond"), Mode: "802.3ad"}
		}
		policies = append(policies, policy(name, s))
	}
	return policies
}

func mergeOnce(policies []sriovv1.SriovNetworkNodePolicy, inventory []sriovv1.InterfaceStatus) merge.Result {
	n := node()
	n.Interfaces = inventory
	return merge.Compile(policies).Merge(n)
}

func requireEqual(t *rapid.T, what string, want, got any) {
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

func TestPropertyOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, pfs := drawPolicies(t, true), drawInventory(t)
		want := mergeOnce(policies, pfs)
		shuffled := rapid.Permutation(policies).Draw(t, "policies")
		var reordered []sriovv1.InterfaceStatus
		for _, pf := range rapid.Permutation(pfs).Draw(t, "PFs") {
			pf.AltNames = rapid.Permutation(pf.AltNames).Draw(t, "altNames")
			reordered = append(reordered, pf)
		}
		for i := range shuffled {
			shuffled[i].Spec.NodeSelector = maps.Clone(shuffled[i].Spec.NodeSelector)
		}
		requireEqual(t, "result", want, mergeOnce(shuffled, reordered))
	})
}

func TestPropertyDeterministicAndIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, pfs := drawPolicies(t, true), drawInventory(t)
		before, err := json.Marshal(struct{ P, I any }{policies, pfs})
		if err != nil {
			t.Fatal(err)
		}
		set := merge.Compile(policies)
		n := node()
		n.Interfaces = pfs
		first := set.Merge(n)
		requireEqual(t, "second merge of one set", first, set.Merge(n))
		// What the daemon reports once the spec is in force must not change it.
		for i := range pfs {
			pfs[i].NumVfs, pfs[i].EswitchMode, pfs[i].MTU = 3, "switchdev", 9000
		}
		requireEqual(t, "merge after the spec took effect", first, set.Merge(n))
		for i := range pfs {
			pfs[i].NumVfs, pfs[i].EswitchMode, pfs[i].MTU = 0, "", 0
		}
		after, err := json.Marshal(struct{ P, I any }{policies, pfs})
		if err != nil {
			t.Fatal(err)
		}
		requireEqual(t, "input", string(before), string(after))
	})
}

// TestPropertyPFsAreIsolated: leaving one PF out changes nothing about the
// others. Bonds couple two PFs and are left out here.
func TestPropertyPFsAreIsolated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, pfs := drawPolicies(t, false), drawInventory(t)
		gone := rapid.SampledFrom(pfs).Draw(t, "gone").PCIAddress
		all := mergeOnce(policies, pfs)
		rest := mergeOnce(policies, slices.DeleteFunc(slices.Clone(pfs), func(i sriovv1.InterfaceStatus) bool { return i.PCIAddress == gone }))

		interfaces := slices.DeleteFunc(all.Spec.Interfaces, func(i sriovv1.Interface) bool { return i.PCIAddress == gone })
		requireEqual(t, "interfaces", interfaces, rest.Spec.Interfaces)
		bridges := slices.DeleteFunc(all.Spec.Bridges.OVS, func(b sriovv1.OVSConfigExt) bool { return b.Uplinks[0].PCIAddress == gone })
		requireEqual(t, "bridges", bridges, rest.Spec.Bridges.OVS)
		for name, p := range all.Policies {
			conflicts := slices.DeleteFunc(p.Conflicts, func(c sriovv1.PolicyConflict) bool { return c.PCIAddress == gone })
			requireEqual(t, "conflicts of "+name, conflicts, rest.Policies[name].Conflicts)
			matched := slices.DeleteFunc(p.MatchedPFs, func(pf string) bool { return pf == gone })
			requireEqual(t, "PFs of "+name, matched, rest.Policies[name].MatchedPFs)
		}
	})
}

// TestPropertyUnmatchedPolicyHasNoInfluence: who matches nothing changes nothing but the hash.
func TestPropertyUnmatchedPolicyHasNoInfluence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, pfs := drawPolicies(t, true), drawInventory(t)
		all := mergeOnce(policies, pfs)
		needed := slices.DeleteFunc(slices.Clone(policies), func(p sriovv1.SriovNetworkNodePolicy) bool {
			return len(all.Policies[p.Name].MatchedPFs) == 0
		})
		rest := mergeOnce(needed, pfs)
		all.Spec.ComputedFrom, rest.Spec.ComputedFrom = "", ""
		requireEqual(t, "spec", all.Spec, rest.Spec)
	})
}

func TestPropertyGroupsAreSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, pfs := drawPolicies(t, true), drawInventory(t)
		r := mergeOnce(policies, pfs)
		if !slices.IsSortedFunc(r.Spec.Interfaces, func(a, b sriovv1.Interface) int { return strings.Compare(a.PCIAddress, b.PCIAddress) }) {
			t.Fatalf("interfaces are not ordered: %+v", r.Spec.Interfaces)
		}
		for _, i := range r.Spec.Interfaces {
			next := 0
			for _, g := range i.VfGroups {
				if g.VfRange.First < next || g.VfRange.Last < g.VfRange.First || g.VfRange.Last >= i.NumVfs {
					t.Fatalf("PF %s: groups overlap, are out of order or beyond numVfs %d: %+v", i.PCIAddress, i.NumVfs, i.VfGroups)
				}
				next = g.VfRange.Last + 1
				if !slices.Contains(r.Policies[g.PolicyName].MatchedPFs, i.PCIAddress) {
					t.Fatalf("PF %s: group of %s, which does not match", i.PCIAddress, g.PolicyName)
				}
			}
			if len(i.VfGroups) == 0 {
				t.Fatalf("PF %s is in the spec without a group", i.PCIAddress)
			}
		}
	})
}

// values are the PF-level values that a policy sets or that are in force.
func values(s spec) map[string]string {
	v := map[string]string{"eSwitchMode": s.EswitchMode, "flowSteeringMode": s.FlowSteeringMode, "firmwareApp": s.FirmwareApp, "linkType": strings.ToUpper(s.LinkType)}
	maps.DeleteFunc(v, func(_, value string) bool { return value == "" })
	return v
}

func inForce(i sriovv1.Interface) map[string]string {
	return values(spec{EswitchMode: i.EswitchMode, FlowSteeringMode: i.FlowSteeringMode, FirmwareApp: i.FirmwareApp, LinkType: i.LinkType})
}

// TestPropertyConflictsAreTheLosses: every value that a policy sets and that is
// not in force has a conflict on that policy, and a conflict names a value that
// was lost and a winner that is another policy, which matches the PF too.
func TestPropertyConflictsAreTheLosses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, pfs := drawPolicies(t, false), drawInventory(t)
		r := mergeOnce(policies, pfs)
		for _, p := range policies {
			result := r.Policies[p.Name]
			for _, c := range result.Conflicts {
				if c.Winner == p.Name || c.Winner != "" && !slices.Contains(r.Policies[c.Winner].MatchedPFs, c.PCIAddress) {
					t.Fatalf("policy %s: conflict with a strange winner: %+v", p.Name, c)
				}
				if c.Reason == "" || c.Node != "n1" {
					t.Fatalf("policy %s: incomplete conflict: %+v", p.Name, c)
				}
			}
			for _, i := range r.Spec.Interfaces {
				if slices.Contains(result.MatchedPFs, i.PCIAddress) {
					checkLosses(t, p, i, r)
				}
			}
		}
	})
}

func checkLosses(t *rapid.T, p sriovv1.SriovNetworkNodePolicy, i sriovv1.Interface, r merge.Result) {
	lost := map[string]bool{}
	invalid := false
	for _, c := range r.Policies[p.Name].Conflicts {
		if c.PCIAddress == i.PCIAddress {
			lost[c.Field] = true
			invalid = invalid || strings.HasPrefix(c.Field, "nicSelector.") && c.Winner == ""
		}
	}
	gotGroup := slices.ContainsFunc(i.VfGroups, func(g sriovv1.VfGroup) bool { return g.PolicyName == p.Name })
	if !gotGroup && len(lost) == 0 {
		t.Fatalf("policy %s got nothing of %s without a conflict", p.Name, i.PCIAddress)
	}
	if invalid {
		return // its ranges may be unusable altogether, and then it takes no part
	}
	want, got := values(p.Spec), inForce(i)
	for field, value := range want {
		if isLost := got[field] != value; isLost != lost[field] {
			t.Fatalf("policy %s on %s: %s %s against %q in force; conflict: %t", p.Name, i.PCIAddress, field, value, got[field], lost[field])
		}
	}
	if p.Spec.MTU > i.MTU != lost["mtu"] {
		t.Fatalf("policy %s on %s: mtu %d against %d in force; conflict: %t", p.Name, i.PCIAddress, p.Spec.MTU, i.MTU, lost["mtu"])
	}
	if p.Spec.NumVfs > i.NumVfs && !lost["numVfs"] {
		t.Fatalf("policy %s on %s: numVfs %d against %d in force without a conflict", p.Name, i.PCIAddress, p.Spec.NumVfs, i.NumVfs)
	}
	if p.Spec.ExternallyManaged != i.ExternallyManaged && (!lost["externallyManaged"] || gotGroup) {
		t.Fatalf("policy %s on %s: externallyManaged differs; conflict: %t, group: %t", p.Name, i.PCIAddress, lost["externallyManaged"], gotGroup)
	}
	hasBridge := slices.ContainsFunc(r.Spec.Bridges.OVS, func(b sriovv1.OVSConfigExt) bool {
		return b.Uplinks[0].PCIAddress == i.PCIAddress && p.Spec.Bridge.OVS != nil && cmp.Equal(b.Bridge, p.Spec.Bridge.OVS.Bridge)
	})
	if p.Spec.Bridge.OVS != nil && hasBridge == lost["bridge"] {
		t.Fatalf("policy %s on %s: bridge in force %t, conflict %t", p.Name, i.PCIAddress, hasBridge, lost["bridge"])
	}
}

func TestPropertyBondsAreOffloadable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policies, pfs := drawPolicies(t, true), drawInventory(t)
		r := mergeOnce(policies, pfs)
		ports := map[string]sriovv1.Interface{}
		for _, i := range r.Spec.Interfaces {
			ports[i.PCIAddress] = i
		}
		seen := map[string]bool{}
		for _, b := range r.Spec.Bonds {
			if len(b.Members) != 2 || seen[b.Name] || seen[b.Members[0]] || seen[b.Members[1]] {
				t.Fatalf("bonds share a name or port: %+v", r.Spec.Bonds)
			}
			seen[b.Name], seen[b.Members[0]], seen[b.Members[1]] = true, true, true
			one, two := ports[b.Members[0]], ports[b.Members[1]]
			if one.EswitchMode != "switchdev" || two.EswitchMode != "switchdev" || one.NumVfs != two.NumVfs || !slices.Equal(one.VfGroups, two.VfGroups) {
				t.Fatalf("ports of bond %s differ: %+v %+v", b.Name, one, two)
			}
		}
		for _, p := range policies {
			if p.Spec.Bond == nil || len(r.Policies[p.Name].MatchedPFs) == 0 {
				continue
			}
			has := slices.ContainsFunc(r.Spec.Bonds, func(b sriovv1.Bond) bool {
				return cmp.Equal(b.BondSpec, *p.Spec.Bond) && slices.Equal(b.Members, r.Policies[p.Name].MatchedPFs)
			})
			lost := slices.ContainsFunc(r.Policies[p.Name].Conflicts, func(c sriovv1.PolicyConflict) bool { return c.Field == "bond" })
			if has == lost {
				t.Fatalf("policy %s: bond in force %t, conflict %t", p.Name, has, lost)
			}
		}
	})
}

// exercise merges what strings make of every free-text field and checks what must always hold.
func exercise(t fatal, texts []string, numVfs int) {
	at := func(i int) string { return texts[i%len(texts)] }
	var policies []sriovv1.SriovNetworkNodePolicy
	var pfs []sriovv1.InterfaceStatus
	for i := range texts {
		policies = append(policies, sriovv1.SriovNetworkNodePolicy{
			ObjectMeta: metav1.ObjectMeta{Name: at(i)},
			Spec: spec{
				ResourceName: at(i + 1), NumVfs: numVfs + i, MTU: numVfs, LinkType: at(i + 2), EswitchMode: at(i + 3),
				NodeSelector: map[string]string{at(i): at(i + 1)},
				NicSelector: sriovv1.NicSelector{
					PfNames: []string{at(i + 1), at(i) + "#" + at(i+2)}, RootDevices: []string{at(i)}[:i%2], NetFilter: at(i)[:min(len(at(i)), i%3)],
				},
				Bond: &sriovv1.BondSpec{Name: at(i + 1)}, Bridge: ovs(at(i)),
			},
		})
		pfs = append(pfs, sriovv1.InterfaceStatus{PCIAddress: at(i), Name: at(i + 1), AltNames: texts, SwitchID: at(i + 3), NetFilter: at(i), Vendor: at(i)})
	}
	labels := map[string]string{}
	for i := range texts {
		labels[at(i)] = at(i + 1)
	}
	set := merge.Compile(policies)
	r := set.Merge(merge.Node{Name: at(0), Labels: labels, Interfaces: pfs, RdmaMode: at(1)})
	for _, i := range r.Spec.Interfaces {
		for k := 1; k < len(i.VfGroups); k++ {
			if i.VfGroups[k-1].VfRange.Last >= i.VfGroups[k].VfRange.First {
				t.Fatalf("groups overlap: %+v", i.VfGroups)
			}
		}
	}
	for i := range policies {
		var misses []merge.Miss
		for _, p := range r.Policies {
			misses = append(misses, p.Misses...)
		}
		for _, nodes := range [][]merge.NodeLabels{nil, {{Name: at(0), Labels: labels}}, {{Name: at(1)}}} {
			if n := len(merge.Unmatched(&policies[i], nodes, misses)); n > 16 {
				t.Fatalf("%d unmatched fields, the API allows 16", n)
			}
		}
		set.Selects(policies[i].Name, labels)
	}
	slices.Reverse(policies)
	slices.Reverse(pfs)
	again := merge.Compile(policies).Merge(merge.Node{Name: at(0), Labels: labels, Interfaces: pfs, RdmaMode: at(1)})
	if diff := cmp.Diff(r, again); diff != "" {
		t.Fatalf("order matters:\n%s", diff)
	}
}

type fatal interface {
	Fatalf(format string, args ...any)
}

func TestPropertyGarbage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		garbage := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{port0, port1, "eth0", "0-3", "0", "1-2,5", "#", ",", "-", "99999999999999999999", "ib", "switchdev", ":", "."}))
		exercise(t, rapid.SliceOfN(garbage, 1, 6).Draw(t, "texts"), rapid.IntRange(-2, 70000).Draw(t, "numVfs"))
	})
}

func FuzzMerge(f *testing.F) {
	f.Add("eth0", "0-3", port0, 4)
	f.Add("eth0#0-3,5", "switchdev", port0+"#1", 8)
	f.Add("#", "", "-", 0)
	f.Add("a.b", "4294967295-0", "\xff#\x00", 65536)
	f.Fuzz(func(t *testing.T, a, b, c string, numVfs int) {
		exercise(t, []string{a, b, c, fmt.Sprintf("%s#%s", a, b)}, numVfs%(1<<31))
	})
}
