package network

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/fleet"
)

// offer is who provides a resource.
type offer struct {
	resource string
	// switchdev and legacy are the policies that name the resource, by eswitch mode.
	switchdev, legacy []string
	// others are policies with the same resource name and another prefix, as
	// "NAME provides PREFIX/RESOURCE".
	others []string
	// nodes have VFs of the resource on a PF in switchdev mode by their merged
	// spec, sorted; ready of them have read it back.
	nodes []string
	ready int
	// uplinks are the names of the netdevs behind which these VFs are: PFs, or the
	// bonds that they are in. Sorted.
	uplinks []string
}

// offerOf finds out who provides a resource. defaultPrefix is that of policies
// that set none.
func offerOf(resource, defaultPrefix string, policies []sriovv1.SriovNetworkNodePolicy, states []sriovv1.SriovNetworkNodeState) offer {
	o := offer{resource: resource}
	_, name, _ := strings.Cut(resource, "/")
	for i := range policies {
		p := &policies[i]
		full := fullName(p.Spec.ResourcePrefix, defaultPrefix, p.Spec.ResourceName)
		switch {
		case p.Name == sriovv1.DefaultPolicyName || p.Spec.NumVfs <= 0 || p.Spec.ResourceName != name:
		case full != resource:
			o.others = append(o.others, fmt.Sprintf("%s provides %s", p.Name, full))
		case p.Spec.EswitchMode == sriovv1.EswitchModeSwitchdev:
			o.switchdev = append(o.switchdev, p.Name)
		default:
			o.legacy = append(o.legacy, p.Name)
		}
	}
	for i := range states {
		o.addNode(&states[i], defaultPrefix)
	}
	for _, list := range []*[]string{&o.switchdev, &o.legacy, &o.others, &o.nodes, &o.uplinks} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return o
}

func fullName(prefix, defaultPrefix, name string) string {
	return cmp.Or(prefix, defaultPrefix, sriovv1.DefaultResourcePrefix) + "/" + name
}

func (o *offer) addNode(state *sriovv1.SriovNetworkNodeState, defaultPrefix string) {
	found := false
	for i := range state.Spec.Interfaces {
		pf := &state.Spec.Interfaces[i]
		provides := func(g sriovv1.VfGroup) bool {
			return fullName(g.ResourcePrefix, defaultPrefix, g.ResourceName) == o.resource
		}
		if pf.EswitchMode != sriovv1.EswitchModeSwitchdev || !slices.ContainsFunc(pf.VfGroups, provides) {
			continue
		}
		found = true
		o.uplinks = append(o.uplinks, uplinksOf(state, pf)...)
	}
	if !found {
		return
	}
	o.nodes = append(o.nodes, state.Name)
	if fleet.ReadinessOf(state).Ready {
		o.ready++
	}
}

// uplinksOf are the bonds of a PF, or the PF itself by the name that it has now.
func uplinksOf(state *sriovv1.SriovNetworkNodeState, pf *sriovv1.Interface) []string {
	var names []string
	for i := range state.Spec.Bonds {
		if slices.Contains(state.Spec.Bonds[i].Members, pf.PCIAddress) {
			names = append(names, state.Spec.Bonds[i].Name)
		}
	}
	if len(names) > 0 {
		return names
	}
	for i := range state.Status.Interfaces {
		observed := &state.Status.Interfaces[i]
		if observed.PCIAddress == pf.PCIAddress && observed.Name != "" {
			return []string{observed.Name}
		}
	}
	if pf.Name != "" {
		return []string{pf.Name}
	}
	return nil
}
