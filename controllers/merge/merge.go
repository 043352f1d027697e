package merge

import (
	"cmp"
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
	// Current is the spec in force. Of it stays what hangs on facts that
	// Interfaces lacks. Zero: nothing is in force.
	Current sriovv1.SriovNetworkNodeStateSpec
	// RdmaMode of the node's pool: shared, exclusive, or empty to leave it alone.
	RdmaMode string
	// Systemd tells that the node is configured at boot too, by units of its own.
	Systemd bool
	// AllowNodeNetwork: the node's pool permits interrupting the node's own network.
	AllowNodeNetwork bool
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
	// MoreConflicts counts those beyond the first 64, which are not kept.
	MoreConflicts int
	// Misses say why no PF matched: per field at most 4 values that
	// come near. When a PF matched, they are facts that are not known, because of
	// which a PF stays as it is. Empty for a policy that asks for zero VFs.
	Misses []Miss
}

// Merge computes the node's spec from the policies that select it. It does not
// change n and keeps nothing of it but strings.
func (s *Set) Merge(n Node) Result {
	m := merger{node: n.Name, pfs: inventory(n.Interfaces), current: &n.Current, poolAllows: n.AllowNodeNetwork}
	for _, p := range s.policies {
		if p.selects(n.Labels) {
			m.policies = append(m.policies, p)
		}
	}
	m.results = make([]PolicyResult, len(m.policies))
	m.findKept()
	for _, pf := range m.pfs {
		if candidates := m.candidates(pf); len(candidates) > 0 {
			m.merged = append(m.merged, mergedPF{pf, candidates})
		}
	}
	m.keepStrongest()
	for i := range m.merged {
		m.mergePF(m.merged[i])
	}
	m.mergeBonds()
	if n.Reported || len(m.pfs) > 0 {
		m.spec.System.RdmaMode = n.RdmaMode
		if n.Systemd {
			m.spec.System.ConfigurationMode = sriovv1.ConfigurationSystemd
		}
		m.spec.AllowNodeNetwork = n.AllowNodeNetwork
		m.spec.ComputedFrom = m.computedFrom(m.spec.System)
		if m.isPartial() && m.isUnchanged() {
			m.spec.ComputedFrom = n.Current.ComputedFrom
		}
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
	current  *sriovv1.SriovNetworkNodeStateSpec
	present  map[string]*sriovv1.Interface // of current, by PCI address
	kept     map[string]kept               // by PCI address
	results  []PolicyResult                // parallel to policies
	merged   []mergedPF                    // parallel to spec.Interfaces once all are merged
	bytes    int                           // what the PF that is being merged has used of bytesPerPF
	spec     sriovv1.SriovNetworkNodeStateSpec
	// poolAllows is Node.AllowNodeNetwork.
	poolAllows bool
}

// inventory orders the PFs and leaves out what cannot be a PF: an entry without
// a PCI address or with one that no spec takes, and all but one of entries with
// the same address.
func inventory(interfaces []sriovv1.InterfaceStatus) []*sriovv1.InterfaceStatus {
	pfs := make([]*sriovv1.InterfaceStatus, 0, len(interfaces))
	for i := range interfaces {
		if address := interfaces[i].PCIAddress; address != "" && len(address) <= sriovv1.MaxPCIAddressLength {
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
		slices.Compare(FurtherNames(a), FurtherNames(b)),
	)
}

// lose records that a policy lost a value. No winner: the value is invalid by itself.
func (m *merger) lose(policy int, pciAddress, field, winner, reason string) {
	r := &m.results[policy]
	if len(r.Conflicts) >= keptConflicts {
		r.MoreConflicts++
		return
	}
	r.Conflicts = append(r.Conflicts, sriovv1.PolicyConflict{
		Node: m.node, PCIAddress: pciAddress, Field: field, Winner: winner, Reason: sriovv1.Clip(reason, sriovv1.MaxReasonLength),
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
