package simhost

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// vdpaDevice is a device of the vdpa bus that was made of a VF.
type vdpaDevice struct {
	name, driver, override string
	// netdev is what virtio_vdpa makes.
	netdev *link
}

// vdpaDrivers are those of the vdpa bus in the order in which they registered: a
// new device is bound to the first (vdpa_dev_match in drivers/vdpa/vdpa.c).
func (k *Kernel) vdpaDrivers() []string {
	var out []string
	for _, name := range []string{ModuleVirtio, ModuleVhost} {
		if k.hasVDPA() && k.hasModule(name) {
			out = append(out, name)
		}
	}
	return out
}

// hasVDPA tells whether there is a vdpa bus: any module that needs it brings it.
func (k *Kernel) hasVDPA() bool {
	return slices.ContainsFunc([]string{ModuleVDPA, ModuleVirtio, ModuleVhost}, k.hasModule)
}

// canVDPA tells whether a function is a management device (mlx5v_probe in
// drivers/vdpa/mlx5/net/mlx5_vnet.c).
func (k *Kernel) canVDPA(fn *function) bool {
	return fn != nil && fn.parent != nil && fn.card.vdpa && k.hasModule(ModuleVDPA) && fn.driver == fn.native && fn.netdev != nil
}

// vdpas are the functions with a vDPA device, in order.
func (k *Kernel) vdpas() []*function {
	var out []*function
	for _, address := range k.addresses() {
		if fn := k.functions[address]; fn.vdpa != nil {
			out = append(out, fn)
		}
	}
	return out
}

func (k *Kernel) vdpaByName(name string) *function {
	all := k.vdpas()
	i := slices.IndexFunc(all, func(fn *function) bool { return fn.vdpa.name == name })
	if i < 0 {
		return nil
	}
	return all[i]
}

// createVDPA is vdpa_nl_cmd_dev_add_set_doit of vdpa.c with mlx5_vdpa_dev_add
// behind it: one device for each VF.
func (k *Kernel) createVDPA(name string, manager host.DevlinkHandle) error {
	fn := k.functions[manager.Device]
	switch {
	case !k.hasVDPA():
		k.forbid(name + ": making a vDPA device without the module")
		return refusal{errno: syscall.EOPNOTSUPP, text: "this kernel has no vdpa"}
	case manager.Bus != "pci" || !k.canVDPA(fn):
		k.forbid(name + ": making a vDPA device of what is no management device")
		return refusal{errno: syscall.ENODEV, text: "vdpa: Fail to find the specified management device"}
	case fn.vdpa != nil:
		k.forbid(name + ": making a second vDPA device")
		return refuse(syscall.ENOSPC)
	case k.vdpaByName(name) != nil:
		k.forbid(name + ": making a vDPA device whose name is taken")
		return refuse(syscall.EEXIST)
	}
	k.guardPod(fn, "making a vDPA device")
	fn.vdpa = &vdpaDevice{name: name}
	if drivers := k.vdpaDrivers(); len(drivers) > 0 {
		k.attachVDPA(fn, drivers[0])
	}
	k.uevent("add", fn)
	return nil
}

// deleteVDPA is vdpa_nl_cmd_dev_del_set_doit. The real one waits for whoever has
// the device open.
func (k *Kernel) deleteVDPA(name string) error {
	fn := k.vdpaByName(name)
	if fn == nil {
		return refusal{errno: syscall.ENODEV, text: "vdpa: device not found"}
	}
	k.guardPod(fn, "removing the vDPA device")
	k.dropVDPA(fn)
	return nil
}

func (k *Kernel) dropVDPA(fn *function) {
	k.detachVDPA(fn)
	fn.vdpa = nil
	k.uevent("remove", fn)
}

func (k *Kernel) attachVDPA(fn *function, driver string) {
	fn.vdpa.driver = driver
	if driver != host.DriverVirtioVDPA {
		return
	}
	fn.vdpa.netdev = &link{name: "eth0", mac: fn.netdev.mac, mtu: 1500, role: roleOther, parent: "virtio" + fmt.Sprint(k.links.next)}
	k.addLink(fn.vdpa.netdev)
}

func (k *Kernel) detachVDPA(fn *function) {
	if l := fn.vdpa.netdev; l != nil {
		k.removeLink(l)
	}
	fn.vdpa.driver, fn.vdpa.netdev = "", nil
}

// bindVDPA and unbindVDPA are bind_store and unbind_store of the vdpa bus. Every
// driver matches every device, unless an override names another one.
func (k *Kernel) bindVDPA(driver, name string) error {
	fn := k.vdpaByName(name)
	switch {
	case fn == nil || fn.vdpa.override != "" && fn.vdpa.override != driver:
		return refuse(syscall.ENODEV)
	case fn.vdpa.driver != "":
		return refuse(syscall.EBUSY)
	}
	k.guardPod(fn, "binding the vDPA device")
	k.attachVDPA(fn, driver)
	return nil
}

func (k *Kernel) unbindVDPA(driver, name string) error {
	fn := k.vdpaByName(name)
	if fn == nil || fn.vdpa.driver != driver {
		return refuse(syscall.ENODEV)
	}
	k.guardPod(fn, "unbinding the vDPA device")
	k.detachVDPA(fn)
	return nil
}

// busVDPA is /sys/bus/vdpa; nil without the module.
func (k *Kernel) busVDPA() *node {
	if !k.hasVDPA() {
		return nil
	}
	return folder(
		entry{"devices", func() *node {
			return dynamic(func() []string {
				var out []string
				for _, fn := range k.vdpas() {
					out = append(out, fn.vdpa.name)
				}
				return out
			}, k.vdpaEntry)
		}},
		entry{"drivers", func() *node { return dynamic(k.vdpaDrivers, k.vdpaDriver) }},
	)
}

func (k *Kernel) vdpaEntry(name string) *node {
	fn := k.vdpaByName(name)
	if fn == nil {
		return nil
	}
	return symlink("../../.."+devicePath(fn)+"/"+name, folder(
		entry{"driver", func() *node {
			if fn.vdpa.driver == "" {
				return nil
			}
			return symlink("../../../../bus/vdpa/drivers/"+fn.vdpa.driver, k.vdpaDriver(fn.vdpa.driver))
		}},
		entry{"driver_override", func() *node {
			n := text(orNull(fn.vdpa.override))
			n.write = func(data string) error {
				fn.vdpa.override = strings.TrimSuffix(data, "\n")
				return nil
			}
			return n
		}},
	))
}

func (k *Kernel) vdpaDriver(name string) *node {
	if !slices.Contains(k.vdpaDrivers(), name) {
		return nil
	}
	return folder(
		entry{"bind", func() *node { return trigger(func(device string) error { return k.bindVDPA(name, device) }) }},
		entry{"unbind", func() *node { return trigger(func(device string) error { return k.unbindVDPA(name, device) }) }},
	)
}

func orNull(s string) string {
	if s == "" {
		return "(null)"
	}
	return s
}

// busAuxiliary is /sys/bus/auxiliary: parts of functions, with drivers named
// <module>.<part>.
func (k *Kernel) busAuxiliary() *node {
	return nested("drivers", dynamic(func() []string {
		var out []string
		for module, driver := range map[string]string{ModuleRDMA: "mlx5_ib.rdma", ModuleVDPA: "mlx5_vdpa.vnet"} {
			if k.hasModule(module) {
				out = append(out, driver)
			}
		}
		return out
	}, func(string) *node { return nil }))
}

type vdpaDoor struct{ *handle }

// Managers implements host.VDPA.
func (d vdpaDoor) Managers(ctx context.Context) ([]host.DevlinkHandle, error) {
	c := call{kind: "vdpa.Managers", object: "all", words: "listing vDPA management devices", device: "all devices"}
	return run(ctx, d.handle, c, func() ([]host.DevlinkHandle, error) {
		var out []host.DevlinkHandle
		for _, address := range d.k.addresses() {
			if d.k.canVDPA(d.k.functions[address]) {
				out = append(out, host.DevlinkOf(address))
			}
		}
		return out, nil
	})
}

// Devices implements host.VDPA.
func (d vdpaDoor) Devices(ctx context.Context) ([]host.VDPADevice, error) {
	c := call{kind: "vdpa.Devices", object: "all", words: "listing vDPA devices", device: "all devices"}
	return run(ctx, d.handle, c, func() ([]host.VDPADevice, error) {
		var out []host.VDPADevice
		for _, fn := range d.k.vdpas() {
			out = append(out, host.VDPADevice{Name: fn.vdpa.name, Manager: host.DevlinkOf(fn.address)})
		}
		return out, nil
	})
}

// Create implements host.VDPA.
func (d vdpaDoor) Create(ctx context.Context, name string, manager host.DevlinkHandle) error {
	c := call{
		kind: "vdpa.Create", object: manager.String(), value: name, write: true,
		words: "making vDPA device " + name, device: manager.Device,
	}
	_, err := run(ctx, d.handle, c, func() (nothing, error) { return nothing{}, d.k.createVDPA(name, manager) })
	return err
}

// Delete implements host.VDPA.
func (d vdpaDoor) Delete(ctx context.Context, name string) error {
	c := call{kind: "vdpa.Delete", object: name, write: true, words: "removing the vDPA device", device: name}
	_, err := run(ctx, d.handle, c, func() (nothing, error) { return nothing{}, d.k.deleteVDPA(name) })
	return err
}
