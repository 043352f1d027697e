package merge

import (
	"cmp"
	"fmt"
	"slices"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// An API server refuses a whole node state when one list in it is too long or
// the object is too large, which would freeze the node for every policy. So a
// merge ends where the API does, and what goes beyond is a conflict of the
// policy that asked for it. Bonds need no limit of their own: no two of them
// share a port, so there are at most sriovv1.MaxBonds.

// keptConflicts is how many conflicts of one policy are kept per node.
const keptConflicts = 2 * sriovv1.MaxConflicts

// groupOverhead and bridgeOverhead are at least what a group and a bridge take
// as JSON besides the texts that the policy chose.
const (
	groupOverhead  = 256
	bridgeOverhead = 128
)

// keepStrongest leaves the PFs that the API has room for: those of the
// strongest policies, of one policy the first by address.
func (m *merger) keepStrongest() {
	if len(m.merged) <= sriovv1.MaxInterfaces {
		return
	}
	slices.SortStableFunc(m.merged, func(a, b mergedPF) int { return cmp.Compare(a.candidates[0].index, b.candidates[0].index) })
	kept, dropped := m.merged[:sriovv1.MaxInterfaces], m.merged[sriovv1.MaxInterfaces:]
	weakest := kept[len(kept)-1].candidates[0].policy
	for _, d := range dropped {
		for _, c := range d.candidates {
			m.lose(c.index, d.pf.PCIAddress, fieldNicSelector, nameUnless(weakest, c.policy),
				fmt.Sprintf("the PF is left alone: %d PFs of the node are configured already, and no more can be", sriovv1.MaxInterfaces))
		}
	}
	m.merged = kept
	slices.SortFunc(m.merged, func(a, b mergedPF) int { return cmp.Compare(a.pf.PCIAddress, b.pf.PCIAddress) })
}

// nameUnless is the name of the policy, or empty if it is the loser itself.
func nameUnless(winner, loser *policy) string {
	if winner == loser {
		return ""
	}
	return winner.name
}

// bytesPerPF is the part of the spec's size that one PF may use. Parts are
// equal, so that no PF takes room from another.
func (m *merger) bytesPerPF() int { return sriovv1.MaxSpecBytes / max(1, len(m.merged)) }

// groupBytes is at least what a group of the policy adds to the spec.
func (p *policy) groupBytes() int {
	return groupOverhead + len(p.name) + len(p.spec.ResourceName) + len(p.spec.ResourcePrefix)
}

// bridgeBytes is at least what the policy's bridge adds to the spec.
func (p *policy) bridgeBytes() int { return bridgeOverhead + len(p.bridgeKey) }

// roomForGroup says why the PF takes no group of the policy; empty if it does.
func (m *merger) roomForGroup(iface *sriovv1.Interface, p *policy) string {
	switch {
	case len(iface.VfGroups) >= sriovv1.MaxVFGroups:
		return fmt.Sprintf("a PF has at most %d groups of VFs; join ranges", sriovv1.MaxVFGroups)
	case m.bytes+p.groupBytes() > m.bytesPerPF():
		return m.tooLarge()
	}
	return ""
}

func (m *merger) tooLarge() string {
	return fmt.Sprintf("the configuration of the PF would be larger than %d bytes, its part of what the API takes for one node with %d configured PFs",
		m.bytesPerPF(), len(m.merged))
}

// loseRest records that the candidate's remaining claims find no room.
func (m *merger) loseRest(iface *sriovv1.Interface, c *candidate, rest []claim, reason string) {
	winner := ""
	if len(iface.VfGroups) > 0 && iface.VfGroups[0].PolicyName != c.policy.name {
		winner = iface.VfGroups[0].PolicyName
	}
	which := "VFs " + rest[0].vfs.String()
	if more := len(rest) - 1; more > 0 {
		which += fmt.Sprintf(" and %d more ranges", more)
	}
	m.lose(c.index, iface.PCIAddress, rest[0].field, winner, which+" find no room: "+reason)
}

// loseBridge records that nobody gets a bridge, which the winner's settings
// make too large. Who wanted another one has lost it to the winner already.
func (m *merger) loseBridge(iface *sriovv1.Interface, candidates []candidate, winner *policy) {
	for i := range candidates {
		if c := &candidates[i]; c.policy.bridgeKey == winner.bridgeKey {
			m.lose(c.index, iface.PCIAddress, "bridge", "", "bridge finds no room: "+m.tooLarge())
		}
	}
}
