package observe

import (
	"cmp"
	"context"
	"slices"

	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// addRepresentors finds the representors of every PF's VFs. Names say nothing:
// CNIs rename representors and never rename them back.
func (s *scan) addRepresentors(ctx context.Context, pfs []inventory.PF) {
	// One NIC's eswitches may share a switch ID, which then does not tell their
	// ports apart.
	sharing := map[string]int{}
	for i := range pfs {
		if n := pfs[i].Netdev; n != nil && n.SwitchID != "" {
			sharing[n.SwitchID]++
		}
	}
	for i := range pfs {
		pf := &pfs[i]
		if pf.Eswitch.Mode == "" || pf.Eswitch.Mode == "legacy" {
			continue
		}
		d := newDevice(s.host, pf.PCIAddress, "")
		if s.portsErr != nil {
			d.fail(inventory.FactPorts, s.portsErr)
		}
		found := s.byPort(pf)
		for vf, index := range s.bySwitch(pf, sharing) {
			if _, ok := found[vf]; !ok {
				found[vf] = index
			}
		}
		for vf, index := range found {
			pf.Representors = append(pf.Representors, inventory.Representor{
				VF: vf, Netdev: *s.links.netdev(s.links.byIndex[index]),
			})
		}
		slices.SortFunc(pf.Representors, func(a, b inventory.Representor) int { return cmp.Compare(a.VF, b.VF) })
		for j := range pf.Representors {
			r := &pf.Representors[j].Netdev
			s.readFeature(ctx, d, r, inventory.FactOf(inventory.FactHWTCOffload, "representor "+r.Name))
		}
		pf.Unreadable = append(pf.Unreadable, d.unreadable...)
	}
}

// byPort returns the ifindexes of representors by VF index, as the PF's devlink
// ports give them.
func (s *scan) byPort(pf *inventory.PF) map[int]int {
	out := map[int]int{}
	for _, p := range s.ports[pf.PCIAddress] {
		if p.Flavour != "pcivf" || p.VFNumber == nil {
			continue
		}
		link, ok := s.links.byIndex[p.NetdevIndex]
		if !ok {
			continue
		}
		// The ports of another controller's VFs have the same numbers.
		if name, ok := parseVFPort(link.PortName); ok && name.controller && out[*p.VFNumber] != 0 {
			continue
		}
		out[*p.VFNumber] = link.Index
	}
	return out
}

// bySwitch returns the ifindexes of representors by VF index, as switch ID and
// port name give them.
func (s *scan) bySwitch(pf *inventory.PF, sharing map[string]int) map[int]int {
	out := map[int]int{}
	if pf.Netdev == nil || pf.Netdev.SwitchID == "" {
		return out
	}
	function, _ := pciFunction(pf.PCIAddress)
	for _, index := range s.links.bySwitch[pf.Netdev.SwitchID] {
		link := s.links.byIndex[index]
		name, _ := parseVFPort(link.PortName)
		switch {
		case link.ParentDevice != "" && link.ParentDevice != pf.PCIAddress:
			continue
		// Without a parent, the PF number must do: on NICs with several PFs it
		// is the PCI function.
		case link.ParentDevice == "" && sharing[pf.Netdev.SwitchID] > 1 && name.pf != function:
			continue
		case name.controller && out[name.vf] != 0:
			continue
		}
		out[name.vf] = index
	}
	return out
}
