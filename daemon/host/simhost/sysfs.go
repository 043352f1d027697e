package simhost

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// node is one entry of sysfs or procfs, made when it is looked up.
type node struct {
	// target is set for symbolic links; child and names are then those of the
	// place it points to.
	target string
	child  func(name string) *node
	names  func() []string
	read   func() (string, error)
	// write is nil for what can only be read, read for what can only be written.
	write func(data string) error
}

func text(s string) *node {
	return &node{read: func() (string, error) { return s + "\n", nil }}
}

func unreadable(errno syscall.Errno) *node {
	return &node{read: func() (string, error) { return "", refuse(errno) }}
}

func trigger(write func(string) error) *node {
	return &node{write: func(data string) error { return write(strings.TrimSpace(data)) }}
}

// entry is one name of a folder whose names are fixed.
type entry struct {
	name string
	make func() *node
}

// folder holds fixed entries; an entry that makes nil is not there.
func folder(entries ...entry) *node {
	return &node{
		child: func(name string) *node {
			for _, e := range entries {
				if e.name == name {
					return e.make()
				}
			}
			return nil
		},
		names: func() []string {
			var out []string
			for _, e := range entries {
				if e.make() != nil {
					out = append(out, e.name)
				}
			}
			return out
		},
	}
}

// dynamic holds entries that are looked up.
func dynamic(names func() []string, child func(string) *node) *node {
	return &node{names: names, child: child}
}

func symlink(target string, to *node) *node {
	return &node{target: target, child: to.child, names: to.names, read: to.read, write: to.write}
}

// lookup walks a path, through symbolic links on the way.
func (k *Kernel) lookup(path string) (*node, error) {
	if !strings.HasPrefix(path, "sys") && !strings.HasPrefix(path, "proc") {
		return k.disk.lookup(path)
	}
	at := k.root
	// nearly all paths start here
	if rest, ok := strings.CutPrefix(path, "sys/bus/pci/devices/"); ok {
		at, path = k.deviceLinks, rest
	}
	return walk(at(), path)
}

func walk(at *node, path string) (*node, error) {
	for name := range strings.SplitSeq(path, "/") {
		if name == "" || name == "." {
			continue
		}
		if at.child == nil {
			return nil, refuse(syscall.ENOTDIR)
		}
		if at = at.child(name); at == nil {
			return nil, refuse(syscall.ENOENT)
		}
	}
	return at, nil
}

func (k *Kernel) root() *node {
	return folder(
		entry{"proc", func() *node {
			return folder(
				entry{"cmdline", func() *node { return text(strings.Join(k.machine.started, " ")) }},
				entry{"1", func() *node { return folder(entry{"mountinfo", k.mountinfo}) }},
				entry{"sys", func() *node {
					return nested("kernel", folder(
						entry{"osrelease", func() *node { return text(kernelRelease) }},
						entry{"random", func() *node { return folder(entry{"boot_id", func() *node { return text(k.bootID()) }}) }},
					))
				}},
			)
		}},
		entry{"sys", k.sys},
	)
}

// nested wraps a node into folders.
func nested(path string, inner *node) *node {
	parts := strings.Split(path, "/")
	for _, name := range slices.Backward(parts) {
		n := inner
		inner = folder(entry{name, func() *node { return n }})
	}
	return inner
}

func (k *Kernel) sys() *node {
	return folder(
		entry{"bus", func() *node {
			return folder(entry{"pci", k.busPCI}, entry{"vdpa", k.busVDPA}, entry{"auxiliary", k.busAuxiliary})
		}},
		entry{"class", func() *node {
			return folder(entry{"net", k.classNet}, entry{"infiniband", k.classInfiniband})
		}},
		entry{"devices", k.devices},
		entry{"kernel", k.sysKernel},
		entry{"module", k.modules},
		entry{"firmware", k.acpiTables},
	)
}

// devices is /sys/devices: pci<domain>:<bus>/<address>.
func (k *Kernel) devices() *node {
	return dynamic(func() []string {
		roots := map[string]bool{}
		for _, fn := range k.functions {
			roots[hostBridge(fn)] = true
		}
		return slices.Collect(maps.Keys(roots))
	}, func(root string) *node {
		return dynamic(func() []string {
			var out []string
			for a, fn := range k.functions {
				if hostBridge(fn) == root {
					out = append(out, a)
				}
			}
			return out
		}, func(address string) *node {
			if fn := k.functions[address]; fn != nil && hostBridge(fn) == root {
				return k.device(fn)
			}
			return nil
		})
	})
}

// hostBridge names the folder of a function's root bus. VFs that spill over to
// the next bus stay under the same bridge as their PF.
func hostBridge(fn *function) string {
	at := fn.at
	if fn.parent != nil {
		at = fn.parent.at
	}
	return fmt.Sprintf("pci%04x:%02x", at.domain, at.bus())
}

// devicePath is a function's place in sysfs, from /sys.
func devicePath(fn *function) string {
	return "/devices/" + hostBridge(fn) + "/" + fn.address
}

func (k *Kernel) busPCI() *node {
	return folder(
		entry{"devices", k.deviceLinks},
		entry{"drivers", func() *node {
			return dynamic(func() []string { return slices.Collect(maps.Keys(k.drivers)) }, k.driver)
		}},
		entry{"drivers_probe", func() *node { return trigger(k.writeProbe) }},
	)
}

// deviceLinks is /sys/bus/pci/devices.
func (k *Kernel) deviceLinks() *node { return dynamic(k.addresses, k.deviceLink) }

func (k *Kernel) deviceLink(address string) *node {
	fn := k.functions[address]
	if fn == nil {
		return nil
	}
	return symlink("../../.."+devicePath(fn), k.device(fn))
}

func (k *Kernel) driver(name string) *node {
	if !k.drivers[name] {
		return nil
	}
	bind := trigger(func(address string) error { return k.writeBind(name, address) })
	unbind := trigger(func(address string) error { return k.writeUnbind(name, address) })
	return dynamic(func() []string {
		out := []string{"bind", "unbind"}
		for a, fn := range k.functions {
			if fn.driver == name {
				out = append(out, a)
			}
		}
		return out
	}, func(entry string) *node {
		switch entry {
		case "bind":
			return bind
		case "unbind":
			return unbind
		}
		if fn := k.functions[entry]; fn != nil && fn.driver == name {
			return symlink("../../../.."+devicePath(fn), k.device(fn))
		}
		return nil
	})
}

// device is the folder of a PCI function.
func (k *Kernel) device(fn *function) *node {
	return &node{
		names: func() []string { return k.deviceNames(fn) },
		child: func(name string) *node { return k.deviceEntry(fn, name) },
	}
}

var deviceFiles = [...]string{
	"vendor", "device", "class", "subsystem_vendor", "subsystem_device", "driver_override", "numa_node",
	"uevent", "config", "subsystem", "driver", "iommu_group", "physfn", "net", "infiniband",
}

var sriovFiles = [...]string{
	"sriov_numvfs", "sriov_totalvfs", "sriov_drivers_autoprobe", "sriov_offset", "sriov_stride", "sriov_vf_device",
}

func (k *Kernel) deviceNames(fn *function) []string {
	var out []string
	for _, name := range deviceFiles {
		if k.deviceEntry(fn, name) != nil {
			out = append(out, name)
		}
	}
	if fn.hasSRIOV() {
		out = append(out, sriovFiles[:]...)
		for i := range fn.pf.vfs {
			out = append(out, "virtfn"+strconv.Itoa(i))
		}
	}
	return out
}

// hasSRIOV tells whether the PCI core found the capability.
func (fn *function) hasSRIOV() bool { return fn.pf != nil && !fn.card.noSRIOV }

func (k *Kernel) deviceEntry(fn *function, name string) *node {
	switch name {
	case "vendor":
		return text("0x" + fn.vendor)
	case "device":
		return text("0x" + fn.device)
	case "class":
		return text(fn.class)
	case "subsystem_vendor":
		return text("0x" + fn.subsystem[:4])
	case "subsystem_device":
		return text("0x" + fn.subsystem[5:])
	case "driver_override":
		return k.driverOverride(fn)
	case "numa_node":
		return text(strconv.Itoa(fn.numa))
	case "uevent":
		return k.deviceUevent(fn)
	case "config":
		if fn.pf == nil || fn.card.nfp == nil {
			return nil
		}
		return &node{read: func() (string, error) { return configSpace(fn), nil }}
	}
	if strings.HasPrefix(name, "sriov_") || strings.HasPrefix(name, "virtfn") {
		return k.sriovEntry(fn, name)
	}
	return k.deviceRelation(fn, name)
}

// deviceRelation is an entry that points to something else.
func (k *Kernel) deviceRelation(fn *function, name string) *node {
	switch {
	case name == "subsystem":
		return symlink("../../../bus/pci", k.busPCI())
	case name == "driver" && fn.driver != "":
		return symlink("../../../bus/pci/drivers/"+fn.driver, k.driver(fn.driver))
	case name == "iommu_group" && fn.group >= 0:
		return symlink(fmt.Sprintf("../../../kernel/iommu_groups/%d", fn.group), k.iommuGroup(strconv.Itoa(fn.group)))
	case name == "physfn" && fn.parent != nil:
		return symlink("../"+fn.parent.address, k.device(fn.parent))
	case name == "infiniband" && fn.rdma != nil:
		return k.infiniband(fn)
	case name == "net" && len(k.netdevsOf(fn)) > 0:
		return dynamic(func() []string { return k.netdevsOf(fn) }, func(netdev string) *node {
			if slices.Contains(k.netdevsOf(fn), netdev) {
				return k.netdev(k.links.byName[netdev])
			}
			return nil
		})
	default:
		return nil
	}
}

// netdevsOf names the netdevs of a function in the host's network namespace.
func (k *Kernel) netdevsOf(fn *function) []string {
	var out []string
	if fn.netdev != nil && fn.netdev.pod == "" {
		out = append(out, fn.netdev.name)
	}
	for _, l := range slices.Concat(fn.physical, fn.others) {
		out = append(out, l.name)
	}
	return out
}

func (k *Kernel) driverOverride(fn *function) *node {
	value := fn.override
	if value == "" {
		value = "(null)"
	}
	n := text(value)
	n.write = func(data string) error {
		fn.override = strings.TrimSuffix(data, "\n")
		return nil
	}
	return n
}

func (k *Kernel) deviceUevent(fn *function) *node {
	upper := strings.ToUpper
	var b strings.Builder
	if fn.driver != "" {
		fmt.Fprintf(&b, "DRIVER=%s\n", fn.driver)
	}
	fmt.Fprintf(&b, "PCI_CLASS=%s\nPCI_ID=%s:%s\nPCI_SUBSYS_ID=%s\nPCI_SLOT_NAME=%s",
		upper(strings.TrimLeft(fn.class[2:], "0")), upper(fn.vendor), upper(fn.device), upper(fn.subsystem), fn.address)
	n := text(b.String())
	n.write = func(data string) error {
		k.uevent(strings.TrimSpace(data), fn)
		return nil
	}
	return n
}

func (k *Kernel) sriovEntry(fn *function, name string) *node {
	if !fn.hasSRIOV() {
		return nil
	}
	p := fn.pf
	switch name {
	case "sriov_numvfs":
		n := text(strconv.Itoa(p.numVFs))
		n.write = func(data string) error { return k.writeNumVFs(fn, data) }
		return n
	case "sriov_totalvfs":
		return text(strconv.Itoa(fn.card.totalVFs))
	case "sriov_offset":
		return text(strconv.Itoa(p.offset))
	case "sriov_stride":
		return text(strconv.Itoa(p.stride))
	case "sriov_vf_device":
		return text(fn.card.vfDevice)
	case "sriov_drivers_autoprobe":
		return k.autoprobe(p)
	}
	index, found := strings.CutPrefix(name, "virtfn")
	i, err := strconv.Atoi(index)
	if !found || err != nil || p.vf(i) == nil {
		return nil
	}
	return symlink("../"+p.vf(i).address, k.device(p.vf(i)))
}

// autoprobe is sriov_drivers_autoprobe_store: kstrtobool.
func (k *Kernel) autoprobe(p *physical) *node {
	n := text(map[bool]string{true: "1", false: "0"}[p.autoprobe])
	n.write = func(data string) error {
		switch data := strings.TrimSpace(data); {
		case data == "":
			return refuse(syscall.EINVAL)
		case strings.ContainsAny(data[:1], "1yYtT") || strings.EqualFold(data, "on"):
			p.autoprobe = true
		case strings.ContainsAny(data[:1], "0nNfF") || strings.EqualFold(data, "off"):
			p.autoprobe = false
		default:
			return refuse(syscall.EINVAL)
		}
		return nil
	}
	return n
}

func (k *Kernel) sysKernel() *node {
	return folder(
		entry{"iommu_groups", func() *node { return dynamic(k.iommuGroups, k.iommuGroup) }},
		entry{"debug", func() *node { return folder(entry{"mlx5", k.debugMlx5}) }},
	)
}

func (k *Kernel) iommuGroups() []string {
	var out []string
	for _, fn := range k.functions {
		if fn.group >= 0 {
			out = append(out, strconv.Itoa(fn.group))
		}
	}
	return out
}

// iommuGroup is looked up rarely, so that a scan does no harm.
func (k *Kernel) iommuGroup(group string) *node {
	return &node{child: func(name string) *node {
		if name != "devices" {
			return nil
		}
		return dynamic(func() []string {
			var out []string
			for a, fn := range k.functions {
				if strconv.Itoa(fn.group) == group {
					out = append(out, a)
				}
			}
			return out
		}, func(address string) *node {
			if fn := k.functions[address]; fn != nil && strconv.Itoa(fn.group) == group {
				return symlink("../../../.."+devicePath(fn), k.device(fn))
			}
			return nil
		})
	}, names: func() []string { return []string{"devices"} }}
}
