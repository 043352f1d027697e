package merge_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
)

// A policy may name a PF by any of its physical ports.
func TestPortNames(t *testing.T) {
	const address = "0000:05:00.0"
	pf := sriovv1.InterfaceStatus{
		PCIAddress: address, Name: "ens3np0", TotalVfs: 8, Vendor: "1da8", AltNames: []string{"agilio0"},
		Ports: []sriovv1.PortStatus{
			{Name: "ens3np0", PortName: "p0", AltNames: []string{"agilio0"}},
			{Name: "ens3np1", PortName: "p1", AltNames: []string{"agilio1"}},
		},
	}
	with := func(pf sriovv1.InterfaceStatus) merge.Node {
		return merge.Node{Name: "n", Interfaces: []sriovv1.InterfaceStatus{pf}}
	}
	if diff := cmp.Diff([]string{"agilio0", "agilio1", "ens3np1"}, merge.FurtherNames(&pf)); diff != "" {
		t.Errorf("further names:\n%s", diff)
	}
	for name, want := range map[string]bool{
		"ens3np0": true, "ens3np1": true, "agilio0": true, "agilio1": true, "p1": false, "ens3np2": false, "ens3np1#0-3": true,
	} {
		result := merge.Compile([]sriovv1.SriovNetworkNodePolicy{policy("p", spec{NumVfs: 4, NicSelector: pfNames(name)})}).Merge(with(pf))
		if got := len(result.Spec.Interfaces) == 1; got != want {
			t.Errorf("%s selects the PF: %t", name, got)
		}
	}
	set := merge.Compile([]sriovv1.SriovNetworkNodePolicy{policy("p", spec{NumVfs: 4, NicSelector: pfNames("ens3np0")})})
	other := pf
	other.Ports = []sriovv1.PortStatus{pf.Ports[0], {Name: "renamed", PortName: "p1"}}
	if set.Merge(with(pf)).Spec.ComputedFrom == set.Merge(with(other)).Spec.ComputedFrom {
		t.Error("another name of a port is no change of what the spec was computed from")
	}
}
