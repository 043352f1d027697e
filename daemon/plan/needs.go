package plan

import (
	"slices"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// Codes of what a VF group needs and the machine lacks.
const (
	CodeVFIOMissing      = "VFIOMissing"
	CodeRDMAMissing      = "RDMAMissing"
	CodeVDPAMissing      = "VDPAModuleMissing"
	CodeVDPANotOffered   = "VDPANotOffered"
	CodeVDPANotSwitchdev = "VDPANeedsSwitchdev"
	CodeNoPortGUID       = "NoPortGUID"
)

func needCodes() []BlockerCode {
	return []BlockerCode{
		{CodeVFIOMissing, "VFs are wanted on vfio-pci, and the kernel has not loaded it.",
			"Run modprobe vfio-pci on the node, and name it in /etc/modules-load.d so that it is there after a reboot."},
		{CodeRDMAMissing, "RDMA is wanted (isRdma), and neither the PF nor its card has an RDMA device.",
			"Run modprobe mlx5_ib (NVIDIA) on the node, or install rdma-core, which loads it at boot; check that the device's RDMA is not turned off (devlink parameters enable_rdma, enable_roce); otherwise remove isRdma from the policy."},
		{CodeVDPAMissing, "vDPA devices are wanted, and a module that they need is not loaded.",
			"Run modprobe on the node for the module that the message names (Linux 5.12 or newer), and name it in /etc/modules-load.d."},
		{CodeVDPANotOffered, "vDPA devices are wanted, and the driver of the NIC makes none.",
			"Remove vdpaType from the policy, or use an NVIDIA ConnectX-6 Dx or newer."},
		{CodeVDPANotSwitchdev, "vDPA devices are wanted on a PF that is not to be in switchdev mode.",
			"Set eSwitchMode switchdev in the policy, or remove vdpaType."},
		{CodeNoPortGUID, "The InfiniBand PF has no GUID, so that its VFs cannot be given theirs.",
			"See the kernel log for why the port has none; load the module ib_ipoib."},
	}
}

// need is what a VF needs and the machine lacks: "<what> for VFs 2-3<why>".
type need struct{ code, what, why string }

// lacks returns the first thing that is missing for what is wanted of a VF.
func (s *subject) lacks(w *vfWant) (need, bool) {
	for _, check := range []func(*vfWant) (need, bool){s.lacksVFIO, s.lacksVDPA, s.lacksRDMA} {
		if n, found := check(w); found {
			return n, true
		}
	}
	return need{}, false
}

// lacksVFIO blocks before there are VFs: they will be in a group of the IOMMU if
// and only if their PF is in one. A group that vfio makes up for a function
// without IOMMU (enable_unsafe_noiommu_mode) is none of the PF's, and is not taken.
func (s *subject) lacksVFIO(w *vfWant) (need, bool) {
	const what = "vfio-pci is wanted"
	switch {
	case w.binding != vfio:
		return need{}, false
	case s.pf.IOMMUGroup == nil:
		return need{CodeNoIOMMUGroup, what, ", and the PF is in no IOMMU group: the IOMMU is off"}, true
	}
	return s.lacksDriver(inventory.BusPCI, driverVFIO, need{CodeVFIOMissing, what, ", and the kernel has no such driver"})
}

// lacksDriver tells whether a driver is not registered, or not known to be.
func (s *subject) lacksDriver(bus, driver string, missing need) (need, bool) {
	b := s.node.Buses[bus]
	switch {
	case b.Unknown != "":
		return need{CodeFactUnreadable, missing.what, ", and the drivers of bus " + bus + " could not be read: " + b.Unknown}, true
	case !b.Has(driver):
		return missing, true
	}
	return need{}, false
}

func (s *subject) lacksVDPA(w *vfWant) (need, bool) {
	if w.vdpa == "" {
		return need{}, false
	}
	mode := s.mode
	if s.external {
		mode = modeOf(s.pf)
	}
	what := "a vDPA device of type " + w.vdpa + " is wanted"
	if mode != sriovv1.EswitchModeSwitchdev {
		return need{CodeVDPANotSwitchdev, what, ", in eswitch mode " + mode}, true
	}
	// Of a driver that is not known, nobody can tell.
	if s.strategy.VDPA == "" && s.strategy.Name != "" {
		return need{CodeVDPANotOffered, what, ", and " + s.strategy.Name + " makes none"}, true
	}
	missing := func(module string) need {
		return need{CodeVDPAMissing, what, ", and module " + module + " is not loaded"}
	}
	if s.strategy.VDPA != "" {
		// The driver of an auxiliary device is named <module>.<part>.
		module, _, _ := strings.Cut(s.strategy.VDPA, ".")
		if n, found := s.lacksDriver(inventory.BusAuxiliary, s.strategy.VDPA, missing(module)); found {
			return n, true
		}
	}
	driver := inventory.VDPADriver(w.vdpa)
	return s.lacksDriver(inventory.BusVDPA, driver, missing(driver))
}

func (s *subject) lacksRDMA(w *vfWant) (need, bool) {
	switch {
	case w.rdma && !s.node.HasRDMA(s.pf):
		return need{CodeRDMAMissing, "RDMA is wanted", ", and the PF has no RDMA device"}, true
	case w.guid && s.infiniband() && portGUID(s.pf.Netdev.MAC) == "":
		return need{CodeNoPortGUID, "GUIDs are needed", ", and the PF's address " + s.pf.Netdev.MAC + " has none"}, true
	}
	return need{}, false
}

// checkNeeds blocks the PF when VFs would have to be made anew for groups that
// could not have what they need: nothing is taken from anybody for that.
func (s *subject) checkNeeds() []Blocker {
	if s.spec == nil || !s.rebuilds() {
		return nil
	}
	blockers, _ := s.unmetNeeds()
	return blockers
}

// needBlockers leaves VFs alone that cannot have what they need.
func (s *subject) needBlockers() []Blocker {
	if s.spec == nil {
		return nil
	}
	blockers, vfs := s.unmetNeeds()
	for _, i := range vfs {
		s.vfs[i] = vfWant{}
	}
	return blockers
}

// unmetNeeds returns one blocker for each thing that is missing, and all VFs that
// need one of them.
func (s *subject) unmetNeeds() (blockers []Blocker, vfs []int) {
	var order []need
	by := map[need][]int{}
	for i := range s.vfs {
		n, found := s.lacks(&s.vfs[i])
		if !found {
			continue
		}
		if !slices.Contains(order, n) {
			order = append(order, n)
		}
		by[n] = append(by[n], i)
		vfs = append(vfs, i)
	}
	for _, n := range order {
		blockers = append(blockers, blocker(s.desired.pf, n.code, "%s for %s%s", n.what, vfsText(by[n]), n.why))
	}
	return blockers, vfs
}

// infiniband tells whether the port is InfiniBand.
func (s *subject) infiniband() bool {
	return s.pf.Netdev != nil && s.pf.Netdev.LinkType == sriovv1.LinkTypeInfiniband
}
