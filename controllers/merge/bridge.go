package merge

import (
	"cmp"
	"slices"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

func bridgeKeyOf(p *policy) string { return p.bridgeKey }

// mergeBridge attaches the PF to the bridge of the strongest contributor that wants one.
func (m *merger) mergeBridge(iface *sriovv1.Interface, candidates []candidate) {
	winner := strongestSetter(candidates, bridgeKeyOf)
	made := winner >= 0
	for i := range candidates {
		c := &candidates[i]
		if c.policy.bridgeKey == "" {
			continue
		}
		if by, reason := obstacle(iface, candidates, c.policy); reason != "" {
			m.lose(c.index, iface.PCIAddress, "bridge", by, "bridge "+reason)
			made = false
			continue
		}
		if winner < 0 {
			m.loseScalar(c, iface, "bridge", bridgeName(iface.PCIAddress), "", candidates[0].policy)
			continue
		}
		if from := candidates[winner].policy; c.policy.bridgeKey != from.bridgeKey {
			m.lose(c.index, iface.PCIAddress, "bridge", from.name, "bridge settings differ from those of policy "+rank(from))
		}
	}
	if !made {
		return
	}
	if from := candidates[winner].policy; m.bytes+from.bridgeBytes() > m.bytesPerPF() {
		m.loseBridge(iface, candidates, from)
		return
	}
	ovs := candidates[winner].policy.spec.Bridge.OVS.DeepCopy()
	m.spec.Bridges.OVS = append(m.spec.Bridges.OVS, sriovv1.OVSConfigExt{
		Name:   bridgeName(iface.PCIAddress),
		Bridge: ovs.Bridge,
		Uplinks: []sriovv1.OVSUplinkConfigExt{{
			PCIAddress: iface.PCIAddress,
			Name:       iface.Name,
			Interface:  ovs.Uplink.Interface,
		}},
	})
	slices.SortFunc(m.spec.Bridges.OVS, compareBridges)
}

func compareBridges(a, b sriovv1.OVSConfigExt) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Uplinks[0].PCIAddress, b.Uplinks[0].PCIAddress))
}

// bridgeName is the name that existing scripts know: br-0000_5f_00.0.
func bridgeName(pciAddress string) string { return "br-" + strings.ReplaceAll(pciAddress, ":", "_") }

// obstacle says why the PF as merged can have neither bridge nor bond, and
// which other policy is the cause. No reason: it can.
func obstacle(iface *sriovv1.Interface, candidates []candidate, loser *policy) (winner, reason string) {
	if iface.ExternallyManaged {
		if !loser.spec.ExternallyManaged {
			winner = candidates[0].policy.name
		}
		return winner, "cannot be had on PF " + iface.PCIAddress + ", which is externally managed"
	}
	if iface.EswitchMode == sriovv1.EswitchModeSwitchdev {
		return "", ""
	}
	if i := strongestSetter(candidates, eswitchModeOf); i >= 0 && candidates[i].policy != loser {
		winner = candidates[i].policy.name
	}
	inForce := cmp.Or(iface.EswitchMode, sriovv1.EswitchModeLegacy)
	return winner, "needs eSwitchMode switchdev; PF " + iface.PCIAddress + " is to be " + inForce
}
