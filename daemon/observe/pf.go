package observe

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/steering"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// pf returns the PF at an address, or nil if the function there is none, or has
// left the bus in the meantime.
func (s *scan) pf(ctx context.Context, address string) *inventory.PF {
	d := newDevice(s.host, address, "")
	if host.Bus(address) != host.BusPCI {
		return s.simulated(ctx, d, address)
	}
	class, ok := d.text(ctx, "class", inventory.FactClass)
	if ok && !strings.HasPrefix(class, networkClass) {
		return nil
	}
	if !ok && len(d.unreadable) == 0 {
		return nil
	}
	names, err := s.host.FS.ReadDir(ctx, d.dir)
	if err != nil {
		return unreadablePF(ctx, d, address, err)
	}
	// The kernel shows sriov_totalvfs on functions with the SR-IOV capability
	// only, be it with the value 0.
	if !slices.Contains(names, "sriov_totalvfs") {
		return nil
	}
	pf := &inventory.PF{PCIAddress: address}
	s.readFunction(ctx, d, pf)
	pf.IOMMUGroup = d.iommuGroup(ctx)
	s.unlisted(d)
	pf.RDMA = s.readRDMA(ctx, d, address)
	s.readVFs(ctx, d, pf, names)
	return s.rest(ctx, d, pf, names)
}

// simulated returns a NIC of netdevsim. It has neither PCI ids nor functions for
// its VFs, and says in debugfs how many of them it allows.
func (s *scan) simulated(ctx context.Context, d *device, address string) *inventory.PF {
	names, err := s.host.FS.ReadDir(ctx, d.dir)
	if err != nil {
		return unreadablePF(ctx, d, address, err)
	}
	if !slices.Contains(names, "sriov_numvfs") {
		return nil
	}
	pf := &inventory.PF{PCIAddress: address, WithoutFunctions: true}
	pf.Driver = d.base(ctx, "driver", inventory.FactDriver)
	pf.NumVFs = d.number(ctx, "sriov_numvfs", inventory.FactNumVFs)
	most := *d
	most.dir = path.Join("sys/kernel/debug/netdevsim", address)
	pf.TotalVFs = most.number(ctx, "max_vfs", inventory.FactTotalVFs)
	d.unreadable = most.unreadable
	return s.rest(ctx, d, pf, names)
}

// rest reads what is not about the functions of a PF and its VFs.
func (s *scan) rest(ctx context.Context, d *device, pf *inventory.PF, names []string) *inventory.PF {
	s.readDevlink(ctx, d, pf)
	s.readNetdev(ctx, d, pf, names)
	s.readSteering(ctx, d, pf)
	s.readApplication(ctx, d, pf)
	s.readNodeNetwork(d, pf)
	if len(d.unreadable) > 0 && d.gone(ctx) {
		return nil
	}
	pf.Unreadable = d.unreadable
	return pf
}

// unreadablePF is a network function whose folder cannot be listed: a PF of
// which nothing is known, unless it can be told that it is no PF.
func unreadablePF(ctx context.Context, d *device, address string, err error) *inventory.PF {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := d.fs.ReadFile(ctx, path.Join(d.dir, "sriov_totalvfs")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	d.fail(inventory.FactDevice, err)
	return &inventory.PF{PCIAddress: address, Unreadable: d.unreadable}
}

// readFunction reads what sysfs says of the PF itself.
func (s *scan) readFunction(ctx context.Context, d *device, pf *inventory.PF) {
	pf.Vendor = d.id(ctx, "vendor", inventory.FactVendor)
	pf.DeviceID = d.id(ctx, "device", inventory.FactDeviceID)
	pf.Driver = d.base(ctx, "driver", inventory.FactDriver)
	pf.TotalVFs = d.number(ctx, "sriov_totalvfs", inventory.FactTotalVFs)
	pf.NumVFs = d.number(ctx, "sriov_numvfs", inventory.FactNumVFs)
	// numa_node is -1 on a machine without NUMA.
	if n := d.number(ctx, "numa_node", inventory.FactNUMANode); n != nil && *n >= 0 {
		pf.NUMANode = n
	}
	if n := d.number(ctx, "sriov_drivers_autoprobe", inventory.FactAutoprobe); n != nil {
		on := *n != 0
		pf.Autoprobe = &on
	}
}

// id returns a PCI id attribute as four hexadecimal digits, empty if there is none.
func (d *device) id(ctx context.Context, attribute, fact string) string {
	text, ok := d.text(ctx, attribute, fact)
	if !ok {
		return ""
	}
	id, err := parseID(text)
	if err != nil {
		d.fail(fact, err)
	}
	return id
}

// readDevlink reads what the PF's devlink instance says.
func (s *scan) readDevlink(ctx context.Context, d *device, pf *inventory.PF) {
	handle := host.DevlinkOf(pf.PCIAddress)
	eswitch, err := s.host.Devlink.Eswitch(ctx, handle)
	switch {
	case err == nil:
		pf.Eswitch = inventory.Eswitch{
			Known: true, Supported: true,
			Mode: eswitch.Mode, InlineMode: eswitch.InlineMode, EncapMode: eswitch.EncapMode,
		}
	case errors.Is(err, syscall.ENODEV):
		// No devlink instance: there is nothing else to ask it.
		pf.Eswitch.Known = true
		return
	case missing(err):
		pf.Eswitch.Known = true
	default:
		d.fail(inventory.FactEswitch, err)
	}
	d.devlink = true
	info, err := s.host.Devlink.Info(ctx, handle)
	if err != nil && !missing(err) {
		d.fail(inventory.FactFirmware, err)
	}
	// Drivers name the version that identifies the firmware differently: mlx5
	// fw.version, bnxt fw, ice and nfp fw.mgmt. mlx5 has a PSID for a board id.
	pf.FirmwareVersion = cmp.Or(info.Running["fw.version"], info.Running["fw"], info.Running["fw.mgmt"])
	pf.BoardID = cmp.Or(info.Fixed["board.id"], info.Fixed["fw.psid"])
}

// readSteering reads the flow steering mode, which only drivers with a devlink
// instance have.
func (s *scan) readSteering(ctx context.Context, d *device, pf *inventory.PF) {
	if !d.devlink {
		return
	}
	netdev := ""
	if pf.Netdev != nil {
		netdev = pf.Netdev.Name
	}
	var err error
	if pf.SteeringMode, err = steering.Read(ctx, s.host, pf.PCIAddress, netdev); err != nil {
		d.fail(inventory.FactSteeringMode, err)
	}
}

// readNetdev finds the PF's netdev and reads what only the PF's is asked for.
func (s *scan) readNetdev(ctx context.Context, d *device, pf *inventory.PF, names []string) {
	own := s.links.of(pf.PCIAddress, names)
	link, ok := s.links.uplink(own)
	if !ok && slices.Contains(names, "net") {
		own = s.netFolder(ctx, d)
		link, ok = s.links.uplink(own)
	}
	if !ok {
		return
	}
	pf.Netdev = s.links.netdev(link)
	s.readFeature(ctx, d, pf.Netdev, inventory.FactHWTCOffload)
	s.readLinkSpeed(ctx, d, pf.Netdev, link)
	for _, further := range s.links.furtherPorts(own, link) {
		n := s.links.netdev(further)
		s.readFeature(ctx, d, n, inventory.FactOf(inventory.FactHWTCOffload, "port "+n.PortName))
		s.readLinkSpeed(ctx, d, n, further)
		pf.FurtherPorts = append(pf.FurtherPorts, *n)
	}
	if len(pf.VFs) > 0 {
		s.readAdmin(ctx, d, pf, link.Index)
	}
}

// readLinkSpeed reads the speed of a link that has a carrier: the kernel refuses
// to tell it of others.
func (s *scan) readLinkSpeed(ctx context.Context, d *device, n *inventory.Netdev, link host.Link) {
	if link.Up && link.Carrier {
		n.SpeedMbps = s.readSpeed(ctx, d, link.Name)
	}
}

// readSpeed returns the speed of a link, nil when it is not known.
func (s *scan) readSpeed(ctx context.Context, d *device, netdev string) *int {
	data, err := s.host.FS.ReadFile(ctx, path.Join(netClass, netdev, "speed"))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.EINVAL), err != nil && missing(err):
		// Renamed or down meanwhile, or a link that has no speed.
		return nil
	case err != nil:
		d.fail(inventory.FactSpeed, err)
		return nil
	}
	n, err := parseNumber(strings.TrimSpace(string(data)))
	if err != nil {
		d.fail(inventory.FactSpeed, err)
		return nil
	}
	// -1 is SPEED_UNKNOWN.
	if n <= 0 {
		return nil
	}
	return &n
}

// readFeature reads hw-tc-offload of a netdev.
func (s *scan) readFeature(ctx context.Context, d *device, netdev *inventory.Netdev, fact string) {
	feature, err := s.host.Ethtool.Feature(ctx, netdev.Name, host.FeatureHWTCOffload)
	switch {
	case err == nil:
		netdev.HWTCOffload = &inventory.Feature{On: feature.On, Fixed: feature.Fixed}
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.EOPNOTSUPP):
	default:
		d.fail(fact, err)
	}
}

// readNodeNetwork says why the node's network depends on the PF, if it does:
// through its own link, one that is built on it, or that of a VF.
func (s *scan) readNodeNetwork(d *device, pf *inventory.PF) {
	if s.networkErr != nil {
		d.fail(inventory.FactNodeNetwork, s.networkErr)
		return
	}
	for _, n := range pf.Ports() {
		pf.NodeNetwork = cmp.Or(pf.NodeNetwork, s.dependence(n.Index))
	}
	for _, vf := range pf.VFs {
		if pf.NodeNetwork != "" {
			return
		}
		if vf.Netdev == nil {
			continue
		}
		if reason := s.dependence(vf.Netdev.Index); reason != "" {
			pf.NodeNetwork = "its VF netdev " + vf.Netdev.Name + " " + reason
		}
	}
}

// dependence follows a link and its masters to the reason why the node needs it.
func (s *scan) dependence(index int) string {
	link, ok := s.links.byIndex[index]
	if reason := s.network[index]; reason != "" || !ok {
		return reason
	}
	// A bond may sit in a bridge; the kernel allows eight levels.
	for range 8 {
		if link, ok = s.links.byIndex[link.MasterIndex]; !ok {
			return ""
		}
		if reason := s.network[link.Index]; reason != "" {
			return "its " + cmp.Or(link.Kind, "master") + " " + link.Name + " " + reason
		}
	}
	return ""
}
