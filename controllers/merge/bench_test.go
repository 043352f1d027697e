package merge_test

import (
	"fmt"
	"testing"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
)

// fleet has 4 PFs per node and 100 policies, of which 7 select any one node:
// one by its rack, two by its role and four that select every node. On a node,
// two PFs get groups of a rack and a role, the others those of two policies for
// every node; the other two lose there.
func fleet(size int) ([]sriovv1.SriovNetworkNodePolicy, []merge.Node) {
	const racks, roles, common = 80, 16, 4
	var policies []sriovv1.SriovNetworkNodePolicy
	for i := range racks {
		policies = append(policies, policy(fmt.Sprintf("rack-%02d", i), spec{
			NumVfs: 8, Priority: priority(10), EswitchMode: "switchdev", NodeSelector: map[string]string{"rack": fmt.Sprint(i)},
			NicSelector: pfNames("ens1f0np0#0-3", "ens1f1np1#0-3"),
		}))
	}
	for i := range roles {
		policies = append(policies, policy(fmt.Sprintf("role-%02d", i), spec{
			NumVfs: 8, Priority: priority(20), MTU: 9000, NodeSelector: map[string]string{"role": fmt.Sprint(i / 2), "sriov": "true"},
			NicSelector: sriovv1.NicSelector{Vendor: "15b3", PfNames: []string{fmt.Sprintf("ens1f%dnp%d#4-7", i%2, i%2)}},
		}))
	}
	for i := range common {
		policies = append(policies, policy(fmt.Sprintf("common-%d", i), spec{
			NumVfs: 4 + i, NodeSelector: map[string]string{"sriov": "true"},
			NicSelector: sriovv1.NicSelector{Vendor: "15b3", RootDevices: []string{fmt.Sprintf("0000:86:00.%d", i%2)}},
		}))
	}
	nodes := make([]merge.Node, size)
	for i := range nodes {
		nodes[i] = merge.Node{
			Name: fmt.Sprintf("node-%04d", i),
			Labels: map[string]string{
				"rack": fmt.Sprint(i % racks), "role": fmt.Sprint(i % (roles / 2)), "sriov": "true",
				"kubernetes.io/hostname": fmt.Sprintf("node-%04d", i), "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux",
			},
			Interfaces: []sriovv1.InterfaceStatus{
				{PCIAddress: "0000:3b:00.0", Name: "ens1f0np0", AltNames: []string{"enp59s0f0np0"}, Vendor: "15b3", DeviceID: "1017"},
				{PCIAddress: "0000:3b:00.1", Name: "ens1f1np1", AltNames: []string{"enp59s0f1np1"}, Vendor: "15b3", DeviceID: "1017"},
				{PCIAddress: "0000:86:00.0", Name: "ens2f0np0", AltNames: []string{"enp134s0f0np0"}, Vendor: "15b3", DeviceID: "101d"},
				{PCIAddress: "0000:86:00.1", Name: "ens2f1np1", AltNames: []string{"enp134s0f1np1"}, Vendor: "15b3", DeviceID: "101d"},
			},
		}
	}
	return policies, nodes
}

// BenchmarkMergeFleet is one full merge of a large cluster as people build
// them: compiling 100 policies and merging 5,000 nodes with 4 PFs each, where 7
// policies select any one node (see fleet). Run with -cpu=1; it has to stay
// under a second.
func BenchmarkMergeFleet(b *testing.B) {
	policies, nodes := fleet(5000)
	benchmarkFleet(b, policies, nodes)
}

// BenchmarkMergeFleetAllSelecting is the worst that 100 policies can do to
// 5,000 nodes: no policy has a nodeSelector, so all 100 select and match every
// node with its 4 PFs, and 95 of them lose: 174 conflicts per node. Run with -cpu=1; it has to stay under a second.
func BenchmarkMergeFleetAllSelecting(b *testing.B) {
	policies, nodes := fleet(5000)
	for i := range policies {
		policies[i].Spec.NodeSelector = nil
	}
	benchmarkFleet(b, policies, nodes)
}

func benchmarkFleet(b *testing.B, policies []sriovv1.SriovNetworkNodePolicy, nodes []merge.Node) {
	b.ReportAllocs()
	for b.Loop() {
		set := merge.Compile(policies)
		configured := 0
		for i := range nodes {
			configured += len(set.Merge(nodes[i]).Spec.Interfaces)
		}
		if configured != 4*len(nodes) {
			b.Fatalf("%d PFs are configured, want %d", configured, 4*len(nodes))
		}
	}
}

// BenchmarkMergeNode is the work that one event on one node costs.
func BenchmarkMergeNode(b *testing.B) {
	policies, nodes := fleet(1)
	set := merge.Compile(policies)
	b.ReportAllocs()
	for b.Loop() {
		set.Merge(nodes[0])
	}
}

// TestNonSelectingPoliciesCostNoMemory: what a merge allocates depends on the
// policies that select the node, not on how many there are.
func TestNonSelectingPoliciesCostNoMemory(t *testing.T) {
	policies, nodes := fleet(1)
	var selecting []sriovv1.SriovNetworkNodePolicy
	all := merge.Compile(policies)
	for _, p := range policies {
		if all.Selects(p.Name, nodes[0].Labels) {
			selecting = append(selecting, p)
		}
	}
	few := merge.Compile(selecting)
	allocs := func(s *merge.Set) float64 { return testing.AllocsPerRun(100, func() { s.Merge(nodes[0]) }) }
	// One allocation per other policy would be 93. The race detector makes
	// pools of the standard library forget, which costs a few on either side.
	const noise = 20
	if a, f := allocs(all), allocs(few); a > f+noise || len(policies)-len(selecting) != 93 {
		t.Errorf("%d policies: %.0f allocations, the %d that select the node: %.0f", len(policies), a, len(selecting), f)
	}
}
