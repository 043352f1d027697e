package agent

import (
	"fmt"
	"slices"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// inventoryState is partial as soon as one fact could not be read.
func inventoryState(n *inventory.Node) sriovv1.InventoryState {
	for i := range n.PFs {
		if len(n.PFs[i].Unreadable) > 0 {
			return sriovv1.InventoryPartial
		}
	}
	return sriovv1.InventoryComplete
}

// interfaces turns the inventory into the API's form, with the blockers of each PF.
func interfaces(f Facts) []sriovv1.InterfaceStatus {
	out := make([]sriovv1.InterfaceStatus, 0, len(f.Observed.PFs))
	for i := range f.Observed.PFs {
		pf := &f.Observed.PFs[i]
		status := interfaceStatus(pf, f.Observed.Bonds)
		status.Notes = firmwareNotes(pf, f.Owned.Firmware[pf.PCIAddress], f.Observed)
		status.Blockers = blockers(pf, f.Plan.BlockersOf(pf.PCIAddress))
		status.Warnings = f.Plan.WarningsOf(pf.PCIAddress)
		if pf.Eswitch.Mode == sriovv1.EswitchModeSwitchdev {
			status.SwitchdevOrder = f.Owned.Orders[pf.Driver]
		}
		status.ExternallyManaged = slices.ContainsFunc(f.Spec.Interfaces, func(want sriovv1.Interface) bool {
			return want.PCIAddress == pf.PCIAddress && want.ExternallyManaged
		})
		out = append(out, status)
	}
	return out
}

// blockers adds to those of the plan the facts that could not be read and that
// the plan did not need.
func blockers(pf *inventory.PF, planned []sriovv1.Blocker) []sriovv1.Blocker {
	for _, u := range pf.Unreadable {
		if slices.ContainsFunc(planned, func(b sriovv1.Blocker) bool {
			return b.Code == plan.CodeFactUnreadable && strings.Contains(b.Message, u.Fact)
		}) {
			continue
		}
		planned = append(planned, sriovv1.Blocker{
			Code: plan.CodeFactUnreadable, Message: fmt.Sprintf("%s could not be read: %s", u.Fact, u.Reason),
		})
	}
	return planned
}

func interfaceStatus(pf *inventory.PF, bonds []inventory.Bond) sriovv1.InterfaceStatus {
	s := sriovv1.InterfaceStatus{
		PCIAddress: pf.PCIAddress, Vendor: pf.Vendor, DeviceID: pf.DeviceID, Driver: pf.Driver,
		NumVfs: valueOr(pf.NumVFs, 0), TotalVfs: valueOr(pf.TotalVFs, 0), NUMANode: pf.NUMANode,
		EswitchMode: eswitchMode(pf.Eswitch), FlowSteeringMode: pf.SteeringMode,
		FirmwareVersion: pf.FirmwareVersion, BoardID: pf.BoardID,
		Ports: ports(pf),
	}
	if pf.Application != nil {
		s.FirmwareApp = pf.Application.Running
	}
	if n := pf.Netdev; n != nil {
		s.Name, s.AltNames, s.Mac, s.MTU = n.Name, n.AltNames, n.MAC, n.MTU
		s.LinkType, s.SwitchID = n.LinkType, n.SwitchID
		s.LinkAdminState, s.LinkSpeed = linkState(n)
		if n.HWTCOffload != nil {
			on := n.HWTCOffload.On
			s.HWTCOffload = &on
		}
	}
	for _, n := range pf.Ports() {
		if s.Bond == "" && slices.ContainsFunc(bonds, func(b inventory.Bond) bool { return b.Name == n.Master }) {
			s.Bond = n.Master
		}
	}
	for i := range pf.VFs {
		s.VFs = append(s.VFs, virtualFunction(pf, &pf.VFs[i]))
	}
	return s
}

func virtualFunction(pf *inventory.PF, vf *inventory.VF) sriovv1.VirtualFunction {
	out := sriovv1.VirtualFunction{
		VfID: vf.Index, PCIAddress: vf.PCIAddress, Vendor: vf.Vendor, DeviceID: vf.DeviceID,
		Driver: vf.Driver, Mac: vf.AdminMAC, Vlan: vf.VLAN, GUID: vf.GUID,
		Assigned: vf.Pod != "", Pod: vf.Pod,
	}
	if vf.VDPA != nil {
		out.VdpaType = vf.VDPA.Type
	}
	if n := vf.Netdev; n != nil {
		out.Name, out.MTU = n.Name, n.MTU
		if out.Mac == "" {
			out.Mac = n.MAC
		}
	}
	for _, r := range pf.Representors {
		if r.VF == vf.Index {
			out.RepresentorName = r.Netdev.Name
		}
	}
	return out
}

// eswitchMode is absent when it is not known; a device without an eswitch works
// as legacy.
func eswitchMode(e inventory.Eswitch) string {
	switch {
	case !e.Known:
		return ""
	case !e.Supported:
		return sriovv1.EswitchModeLegacy
	default:
		return e.Mode
	}
}

// memberAddresses gives the PCI address of a member that is a PF, else its name.
func memberAddresses(n *inventory.Node, names []string) []string {
	out := make([]string, 0, len(names))
	for _, name := range names {
		if pf := n.ByNetdev(name); pf != nil {
			name = pf.PCIAddress
		}
		out = append(out, name)
	}
	return out
}

func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
