package merge

import (
	"bytes"
	"fmt"
	"slices"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// kept is why the present entry of a PF stays as it is: a policy could select
// the PF, but whether it does hangs on facts that the inventory lacks. That a
// fact is not known is no reason to take away what was given because of it.
type kept struct {
	entry *sriovv1.Interface
	// about is the PF whose facts are not known: the PF itself, or the other
	// port of its bond.
	about   string
	unknown failed
}

// unknownOf returns the fields that can be decided neither way, as the PF's
// facts for them are not known. Every netdev has a name, so a PF without one has
// no known names at all. What ranges a known altName gives counts for nothing
// then: the name may give others.
func (s *selector) unknownOf(pf *sriovv1.InterfaceStatus) failed {
	var f failed
	if s.vendor != "" && pf.Vendor == "" {
		f |= failedVendor
	}
	if s.deviceID != "" && pf.DeviceID == "" {
		f |= failedDeviceID
	}
	if len(s.pfNames) > 0 && pf.Name == "" {
		f |= failedPfNames
	}
	if s.netFilter != "" && pf.NetFilter == "" {
		f |= failedNetFilter
	}
	return f
}

// couldSelect is false if the policy does not select the PF, whatever the facts
// are that are not known.
func (p *policy) couldSelect(pf *sriovv1.InterfaceStatus) bool {
	return p.asksForVFs() && !p.nic.isEmpty() && p.nic.check(pf)&^p.nic.unknownOf(pf) == 0
}

// findKept finds the PFs of which the present entry stays.
func (m *merger) findKept() {
	if len(m.current.Interfaces) == 0 {
		return
	}
	entries := make(map[string]*sriovv1.Interface, len(m.current.Interfaces))
	for i := range m.current.Interfaces {
		entries[m.current.Interfaces[i].PCIAddress] = &m.current.Interfaces[i]
	}
	m.present = entries
	for _, pf := range m.pfs {
		if entry := entries[pf.PCIAddress]; entry != nil {
			if unknown := m.undecided(pf, entry); unknown != 0 {
				m.keep(pf.PCIAddress, kept{entry, pf.PCIAddress, unknown})
			}
		}
	}
	if len(m.kept) > 0 {
		m.keepOtherPorts()
	}
}

func (m *merger) keep(pciAddress string, k kept) {
	if m.kept == nil {
		m.kept = map[string]kept{}
	}
	m.kept[pciAddress] = k
}

// undecided returns what is not known of the PF and decides about its entry;
// zero means that the entry can be computed, or that nobody is left who asked
// for it.
func (m *merger) undecided(pf *sriovv1.InterfaceStatus, entry *sriovv1.Interface) failed {
	var unknown failed
	strongest := -1
	for i, p := range m.policies {
		if m.isInForce(p, entry) && p.couldSelect(pf) {
			unknown |= p.nic.unknownOf(pf)
			if strongest < 0 {
				strongest = i
			}
		}
	}
	if strongest < 0 {
		return 0
	}
	// A policy as strong as the strongest counts without a group of its own,
	// see candidate.contributes. No platform but a virtual one has net filters:
	// there, that none is known says that there is none.
	for _, p := range m.policies {
		if p.priority == m.policies[strongest].priority && p.couldSelect(pf) {
			unknown |= p.nic.unknownOf(pf) &^ failedNetFilter
		}
	}
	return unknown
}

// isInForce tells whether the present entry of a PF has something of the policy.
func (m *merger) isInForce(p *policy, entry *sriovv1.Interface) bool {
	return slices.ContainsFunc(entry.VfGroups, func(g sriovv1.VfGroup) bool { return g.PolicyName == p.name }) ||
		slices.ContainsFunc(m.current.Bonds, func(b sriovv1.Bond) bool {
			return b.PolicyName == p.name && slices.Contains(b.Members, entry.PCIAddress)
		})
}

// keepOtherPorts keeps the other port too where a bond makes two ports one.
func (m *merger) keepOtherPorts() {
	for i := range m.current.Bonds {
		b := &m.current.Bonds[i]
		at := slices.IndexFunc(b.Members, func(address string) bool { _, found := m.kept[address]; return found })
		if at < 0 || !m.couldStay(b) {
			continue
		}
		k := m.kept[b.Members[at]]
		for _, address := range b.Members {
			if _, already := m.kept[address]; !already {
				m.keep(address, kept{m.present[address], k.about, k.unknown})
			}
		}
	}
}

// couldStay tells whether a present bond may still be wanted: its policy could
// select all members, and these have entries.
func (m *merger) couldStay(b *sriovv1.Bond) bool {
	i := slices.IndexFunc(m.policies, func(p *policy) bool { return p.name == b.PolicyName })
	return i >= 0 && !slices.ContainsFunc(b.Members, func(address string) bool {
		pf := m.pf(address)
		return pf == nil || m.present[address] == nil || !m.policies[i].couldSelect(pf)
	})
}

// nameOf is the name of the PF's netdev, or the last known one.
func (m *merger) nameOf(pf *sriovv1.InterfaceStatus) string {
	if entry := m.present[pf.PCIAddress]; pf.Name == "" && entry != nil {
		return entry.Name
	}
	return pf.Name
}

// pf is the PF of the inventory with this address, or nil.
func (m *merger) pf(address string) *sriovv1.InterfaceStatus {
	i := slices.IndexFunc(m.pfs, func(pf *sriovv1.InterfaceStatus) bool { return pf.PCIAddress == address })
	if i < 0 {
		return nil
	}
	return m.pfs[i]
}

// keptCandidates are the policies that select the PF or that have something of
// its present entry and could select it. They match, and learn why nothing changes.
func (m *merger) keptCandidates(pf *sriovv1.InterfaceStatus, k kept) []candidate {
	var found []candidate
	for i, p := range m.policies {
		inForce := m.isInForce(p, k.entry)
		if !p.couldSelect(pf) || !inForce && p.nic.unknownOf(pf) != 0 {
			continue
		}
		r := &m.results[i]
		r.MatchedPFs = append(r.MatchedPFs, pf.PCIAddress)
		r.Misses = appendUnknown(r.Misses, k.unknown, m.node, k.about)
		found = append(found, candidate{index: i, policy: p, contributes: inForce})
	}
	return found
}

// keepPF adds the present entry of the PF to the spec, with its bridge.
func (m *merger) keepPF(k kept) {
	m.spec.Interfaces = append(m.spec.Interfaces, *k.entry.DeepCopy())
	m.keepPermission(&m.spec.Interfaces[len(m.spec.Interfaces)-1])
	for i := range m.current.Bridges.OVS {
		b := &m.current.Bridges.OVS[i]
		if len(b.Uplinks) > 0 && b.Uplinks[0].PCIAddress == k.entry.PCIAddress {
			m.spec.Bridges.OVS = append(m.spec.Bridges.OVS, *b.DeepCopy())
		}
	}
	slices.SortFunc(m.spec.Bridges.OVS, compareBridges)
}

// keepBonds adds the present bonds over kept PFs to the spec.
func (m *merger) keepBonds() {
	for i := range m.current.Bonds {
		b := &m.current.Bonds[i]
		isKept := func(address string) bool { _, found := m.kept[address]; return found }
		if slices.ContainsFunc(b.Members, isKept) && m.couldStay(b) &&
			!slices.ContainsFunc(b.Members, func(address string) bool { return m.port(address) < 0 }) {
			m.spec.Bonds = append(m.spec.Bonds, *b.DeepCopy())
		}
	}
}

// isPresentBond tells whether the spec in force has a bond of the policy over
// these ports.
func (m *merger) isPresentBond(p *policy, members []string) bool {
	return slices.ContainsFunc(m.current.Bonds, func(b sriovv1.Bond) bool {
		return b.PolicyName == p.name && slices.Equal(b.Members, members)
	})
}

// bondOrder is the order in which policies get their bonds: strongest first,
// those that might match more PFs than is known at the end.
func (m *merger) bondOrder() []int {
	var order, uncertain []int
	for i := range m.policies {
		if m.policies[i].bondKey != "" && m.isUncertain(i) {
			uncertain = append(uncertain, i)
			continue
		}
		order = append(order, i)
	}
	return append(order, uncertain...)
}

// lacksSwitchID tells whether the policy's bond is in force and only the switch
// ID of a port is missing to tell that both are of one NIC.
func (m *merger) lacksSwitchID(p *policy, members []string) bool {
	return m.isPresentBond(p, members) && slices.ContainsFunc(members, func(address string) bool { return m.switchID(address) == "" })
}

// isUncertain tells whether the policy might match another PF than those that
// it is known to match: then it takes no bond from others.
func (m *merger) isUncertain(policy int) bool {
	p, matched := m.policies[policy], m.results[policy].MatchedPFs
	return !m.isPresentBond(p, matched) && slices.ContainsFunc(m.pfs, func(pf *sriovv1.InterfaceStatus) bool {
		return p.nic.unknownOf(pf) != 0 && p.couldSelect(pf)
	})
}

// isPartial tells whether a fact that computedFrom covers is missing of some PF.
func (m *merger) isPartial() bool {
	bonds := slices.ContainsFunc(m.policies, func(p *policy) bool { return p.bondKey != "" })
	return len(m.kept) > 0 || slices.ContainsFunc(m.pfs, func(pf *sriovv1.InterfaceStatus) bool {
		return pf.Vendor == "" || pf.DeviceID == "" || pf.Name == "" || pf.LinkType == "" || bonds && pf.SwitchID == ""
	})
}

// isUnchanged tells whether the merged spec is the one in force.
func (m *merger) isUnchanged() bool {
	before, now := *m.current, m.spec
	before.ComputedFrom, now.ComputedFrom = "", ""
	return m.current.ComputedFrom != "" && bytes.Equal(encode(&before), encode(&now))
}

// appendUnknown adds a miss for every fact of a PF that is not known.
func appendUnknown(misses []Miss, unknown failed, node, pciAddress string) []Miss {
	for _, u := range [...]struct {
		bit   failed
		field string
	}{
		{failedVendor, fieldVendor}, {failedDeviceID, fieldDeviceID}, {failedPfNames, fieldPfNames}, {failedNetFilter, fieldNetFilter},
	} {
		m := Miss{Field: u.field, Node: node, PCIAddress: pciAddress, Unknown: true}
		if unknown&u.bit != 0 && !slices.Contains(misses, m) {
			misses = append(misses, m)
		}
	}
	return misses
}

// factNames are the facts that selector fields are compared with.
var factNames = map[string]string{
	fieldVendor: "vendor", fieldDeviceID: "device ID", fieldPfNames: "name", fieldNetFilter: "network",
}

// describeUnknown says what is not known; empty without such a miss.
func describeUnknown(field string, misses []Miss) string {
	i := slices.IndexFunc(misses, func(m Miss) bool { return m.Unknown && m.Field == field })
	if i < 0 {
		return ""
	}
	m := misses[i]
	return fmt.Sprintf("the %s of %s on node %s is not known, so its VFs stay as they are until it is", factNames[field], m.PCIAddress, m.Node)
}
