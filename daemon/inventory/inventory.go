package inventory

import (
	"slices"

	"github.com/sriov-offload/sriov-offload-operator/daemon/firmware"
)

// Node is everything that the daemon knows about its host.
type Node struct {
	// BootID is /proc/sys/kernel/random/boot_id; it changes at every boot.
	BootID string
	// PFs ordered by PCI address: every PCI network function with the SR-IOV
	// capability, with or without VFs.
	PFs []PF
	// Bonds ordered by name: all of the host's network namespace.
	Bonds []Bond
	// BondsUnknown is the reason why the bonds are not known; empty when they are.
	BondsUnknown string
	OVS          OVS
	// PodsUnknown is the reason why it is not known which pods hold which VFs;
	// empty when it is known.
	PodsUnknown string
	// Buses by name, those of vfdevices.go.
	Buses map[string]Bus
	// Files are the places of our files where there is something, or nothing can be
	// written or known, ordered by path.
	Files []HostFile
	// NetworkManager tells that NetworkManager is installed on the host.
	NetworkManager bool
	// Claims of others to SR-IOV, ordered by file.
	Claims []Claim
	// Unreadable lists facts of the node as a whole that exist and could not be read.
	Unreadable []Unreadable
	// Firmware is what can be loaded as application firmware; empty on a node
	// without a card that has one.
	Firmware firmware.Disk
	Machine  Machine
}

// PF returns the PF with this PCI address, or nil.
func (n *Node) PF(pciAddress string) *PF {
	i := slices.IndexFunc(n.PFs, func(p PF) bool { return p.PCIAddress == pciAddress })
	if i < 0 {
		return nil
	}
	return &n.PFs[i]
}

// PF is a physical function.
type PF struct {
	PCIAddress string
	// Vendor and DeviceID are four hexadecimal digits, lower case.
	Vendor, DeviceID string
	// Driver bound to the PF; empty if none.
	Driver   string
	NUMANode *int
	// NumVFs and TotalVFs are sriov_numvfs and sriov_totalvfs.
	NumVFs, TotalVFs *int
	// Autoprobe is sriov_drivers_autoprobe.
	Autoprobe *bool
	// Netdev is the PF's network device (in switchdev mode the uplink
	// representor); nil if there is none in the host's network namespace.
	Netdev *Netdev
	// FurtherPorts are the physical ports of the PF besides that of Netdev, ordered
	// by number: an Agilio has all its ports on one PF.
	FurtherPorts []Netdev
	Eswitch      Eswitch
	// SteeringMode is mlx5's flow steering mode; empty if the device has none.
	SteeringMode string
	// LAG over the ports of the NIC; read only while the PF is a member of a bond,
	// nil otherwise.
	LAG *LAG
	// FirmwareVersion and BoardID as devlink reports them.
	FirmwareVersion, BoardID string
	// IOMMUGroup is nil when the PF is in none: then its VFs will be in none either.
	IOMMUGroup *int
	// RDMA is nil when the PF has no RDMA device.
	RDMA *RDMA
	// WithoutFunctions: the VFs are no functions of a bus, have no driver and are in
	// VFs never; netdevsim is like that.
	WithoutFunctions bool
	// Application is that of an Agilio; nil if the card has no application firmware.
	Application *Application
	// NodeNetwork says why the node's own network depends on this PF ("carries
	// the default route"); empty if it does not.
	NodeNetwork string
	// VFs ordered by index.
	VFs []VF
	// Representors of this PF's VFs, ordered by VF index.
	Representors []Representor
	// Unreadable lists facts that exist and could not be read.
	Unreadable []Unreadable
}

// VF returns the VF with this index, or nil.
func (p *PF) VF(index int) *VF {
	i := slices.IndexFunc(p.VFs, func(v VF) bool { return v.Index == index })
	if i < 0 {
		return nil
	}
	return &p.VFs[i]
}

// Ports returns the physical ports of the PF: Netdev, if there is one, and the
// further ones.
func (p *PF) Ports() []*Netdev {
	var out []*Netdev
	if p.Netdev != nil {
		out = append(out, p.Netdev)
	}
	for i := range p.FurtherPorts {
		out = append(out, &p.FurtherPorts[i])
	}
	return out
}

// Application is the application firmware of a card.
type Application struct {
	// Running is the name of the one that runs, as its driver has it: "flower",
	// "nic"; empty when it is not known.
	Running string
	// Card is what decides on the file that the driver loads.
	Card firmware.Card
}

// Netdev is a kernel network interface. Its name may change; PCI address and
// ifindex identify it.
type Netdev struct {
	Index    int
	Name     string
	AltNames []string
	MAC      string
	MTU      int
	// LinkType is ETH or IB.
	LinkType string
	// Up is the administrative state.
	Up bool
	// SpeedMbps is nil while the link is down or the speed is not known.
	SpeedMbps *int
	// Master is the name of the bond or bridge it belongs to; MasterKind its kind.
	Master, MasterKind string
	// HWTCOffload is nil when the device has no such feature or it was not read.
	HWTCOffload *Feature
	// SwitchID and PortName are phys_switch_id and phys_port_name.
	SwitchID, PortName string
}

// Feature is an ethtool feature.
type Feature struct {
	On bool
	// Fixed features cannot be changed.
	Fixed bool
}

// Eswitch of a PF.
type Eswitch struct {
	// Known is false when it could not be found out; then nothing else is set.
	Known bool
	// Supported is false when the device has no eswitch to set; it then behaves
	// as legacy.
	Supported bool
	// Mode is "legacy" or "switchdev", or a mode of a newer kernel, verbatim.
	Mode string
	// InlineMode and EncapMode are empty when the device has none.
	InlineMode, EncapMode string
}

// VF is a virtual function.
type VF struct {
	// Index within its PF, from 0.
	Index      int
	PCIAddress string
	// Vendor and DeviceID are four hexadecimal digits, lower case.
	Vendor, DeviceID string
	// Driver bound to the VF; empty if none.
	Driver string
	// DriverOverride is the driver_override attribute; empty if none.
	DriverOverride string
	// Netdev is nil if the VF has none in the host's network namespace.
	Netdev *Netdev
	// AdminMAC is the MAC set through the PF; empty if none.
	AdminMAC string
	// VLAN set through the PF; 0 if none.
	VLAN int
	// GUID of the port of an InfiniBand VF as set through the PF; empty if none.
	GUID string
	// ReportsGUID: the kernel says what the GUID is; otherwise none is not known to
	// be none.
	ReportsGUID bool
	// IOMMUGroup is nil when the VF is in none.
	IOMMUGroup *int
	// RDMA is nil when the VF has no RDMA device that the host can see.
	RDMA *RDMA
	// VDPA is nil when no vDPA device is made of the VF.
	VDPA *VDPA
	// Pod that holds the VF, as namespace/name; empty if none, or if
	// Node.PodsUnknown is set.
	Pod string
}

// Representor of a VF, found by phys_switch_id and phys_port_name.
type Representor struct {
	// VF is the index of the VF it stands for.
	VF     int
	Netdev Netdev
}

// Unreadable is a fact that exists and could not be read.
type Unreadable struct {
	// Fact in words of the inventory, e.g. "eswitch mode", "sriov_numvfs".
	Fact string
	// Reason is the kernel's own.
	Reason string
}
