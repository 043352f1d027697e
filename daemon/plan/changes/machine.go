package changes

import (
	"fmt"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// PF is the PCI address of the first port of the machine's card; Other is that of
// the second.
const (
	PF    = "0000:3b:00.0"
	Other = "0000:3b:00.1"
)

// pods hold VFs of the first port: one of each group.
var pods = map[int]string{1: "shop/web", 5: "shop/db"}

// converged is a machine with a dual-port ConnectX-6 Dx that is as a spec says,
// with pods on two VFs.
func converged(ifaces ...sriovv1.Interface) inventory.Node {
	drivers := func(names ...string) inventory.Bus { return inventory.Bus{Drivers: names} }
	node := inventory.Node{BootID: "boot", Buses: map[string]inventory.Bus{
		inventory.BusPCI:       drivers("mlx5_core", "vfio-pci"),
		inventory.BusVDPA:      drivers("virtio_vdpa", "vhost_vdpa"),
		inventory.BusAuxiliary: drivers("mlx5_ib.rdma", "mlx5_vdpa.vnet"),
	}}
	for port, address := range []string{PF, Other} {
		pf := port0(port, address)
		for i := range ifaces {
			if ifaces[i].PCIAddress == address {
				settle(&pf, &ifaces[i])
			}
		}
		node.PFs = append(node.PFs, pf)
	}
	return node
}

// port0 is a port as it is after boot: legacy mode, no VFs.
func port0(port int, address string) inventory.PF {
	n, total, on := 0, 16, true
	group := port
	return inventory.PF{
		PCIAddress: address, Vendor: "15b3", DeviceID: "101d", Driver: "mlx5_core", NumVFs: &n, TotalVFs: &total,
		Autoprobe: &on, SteeringMode: "smfs", IOMMUGroup: &group,
		RDMA: &inventory.RDMA{Name: fmt.Sprintf("mlx5_%d", port), NodeGUID: fmt.Sprintf("b8:3f:d2:03:00:11:22:3%d", port)},
		Netdev: &inventory.Netdev{
			Index: 2 + port, Name: fmt.Sprintf("enp59s0f%dnp%d", port, port), MAC: fmt.Sprintf("b8:3f:d2:11:22:3%d", port),
			MTU: 1500, LinkType: sriovv1.LinkTypeEthernet, Up: true, HWTCOffload: &inventory.Feature{},
		},
		Eswitch: inventory.Eswitch{Known: true, Supported: true, Mode: sriovv1.EswitchModeLegacy, InlineMode: "none"},
	}
}

// settle makes a port what a spec says.
func settle(pf *inventory.PF, want *sriovv1.Interface) {
	n := want.NumVfs
	pf.NumVFs = &n
	pf.Netdev.MTU = max(pf.Netdev.MTU, want.MTU)
	if want.FlowSteeringMode != "" {
		pf.SteeringMode = want.FlowSteeringMode
	}
	if want.LinkType == sriovv1.LinkTypeInfiniband {
		pf.Eswitch = inventory.Eswitch{Known: true}
		pf.Netdev.LinkType, pf.Netdev.HWTCOffload = sriovv1.LinkTypeInfiniband, nil
		pf.Netdev.MAC = "00:00:10:49:fe:80:00:00:00:00:00:00:" + pf.RDMA.NodeGUID
	}
	for i := range n {
		pf.VFs = append(pf.VFs, vf(pf, i))
	}
	for _, g := range want.VfGroups {
		for i := g.VfRange.First; i <= g.VfRange.Last; i++ {
			equip(pf, &pf.VFs[i], g)
		}
		pf.Netdev.MTU = max(pf.Netdev.MTU, g.MTU)
	}
	if want.EswitchMode != sriovv1.EswitchModeSwitchdev {
		return
	}
	pf.Eswitch.Mode = want.EswitchMode
	pf.Netdev.HWTCOffload = &inventory.Feature{On: true}
	for i := range n {
		pf.Representors = append(pf.Representors, inventory.Representor{
			VF: i, Netdev: inventory.Netdev{Name: fmt.Sprintf("rep%d", i), HWTCOffload: &inventory.Feature{On: true}},
		})
	}
}

// vf is a VF on its driver that is in no group.
func vf(pf *inventory.PF, index int) inventory.VF {
	group := 10 + index
	out := inventory.VF{
		Index: index, PCIAddress: fmt.Sprintf("0000:3b:01.%d", index), Vendor: pf.Vendor, DeviceID: "101e",
		Driver: "mlx5_core", IOMMUGroup: &group, RDMA: &inventory.RDMA{Name: fmt.Sprintf("mlx5_%d", 10+index)},
		Netdev: &inventory.Netdev{Index: 20 + index, Name: fmt.Sprintf("v%d", index), MTU: 1500, LinkType: pf.Netdev.LinkType},
	}
	if pf.Netdev.LinkType == sriovv1.LinkTypeInfiniband {
		out.ReportsGUID = true
	}
	if pod := pods[index]; pod != "" && pf.PCIAddress == PF {
		out.Pod, out.Netdev = pod, nil
	}
	return out
}

// equip makes a VF what its group says.
func equip(pf *inventory.PF, vf *inventory.VF, g sriovv1.VfGroup) {
	if g.DeviceType == sriovv1.DeviceTypeVFIO {
		vf.Driver, vf.DriverOverride, vf.Netdev, vf.RDMA = g.DeviceType, g.DeviceType, nil, nil
		return
	}
	if pf.Netdev.LinkType == sriovv1.LinkTypeInfiniband {
		vf.GUID = fmt.Sprintf("ba:3f:d2:00:%02x:11:22:30", vf.Index+1)
		vf.RDMA.NodeGUID = vf.GUID
	} else {
		vf.AdminMAC = fmt.Sprintf("02:00:00:00:00:%02x", vf.Index)
	}
	if g.IsRdma {
		vf.RDMA.NodeGUID = fmt.Sprintf("02:00:00:ff:fe:00:00:%02x", vf.Index)
	}
	if g.VdpaType != "" {
		vf.VDPA = &inventory.VDPA{Name: inventory.VDPAName(vf.PCIAddress), Type: g.VdpaType}
	}
	if vf.Netdev != nil && g.MTU > 0 {
		vf.Netdev.MTU = g.MTU
	}
}
