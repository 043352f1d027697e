package boot

import (
	"cmp"
	"slices"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// next is the spec for the next boot: PF by PF what is in force. A boot brings
// back what the node had; it is no way around a drain that is waited for, an
// approval, or a blocker. A PF on which something is still to be done, or that is
// not as the new spec wants it, keeps its entry of before, as do the PFs that
// share a bond or a bridge with it.
func next(before sriovv1.SriovNetworkNodeStateSpec, in plan.Input, todo plan.Plan) sriovv1.SriovNetworkNodeStateSpec {
	now := in.Spec
	g := groups{}
	g.connect(&before)
	g.connect(&now)
	pending := map[string]bool{}
	for _, c := range todo.Chains {
		for _, pf := range c.PFs {
			pending[g.of(pf)] = true
		}
	}
	for i := range now.Interfaces {
		if address := now.Interfaces[i].PCIAddress; !in.InForce(address) {
			pending[g.of(address)] = true
		}
	}
	isPending := func(key string) bool { return pending[g.of(key)] }
	return sriovv1.SriovNetworkNodeStateSpec{
		Interfaces:   choose(before.Interfaces, now.Interfaces, isPending, func(i sriovv1.Interface) (string, string) { return i.PCIAddress, i.PCIAddress }),
		Bonds:        choose(before.Bonds, now.Bonds, isPending, func(b sriovv1.Bond) (string, string) { return bondKey(b.Name), b.Name }),
		Bridges:      sriovv1.Bridges{OVS: choose(before.Bridges.OVS, now.Bridges.OVS, isPending, func(b sriovv1.OVSConfigExt) (string, string) { return bridgeKey(b.Name), b.Name })},
		System:       now.System,
		ComputedFrom: now.ComputedFrom,
	}
}

// choose takes what is pending from before and everything else from now, ordered
// by name.
func choose[T any](before, now []T, pending func(string) bool, keyAndName func(T) (key, name string)) []T {
	var out []T
	for _, each := range before {
		if key, _ := keyAndName(each); pending(key) {
			out = append(out, each)
		}
	}
	for _, each := range now {
		if key, _ := keyAndName(each); !pending(key) {
			out = append(out, each)
		}
	}
	slices.SortFunc(out, func(a, b T) int {
		_, one := keyAndName(a)
		_, other := keyAndName(b)
		return cmp.Compare(one, other)
	})
	return out
}

func bondKey(name string) string   { return "bond " + name }
func bridgeKey(name string) string { return "bridge " + name }

// groups are PFs, bonds and bridges that belong together: each leads to another of
// its group, or is the one that stands for it.
type groups map[string]string

// of returns what stands for the group of a PF, bond or bridge.
func (g groups) of(key string) string {
	for g[key] != "" {
		key = g[key]
	}
	return key
}

func (g groups) join(a, b string) {
	if one, other := g.of(a), g.of(b); one != other {
		g[one] = other
	}
}

// connect joins what a spec puts together.
func (g groups) connect(spec *sriovv1.SriovNetworkNodeStateSpec) {
	for i := range spec.Bonds {
		for _, member := range spec.Bonds[i].Members {
			g.join(bondKey(spec.Bonds[i].Name), member)
		}
	}
	for i := range spec.Bridges.OVS {
		for _, uplink := range spec.Bridges.OVS[i].Uplinks {
			g.join(bridgeKey(spec.Bridges.OVS[i].Name), uplink.PCIAddress)
		}
	}
}
