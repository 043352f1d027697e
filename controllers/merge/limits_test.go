package merge_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
)

// everyOther are pfNames entries for n groups of one VF each, as a policy may
// have them: an entry is at most 128 characters long.
func everyOther(name string, n int) []string {
	var entries []string
	entry := ""
	for i := range n {
		index := strconv.Itoa(2 * i)
		switch {
		case entry == "":
			entry = name + "#" + index
		case len(entry)+1+len(index) > 128:
			entries = append(entries, entry)
			entry = name + "#" + index
		default:
			entry += "," + index
		}
	}
	return append(entries, entry)
}

// manyPFs is an inventory of n single-port NICs.
func manyPFs(n int) []sriovv1.InterfaceStatus {
	var pfs []sriovv1.InterfaceStatus
	for i := range n {
		pfs = append(pfs, sriovv1.InterfaceStatus{
			PCIAddress: fmt.Sprintf("0000:%02x:%02x.0", i/32, i%32), Name: fmt.Sprintf("eth%d", i), Vendor: "15b3", DeviceID: "1017", LinkType: "ETH",
		})
	}
	return pfs
}

func mergePFs(pfs []sriovv1.InterfaceStatus, policies ...sriovv1.SriovNetworkNodePolicy) merge.Result {
	return merge.Compile(policies).Merge(merge.Node{Name: "n1", Interfaces: pfs})
}

// lossesOf is what a policy lost, with the reasons.
func lossesOf(r merge.Result, policy string) []string {
	var lines []string
	for _, c := range r.Policies[policy].Conflicts {
		lines = append(lines, fmt.Sprintf("%s %s to %q: %s", c.PCIAddress, c.Field, c.Winner, c.Reason))
	}
	return lines
}

func TestGroupsBeyondTheLimit(t *testing.T) {
	many := everyOther("ens41f0np0", 300)
	if len(many) > 64 {
		t.Fatalf("%d entries, a policy has 64 at most", len(many))
	}
	strong := policy("strong", spec{NumVfs: 1000, Priority: priority(1), NicSelector: pfNames("ens41f0np0#997")})
	greedy := policy("greedy", spec{NumVfs: 1000, Priority: priority(10), NicSelector: pfNames(many...)})
	weak := policy("weak", spec{NumVfs: 1000, Priority: priority(20), NicSelector: pfNames("ens41f0np0#999", "ens41f1np1")})
	r := merge.Compile([]sriovv1.SriovNetworkNodePolicy{weak, greedy, strong}).Merge(node())

	got := map[string]int{}
	for _, g := range iface(t, r, port0).VfGroups {
		got[g.PolicyName]++
	}
	wantDiff(t, "groups per policy", map[string]int{"strong": 1, "greedy": sriovv1.MaxVFGroups - 1}, got)
	wantDiff(t, "other PF", []groupLine{group("weak", 0, 999)}, groupsOf(r.Spec, port1))
	wantDiff(t, "lost by the strong", []string(nil), lossesOf(r, "strong"))
	wantDiff(t, "lost by the greedy", []string{
		port0 + ` nicSelector.pfNames to "strong": VFs 510-510 and 44 more ranges find no room: a PF has at most 256 groups of VFs; join ranges`,
	}, lossesOf(r, "greedy"))
	wantDiff(t, "lost by the weak", []string{
		port0 + ` nicSelector.pfNames to "strong": VFs 999-999 find no room: a PF has at most 256 groups of VFs; join ranges`,
	}, lossesOf(r, "weak"))

	alone := merge.Compile([]sriovv1.SriovNetworkNodePolicy{greedy}).Merge(node())
	if n := len(iface(t, alone, port0).VfGroups); n != sriovv1.MaxVFGroups {
		t.Errorf("%d groups, want as many as the API takes", n)
	}
	for _, c := range alone.Policies["greedy"].Conflicts {
		if c.Winner != "" {
			t.Errorf("the policy is too large by itself, yet lost to %s", c.Winner)
		}
	}
}

// TestSpecStaysSmall: whatever valid policies ask for, the spec stays below 1 MiB.
func TestSpecStaysSmall(t *testing.T) {
	columns := map[string]string{}
	for i := range 32 {
		columns[fmt.Sprintf("%02d", i)+strings.Repeat("k", 61)] = strings.Repeat("v", 256)
	}
	bridge := sriovv1.Bridge{OVS: &sriovv1.OVSConfig{
		Bridge: sriovv1.OVSBridgeConfig{DatapathType: strings.Repeat("d", 64), ExternalIDs: columns, OtherConfig: columns},
		Uplink: sriovv1.OVSUplinkConfig{Interface: sriovv1.OVSInterfaceConfig{Type: strings.Repeat("t", 64), Options: columns, ExternalIDs: columns, OtherConfig: columns}},
	}}
	for _, n := range []int{1, 4, 16, 64, 256} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			pfs := manyPFs(n)
			for i := range pfs { // one name that all PFs have, so that one policy reaches all
				pfs[i].AltNames = []string{"all"}
			}
			greedy := policy(strings.Repeat("p", 253), spec{
				ResourceName: strings.Repeat("r", 63), ResourcePrefix: strings.Repeat("x", 253), DeviceType: "netdevice", NumVfs: 1000, MTU: 9000, IsRdma: true,
				VdpaType: "virtio", NeedVhostNet: true, ExcludeTopology: true, EswitchMode: "switchdev", Priority: priority(1),
				NicSelector: pfNames(everyOther("all", 300)...),
			})
			bridged := policy("bridged", spec{NumVfs: 1000, EswitchMode: "switchdev", Bridge: bridge, NicSelector: pfNames("all#999")})
			r := mergePFs(pfs, greedy, bridged)
			if len(r.Spec.Interfaces) != n {
				t.Fatalf("%d PFs are configured, want %d", len(r.Spec.Interfaces), n)
			}
			data, err := json.Marshal(r.Spec)
			if err != nil {
				t.Fatal(err)
			}
			const most = 600 << 10
			if len(data) > most {
				t.Errorf("the spec takes %d bytes", len(data))
			}
			for _, i := range r.Spec.Interfaces {
				if len(i.VfGroups) == 0 {
					t.Fatalf("PF %s has no group", i.PCIAddress)
				}
			}
			if len(r.Policies["bridged"].Conflicts) == 0 && len(r.Spec.Bridges.OVS) != n {
				t.Errorf("%d bridges without a conflict", len(r.Spec.Bridges.OVS))
			}
			only := mergePFs(pfs, bridged)
			data, err = json.Marshal(only.Spec)
			if err != nil {
				t.Fatal(err)
			}
			if len(data) > most {
				t.Errorf("with bridges, the spec takes %d bytes", len(data))
			}
			if lost := slices.ContainsFunc(only.Policies["bridged"].Conflicts, func(c sriovv1.PolicyConflict) bool {
				return c.Field == "bridge" && c.Winner == "" && strings.HasPrefix(c.Reason, "bridge finds no room: ")
			}); lost == (len(only.Spec.Bridges.OVS) == n) {
				t.Errorf("%d bridges, conflict %t", len(only.Spec.Bridges.OVS), lost)
			}
		})
	}
}

func TestPFsBeyondTheLimit(t *testing.T) {
	pfs := manyPFs(sriovv1.MaxInterfaces + 2)
	first, last := pfs[0].PCIAddress, pfs[len(pfs)-1].PCIAddress
	r := mergePFs(pfs,
		policy("weak", spec{NumVfs: 4, Priority: priority(20), NicSelector: sriovv1.NicSelector{Vendor: "15b3"}}),
		policy("strong", spec{NumVfs: 4, Priority: priority(10), NicSelector: pfNames(pfs[len(pfs)-1].Name)}),
	)
	if len(r.Spec.Interfaces) != sriovv1.MaxInterfaces {
		t.Fatalf("%d PFs are configured, want %d", len(r.Spec.Interfaces), sriovv1.MaxInterfaces)
	}
	if !slices.IsSortedFunc(r.Spec.Interfaces, func(a, b sriovv1.Interface) int { return strings.Compare(a.PCIAddress, b.PCIAddress) }) {
		t.Error("interfaces are not ordered")
	}
	iface(t, r, first)
	iface(t, r, last)
	const reason = "the PF is left alone: 256 PFs of the node are configured already, and no more can be"
	wantDiff(t, "lost by the strong", []string(nil), lossesOf(r, "strong"))
	wantDiff(t, "lost by the weak", []string{
		pfs[255].PCIAddress + ` nicSelector to "": ` + reason,
		pfs[256].PCIAddress + ` nicSelector to "": ` + reason,
		last + ` numVfs to "strong": VFs 0-3 overlap VFs 0-3 of policy strong (priority 10)`,
	}, lossesOf(r, "weak"))
}

func TestBondsOfAFullNode(t *testing.T) {
	var pfs []sriovv1.InterfaceStatus
	var policies []sriovv1.SriovNetworkNodePolicy
	for i, pf := range manyPFs(sriovv1.MaxInterfaces / 2) {
		pf.AltNames = []string{fmt.Sprintf("nic%d", i)}
		other := pf
		other.PCIAddress = strings.TrimSuffix(pf.PCIAddress, "0") + "1"
		pfs = append(pfs, pf, other)
		policies = append(policies, policy(fmt.Sprintf("p%d", i), bonded(1, fmt.Sprintf("bond%d", i), pf.AltNames[0])))
	}
	if n := len(mergePFs(pfs, policies...).Spec.Bonds); n != sriovv1.MaxBonds {
		t.Errorf("%d bonds over %d PFs, the API takes %d", n, len(pfs), sriovv1.MaxBonds)
	}
}

func TestAddressThatNoSpecTakes(t *testing.T) {
	pfs := append(nics(), sriovv1.InterfaceStatus{PCIAddress: strings.Repeat("0", sriovv1.MaxPCIAddressLength+1), Name: "ens41f0np0"})
	r := mergePFs(pfs, policy("p", spec{NumVfs: 1, NicSelector: pfNames("ens41f0np0")}))
	wantDiff(t, "matched PFs", []string{port0}, r.Policies["p"].MatchedPFs)
}

func TestConflictsAreBounded(t *testing.T) {
	const n = 100
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("ens41f0np0#%d-0", i+1)) // no range at all
	}
	r := mergePFs(nics(), policy("p", spec{NumVfs: 8, NicSelector: pfNames(names...)}))
	got := r.Policies["p"]
	if len(got.Conflicts) != 2*sriovv1.MaxConflicts || len(got.Conflicts)+got.MoreConflicts != n {
		t.Errorf("%d conflicts and %d more, want %d in all", len(got.Conflicts), got.MoreConflicts, n)
	}
	pfs := manyPFs(200)
	r = mergePFs(pfs, policy("p", spec{NumVfs: 8, EswitchMode: "switchdev", Bond: &sriovv1.BondSpec{Name: "b"}, NicSelector: sriovv1.NicSelector{Vendor: "15b3"}}))
	for _, c := range r.Policies["p"].Conflicts {
		if len(c.Reason) > sriovv1.MaxReasonLength || !strings.HasSuffix(c.Reason, " ...") {
			t.Errorf("reason of %d bytes: ...%s", len(c.Reason), c.Reason[len(c.Reason)-20:])
		}
	}
}

func TestMissesAreFewAndNear(t *testing.T) {
	pfs := manyPFs(200)
	pfs[123].Name = "ens41f0np0"
	r := mergePFs(pfs, policy("p", spec{NumVfs: 1, NicSelector: pfNames("ens41f0", "absent")}),
		policy("q", spec{NumVfs: 1, NicSelector: sriovv1.NicSelector{Vendor: "8086", DeviceID: "10c9"}}))
	p := r.Policies["p"].Misses
	if len(p) != 4 || !slices.ContainsFunc(p, func(m merge.Miss) bool { return m.Found == "ens41f0np0" && m.PCIAddress == pfs[123].PCIAddress }) {
		t.Errorf("misses: %+v", p)
	}
	wantDiff(t, "misses with one value", []merge.Miss{
		{Field: "nicSelector.vendor", Found: "15b3", Node: "n1", PCIAddress: pfs[0].PCIAddress},
		{Field: "nicSelector.deviceID", Found: "1017", Node: "n1", PCIAddress: pfs[0].PCIAddress},
	}, r.Policies["q"].Misses)
}

func TestUnmatchedIsBounded(t *testing.T) {
	long := strings.Repeat("x", 4*sriovv1.MaxReasonLength)
	p := policy("p", spec{NumVfs: 1, NicSelector: pfNames(strings.Repeat("e", 200))})
	labels := []merge.NodeLabels{{Name: "n1"}}
	misses := []merge.Miss{
		// One character off, but longer than any name of a netdev: not compared.
		{Field: "nicSelector.pfNames", Found: strings.Repeat("e", 201), Node: "n1"},
		{Field: "nicSelector.pfNames", Found: "eno1", Node: "n2"},
	}
	got := merge.Unmatched(&p, labels, misses)
	if len(got) != 1 || !strings.Contains(got[0].Message, "nearest is eno1") {
		t.Errorf("unmatched: %+v", got)
	}
	p.Spec.NicSelector.PfNames = []string{long}
	p.Spec.NodeSelector = map[string]string{"zone": long}
	for _, nodes := range [][]merge.NodeLabels{labels, {{Name: "n1", Labels: map[string]string{"zone": long}}}} {
		for _, u := range merge.Unmatched(&p, nodes, misses) {
			if len(u.Message) > sriovv1.MaxReasonLength {
				t.Errorf("%s: message of %d bytes", u.Field, len(u.Message))
			}
		}
	}
}
