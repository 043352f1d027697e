package inventory

import (
	"slices"
	"strings"
)

// RDMA is the RDMA device of a function.
type RDMA struct {
	// Name is the kernel's: "mlx5_2". It may change at the next probe.
	Name string
	// NodeGUID are eight bytes in hexadecimal; empty when they are all zeros: the
	// device was probed before its function had an address.
	NodeGUID string
}

// VDPA is the vDPA device of a VF.
type VDPA struct {
	// Name on the vdpa bus.
	Name string
	// Type is "virtio" or "vhost" by its driver; empty when it is bound to none or
	// another one.
	Type string
}

// VDPAName is the name of the vDPA device that is made of a function, the same
// that sriov-network-operator gives.
func VDPAName(pciAddress string) string { return "vdpa:" + pciAddress }

// Ours tells whether a vDPA device has the name that we would give it.
func (v *VDPA) Ours(pciAddress string) bool { return v != nil && v.Name == VDPAName(pciAddress) }

// Buses whose drivers VFs may need besides those of PCI functions.
const (
	BusPCI       = "pci"
	BusVDPA      = "vdpa"
	BusAuxiliary = "auxiliary"
)

// Bus is a bus of the kernel with the drivers that are registered on it.
type Bus struct {
	// Drivers by name; none if the kernel has no such bus.
	Drivers []string
	// Unknown is why they are not known; empty when they are.
	Unknown string
}

// Has tells whether a driver is registered.
func (b Bus) Has(driver string) bool { return slices.Contains(b.Drivers, driver) }

// SameCard tells whether two PCI addresses are functions of one device.
func SameCard(a, b string) bool {
	slot, _, ok := strings.Cut(a, ".")
	other, _, _ := strings.Cut(b, ".")
	return ok && slot == other
}

// HasRDMA tells whether a PF can have RDMA devices: it has one itself, or one of
// its VFs, or another port of the same card. The ports of an offloaded bond share
// the device of the first.
func (n *Node) HasRDMA(pf *PF) bool {
	return slices.ContainsFunc(n.PFs, func(p PF) bool {
		return p.RDMA != nil && SameCard(p.PCIAddress, pf.PCIAddress)
	}) || slices.ContainsFunc(pf.VFs, func(v VF) bool { return v.RDMA != nil })
}

// VDPADriver is the driver of the vdpa bus that makes a device what a type says.
func VDPADriver(vdpaType string) string { return vdpaType + "_vdpa" }
