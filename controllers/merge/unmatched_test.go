package merge_test

import (
	"testing"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
)

func TestUnmatched(t *testing.T) {
	nodes := []merge.Node{
		node(),
		{Name: "n0", Labels: map[string]string{"zone": "b"}, Interfaces: nics()[3:]},
		{Name: "n2", Labels: map[string]string{"zone": "c"}},
	}
	tests := []struct {
		name string
		spec spec
		want []sriovv1.UnmatchedField
	}{
		{
			"no node has the labels",
			spec{NumVfs: 1, NodeSelector: map[string]string{"zone": "d", "sriov": "true"}, NicSelector: pfNames("eno1")},
			[]sriovv1.UnmatchedField{{Field: "nodeSelector", Message: `no node has all of these labels; nearest is node n1, which lacks zone=d (it has "a")`}},
		},
		{
			"a name that was renamed by switchdev",
			spec{NumVfs: 1, NicSelector: pfNames("ens41f0", "ens41f1#0-3")},
			[]sriovv1.UnmatchedField{
				{Field: "nicSelector.pfNames", Message: "wanted ens41f0 or ens41f1; nearest is ens41f0np0 (0000:5f:00.0 on node n1)"},
				{Field: "nicSelector", Message: "no SR-IOV capable NIC is reported by node n2"},
			},
		},
		{
			"only the nearest PFs count: those that fail the fewest fields",
			spec{NumVfs: 1, NodeSelector: map[string]string{"zone": "a"}, NicSelector: sriovv1.NicSelector{Vendor: "15b3", DeviceID: "1018"}},
			[]sriovv1.UnmatchedField{{Field: "nicSelector.deviceID", Message: "wanted 1018; nearest is 1017 (0000:5f:00.0 on node n1)"}},
		},
		{
			"root device",
			spec{NumVfs: 1, NodeSelector: map[string]string{"zone": "b"}, NicSelector: sriovv1.NicSelector{RootDevices: []string{"0000:02:00.1#0"}}},
			[]sriovv1.UnmatchedField{{Field: "nicSelector.rootDevices", Message: "wanted 0000:02:00.1; found 0000:02:00.0 (on node n0)"}},
		},
		{
			"a node that has not reported",
			spec{NumVfs: 1, NodeSelector: map[string]string{"zone": "c"}, NicSelector: pfNames("eno1")},
			[]sriovv1.UnmatchedField{{Field: "nicSelector", Message: "no SR-IOV capable NIC is reported by node n2"}},
		},
		{
			"empty selector",
			spec{NumVfs: 1},
			[]sriovv1.UnmatchedField{{Field: "nicSelector", Message: "no field is set, so no NIC is selected"}},
		},
		{"a match", spec{NumVfs: 1, NodeSelector: map[string]string{"zone": "a"}, NicSelector: pfNames("eno1")}, nil},
		{"zero VFs", spec{NicSelector: pfNames("absent")}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := policy("p", tt.spec)
			set := merge.Compile([]sriovv1.SriovNetworkNodePolicy{p})
			var labels []merge.NodeLabels
			var misses []merge.Miss
			for _, n := range nodes {
				labels = append(labels, merge.NodeLabels{Name: n.Name, Labels: n.Labels})
				misses = append(misses, set.Merge(n).Policies["p"].Misses...)
			}
			wantDiff(t, "unmatched", tt.want, merge.Unmatched(&p, labels, misses))
		})
	}
	t.Run("no node at all", func(t *testing.T) {
		p := policy("p", spec{NumVfs: 1, NicSelector: pfNames("eno1")})
		wantDiff(t, "unmatched", []sriovv1.UnmatchedField{{Field: "nodeSelector", Message: "there is no node"}}, merge.Unmatched(&p, nil, nil))
	})
}

func TestNearestNodeOfEquals(t *testing.T) {
	p := policy("p", spec{NumVfs: 1, NodeSelector: map[string]string{"zone": "a", "rack": "1"}, NicSelector: pfNames("eno1")})
	nodes := []merge.NodeLabels{{Name: "n3"}, {Name: "n2", Labels: map[string]string{"zone": "a"}}, {Name: "n1", Labels: map[string]string{"rack": "1"}}, {Name: "n0"}}
	want := []sriovv1.UnmatchedField{{Field: "nodeSelector", Message: "no node has all of these labels; nearest is node n1, which lacks zone=a"}}
	wantDiff(t, "unmatched", want, merge.Unmatched(&p, nodes, nil))
	nodes[1], nodes[2] = nodes[2], nodes[1]
	wantDiff(t, "unmatched in another order", want, merge.Unmatched(&p, nodes, nil))
}

func TestNearestPFInAnyCase(t *testing.T) {
	p := policy("p", spec{NumVfs: 1, NicSelector: sriovv1.NicSelector{RootDevices: []string{"0000:AF:00.1"}}})
	got := merge.Unmatched(&p, []merge.NodeLabels{{Name: "n1"}}, []merge.Miss{
		{Field: "nicSelector.rootDevices", Found: "0000:1c:00.1", PCIAddress: "0000:1c:00.1", Node: "n1"},
		{Field: "nicSelector.rootDevices", Found: "0000:af:00.0", PCIAddress: "0000:af:00.0", Node: "n1"},
	})
	wantDiff(t, "unmatched", []sriovv1.UnmatchedField{{Field: "nicSelector.rootDevices", Message: "wanted 0000:AF:00.1; nearest is 0000:af:00.0 (on node n1)"}}, got)
}
