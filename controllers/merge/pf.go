package merge

import (
	"fmt"
	"slices"
	"strconv"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// candidate is a policy that selects the node and the PF and names VFs of it.
type candidate struct {
	index  int // in merger.policies
	policy *policy
	claims []claim
	// contributes: it added a group or has the strongest priority on this PF,
	// so its PF-level values count.
	contributes bool
}

// mergedPF is a PF of the spec with the policies that name VFs of it.
type mergedPF struct {
	pf         *sriovv1.InterfaceStatus
	candidates []candidate // strongest first
}

// candidates returns the policies that name VFs of the PF, strongest first, and
// records who matched it and whose ranges cannot be used.
func (m *merger) candidates(pf *sriovv1.InterfaceStatus) []candidate {
	if k, isKept := m.kept[pf.PCIAddress]; isKept {
		return m.keptCandidates(pf, k)
	}
	var found []candidate
	for i, p := range m.policies {
		if !p.asksForVFs() || p.nic.isEmpty() || p.nic.check(pf) != 0 {
			continue
		}
		m.results[i].MatchedPFs = append(m.results[i].MatchedPFs, pf.PCIAddress)
		claims, problems := p.claims(pf)
		for _, problem := range problems {
			m.lose(i, pf.PCIAddress, problem.field, "", problem.reason)
		}
		if len(claims) > 0 {
			if found == nil {
				found = make([]candidate, 0, len(m.policies)-i)
			}
			found = append(found, candidate{index: i, policy: p, claims: claims})
		}
	}
	return found
}

// mergePF adds the PF to the spec.
func (m *merger) mergePF(merged mergedPF) {
	pf, candidates := merged.pf, merged.candidates
	if k, isKept := m.kept[pf.PCIAddress]; isKept {
		m.keepPF(k)
		return
	}
	m.bytes = 0
	strongest := candidates[0].policy
	iface := sriovv1.Interface{
		PCIAddress:        pf.PCIAddress,
		Name:              m.nameOf(pf),
		ExternallyManaged: strongest.spec.ExternallyManaged,
	}
	for i := range candidates {
		c := &candidates[i]
		if c.policy.spec.ExternallyManaged != iface.ExternallyManaged {
			m.lose(c.index, pf.PCIAddress, "externallyManaged", strongest.name, fmt.Sprintf(
				"externallyManaged %t differs from %t of policy %s, so this policy adds nothing to the PF",
				c.policy.spec.ExternallyManaged, iface.ExternallyManaged, rank(strongest)))
			continue
		}
		added := m.addGroups(&iface, c)
		c.contributes = added || c.policy.priority == strongest.priority
	}
	slices.SortFunc(iface.VfGroups, func(a, b sriovv1.VfGroup) int { return a.VfRange.First - b.VfRange.First })
	m.mergeMaxima(&iface, candidates)
	m.mergeScalars(&iface, candidates)
	m.mergePermission(&iface, candidates)
	m.mergeBridge(&iface, candidates)
	m.spec.Interfaces = append(m.spec.Interfaces, iface)
}

// addGroups adds the candidate's claims that no stronger policy's group overlaps,
// as long as there is room.
func (m *merger) addGroups(iface *sriovv1.Interface, c *candidate) (added bool) {
	for i, claim := range c.claims {
		if reason := m.roomForGroup(iface, c.policy); reason != "" {
			m.loseRest(iface, c, c.claims[i:], reason)
			break
		}
		if taken := takenBy(iface.VfGroups, claim.vfs); taken >= 0 {
			// The most frequent conflict by far; concatenation costs a third of fmt.
			g := &iface.VfGroups[taken]
			m.lose(c.index, iface.PCIAddress, claim.field, g.PolicyName,
				"VFs "+claim.vfs.String()+" overlap VFs "+g.VfRange.String()+" of policy "+rank(m.byName(g.PolicyName)))
			continue
		}
		iface.VfGroups = append(iface.VfGroups, c.policy.group(claim.vfs))
		m.bytes += c.policy.groupBytes()
		added = true
	}
	return added
}

// takenBy is the index of the group that has one of the VFs, or -1.
func takenBy(groups []sriovv1.VfGroup, vfs sriovv1.VFRange) int {
	for i := range groups { // not slices.IndexFunc, which copies every group
		if groups[i].VfRange.Overlaps(vfs) {
			return i
		}
	}
	return -1
}

func (m *merger) byName(name string) *policy {
	i := slices.IndexFunc(m.policies, func(p *policy) bool { return p.name == name })
	return m.policies[i]
}

// group of VFs as the policy wants them.
func (p *policy) group(vfs sriovv1.VFRange) sriovv1.VfGroup {
	return sriovv1.VfGroup{
		ResourceName:    p.spec.ResourceName,
		ResourcePrefix:  p.spec.ResourcePrefix,
		DeviceType:      p.spec.DeviceType,
		VfRange:         vfs,
		PolicyName:      p.name,
		MTU:             p.spec.MTU,
		IsRdma:          p.spec.IsRdma,
		VdpaType:        p.spec.VdpaType,
		NeedVhostNet:    p.spec.NeedVhostNet,
		ExcludeTopology: p.spec.ExcludeTopology,
	}
}

// mergeMaxima sets numVfs and mtu to the largest that a contributor asks for.
func (m *merger) mergeMaxima(iface *sriovv1.Interface, candidates []candidate) {
	var numVfsFrom, mtuFrom *policy
	for _, c := range candidates {
		if !c.contributes {
			continue
		}
		if c.policy.spec.NumVfs > iface.NumVfs {
			iface.NumVfs, numVfsFrom = c.policy.spec.NumVfs, c.policy
		}
		if c.policy.spec.MTU > iface.MTU {
			iface.MTU, mtuFrom = c.policy.spec.MTU, c.policy
		}
	}
	if mtuFrom == nil {
		mtuFrom = candidates[0].policy
	}
	for i := range candidates {
		c := &candidates[i]
		if c.policy.spec.NumVfs > iface.NumVfs {
			m.loseScalar(c, iface, "numVfs", strconv.Itoa(c.policy.spec.NumVfs), strconv.Itoa(iface.NumVfs), numVfsFrom)
		}
		if c.policy.spec.MTU > iface.MTU {
			m.loseScalar(c, iface, "mtu", strconv.Itoa(c.policy.spec.MTU), strconv.Itoa(iface.MTU), mtuFrom)
		}
	}
}

// scalar is a PF-level field that is taken from the strongest contributor that sets it.
type scalar struct {
	field string
	of    func(*policy) string
	on    func(*sriovv1.Interface) *string
}

var scalars = [...]scalar{
	{"linkType", func(p *policy) string { return p.linkType }, func(i *sriovv1.Interface) *string { return &i.LinkType }},
	{"eSwitchMode", eswitchModeOf, func(i *sriovv1.Interface) *string { return &i.EswitchMode }},
	{"flowSteeringMode", func(p *policy) string { return p.spec.FlowSteeringMode }, func(i *sriovv1.Interface) *string { return &i.FlowSteeringMode }},
	{"firmwareApp", func(p *policy) string { return p.spec.FirmwareApp }, func(i *sriovv1.Interface) *string { return &i.FirmwareApp }},
}

func eswitchModeOf(p *policy) string { return p.spec.EswitchMode }

// mergeScalars sets every scalar from the strongest contributor that sets it
// and reports whoever wanted something else.
func (m *merger) mergeScalars(iface *sriovv1.Interface, candidates []candidate) {
	for _, s := range scalars {
		inForce, from := s.on(iface), candidates[0].policy
		if i := strongestSetter(candidates, s.of); i >= 0 {
			from = candidates[i].policy
			*inForce = s.of(from)
		}
		for i := range candidates {
			c := &candidates[i]
			if want := s.of(c.policy); want != "" && want != *inForce {
				m.loseScalar(c, iface, s.field, want, *inForce, from)
			}
		}
	}
}

// strongestSetter is the index of the strongest contributor for which of is not empty, or -1.
func strongestSetter(candidates []candidate, of func(*policy) string) int {
	return slices.IndexFunc(candidates, func(c candidate) bool { return c.contributes && of(c.policy) != "" })
}

func (m *merger) loseScalar(c *candidate, iface *sriovv1.Interface, field, want, inForce string, winner *policy) {
	reason := fmt.Sprintf("%s %s loses to %s of policy %s", field, want, inForce, rank(winner))
	if inForce == "" || inForce == "0" {
		reason = fmt.Sprintf("%s %s is not applied: this policy adds no VFs to the PF, which policy %s has", field, want, rank(winner))
	}
	m.lose(c.index, iface.PCIAddress, field, winner.name, reason)
}

// rank names a policy together with what decides its strength.
func rank(p *policy) string { return p.name + " (priority " + strconv.Itoa(p.priority) + ")" }
