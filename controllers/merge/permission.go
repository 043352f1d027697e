package merge

import (
	"fmt"
	"slices"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// mergePermission sets allowNodeNetwork of a PF: one contributor that sets it, or
// the node's pool, is enough, because not to set it is no refusal. A policy that
// contributes nothing to the PF has no say in what may happen to it.
func (m *merger) mergePermission(iface *sriovv1.Interface, candidates []candidate) {
	iface.AllowNodeNetwork = m.poolAllows ||
		slices.ContainsFunc(candidates, func(c candidate) bool { return c.contributes && c.policy.spec.AllowNodeNetwork })
	if iface.AllowNodeNetwork {
		return
	}
	for i := range candidates {
		if c := &candidates[i]; c.policy.spec.AllowNodeNetwork {
			winner := candidates[0].policy
			m.lose(c.index, iface.PCIAddress, "allowNodeNetwork", winner.name, fmt.Sprintf(
				"allowNodeNetwork is not applied: this policy adds no VFs to the PF, which policy %s has", rank(winner)))
		}
	}
}

// keepPermission takes the permission from an entry that is kept if nobody is left
// who could give it: that a fact of the PF is not known must not keep it alive.
func (m *merger) keepPermission(entry *sriovv1.Interface) {
	pf := m.pf(entry.PCIAddress)
	entry.AllowNodeNetwork = entry.AllowNodeNetwork && (m.poolAllows ||
		slices.ContainsFunc(m.policies, func(p *policy) bool { return p.spec.AllowNodeNetwork && p.couldSelect(pf) }))
}

// withPermission is the RDMA mode of a pool together with its permission, as one
// text to hash. Without the permission it is the mode alone, so that nodes of
// such pools are not computed anew. No RDMA mode has a space in it.
func withPermission(rdmaMode string, allowed bool) string {
	if !allowed {
		return rdmaMode
	}
	return rdmaMode + " allowNodeNetwork"
}
