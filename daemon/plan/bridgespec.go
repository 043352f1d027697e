package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// longestNetdev is IFNAMSIZ without the zero at the end: a bridge has a netdev of its
// own name.
const longestNetdev = 15

// ownKeys is what keys of external_ids that are ours begin with, see host.OVSOwner.
const ownKeys = "sriov-offload-operator"

// specBridges returns blockers for bridges of the spec that cannot be made.
func specBridges(spec *sriovv1.SriovNetworkNodeStateSpec) []Blocker {
	var out []Blocker
	for i := range spec.Bridges.OVS {
		problem := invalidBridge(spec, i)
		if problem == "" {
			continue
		}
		bridge := &spec.Bridges.OVS[i]
		if len(bridge.Uplinks) == 0 {
			out = append(out, blocker("", CodeBridgeInvalid, "Open vSwitch bridge %s is wanted, but %s", bridge.Name, problem))
		}
		for _, u := range bridge.Uplinks {
			out = append(out, blocker(u.PCIAddress, CodeBridgeInvalid, "Open vSwitch bridge %s is wanted, but %s", bridge.Name, problem))
		}
	}
	return out
}

// invalidBridge says why a bridge of the spec cannot be made; empty if it can. A
// PF has one bridge and a bridge one PF: that is what policies lead to. The uplink
// of a bond of the kernel would be the bond, which belongs to two PFs.
func invalidBridge(spec *sriovv1.SriovNetworkNodeStateSpec, index int) string {
	bridge := &spec.Bridges.OVS[index]
	if len(bridge.Uplinks) != 1 {
		return fmt.Sprintf("it has %d uplinks instead of one", len(bridge.Uplinks))
	}
	address := bridge.Uplinks[0].PCIAddress
	for i := range spec.Bridges.OVS {
		other := &spec.Bridges.OVS[i]
		switch {
		case i == index:
		case hasUplink(other, address):
			return fmt.Sprintf("bridge %s has the same PF as uplink", other.Name)
		case other.Name == bridge.Name:
			return "another one has the same name"
		}
	}
	i := slices.IndexFunc(spec.Interfaces, func(n sriovv1.Interface) bool { return n.PCIAddress == address })
	switch {
	case i < 0 || spec.Interfaces[i].ExternallyManaged || spec.Interfaces[i].EswitchMode != sriovv1.EswitchModeSwitchdev:
		return "its uplink is not a PF that the spec wants in switchdev mode"
	case bridge.Name == "" || len(bridge.Name) > longestNetdev || strings.ContainsAny(bridge.Name, "/ \t\n"):
		return fmt.Sprintf("its name is not one that a netdev can have, with 1 to %d characters", longestNetdev)
	}
	for _, bond := range spec.Bonds {
		if slices.Contains(bond.Members, address) {
			return fmt.Sprintf("the PF is to be a member of bond %s as well: a bond is attached to a bridge as a whole, by whoever sets up that bridge", bond.Name)
		}
	}
	for key := range maps.Keys(bridge.Bridge.ExternalIDs) {
		if strings.HasPrefix(key, ownKeys) {
			return fmt.Sprintf("its externalIDs have the key %s, which the operator uses itself", key)
		}
	}
	return ""
}

// addLeftBridges plans the removal of bridges that we made for PFs that nobody
// wants any more, and that no other chain removes: the PF is not there, or nothing
// but the bridge is left of what we made. The database survives reboots.
func (p *Plan) addLeftBridges(in *Input, wanted map[string]bool) {
	taken := map[string]bool{}
	for i := range in.Spec.Bridges.OVS {
		for _, u := range in.Spec.Bridges.OVS[i].Uplinks {
			taken[u.PCIAddress] = true
		}
	}
	there := map[string]bool{}
	for i := range in.Observed.OVS.Bridges {
		there[in.Observed.OVS.Bridges[i].Owner] = true
	}
	delete(there, "")
	for _, address := range slices.Sorted(maps.Keys(in.Owned.Bridges)) {
		switch {
		case in.Observed.OVS.Unknown != "":
			there[address] = true
		case !there[address] && !taken[address]:
			p.ReleasedBridges = append(p.ReleasedBridges, address)
		}
	}
	for _, address := range slices.Sorted(maps.Keys(there)) {
		if wanted[address] || taken[address] || p.givesBack(in, address) {
			continue
		}
		b := newBridging(in, address, in.Observed.PF(address))
		p.Blockers = append(p.Blockers, b.planRemoval(true)...)
		if len(b.remove) > 0 {
			stages := []Stage{b.remove}
			if back := b.mtuBack(in.Owned.Bridges[address].MTU); back != nil {
				stages = append(stages, Stage{back})
			}
			p.Chains = append(p.Chains, Chain{PFs: []string{address}, Stages: stages})
		}
	}
}

// mtuBack returns the step that gives a PF of which nothing but a bridge is ours the
// MTU of before, if it has the one that the bridge requests; nil if nothing is to be
// done.
func (b *bridging) mtuBack(before int) Step {
	if b.pf == nil || b.pf.Netdev == nil || before == 0 || before == b.pf.Netdev.MTU {
		return nil
	}
	now := b.pf.Netdev.MTU
	for _, bridge := range b.ours() {
		if uplink := bridge.Uplink(); uplink != nil && valueOr(uplink.MTURequest, 0) == now {
			return SetMTU{PF: b.address, MTU: before, Lowers: before < now}
		}
	}
	return nil
}

// givesBack tells whether addGivenBack plans for a PF.
func (*Plan) givesBack(in *Input, address string) bool {
	owned, ok := in.Owned.PFs[address]
	pf := in.Observed.PF(address)
	return ok && pf != nil && !owned.Stale(IdentityOf(&in.Observed, pf))
}

// checkBridges blocks all work on a PF that has to lose its bridge first and
// cannot: its VFs are made anew, or it is given back.
func (s *subject) checkBridges() []Blocker {
	all := s.rebuilds() || s.spec == nil
	if !all {
		return nil
	}
	return s.bridges.planRemoval(true)
}

// bridgeBlockers plans the bridges of a PF on which work goes on, whatever stands
// in the way of its bridges.
func (s *subject) bridgeBlockers() []Blocker {
	s.bridges.mtu, s.bridges.leavesBond = s.mtu, s.seat.leaves
	anew := s.rebuilds()
	removal := s.bridges.planRemoval(anew || s.spec == nil)
	return append(removal, s.bridges.planBridge(anew)...)
}
