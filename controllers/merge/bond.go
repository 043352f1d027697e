package merge

import (
	"fmt"
	"slices"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// mergeBonds adds the bonds of policies that match exactly the two ports of one
// NIC, once both ports are merged. The kernel offloads no other bond. Policies
// that ask for the very same bond over the same ports share it.
func (m *merger) mergeBonds() {
	type loss struct {
		policy         int
		winner, reason string
	}
	var losses []loss
	m.keepBonds()
	for _, i := range m.bondOrder() {
		p, matched := m.policies[i], m.results[i].MatchedPFs
		if p.bondKey == "" || len(matched) == 0 {
			continue
		}
		if winner, reason := m.bondObstacle(p, matched); reason != "" {
			losses = append(losses, loss{i, winner, reason})
			continue
		}
		m.spec.Bonds = append(m.spec.Bonds, sriovv1.Bond{
			BondSpec:   *p.spec.Bond.DeepCopy(),
			Members:    slices.Clone(matched),
			PolicyName: p.name,
		})
	}
	for _, l := range losses {
		p, matched := m.policies[l.policy], m.results[l.policy].MatchedPFs
		if !m.hasBond(p, matched) { // else another policy got it for both
			m.lose(l.policy, matched[0], "bond", l.winner, "bond "+p.spec.Bond.Name+" "+l.reason)
		}
	}
	slices.SortFunc(m.spec.Bonds, func(a, b sriovv1.Bond) int { return strings.Compare(a.Name, b.Name) })
}

// hasBond tells whether the spec has the policy's bond over exactly these ports.
func (m *merger) hasBond(p *policy, members []string) bool {
	return slices.ContainsFunc(m.spec.Bonds, func(b sriovv1.Bond) bool {
		return slices.Equal(b.Members, members) && m.byName(b.PolicyName).bondKey == p.bondKey
	})
}

// bondObstacle says why the policy cannot have its bond, and which other policy
// is the cause. No reason: it can.
func (m *merger) bondObstacle(p *policy, matched []string) (winner, reason string) {
	if len(matched) != 2 {
		return "", fmt.Sprintf("needs exactly the two ports of one NIC; the policy matches %d PFs: %s", len(matched), strings.Join(matched, ", "))
	}
	if !m.sameNIC(matched[0], matched[1]) && !m.lacksSwitchID(p, matched) {
		return "", fmt.Sprintf("needs the two ports of one NIC; %s and %s are different NICs", matched[0], matched[1])
	}
	for _, address := range matched {
		if winner, reason := m.portObstacle(p, address); reason != "" {
			return winner, reason
		}
	}
	if winner, reason := m.unequalPorts(p, m.port(matched[0]), m.port(matched[1])); reason != "" {
		return winner, reason
	}
	for _, b := range m.spec.Bonds {
		if b.Name == p.spec.Bond.Name || slices.Contains(b.Members, matched[0]) || slices.Contains(b.Members, matched[1]) {
			return b.PolicyName, fmt.Sprintf("loses to bond %s over %s of policy %s",
				b.Name, strings.Join(b.Members, " and "), rank(m.byName(b.PolicyName)))
		}
	}
	return "", ""
}

// portObstacle says why the policy cannot put this port into a bond.
func (m *merger) portObstacle(p *policy, address string) (winner, reason string) {
	i := m.port(address)
	if i < 0 {
		return "", fmt.Sprintf("needs VFs on both ports; there are none on %s", address)
	}
	candidates := m.merged[i].candidates
	if !slices.ContainsFunc(candidates, func(c candidate) bool { return c.policy == p && c.contributes }) {
		return otherThan(p, candidates), fmt.Sprintf("needs VFs of this policy on both ports; it adds none to %s", address)
	}
	return obstacle(&m.spec.Interfaces[i], candidates, p)
}

// otherThan names the strongest policy on a PF unless that is the policy itself
// or the policy has no valid claim there.
func otherThan(p *policy, candidates []candidate) string {
	isCandidate := slices.ContainsFunc(candidates, func(c candidate) bool { return c.policy == p })
	if strongest := candidates[0].policy; isCandidate && strongest != p {
		return strongest.name
	}
	return ""
}

// port is the index of the PF in the spec, or -1.
func (m *merger) port(address string) int {
	return slices.IndexFunc(m.spec.Interfaces, func(i sriovv1.Interface) bool { return i.PCIAddress == address })
}

// unequalPorts says how the settings of the two ports differ. A bond offloads
// traffic of every VF through both ports, so both have to offer the same.
func (m *merger) unequalPorts(p *policy, first, second int) (winner, reason string) {
	a, b := &m.spec.Interfaces[first], &m.spec.Interfaces[second]
	if a.NumVfs != b.NumVfs {
		return m.foreignOn(p, first, second), fmt.Sprintf("needs the same numVfs on both ports; %s is to have %d and %s %d",
			a.PCIAddress, a.NumVfs, b.PCIAddress, b.NumVfs)
	}
	if !slices.Equal(a.VfGroups, b.VfGroups) {
		return m.foreignOn(p, first, second), fmt.Sprintf("needs the same VF groups on both ports; %s is to have %s and %s %s",
			a.PCIAddress, describeGroups(a.VfGroups), b.PCIAddress, describeGroups(b.VfGroups))
	}
	return "", ""
}

// foreignOn names the strongest other policy that contributes to one of the two
// ports only; empty when the policy itself makes them differ.
func (m *merger) foreignOn(p *policy, first, second int) string {
	contributes := func(port int, other *policy) bool {
		return slices.ContainsFunc(m.merged[port].candidates, func(c candidate) bool { return c.policy == other && c.contributes })
	}
	for _, other := range m.policies {
		if other != p && contributes(first, other) != contributes(second, other) {
			return other.name
		}
	}
	return ""
}

func describeGroups(groups []sriovv1.VfGroup) string {
	var parts []string
	for _, g := range groups {
		parts = append(parts, fmt.Sprintf("%s of policy %s", g.VfRange, g.PolicyName))
	}
	return strings.Join(parts, ", ")
}

// sameNIC tells whether two PFs are ports of one NIC: functions of one PCI
// device, or ports of one eswitch.
func (m *merger) sameNIC(a, b string) bool {
	deviceA, deviceB := pciDevice(a), pciDevice(b)
	if deviceA != "" && deviceA == deviceB {
		return true
	}
	switchA, switchB := m.switchID(a), m.switchID(b)
	return switchA != "" && switchA == switchB
}

// pciDevice is domain:bus:device of a PCI address, empty if there is no function part.
func pciDevice(address string) string {
	i := strings.LastIndexByte(address, '.')
	return address[:max(i, 0)]
}

func (m *merger) switchID(address string) string {
	for _, pf := range m.pfs {
		if pf.PCIAddress == address {
			return pf.SwitchID
		}
	}
	return ""
}
