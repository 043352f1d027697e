package observe

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path"
	"slices"
	"strings"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

const (
	rdmaClass   = "sys/class/infiniband"
	vdpaDevices = "sys/bus/vdpa/devices"
)

// devices are the RDMA and vDPA devices of the node, by the PCI address of their
// function, and why they are not known.
type devices struct {
	rdma    map[string]string
	rdmaErr error
	vdpa    map[string]string
	vdpaErr error
}

func newDevices(ctx context.Context, h host.Host) devices {
	var d devices
	d.rdma, d.rdmaErr = rdmaByFunction(ctx, h.FS)
	d.vdpa = map[string]string{}
	list, err := h.VDPA.Devices(ctx)
	d.vdpaErr = err
	for _, device := range list {
		if device.Manager.Bus == "pci" {
			d.vdpa[device.Manager.Device] = device.Name
		}
	}
	return d
}

// rdmaByFunction finds the RDMA devices through their class, so that functions
// without one need not be asked. A device that was moved into a pod's network
// namespace is not there. Without the RDMA core there is no such class.
func rdmaByFunction(ctx context.Context, files host.FS) (map[string]string, error) {
	names, err := files.ReadDir(ctx, rdmaClass)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, name := range names {
		target, err := files.ReadLink(ctx, path.Join(rdmaClass, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if address, ok := functionOf(target); ok {
			out[address] = name
		}
	}
	return out, nil
}

// functionOf returns the function that a link of the class infiniband leads to:
// ../../devices/pci0000:3a/0000:3a:00.0/0000:3b:00.2/infiniband/mlx5_2.
func functionOf(target string) (string, bool) {
	parts := strings.Split(target, "/")
	n := len(parts)
	if n < 3 || parts[n-2] != "infiniband" {
		return "", false
	}
	return parts[n-3], true
}

// unlisted notes, once for a PF and its VFs, that devices could not be listed.
func (s *scan) unlisted(d *device) {
	if s.rdmaErr != nil {
		d.fail(inventory.FactRDMA, s.rdmaErr)
	}
	if s.vdpaErr != nil {
		d.fail(inventory.FactVDPA, s.vdpaErr)
	}
}

// readRDMA reads the RDMA device of a function, nil when it has none.
func (s *scan) readRDMA(ctx context.Context, d *device, address string) *inventory.RDMA {
	name := s.rdma[address]
	if name == "" {
		return nil
	}
	text, ok := d.text(ctx, path.Join("infiniband", name, "node_guid"), inventory.FactRDMA)
	if !ok {
		return nil
	}
	guid, err := parseNodeGUID(text)
	if err != nil {
		d.fail(inventory.FactRDMA, err)
		return nil
	}
	return &inventory.RDMA{Name: name, NodeGUID: guid}
}

// parseNodeGUID parses 08c0:eb03:00f4:85ab; zeros are none.
func parseNodeGUID(text string) (string, error) {
	guid, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil || len(guid) != 8 {
		return "", fmt.Errorf("%q is not a GUID", text)
	}
	if !slices.ContainsFunc(guid, func(b byte) bool { return b != 0 }) {
		return "", nil
	}
	return net.HardwareAddr(guid).String(), nil
}

// readVDPA reads the vDPA device of a VF, nil when it has none.
func (s *scan) readVDPA(ctx context.Context, d *device, address string) *inventory.VDPA {
	name := s.vdpa[address]
	if name == "" {
		return nil
	}
	out := &inventory.VDPA{Name: name}
	target, err := s.host.FS.ReadLink(ctx, path.Join(vdpaDevices, name, "driver"))
	switch {
	case err == nil:
		out.Type = vdpaTypes[path.Base(target)]
	case !errors.Is(err, fs.ErrNotExist):
		d.fail(inventory.FactVDPA, err)
	}
	return out
}

// vdpaTypes are the types of vDPA devices by driver.
var vdpaTypes = map[string]string{host.DriverVirtioVDPA: "virtio", host.DriverVhostVDPA: "vhost"}

// iommuGroup reads the number of a function's group, nil when it is in none.
func (d *device) iommuGroup(ctx context.Context) *int {
	group := d.base(ctx, "iommu_group", inventory.FactIOMMUGroup)
	if group == "" {
		return nil
	}
	n, err := parseNumber(group)
	if err != nil {
		d.fail(inventory.FactIOMMUGroup, err)
		return nil
	}
	return &n
}

// buses lists the drivers of the buses that VFs may need.
func buses(ctx context.Context, files host.FS) map[string]inventory.Bus {
	out := map[string]inventory.Bus{}
	for _, name := range []string{inventory.BusPCI, inventory.BusVDPA, inventory.BusAuxiliary} {
		var bus inventory.Bus
		drivers, err := files.ReadDir(ctx, path.Join(busDir, name, "drivers"))
		switch {
		case err == nil:
			bus.Drivers = drivers
		case !errors.Is(err, fs.ErrNotExist):
			bus.Unknown = err.Error()
		}
		out[name] = bus
	}
	return out
}

type vdpa struct {
	host.VDPA
	p *patience
}

func (d vdpa) Devices(ctx context.Context) ([]host.VDPADevice, error) {
	return ask(ctx, d.p, "", d.VDPA.Devices)
}
