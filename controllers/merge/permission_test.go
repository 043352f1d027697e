package merge_test

import (
	"testing"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
)

// TestPermission covers who may permit interrupting the node's own network.
func TestPermission(t *testing.T) {
	const self = "ens41f0np0"
	allowing := func(p int, name, names string) sriovv1.SriovNetworkNodePolicy {
		return policy(name, on(p, spec{AllowNodeNetwork: true, NicSelector: pfNames(names)}))
	}
	silent := func(p int, name, names string) sriovv1.SriovNetworkNodePolicy {
		return policy(name, on(p, spec{NicSelector: pfNames(names)}))
	}
	for name, test := range map[string]struct {
		policies []sriovv1.SriovNetworkNodePolicy
		pool     bool
		want     bool
		lost     map[string][]lostValue
	}{
		"nobody":                   {policies: []sriovv1.SriovNetworkNodePolicy{silent(1, "a", self)}},
		"its policy":               {policies: []sriovv1.SriovNetworkNodePolicy{allowing(1, "a", self)}, want: true},
		"a weaker one with VFs":    {policies: []sriovv1.SriovNetworkNodePolicy{silent(1, "a", self+"#0"), allowing(2, "b", self+"#1")}, want: true},
		"the pool":                 {policies: []sriovv1.SriovNetworkNodePolicy{silent(1, "a", self)}, pool: true, want: true},
		"a policy of another PF":   {policies: []sriovv1.SriovNetworkNodePolicy{silent(1, "a", self), allowing(1, "b", "ens41f1np1")}},
		"one without VFs has none": {policies: []sriovv1.SriovNetworkNodePolicy{silent(1, "a", self), allowing(2, "b", self)}, lost: map[string][]lostValue{"b": {lost(port0, "allowNodeNetwork", "a"), lost(port0, "numVfs", "a")}}},
		"one without VFs, and the pool": {
			policies: []sriovv1.SriovNetworkNodePolicy{silent(1, "a", self), allowing(2, "b", self)}, pool: true, want: true,
			lost: map[string][]lostValue{"b": {lost(port0, "numVfs", "a")}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := node()
			n.AllowNodeNetwork = test.pool
			r := merge.Compile(test.policies).Merge(n)
			if got := iface(t, r, port0).AllowNodeNetwork; got != test.want {
				t.Errorf("permission of the PF is %t, want %t", got, test.want)
			}
			if r.Spec.AllowNodeNetwork != test.pool {
				t.Errorf("permission of the node is %t", r.Spec.AllowNodeNetwork)
			}
			wantDiff(t, "conflicts", test.lost, lostBy(r))
		})
	}
}

// TestKeptPermission: an entry that is kept because a fact of its PF is missing
// loses the permission with the policy that gave it.
func TestKeptPermission(t *testing.T) {
	allowing := policy("a", spec{NumVfs: 4, AllowNodeNetwork: true, NicSelector: sriovv1.NicSelector{Vendor: "15b3"}})
	n := node()
	n.Current = merge.Compile([]sriovv1.SriovNetworkNodePolicy{allowing}).Merge(n).Spec
	n.Interfaces[0].Vendor = ""
	for _, allow := range []bool{true, false} {
		allowing.Spec.AllowNodeNetwork = allow
		r := merge.Compile([]sriovv1.SriovNetworkNodePolicy{allowing}).Merge(n)
		if got := iface(t, r, port0).AllowNodeNetwork; got != allow {
			t.Errorf("the policy says %t, the kept entry %t", allow, got)
		}
	}
}
