package observe_test

import (
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
)

// A tree as a real machine has it: RDMA devices through their class, a vDPA device
// and the driver that it is bound to, groups of the IOMMU, drivers by bus.
func TestDeviceTree(t *testing.T) {
	const vf0, vf1 = "0000:3b:00.2", "0000:3b:00.3"
	files := map[string]string{boot: "b\n"}
	vf := func(address string, more map[string]string) {
		attributes := map[string]string{"driver_override": "(null)\n", "driver": "-> ../../../bus/pci/drivers/mlx5_core"}
		for name, content := range more {
			attributes[name] = content
		}
		device(files, address, attributes)
	}
	device(files, treePF, sriov(map[string]string{
		"sriov_numvfs": "2\n", "virtfn0": "-> ../" + vf0, "virtfn1": "-> ../" + vf1,
		"iommu_group": "-> ../../../kernel/iommu_groups/17", "infiniband/mlx5_0/node_guid": "b83f:d203:0011:2230\n",
	}))
	vf(vf0, map[string]string{"infiniband/mlx5_2/node_guid": "0000:0000:0000:0000\n", "iommu_group": "-> ../../../kernel/iommu_groups/18"})
	vf(vf1, map[string]string{"infiniband/mlx5_3/node_guid": "what?\n"})
	for name, address := range map[string]string{"mlx5_0": treePF, "mlx5_2": vf0, "mlx5_3": vf1} {
		files["sys/class/infiniband/"+name] = "-> ../../devices/pci0000:00/" + address + "/infiniband/" + name
	}
	files["sys/devices/pci0000:00/"+vf1+"/vdpa:"+vf1+"/driver"] = "-> ../../../../bus/vdpa/drivers/vhost_vdpa"
	files["sys/bus/vdpa/devices/vdpa:"+vf1] = "-> ../../../devices/pci0000:00/" + vf1 + "/vdpa:" + vf1
	files["sys/bus/vdpa/drivers/vhost_vdpa/bind"] = ""
	files["sys/bus/pci/drivers/mlx5_core/bind"] = ""
	files["sys/bus/pci/drivers/vfio-pci/bind"] = ""
	made := []host.VDPADevice{{Name: "vdpa:" + vf1, Manager: host.DevlinkOf(vf1)}, {Name: "sim", Manager: host.DevlinkHandle{Device: vf0}}}
	n, err := observe.Node(t.Context(), static{vdpa: made}.host(plantTree(t, files)))
	if err != nil {
		t.Fatal(err)
	}
	pf := n.PF(treePF)
	if diff := cmp.Diff(&inventory.RDMA{Name: "mlx5_0", NodeGUID: "b8:3f:d2:03:00:11:22:30"}, pf.RDMA); diff != "" {
		t.Errorf("RDMA device of the PF (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]inventory.Unreadable{{Fact: "RDMA device of VF 1", Reason: `"what?" is not a GUID`}}, pf.Unreadable); diff != "" {
		t.Errorf("unreadable (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(ptr(17), pf.IOMMUGroup); diff != "" {
		t.Errorf("IOMMU group of the PF (-want +got):\n%s", diff)
	}
	want := []inventory.VF{
		{PCIAddress: vf0, Driver: "mlx5_core", Vendor: "15b3", DeviceID: "101e", IOMMUGroup: ptr(18), RDMA: &inventory.RDMA{Name: "mlx5_2"}},
		{Index: 1, PCIAddress: vf1, Driver: "mlx5_core", Vendor: "15b3", DeviceID: "101e", VDPA: &inventory.VDPA{Name: "vdpa:" + vf1, Type: "vhost"}},
	}
	if diff := cmp.Diff(want, pf.VFs); diff != "" {
		t.Errorf("VFs (-want +got):\n%s", diff)
	}
	buses := map[string]inventory.Bus{"pci": {Drivers: []string{"mlx5_core", "vfio-pci"}}, "vdpa": {Drivers: []string{"vhost_vdpa"}}, "auxiliary": {}}
	if diff := cmp.Diff(buses, n.Buses); diff != "" {
		t.Errorf("buses (-want +got):\n%s", diff)
	}
}

// What cannot be listed is a fact that is missing of every PF, once, and why a bus
// is not known is in its place.
func TestDevicesUnlisted(t *testing.T) {
	k := connectX5(t)
	switchdev(t, k, pf0, 2)
	for _, op := range []string{"fs.ReadDir sys/class/infiniband", "vdpa.Devices*", "fs.ReadDir sys/bus/vdpa/drivers"} {
		k.Fail(simhost.Fault{Op: op, Errno: syscall.EIO, Times: -1})
	}
	n := node(t, k.Host())
	got := map[string]int{}
	for _, u := range n.PF(pf0).Unreadable {
		got[u.Fact]++
	}
	if diff := cmp.Diff(map[string]int{inventory.FactRDMA: 1, inventory.FactVDPA: 1}, got); diff != "" {
		t.Errorf("unreadable (-want +got):\n%s", diff)
	}
	if n.Buses["vdpa"].Unknown == "" || n.Buses["pci"].Unknown != "" || !n.Buses["pci"].Has("vfio-pci") {
		t.Errorf("buses are %+v", n.Buses)
	}
}

// InfiniBand VFs come without GUIDs, and have those that were set.
func TestInfinibandGUIDs(t *testing.T) {
	for name, silent := range map[string][]simhost.NICOption{"reported": nil, "before Linux 5.5": {simhost.SilentGUIDs()}} {
		t.Run(name, func(t *testing.T) {
			k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX6VPI(silent...)}})
			defer k.Close()
			h, ctx := k.Admin(), t.Context()
			const pf = "0000:d8:00.0"
			if err := h.FS.WriteFile(ctx, "sys/bus/pci/devices/"+pf+"/sriov_numvfs", []byte("2")); err != nil {
				t.Fatal(err)
			}
			before := node(t, h)
			index := before.PF(pf).Netdev.Index
			const guid = "0a:00:00:00:00:00:00:01"
			if err := h.Links.SetVFGUID(ctx, index, 1, guid); err != nil {
				t.Fatal(err)
			}
			after := node(t, h)
			got := after.PF(pf)
			reported, want := silent == nil, ""
			if reported {
				want = guid
			}
			if got.VFs[1].GUID != want || got.VFs[0].GUID != "" || got.VFs[0].ReportsGUID != reported {
				t.Errorf("VFs are %+v", got.VFs)
			}
			if got.VFs[1].RDMA == nil || got.VFs[1].RDMA.NodeGUID != "" {
				t.Errorf("before its next probe, VF 1 has %+v", got.VFs[1].RDMA)
			}
		})
	}
}
