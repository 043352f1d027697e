package changes

import (
	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// base is the first port in switchdev mode with 8 VFs in two groups, changed as the
// caller likes.
func base(change ...func(*sriovv1.Interface)) []sriovv1.Interface {
	i := sriovv1.Interface{PCIAddress: PF, NumVfs: 8, EswitchMode: sriovv1.EswitchModeSwitchdev, VfGroups: []sriovv1.VfGroup{
		group("a", 0, 3), group("b", 4, 7),
	}}
	for _, c := range change {
		c(&i)
	}
	return []sriovv1.Interface{i}
}

func group(name string, first, last int) sriovv1.VfGroup {
	return sriovv1.VfGroup{
		ResourceName: name, PolicyName: name, DeviceType: sriovv1.DeviceTypeNetdevice,
		VfRange: sriovv1.VFRange{First: first, Last: last},
	}
}

// second changes the second group.
func second(change func(*sriovv1.VfGroup)) func(*sriovv1.Interface) {
	return func(i *sriovv1.Interface) { change(&i.VfGroups[1]) }
}

func vfio(g *sriovv1.VfGroup)      { g.DeviceType = sriovv1.DeviceTypeVFIO }
func rdma(g *sriovv1.VfGroup)      { g.IsRdma = true }
func large(g *sriovv1.VfGroup)     { g.MTU = 9000 }
func ordinary(g *sriovv1.VfGroup)  { g.MTU = 1500 }
func legacy(i *sriovv1.Interface)  { i.EswitchMode = sriovv1.EswitchModeLegacy }
func foreign(i *sriovv1.Interface) { i.ExternallyManaged = true }

func vdpa(kind string) func(*sriovv1.VfGroup) {
	return func(g *sriovv1.VfGroup) { g.VdpaType = kind }
}

func vfs(n int) func(*sriovv1.Interface) {
	return func(i *sriovv1.Interface) {
		i.NumVfs = n
		i.VfGroups[1].VfRange.Last = n - 1
	}
}

// gap leaves VF 3 to no group.
func gap(i *sriovv1.Interface) { i.VfGroups[0].VfRange.Last = 2 }

func infiniband(i *sriovv1.Interface) {
	i.EswitchMode, i.LinkType = "", sriovv1.LinkTypeInfiniband
}

// Cases are changes as people make them, those of VFs first.
func Cases() []Change {
	cases := append(ofNumber(), ofGroups()...)
	cases = append(cases, ofPF()...)
	return append(cases, ofMachine()...)
}

func ofNumber() []Change {
	ours := ledger.PF{OwnsVFs: true, Initial: ledger.Initial{EswitchMode: sriovv1.EswitchModeLegacy, MTU: 1500}}
	up := true
	theirs := ledger.PF{Initial: ledger.Initial{
		NumVFs: 8, EswitchMode: sriovv1.EswitchModeSwitchdev, MTU: 1500, Up: &up,
	}}
	return []Change{
		{What: "`numVfs` is raised", Before: base(), After: base(vfs(10))},
		{What: "`numVfs` is lowered", Before: base(), After: base(vfs(6))},
		{What: "`numVfs` becomes 0", Before: base(), After: base(func(i *sriovv1.Interface) { i.NumVfs, i.VfGroups = 0, nil })},
		{What: "the last policy for the PF is removed", Before: base(), Owned: ours},
		{What: "the same, where the VFs were there before and only the PF's `mtu` was raised", Before: base(second(large)), Owned: theirs},
	}
}

func ofGroups() []Change {
	return []Change{
		{What: "a VF range grows over VFs of no group, within `numVfs`", Before: base(gap), After: base()},
		{What: "a VF range shrinks", Before: base(), After: base(gap)},
		{What: "one of two policies for the PF is removed", Before: base(), After: base(func(i *sriovv1.Interface) { i.VfGroups = i.VfGroups[:1] })},
		{What: "`resourceName`, `resourcePrefix`, `needVhostNet` or `excludeTopology` of a group", Before: base(), After: base(second(func(g *sriovv1.VfGroup) {
			g.ResourceName, g.ResourcePrefix, g.NeedVhostNet, g.ExcludeTopology = "c", "example.com", true, true
		}))},
		{What: "`deviceType` of a group from `netdevice` to `vfio-pci`", Before: base(), After: base(second(vfio))},
		{What: "`deviceType` of a group from `vfio-pci` to `netdevice`", Before: base(second(vfio)), After: base()},
		{What: "`mtu` of a group is raised above the PF's", Before: base(), After: base(second(large))},
		{What: "`mtu` of a group is lowered", Before: base(second(large)), After: base(second(ordinary))},
		{What: "`isRdma` of a group becomes true", Before: base(), After: base(second(rdma))},
		{What: "`isRdma` of a group becomes false", Before: base(second(rdma)), After: base()},
		{What: "`vdpaType` of a group is set", Before: base(), After: base(second(vdpa("vhost")))},
		{What: "`vdpaType` of a group from `vhost` to `virtio`", Before: base(second(vdpa("vhost"))), After: base(second(vdpa("virtio")))},
		{What: "`vdpaType` of a group is removed", Before: base(second(vdpa("vhost"))), After: base()},
		{What: "InfiniBand: a VF range grows over VFs of no group, which have no GUID", Before: base(infiniband, gap), After: base(infiniband)},
	}
}

func ofPF() []Change {
	steering := func(i *sriovv1.Interface) { i.FlowSteeringMode = "dmfs" }
	other := sriovv1.Interface{PCIAddress: Other, NumVfs: 4, VfGroups: []sriovv1.VfGroup{group("c", 0, 3)}}
	return []Change{
		{What: "`eSwitchMode` from `legacy` to `switchdev`", Before: base(legacy), After: base()},
		{What: "`eSwitchMode` from `switchdev` to `legacy`", Before: base(), After: base(legacy)},
		{What: "`flowSteeringMode` in switchdev mode", Before: base(), After: base(steering)},
		{What: "`flowSteeringMode` in legacy mode", Before: base(legacy), After: base(legacy, steering)},
		{What: "`externallyManaged` becomes true", Before: base(), After: base(foreign)},
		{What: "`externallyManaged` becomes false", Before: base(foreign), After: base()},
		{What: "a policy for the other port of the card", Before: base(), After: append(base(), other)},
		{What: "`numVfs` is raised and a group wants `vfio-pci`, on a machine without IOMMU", Before: base(), After: base(vfs(10), second(vfio)),
			Found: func(n *inventory.Node) {
				for i := range n.PFs {
					n.PFs[i].IOMMUGroup = nil
				}
			}},
		{What: "`deviceType` of a group becomes `vfio-pci`, where VT-d is on in the BIOS and the kernel does not use it", Before: base(), After: base(second(vfio)), Found: withoutIOMMU("grubby")},
		{What: "the same, on a machine without a tool for its boot loader", Before: base(), After: base(second(vfio)), Found: withoutIOMMU("")},
	}
}

// withoutIOMMU is a machine whose kernel has to be started with other arguments.
func withoutIOMMU(tool string) func(*inventory.Node) {
	return func(n *inventory.Node) {
		n.Machine = inventory.Machine{VTd: true, BootLoader: tool, CommandLine: []string{"ro"}}
		for i := range n.PFs {
			n.PFs[i].IOMMUGroup = nil
		}
	}
}

// ofMachine are changes that somebody else made.
func ofMachine() []Change {
	vf := func(change func(*inventory.VF)) func(*inventory.Node) {
		return func(n *inventory.Node) { change(n.PF(PF).VF(6)) }
	}
	return []Change{
		{What: "found: the driver of a VF was taken away", Before: base(), After: base(), Found: vf(func(v *inventory.VF) { v.Driver, v.Netdev, v.RDMA = "", nil, nil })},
		{What: "found: a VF was given another MTU", Before: base(second(large)), After: base(second(large)), Found: vf(func(v *inventory.VF) { v.Netdev.MTU = 1500 })},
		{What: "found: the PF's link is down", Before: base(), After: base(), Found: func(n *inventory.Node) { n.PF(PF).Netdev.Up = false }},
		{What: "found: hw-tc-offload of a representor is off", Before: base(), After: base(), Found: func(n *inventory.Node) { n.PF(PF).Representors[2].Netdev.HWTCOffload = &inventory.Feature{} }},
		{What: "found: a VF has left the bus", Before: base(), After: base(), Found: func(n *inventory.Node) {
			pf := n.PF(PF)
			pf.VFs = pf.VFs[:7]
		}},
	}
}
