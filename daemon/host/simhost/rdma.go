package simhost

import (
	"fmt"
	"slices"
	"strings"
)

// Modules of the kernel that VFs may need, for Options.NoModules.
const (
	ModuleVFIO   = "vfio_pci"
	ModuleRDMA   = "mlx5_ib"
	ModuleVDPA   = "mlx5_vdpa"
	ModuleVirtio = "virtio_vdpa"
	ModuleVhost  = "vhost_vdpa"
)

// hasModule tells whether a module is loaded or built in.
func (k *Kernel) hasModule(name string) bool {
	return !slices.Contains(k.opts.NoModules, name) && (!slices.Contains(k.opts.Unloaded, name) || k.machine.modprobed[name])
}

// rdmaDevice is the RDMA device of a function. Its driver reads the node GUID when
// it is probed and never again (drivers/infiniband/hw/mlx5/main.c).
type rdmaDevice struct {
	name string
	// guid are eight bytes in hexadecimal.
	guid string
}

// zeroGUID is what nobody has set.
const zeroGUID = "00:00:00:00:00:00:00:00"

// addRDMA gives a function whose network driver was bound its RDMA device.
func (k *Kernel) addRDMA(fn *function) {
	if !fn.card.rdma || !k.hasModule(ModuleRDMA) || fn.driver != fn.native {
		return
	}
	fn.rdma = &rdmaDevice{name: fmt.Sprintf("mlx5_%d", k.rdmas), guid: nodeGUID(fn)}
	k.rdmas++
}

// nodeGUID is the node GUID of a function now. A VF on Ethernet has the one that
// esw_vport_set_mac of eswitch.c makes of its admin MAC (node_guid_gen_from_mac),
// on InfiniBand what was set through the PF.
func nodeGUID(fn *function) string {
	switch {
	case fn.pf != nil:
		return pfGUID(fn)
	case fn.class == classIB:
		return vfGUID(fn)
	}
	mac := fn.parent.pf.admin[fn.index]
	if mac == "" {
		return zeroGUID
	}
	return mac[:8] + ":ff:fe" + mac[8:]
}

// pfGUID is the node and port GUID of a PF, as the vendor burns it in.
func pfGUID(fn *function) string {
	mac := fn.card.macs[fn.pf.port]
	return mac[:8] + ":03:00" + mac[8:]
}

// vfGUID is the GUID of an InfiniBand VF.
func vfGUID(fn *function) string {
	if guid := fn.parent.pf.guids[fn.index]; guid != "" {
		return guid
	}
	return zeroGUID
}

// infiniband is the folder of a function's RDMA device.
func (k *Kernel) infiniband(fn *function) *node {
	name := fn.rdma.name
	return folder(entry{name, func() *node { return rdmaFolder(fn.rdma) }})
}

func rdmaFolder(d *rdmaDevice) *node {
	digits := strings.ReplaceAll(d.guid, ":", "")
	guid := digits[:4] + ":" + digits[4:8] + ":" + digits[8:12] + ":" + digits[12:]
	return folder(entry{"node_guid", func() *node { return text(guid) }})
}

// classInfiniband is /sys/class/infiniband; nil without the RDMA core.
func (k *Kernel) classInfiniband() *node {
	if !k.hasModule(ModuleRDMA) {
		return nil
	}
	return dynamic(func() []string {
		var out []string
		for _, fn := range k.functions {
			if fn.rdma != nil {
				out = append(out, fn.rdma.name)
			}
		}
		return out
	}, func(name string) *node {
		for _, fn := range k.functions {
			if fn.rdma != nil && fn.rdma.name == name {
				return symlink("../.."+devicePath(fn)+"/infiniband/"+name, rdmaFolder(fn.rdma))
			}
		}
		return nil
	})
}
