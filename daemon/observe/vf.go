package observe

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// readVFs reads the VFs that the PF's folder names.
func (s *scan) readVFs(ctx context.Context, d *device, pf *inventory.PF, names []string) {
	indexes := vfIndexes(names)
	if len(indexes) == 0 {
		return
	}
	// The kernel gives every VF its PF's vendor and the device ID of the SR-IOV
	// capability; one read tells it for all of them (Linux 4.15).
	deviceID := ""
	if text, ok := d.text(ctx, "sriov_vf_device", inventory.FactDeviceID); ok {
		deviceID, _ = parseID(text)
	}
	for _, index := range indexes {
		link := "virtfn" + strconv.Itoa(index)
		part := "VF " + strconv.Itoa(index)
		address := d.base(ctx, link, inventory.FactOf(inventory.FactVF, part))
		if address == "" {
			continue
		}
		vd := newDevice(s.host, address, part)
		vf := inventory.VF{Index: index, PCIAddress: address, Vendor: pf.Vendor, DeviceID: deviceID}
		if vf.Vendor == "" || vf.DeviceID == "" {
			vf.Vendor = vd.id(ctx, "vendor", inventory.FactVendor)
			vf.DeviceID = vd.id(ctx, "device", inventory.FactDeviceID)
		}
		present := s.readVF(ctx, vd, &vf)
		d.unreadable = append(d.unreadable, vd.unreadable...)
		if present {
			pf.VFs = append(pf.VFs, vf)
		}
	}
}

// readVF reads one VF; false when it has left the bus in the meantime.
func (s *scan) readVF(ctx context.Context, d *device, vf *inventory.VF) bool {
	vf.Driver = d.base(ctx, "driver", inventory.FactDriver)
	override, ok := d.text(ctx, "driver_override", inventory.FactDriverOverride)
	// Every function has a driver_override (Linux 3.16): if this one has none,
	// it may be leaving, and what was read as "no driver" is not true.
	if !ok && d.gone(ctx) {
		return false
	}
	vf.DriverOverride = parseOverride(override)
	vf.IOMMUGroup = d.iommuGroup(ctx)
	vf.RDMA = s.readRDMA(ctx, d, vf.PCIAddress)
	vf.VDPA = s.readVDPA(ctx, d, vf.PCIAddress)
	if link, ok := s.vfLink(ctx, d, vf); ok {
		vf.Netdev = s.links.netdev(link)
	}
	vf.Pod = s.owners[vf.PCIAddress]
	return true
}

// vfLink finds the VF's link: by the parent that the link dump names, or else by
// its folder. A VF whose link is in a pod has none here.
func (s *scan) vfLink(ctx context.Context, d *device, vf *inventory.VF) (host.Link, bool) {
	if link, ok := s.links.uplink(s.links.of(vf.PCIAddress, nil)); ok {
		return link, true
	}
	switch vf.Driver {
	case "", "vfio-pci":
		return host.Link{}, false
	case "virtio-pci":
		names, err := s.host.FS.ReadDir(ctx, d.dir)
		if err != nil {
			d.fail(inventory.FactNetdev, err)
			return host.Link{}, false
		}
		return s.links.uplink(s.links.of(vf.PCIAddress, names))
	}
	return s.links.uplink(s.netFolder(ctx, d))
}

// netFolder returns the links that the net folder of a function names.
func (s *scan) netFolder(ctx context.Context, d *device) []host.Link {
	names, err := s.host.FS.ReadDir(ctx, path.Join(d.dir, "net"))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			d.fail(inventory.FactNetdev, err)
		}
		return nil
	}
	var out []host.Link
	for _, name := range names {
		if index, ok := s.links.byName[name]; ok {
			out = append(out, s.links.byIndex[index])
		}
	}
	return out
}

// readAdmin reads what the PF's link says of its VFs.
func (s *scan) readAdmin(ctx context.Context, d *device, pf *inventory.PF, index int) {
	list, err := s.host.Links.VFs(ctx, index)
	if err != nil {
		// A driver without VF administration (virtio) has nothing to say.
		if !missing(err) {
			d.fail(inventory.FactAdmin, err)
		}
		return
	}
	for _, admin := range list {
		vf := pf.VF(admin.Index)
		if vf == nil {
			continue
		}
		vf.AdminMAC, vf.VLAN = strings.ToLower(admin.MAC), admin.VLAN
		vf.GUID, vf.ReportsGUID = admin.GUID, admin.ReportsGUID
	}
}
