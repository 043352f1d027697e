package merge

import (
	"cmp"
	"math/bits"
	"slices"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Node is what a merge has to know about one node.
type Node struct {
	Name   string
	Labels map[string]string
	// Interfaces is the node's inventory: status.interfaces of its node state.
	Interfaces []sriovv1.InterfaceStatus
	// Reported is true when the daemon has published an inventory, be it empty.
	// Interfaces that are not empty imply it.
	Reported bool
	// RdmaMode of the node's pool: shared, exclusive, or empty to leave it alone.
	RdmaMode string
}

// Result is what one node should look like and what became of the policies.
type Result struct {
	// Spec is zero, with an empty ComputedFrom, if and only if no inventory was reported.
	Spec sriovv1.SriovNetworkNodeStateSpec
	// Policies has an entry for every policy whose nodeSelector selects the
	// node, by policy name. The policy named "default" is never among them.
	Policies map[string]PolicyResult
}

// PolicyResult is what became of one policy on one node.
type PolicyResult struct {
	// MatchedPFs are the PCI addresses of the PFs that nicSelector selects, in
	// order, whether or not the policy could add something to them. Always
	// empty for a policy that asks for zero VFs.
	MatchedPFs []string
	// Conflicts are the values that the policy lost, ordered by PF and field.
	Conflicts []sriovv1.PolicyConflict
	// Misses say why no PF matched. Empty when one did, and for a policy that
	// asks for zero VFs.
	Misses []Miss
}

// Merge computes the node's spec from the policies that select it. It does not
// change n and keeps nothing of it but strings.
func (s *Set) Merge(n Node) Result {
	m := merger{node: n.Name, pfs: inventory(n.Interfaces)}
	for _, p := range s.policies {
		if p.selects(n.Labels) {
			m.policies = append(m.policies, p)
		}
	}
	m.results = make([]PolicyResult, len(m.policies))
	for _, pf := range m.pfs {
		m.mergePF(pf)
	}
	m.mergeBonds()
	if n.Reported || len(m.pfs) > 0 {
		m.spec.System.RdmaMode = n.RdmaMode
		m.spec.ComputedFrom = m.computedFrom(n.RdmaMode)
	}
	r := Result{Spec: m.spec, Policies: make(map[string]PolicyResult, len(m.policies))}
	for i, p := range m.policies {
		m.finish(i)
		r.Policies[p.name] = m.results[i]
	}
	return r
}

// merger holds one merge of one node. A policy is known by its index in
// policies, which are ordered strongest first.
type merger struct {
	node     string
	pfs      []*sriovv1.InterfaceStatus // ordered by PCI address, each once
	policies []*policy
	results  []PolicyResult // parallel to policies
	merged   []mergedPF     // parallel to spec.Interfaces
	spec     sriovv1.SriovNetworkNodeStateSpec
}

// inventory orders the PFs and leaves out what cannot be a PF: an entry without
// a PCI address, and all but one of entries with the same address.
func inventory(interfaces []sriovv1.InterfaceStatus) []*sriovv1.InterfaceStatus {
	pfs := make([]*sriovv1.InterfaceStatus, 0, len(interfaces))
	for i := range interfaces {
		if interfaces[i].PCIAddress != "" {
			pfs = append(pfs, &interfaces[i])
		}
	}
	slices.SortFunc(pfs, comparePFs)
	return slices.CompactFunc(pfs, func(a, b *sriovv1.InterfaceStatus) bool { return a.PCIAddress == b.PCIAddress })
}

// comparePFs orders by PCI address; the other facts that a merge uses only make the order total.
func comparePFs(a, b *sriovv1.InterfaceStatus) int {
	if c := cmp.Compare(a.PCIAddress, b.PCIAddress); c != 0 {
		return c
	}
	return cmp.Or(
		cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Vendor, b.Vendor),
		cmp.Compare(a.DeviceID, b.DeviceID),
		cmp.Compare(a.LinkType, b.LinkType),
		cmp.Compare(a.NetFilter, b.NetFilter),
		cmp.Compare(a.SwitchID, b.SwitchID),
		slices.Compare(slices.Sorted(slices.Values(a.AltNames)), slices.Sorted(slices.Values(b.AltNames))),
	)
}

// lose records that a policy lost a value. No winner: the value is invalid by itself.
func (m *merger) lose(policy int, pciAddress, field, winner, reason string) {
	m.results[policy].Conflicts = append(m.results[policy].Conflicts, sriovv1.PolicyConflict{
		Node: m.node, PCIAddress: pciAddress, Field: field, Winner: winner, Reason: reason,
	})
}

// finish completes the result of a policy once all PFs are done.
func (m *merger) finish(i int) {
	p, r := m.policies[i], &m.results[i]
	if !p.asksForVFs() {
		return
	}
	m.loseNameless(i, p.nic.pfNames, fieldPfNames)
	m.loseNameless(i, p.nic.rootDevices, fieldRootDevices)
	if len(r.MatchedPFs) == 0 {
		r.Misses = m.misses(p)
	}
	slices.SortFunc(r.Conflicts, compareConflicts)
	r.Conflicts = slices.Compact(r.Conflicts)
}

// loseNameless reports the malformed entries that do not even name a PF.
func (m *merger) loseNameless(i int, entries []entry, field string) {
	for _, e := range entries {
		if e.err != nil && e.name == "" {
			m.lose(i, "", field, "", e.err.Error())
		}
	}
}

func compareConflicts(a, b sriovv1.PolicyConflict) int {
	return cmp.Or(
		cmp.Compare(a.PCIAddress, b.PCIAddress),
		cmp.Compare(a.Field, b.Field),
		cmp.Compare(a.Winner, b.Winner),
		cmp.Compare(a.Reason, b.Reason),
	)
}

// misses says what kept the policy from matching: the fields that the nearest
// PFs fail, nearest meaning that the fewest fields fail.
func (m *merger) misses(p *policy) []Miss {
	if len(m.pfs) == 0 || p.nic.isEmpty() {
		return []Miss{{Field: fieldNicSelector, Node: m.node}}
	}
	fewest := 8
	for _, pf := range m.pfs {
		fewest = min(fewest, bits.OnesCount8(uint8(p.nic.check(pf))))
	}
	var misses []Miss
	for _, pf := range m.pfs {
		if f := p.nic.check(pf); bits.OnesCount8(uint8(f)) == fewest {
			misses = appendMisses(misses, f, m.node, pf)
		}
	}
	return misses
}
