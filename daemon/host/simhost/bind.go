package simhost

import (
	"fmt"
	"syscall"
)

const vfioDriver = "vfio-pci"

// matchesDriver is pci_match_device: an override names the only driver that matches.
func (k *Kernel) matchesDriver(fn *function, driver string) bool {
	if fn.override != "" {
		return fn.override == driver
	}
	return fn.native != "" && fn.native == driver
}

// probe is device_attach: it looks for a matching driver and ignores what the
// driver says, so that a caller learns of failure only by looking.
func (k *Kernel) probe(fn *function) {
	driver := fn.native
	if fn.override != "" {
		driver = fn.override
	}
	if fn.driver != "" || !k.drivers[driver] {
		return
	}
	_ = k.bind(fn, driver)
}

// bind is device_driver_attach of a driver that matches.
func (k *Kernel) bind(fn *function, driver string) error {
	if fn.driver != "" {
		return refuse(syscall.EBUSY)
	}
	// pci_device_can_probe
	if fn.parent != nil && !fn.parent.pf.autoprobe && fn.override == "" {
		k.forbid(fn.address + ": binding a VF while sriov_drivers_autoprobe is 0")
		return refuse(syscall.ENODEV)
	}
	if driver == vfioDriver && fn.group < 0 {
		k.forbid(fn.address + ": binding vfio-pci without an IOMMU group")
		k.log = append(k.log, fmt.Sprintf("%s %s: probe with driver %s failed with error -22", driver, fn.address, driver))
		return refuse(syscall.EINVAL)
	}
	if driver != vfioDriver && driver != fn.native {
		k.forbid(fmt.Sprintf("%s: binding %s, which is for other devices", fn.address, driver))
		k.log = append(k.log, fmt.Sprintf("%s %s: probe with driver %s failed with error -19", driver, fn.address, driver))
		return refuse(syscall.ENODEV)
	}
	if driver != vfioDriver {
		if err := k.probeNFP(fn); err != nil {
			return err
		}
	}
	k.noteEarly(fn)
	k.attach(fn, driver)
	return nil
}

// attach makes a driver the function's and lets its netdev come.
func (k *Kernel) attach(fn *function, driver string) {
	fn.driver = driver
	fn.binding++
	k.uevent("bind", fn)
	if driver == vfioDriver || fn.card == nil {
		return
	}
	if fn.pf != nil {
		fn.pf.reset(fn.card)
		k.addPFNetdev(fn)
		k.addRDMA(fn)
		return
	}
	random := fn.card.pfResets && (fn.parent.netdev == nil || !fn.parent.netdev.up)
	if random {
		k.printk(fn, "PF still in reset state. Is the PF interface up?")
		k.printk(fn, "Assigning random MAC address.")
	}
	binding := fn.binding
	k.later(k.opts.Delays.Netdev, func() {
		if fn.binding == binding {
			k.addVFNetdev(fn, random)
			k.addRDMA(fn)
		}
	})
}

// detach takes the driver away, and with it what the driver made.
func (k *Kernel) detach(fn *function) {
	if fn.driver == "" {
		return
	}
	if fn.vdpa != nil {
		k.forbid(fn.address + ": taking the driver from a VF that a vDPA device is made of")
		k.dropVDPA(fn)
	}
	fn.rdma = nil
	if fn.pf != nil {
		k.removeVFs(fn)
		fn.pf.mode, fn.pf.steering, fn.pf.inline = "", "", ""
		fn.card.lag = lag{}
		for _, l := range fn.physical {
			k.removeLink(l)
		}
		fn.physical = nil
		k.unloadFirmware(fn)
	}
	if fn.netdev != nil {
		k.removeLink(fn.netdev)
		fn.netdev = nil
	}
	fn.driver = ""
	fn.binding++
	k.uevent("unbind", fn)
}

// writeUnbind is unbind_store in drivers/base/bus.c; driver is empty when the
// write went through the function's own driver link.
func (k *Kernel) writeUnbind(driver, address string) error {
	fn := k.functions[address]
	if fn == nil || fn.driver != driver {
		return refuse(syscall.ENODEV)
	}
	k.guardPod(fn, "unbinding")
	if fn.pf != nil {
		k.guardPods(fn, "unbinding the PF")
		if fn.pf.numVFs > 0 {
			k.forbid(fn.address + ": unbinding a PF that has VFs")
		}
	}
	k.guardNodeNetwork(fn, "unbinding")
	k.detach(fn)
	return nil
}

// writeBind is bind_store in drivers/base/bus.c.
func (k *Kernel) writeBind(driver, address string) error {
	fn := k.functions[address]
	if fn == nil || !k.matchesDriver(fn, driver) {
		return refuse(syscall.ENODEV)
	}
	return k.bind(fn, driver)
}

// writeProbe is drivers_probe_store: anything but an unknown device succeeds.
func (k *Kernel) writeProbe(address string) error {
	fn := k.functions[address]
	if fn == nil {
		return refuse(syscall.ENODEV)
	}
	k.probe(fn)
	return nil
}
