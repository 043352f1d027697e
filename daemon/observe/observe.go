package observe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

const (
	busDir     = "sys/bus"
	pciDevices = "sys/bus/pci/devices"
	netClass   = "sys/class/net"
	bootID     = "proc/sys/kernel/random/boot_id"
	// networkClass is the PCI base class of network controllers: Ethernet is
	// 0x0200, InfiniBand 0x0207.
	networkClass = "0x02"
)

// Node observes the host. An error means that nothing reliable is known; what
// could not be read of one PF is in that PF's Unreadable instead. It returns
// within two minutes, whatever the kernel and the kubelet do.
func Node(ctx context.Context, h host.Host) (inventory.Node, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, ceiling, tooLong(ceiling))
	defer cancel()
	h, p := patient(h)
	node, err := observed(ctx, h)
	// With the context ended, reads have failed for no fault of the devices.
	if ctx.Err() == nil {
		return node, err
	}
	err = fmt.Errorf("observing the host: %w", context.Cause(ctx))
	if p.last != nil {
		err = fmt.Errorf("%w; unanswered last: %w", err, p.last)
	}
	return inventory.Node{}, err
}

// observed is Node with doors and context that are bounded.
func observed(ctx context.Context, h host.Host) (inventory.Node, error) {
	s, err := newScan(ctx, h)
	if err != nil {
		return inventory.Node{}, err
	}
	id, err := h.FS.ReadFile(ctx, bootID)
	if err != nil {
		return inventory.Node{}, fmt.Errorf("reading the boot id: %w", err)
	}
	node := inventory.Node{BootID: strings.TrimSpace(string(id)), PodsUnknown: s.podsUnknown, Buses: buses(ctx, h.FS)}
	addresses, err := deviceAddresses(ctx, h.FS)
	if err != nil {
		return inventory.Node{}, err
	}
	// A VF has a higher routing ID than its PF, so its PF comes first and names
	// it: VFs need not be asked whether they are PFs.
	known := map[string]bool{}
	for _, address := range addresses {
		if known[address] {
			continue
		}
		pf := s.pf(ctx, address)
		if pf == nil {
			continue
		}
		for _, vf := range pf.VFs {
			known[vf.PCIAddress] = true
		}
		node.PFs = append(node.PFs, *pf)
	}
	if s.disk != nil {
		node.Firmware = s.disk.disk
	}
	s.addRepresentors(ctx, node.PFs)
	s.addBonds(ctx, &node)
	node.OVS = openvswitch(ctx, h)
	readHostFiles(ctx, h.FS, &node)
	readClaims(ctx, h.FS, &node)
	node.Machine = machine(ctx, h)
	return node, nil
}

// simulatedDevices is where the kernel's own simulated NICs are: they have an
// eswitch and VFs, and are on no PCI bus (drivers/net/netdevsim).
const simulatedDevices = "sys/bus/netdevsim/devices"

// deviceAddresses returns the devices that may be PFs: PCI functions in order, then
// the kernel's simulated NICs, which are nowhere but on test machines.
func deviceAddresses(ctx context.Context, files host.FS) ([]string, error) {
	addresses, err := pciAddresses(ctx, files)
	if err != nil {
		return nil, fmt.Errorf("listing PCI devices: %w", err)
	}
	simulated, err := files.ReadDir(ctx, simulatedDevices)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing the devices of netdevsim: %w", err)
	}
	return append(addresses, simulated...), nil
}

// pciAddresses returns the PCI functions of the machine, in order.
func pciAddresses(ctx context.Context, files host.FS) ([]string, error) {
	addresses, err := files.ReadDir(ctx, pciDevices)
	if errors.Is(err, fs.ErrNotExist) {
		// A machine without PCI has no such folder and no PF, but it has buses: a
		// root where sysfs is not mounted must not look like it.
		_, err = files.ReadDir(ctx, busDir)
		return nil, err
	}
	return slices.Sorted(slices.Values(addresses)), err
}

// scan is what one observation knows of the whole node.
type scan struct {
	host  host.Host
	links links
	// ports by address of the PF.
	ports    map[string][]host.DevlinkPort
	portsErr error
	// network is why the node depends on a link, by ifindex.
	network    map[int]string
	networkErr error
	// owners of devices, by PCI address.
	owners      map[string]string
	podsUnknown string
	devices
	// disk is read when the first card with an application firmware is met.
	disk *diskScan
}

func newScan(ctx context.Context, h host.Host) (*scan, error) {
	list, err := h.Links.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing links: %w", err)
	}
	s := &scan{host: h, links: newLinks(list), ports: map[string][]host.DevlinkPort{}}
	s.network, s.networkErr = h.Links.NodeNetwork(ctx)
	ports, err := h.Devlink.Ports(ctx)
	if err != nil && !missing(err) {
		s.portsErr = err
	}
	for _, p := range ports {
		if p.Handle == host.DevlinkOf(p.Handle.Device) {
			s.ports[p.Handle.Device] = append(s.ports[p.Handle.Device], p)
		}
	}
	s.owners, err = h.Pods.DeviceOwners(ctx)
	if err != nil {
		s.podsUnknown = err.Error()
	}
	s.devices = newDevices(ctx, h)
	return s, nil
}

// missing tells that a device does not have what was asked for, as opposed to
// having it and failing to tell.
func missing(err error) bool {
	return errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.EOPNOTSUPP)
}

// device reads the attributes of one PCI function and remembers what it could
// not read.
type device struct {
	fs  host.FS
	dir string
	// part is "VF 3" for a VF, empty for a PF.
	part       string
	unreadable []inventory.Unreadable
	// devlink tells that the function has a devlink instance.
	devlink bool
}

func newDevice(h host.Host, address, part string) *device {
	return &device{fs: h.FS, dir: host.DeviceDir(address), part: part}
}

// fail remembers that a fact could not be read.
func (d *device) fail(fact string, err error) {
	if d.part != "" {
		fact = inventory.FactOf(fact, d.part)
	}
	d.unreadable = append(d.unreadable, inventory.Unreadable{Fact: fact, Reason: err.Error()})
}

// text returns the trimmed content of an attribute; false when there is none.
func (d *device) text(ctx context.Context, attribute, fact string) (string, bool) {
	data, err := d.fs.ReadFile(ctx, path.Join(d.dir, attribute))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			d.fail(fact, err)
		}
		return "", false
	}
	return strings.TrimSpace(string(data)), true
}

// number returns the value of an attribute, or nil when there is none.
func (d *device) number(ctx context.Context, attribute, fact string) *int {
	text, ok := d.text(ctx, attribute, fact)
	if !ok {
		return nil
	}
	n, err := parseNumber(text)
	if err != nil {
		d.fail(fact, err)
		return nil
	}
	return &n
}

// base returns the last element of a link's target, empty when there is none.
func (d *device) base(ctx context.Context, link, fact string) string {
	target, err := d.fs.ReadLink(ctx, path.Join(d.dir, link))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			d.fail(fact, err)
		}
		return ""
	}
	return path.Base(target)
}

// gone tells that the function has left the bus.
func (d *device) gone(ctx context.Context) bool {
	_, err := d.fs.ReadDir(ctx, d.dir)
	return errors.Is(err, fs.ErrNotExist)
}
