package host

import (
	"context"
	"fmt"
	"strings"
	"syscall"
)

// Host bundles every door to one machine. Every call returns when its context
// ends, with the cause of that in its error, even if the kernel does not return.
type Host struct {
	FS      FS
	Files   Files
	Devlink Devlink
	Links   Links
	Bonds   Bonds
	Ethtool Ethtool
	Events  Events
	Pods    Pods
	Log     Log
	OVS     OVS
	VDPA    VDPA

	NetworkManager NetworkManager
	Systemd        Systemd
	Probes         Probes
	Machine        Machine
	Power          Power
	RDMA           RDMA
}

// FS reads and writes the attributes of sysfs and procfs. Paths are relative to
// the root of the machine and have no leading slash: "sys/bus/pci/devices".
// Errors are *Error; errors.Is(err, fs.ErrNotExist) holds for a missing path.
type FS interface {
	// ReadFile returns the content, as is.
	ReadFile(ctx context.Context, path string) ([]byte, error)
	// ReadDir returns the names in a folder, sorted.
	ReadDir(ctx context.Context, path string) ([]string, error)
	// ReadLink returns the target of a symbolic link, as is.
	ReadLink(ctx context.Context, path string) (string, error)
	// WriteFile writes an attribute that exists. It returns when the kernel has
	// returned or when ctx ends, whichever is first: a write to sriov_numvfs may
	// block for minutes in the driver.
	WriteFile(ctx context.Context, path string, data []byte) error
}

// DevlinkHandle names a devlink instance: bus and device are opaque, e.g.
// "pci" and "0000:3b:00.0", or "netdevsim" and "netdevsim1".
type DevlinkHandle struct{ Bus, Device string }

// String returns bus/device as devlink(8) prints it.
func (h DevlinkHandle) String() string { return h.Bus + "/" + h.Device }

// Eswitch is what DEVLINK_CMD_ESWITCH_GET answers.
type Eswitch struct {
	// Mode is "legacy", "switchdev", or "unknown(N)" for a mode of a newer kernel.
	Mode string
	// InlineMode and EncapMode are empty when the device does not report them.
	InlineMode, EncapMode string
}

// DevlinkInfo is what DEVLINK_CMD_INFO_GET answers.
type DevlinkInfo struct {
	Driver, SerialNumber string
	// Fixed, Running and Stored versions by name, e.g. Fixed["board.id"].
	Fixed, Running, Stored map[string]string
}

// DevlinkPort is one port of a devlink instance.
type DevlinkPort struct {
	Handle DevlinkHandle
	Index  uint32
	// Flavour in the kernel's spelling: physical, pcipf, pcivf, pcisf.
	Flavour string
	// NetdevIndex is 0 when the port has no netdev in this network namespace.
	NetdevIndex int
	NetdevName  string
	// PFNumber and VFNumber are nil when the flavour has none.
	PFNumber, VFNumber *int
}

// Devlink talks to devlink instances. A device without a devlink instance
// answers ENODEV, one without the operation EOPNOTSUPP.
type Devlink interface {
	Eswitch(ctx context.Context, h DevlinkHandle) (Eswitch, error)
	// SetEswitchMode sets "legacy" or "switchdev".
	SetEswitchMode(ctx context.Context, h DevlinkHandle, mode string) error
	// SetInlineMode sets the eswitch's inline mode: "none", "link", "network" or
	// "transport".
	SetInlineMode(ctx context.Context, h DevlinkHandle, mode string) error
	Info(ctx context.Context, h DevlinkHandle) (DevlinkInfo, error)
	// Param returns the runtime value of a string parameter.
	Param(ctx context.Context, h DevlinkHandle, name string) (string, error)
	// SetParam sets the runtime value of a string parameter.
	SetParam(ctx context.Context, h DevlinkHandle, name, value string) error
	// PermanentParam returns the permanent value of a parameter that is a number:
	// what the device's own memory holds. EINVAL when the driver has no such
	// parameter.
	PermanentParam(ctx context.Context, h DevlinkHandle, name string) (int, error)
	// Ports lists the ports of every devlink instance in one dump.
	Ports(ctx context.Context) ([]DevlinkPort, error)
}

// NotSupported is ENOTSUPP, an errno of the kernel's own that some drivers let
// out where they mean EOPNOTSUPP. The C library has no words for it.
const NotSupported = syscall.Errno(524)

// Link is a network interface of the host's network namespace.
type Link struct {
	Index    int
	Name     string
	AltNames []string
	MAC      string
	MTU      int
	// Infiniband is true for ARPHRD_INFINIBAND; otherwise the link is Ethernet
	// or something that is not a NIC.
	Infiniband bool
	// Up is IFF_UP, Carrier is IFF_LOWER_UP.
	Up, Carrier bool
	// Kind is IFLA_INFO_KIND: "bond", "veth", "openvswitch", ...; empty for hardware.
	Kind string
	// MasterIndex is 0 when there is none.
	MasterIndex int
	// ParentDevice is the bus address of the parent device, e.g. its PCI address
	// (IFLA_PARENT_DEV_NAME, Linux 5.14); empty when the kernel does not say.
	ParentDevice string
	// SwitchID and PortName are phys_switch_id (hexadecimal) and phys_port_name.
	SwitchID, PortName string
	// BondMode and BondActive are set for bonds: mode in the kernel's spelling
	// and the ifindex of the active member (active-backup only, else 0).
	BondMode   string
	BondActive int
}

// LinkVF is what a PF's link says of one of its VFs (IFLA_VFINFO_LIST).
type LinkVF struct {
	Index int
	// MAC is the administrative MAC; empty when it is all zeros.
	MAC  string
	VLAN int
	// GUID and NodeGUID are the InfiniBand port and node GUID that were set
	// through the PF, as eight bytes in hexadecimal; empty when they are zero.
	GUID, NodeGUID string
	// ReportsGUID: the kernel says what the GUIDs are (Linux 5.5).
	ReportsGUID bool
}

// Links talks rtnetlink in the host's network namespace.
type Links interface {
	// List returns all links in one dump, without VF information.
	List(ctx context.Context) ([]Link, error)
	// VFs returns what the PF with this ifindex says of its VFs.
	VFs(ctx context.Context, index int) ([]LinkVF, error)
	// NodeNetwork returns, by ifindex, why the node's own network depends on a
	// link: it carries a default route, or the node's own address, or the only
	// global address; or what does is built on it.
	NodeNetwork(ctx context.Context) (map[int]string, error)
	SetUp(ctx context.Context, index int, up bool) error
	SetMTU(ctx context.Context, index, mtu int) error
	// SetVFMAC sets the administrative MAC of a VF through its PF's link.
	SetVFMAC(ctx context.Context, index, vf int, mac string) error
	// SetVFGUID sets the InfiniBand node and port GUID of a VF through its PF's
	// link. The VF's driver takes them at its next probe.
	SetVFGUID(ctx context.Context, index, vf int, guid string) error
}

// FeatureHWTCOffload is the ethtool feature that lets TC rules go to hardware.
const FeatureHWTCOffload = "hw-tc-offload"

// Feature is the state of an ethtool feature.
type Feature struct{ On, Fixed bool }

// Ethtool reads and changes ethtool features by netdev name.
type Ethtool interface {
	// FirmwareVersion returns what the driver says of the firmware that runs, at
	// most 31 characters; a longer text is cut off. Empty when it says nothing.
	FirmwareVersion(ctx context.Context, netdev string) (string, error)
	// Feature returns ENOENT (fs.ErrNotExist) when the device has no such feature.
	Feature(ctx context.Context, netdev, feature string) (Feature, error)
	SetFeature(ctx context.Context, netdev, feature string, on bool) error
}

// Event says that something changed; it is a reason to look, not a fact.
type Event struct {
	// Source is "netlink" or "uevent".
	Source string
	// Device is the netdev or device path that changed; for messages only.
	Device string
}

// Events tells when to look again.
type Events interface {
	// Subscribe delivers events until ctx ends, then closes the channel. When
	// events were lost, it delivers one with Device "overrun".
	Subscribe(ctx context.Context) (<-chan Event, error)
}

// Pods tells which pod holds which device.
type Pods interface {
	// DeviceOwners returns namespace/name by device id (PCI address for VFs). With
	// fs.ErrNotExist or ECONNREFUSED nobody listens: no kubelet runs.
	DeviceOwners(ctx context.Context) (map[string]string, error)
}

// Log reads the kernel log.
type Log interface {
	// Recent returns the newest lines (at most max, oldest first) that mention a device.
	Recent(ctx context.Context, device string, max int) ([]string, error)
}

// Error is a refusal by the kernel.
type Error struct {
	// Op in words: "writing 4 to sriov_numvfs".
	Op string
	// Object is the device or path: "0000:3b:00.0".
	Object string
	// Errno is the kernel's; 0 when the failure was not the kernel's.
	Errno syscall.Errno
	// Text is the netlink extended acknowledgement; empty if there was none.
	Text string
	// Err is the underlying error when Errno is 0.
	Err error
}

// Error says what was tried, on which device, and what the kernel said.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s: ", e.Op, e.Object)
	reason := e.Errno.Error()
	if e.Errno == NotSupported {
		reason = "operation not supported (ENOTSUPP)"
	}
	switch {
	case e.Errno == 0 && e.Err != nil:
		b.WriteString(e.Err.Error())
	case e.Text != "":
		fmt.Fprintf(&b, "%s (%s)", reason, e.Text)
	default:
		b.WriteString(reason)
	}
	return b.String()
}

// Unwrap gives errors.Is the errno, so that both syscall.EBUSY and
// fs.ErrNotExist can be asked for.
func (e *Error) Unwrap() error {
	if e.Errno != 0 {
		return e.Errno
	}
	return e.Err
}
