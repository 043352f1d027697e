package ledger

import (
	"cmp"
	"context"
	"maps"
	"slices"
)

// Record is what the ledger holds. Its zero value is "nothing is ours".
type Record struct {
	// Version of the format.
	Version int `json:"version"`
	// PFs by PCI address.
	PFs map[string]PF `json:"pfs,omitempty"`
	// Bonds by name that we made, or were about to make.
	Bonds map[string]Bond `json:"bonds,omitempty"`
	// Orders by name of a PF driver that is not known: the order of VFs and
	// switchdev mode that was tried last, which is the one that works unless it
	// was refused. It outlives the PFs.
	Orders map[string]string `json:"orders,omitempty"`
	// Bridges of Open vSwitch by PCI address of their uplink. They outlive the PFs.
	Bridges map[string]Bridge `json:"bridges,omitempty"`
	// Files of ours on the host, by path below its root.
	Files map[string]File `json:"files,omitempty"`
	// Firmware by PCI address of the PF. It outlives the PFs too.
	Firmware map[string]Firmware `json:"firmware,omitempty"`
	// Boot is what we installed for the boot; it outlives boots.
	Boot Boot `json:"boot,omitzero"`
	// Probations by PCI address of the PF: changes that are not known to have left
	// the node its connections.
	Probations map[string]Probation `json:"probations,omitempty"`
	// Losses by PCI address of the PF: changes that did not.
	Losses map[string]Loss `json:"losses,omitempty"`
	// Machine is about how the machine starts; it outlives boots.
	Machine Machine `json:"machine,omitzero"`
}

// PF is what we know to be ours on one PF, for as long as it is the PF that its
// Identity names: see Stale.
type PF struct {
	Identity
	// Initial is the state at first contact, restored when the PF is given back.
	Initial Initial `json:"initial"`
	// OwnsVFs tells that we changed, or were about to change, the number of VFs or
	// the eswitch mode. Without it, giving the PF back leaves both as they are.
	OwnsVFs bool `json:"ownsVFs,omitempty"`
}

// Identity says which PF a record is about: a PCI address alone may have another
// NIC in it tomorrow, and VFs and eswitch mode do not survive a boot. An empty
// field is not known.
type Identity struct {
	// BootID of the boot in which the PF was noted, /proc/sys/kernel/random/boot_id.
	BootID string `json:"bootID,omitempty"`
	// Vendor and DeviceID of the PF, four hexadecimal digits each.
	Vendor   string `json:"vendor,omitempty"`
	DeviceID string `json:"deviceID,omitempty"`
}

// Stale tells that the record is about another boot or another NIC than now:
// whatever we made is gone, and nothing that is there is ours. What is not known
// on one of the sides tells nothing; records of version 1 know neither boot nor
// NIC, and count as ours.
func (i Identity) Stale(now Identity) bool {
	return differ(i.BootID, now.BootID) || differ(i.Vendor, now.Vendor) || differ(i.DeviceID, now.DeviceID)
}

// completed fills in what is not known from now.
func (i Identity) completed(now Identity) Identity {
	return Identity{
		BootID: cmp.Or(i.BootID, now.BootID), Vendor: cmp.Or(i.Vendor, now.Vendor), DeviceID: cmp.Or(i.DeviceID, now.DeviceID),
	}
}

func differ(a, b string) bool { return a != "" && b != "" && a != b }

// Initial is the state of a PF before we touched it. Numbers and names are
// within what the kernel can have, see valid.go.
type Initial struct {
	NumVFs      int    `json:"numVfs"`
	EswitchMode string `json:"eswitchMode,omitempty"`
	// InlineMode and SteeringMode are empty when the device had none.
	InlineMode   string `json:"inlineMode,omitempty"`
	SteeringMode string `json:"steeringMode,omitempty"`
	MTU          int    `json:"mtu,omitempty"`
	Autoprobe    *bool  `json:"autoprobe,omitempty"`
	HWTCOffload  *bool  `json:"hwTcOffload,omitempty"`
	Up           *bool  `json:"up,omitempty"`
	// Netdev and Port are the name of the PF's netdev and its phys_port_name; empty
	// when there were none.
	Netdev string `json:"netdev,omitempty"`
	Port   string `json:"port,omitempty"`
	// Ports are the physical ports besides the one that the above is about.
	Ports []InitialPort `json:"ports,omitempty"`
	// VFs that existed, ordered by index.
	VFs []InitialVF `json:"vfs,omitempty"`
}

// InitialPort is the state of a further physical port before we touched the PF.
type InitialPort struct {
	// Name is phys_port_name: "p1".
	Name        string `json:"name"`
	MTU         int    `json:"mtu,omitempty"`
	HWTCOffload *bool  `json:"hwTcOffload,omitempty"`
}

// InitialVF is the state of a VF before we touched its PF.
type InitialVF struct {
	Index int `json:"index"`
	// Driver is empty when the VF was not bound.
	Driver string `json:"driver,omitempty"`
	// Override is driver_override; empty when there was none.
	Override string `json:"override,omitempty"`
	// MTU in bytes; 0 when the VF had no netdev.
	MTU int `json:"mtu,omitempty"`
	// VDPAType is "virtio" or "vhost"; empty when the VF had no vDPA device.
	VDPAType string `json:"vdpaType,omitempty"`
}

// VF returns the VF with this index.
func (i *Initial) VF(index int) (InitialVF, bool) {
	n := slices.IndexFunc(i.VFs, func(v InitialVF) bool { return v.Index == index })
	if n < 0 {
		return InitialVF{}, false
	}
	return i.VFs[n], true
}

// clone copies the maps, so that a holder of the copy never sees later writes.
// The values in them are never changed in place.
func (r Record) clone() Record {
	r.PFs = maps.Clone(r.PFs)
	r.Orders = maps.Clone(r.Orders)
	r.Bonds = maps.Clone(r.Bonds)
	r.Bridges = maps.Clone(r.Bridges)
	r.Files = maps.Clone(r.Files)
	r.Firmware = maps.Clone(r.Firmware)
	r.Boot.Units, r.Boot.Files, r.Boot.Folders = slices.Clone(r.Boot.Units), slices.Clone(r.Boot.Files), slices.Clone(r.Boot.Folders)
	r.Probations = maps.Clone(r.Probations)
	r.Losses = maps.Clone(r.Losses)
	r.Machine = r.Machine.clone()
	return r
}

// Store keeps the encoded record. A missing record is fs.ErrNotExist. A store
// that implements fmt.Stringer is named in errors.
type Store interface {
	Load(ctx context.Context) ([]byte, error)
	// Save returns when the record would survive a power loss.
	Save(ctx context.Context, data []byte) error
	// Delete removes the record. That there is none is no error.
	Delete(ctx context.Context) error
}
