package observe_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
)

const (
	pf0 = "0000:5f:00.0"
	pf1 = "0000:5f:00.1"
)

func attr(address, name string) string { return path.Join("sys/bus/pci/devices", address, name) }

func ptr[T any](v T) *T { return &v }

func write(t testing.TB, h host.Host, path, data string) {
	t.Helper()
	if err := h.FS.WriteFile(context.Background(), path, []byte(data)); err != nil {
		t.Fatal(err)
	}
}

func node(t testing.TB, h host.Host) inventory.Node {
	t.Helper()
	n, err := observe.Node(context.Background(), h)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// switchdev gives a PF VFs in switchdev mode with hw-tc-offload, as the guides do.
func switchdev(t testing.TB, k *simhost.Kernel, pf string, vfs int) {
	t.Helper()
	ctx, h := context.Background(), k.Admin()
	write(t, h, attr(pf, "sriov_drivers_autoprobe"), "0")
	write(t, h, attr(pf, "sriov_numvfs"), strconv.Itoa(vfs))
	if err := h.Devlink.SetEswitchMode(ctx, host.DevlinkOf(pf), "switchdev"); err != nil {
		t.Fatal(err)
	}
	n := node(t, h)
	netdev := n.PF(pf).Netdev
	if err := h.Ethtool.SetFeature(ctx, netdev.Name, host.FeatureHWTCOffload, true); err != nil {
		t.Fatal(err)
	}
	if err := h.Links.SetUp(ctx, netdev.Index, true); err != nil {
		t.Fatal(err)
	}
	write(t, h, attr(pf, "sriov_drivers_autoprobe"), "1")
	for _, vf := range n.PF(pf).VFs {
		write(t, h, "sys/bus/pci/drivers_probe", vf.PCIAddress)
	}
}

func connectX5(t testing.TB) *simhost.Kernel {
	t.Helper()
	k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5(simhost.TotalVFs(3))}})
	t.Cleanup(k.Close)
	return k
}

func TestSwitchdevPF(t *testing.T) {
	k := connectX5(t)
	switchdev(t, k, pf0, 3)
	admin := k.Admin()
	before := node(t, admin)
	if err := admin.Links.SetVFMAC(t.Context(), before.PF(pf0).Netdev.Index, 1, "02:00:00:00:00:11"); err != nil {
		t.Fatal(err)
	}
	if err := k.AssignVF(before.PF(pf0).VF(0).PCIAddress, "default/iperf"); err != nil {
		t.Fatal(err)
	}
	// Kube-OVN renames a pod's representor and never renames it back.
	if err := k.RenameLink(before.PF(pf0).Representors[0].Netdev.Name, "0123456789ab_h"); err != nil {
		t.Fatal(err)
	}
	n := node(t, k.Host())
	got := *n.PF(pf0)

	if len(n.PFs) != 2 || n.PFs[0].PCIAddress != pf0 || n.PFs[1].PCIAddress != pf1 {
		t.Fatalf("PFs are %+v", n.PFs)
	}
	for i := range got.VFs {
		group, dev := got.VFs[i].IOMMUGroup, got.VFs[i].Netdev
		if group == nil {
			t.Errorf("VF %d is in no IOMMU group", i)
		}
		if (dev == nil) != (i == 0) {
			t.Errorf("netdev of VF %d is %+v; VF 0's is in its pod", i, dev)
		}
		if got.VFs[i].RDMA == nil || got.VFs[i].RDMA.NodeGUID != "" {
			t.Errorf("RDMA device of VF %d is %+v", i, got.VFs[i].RDMA)
		}
		got.VFs[i].IOMMUGroup, got.VFs[i].Netdev, got.VFs[i].RDMA = nil, nil, nil
	}
	representors := map[int]string{}
	for _, r := range got.Representors {
		representors[r.VF] = r.Netdev.Name
		if r.Netdev.SwitchID != got.Netdev.SwitchID || r.Netdev.PortName != fmt.Sprintf("pf0vf%d", r.VF) {
			t.Errorf("representor of VF %d is %+v", r.VF, r.Netdev)
		}
		if r.Netdev.HWTCOffload == nil || !r.Netdev.HWTCOffload.On {
			t.Errorf("hw-tc-offload of the representor of VF %d is %+v", r.VF, r.Netdev.HWTCOffload)
		}
	}
	if len(representors) != 3 || representors[0] != "0123456789ab_h" {
		t.Errorf("representors are %v", representors)
	}
	if got.Netdev.SwitchID == "" || got.Netdev.Index == 0 {
		t.Errorf("netdev is %+v", got.Netdev)
	}
	if got.IOMMUGroup == nil {
		t.Error("the PF is in no IOMMU group")
	}
	got.Representors, got.Netdev.SwitchID, got.Netdev.Index, got.IOMMUGroup = nil, "", 0, nil
	want := inventory.PF{
		PCIAddress: pf0, Vendor: "15b3", DeviceID: "1017", Driver: "mlx5_core", NUMANode: ptr(0),
		NumVFs: ptr(3), TotalVFs: ptr(3), Autoprobe: ptr(true),
		Netdev: &inventory.Netdev{
			Name: "ens41f0np0", MAC: "08:c0:eb:f4:85:ab", MTU: 1500, LinkType: "ETH", Up: true,
			SpeedMbps: ptr(25000), HWTCOffload: &inventory.Feature{On: true}, PortName: "p0",
		},
		Eswitch:      inventory.Eswitch{Known: true, Supported: true, Mode: "switchdev", InlineMode: "none", EncapMode: "basic"},
		SteeringMode: "dmfs", FirmwareVersion: "16.35.4030", BoardID: "MT_0000000080",
		RDMA: &inventory.RDMA{Name: "mlx5_0", NodeGUID: "08:c0:eb:03:00:f4:85:ab"},
		VFs: []inventory.VF{
			{Index: 0, PCIAddress: "0000:5f:00.2", Vendor: "15b3", DeviceID: "1018", Driver: "mlx5_core", Pod: "default/iperf"},
			{Index: 1, PCIAddress: "0000:5f:00.3", Vendor: "15b3", DeviceID: "1018", Driver: "mlx5_core", AdminMAC: "02:00:00:00:00:11"},
			{Index: 2, PCIAddress: "0000:5f:00.4", Vendor: "15b3", DeviceID: "1018", Driver: "mlx5_core"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("PF (-want +got):\n%s", diff)
	}
}

func TestLegacyPF(t *testing.T) {
	k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.Igb82576()}})
	t.Cleanup(k.Close)
	const pf = "0000:01:00.0"
	write(t, k.Admin(), attr(pf, "sriov_numvfs"), "2")
	vfio := attr("0000:01:10.2", "")
	write(t, k.Admin(), path.Join(vfio, "driver/unbind"), "0000:01:10.2")
	write(t, k.Admin(), path.Join(vfio, "driver_override"), "vfio-pci")
	write(t, k.Admin(), "sys/bus/pci/drivers_probe", "0000:01:10.2")

	n := node(t, k.Host())
	got := n.PF(pf)
	if want := (inventory.Eswitch{Known: true}); got.Eswitch != want {
		t.Errorf("eswitch is %+v, want %+v: without devlink there is none", got.Eswitch, want)
	}
	if got.NUMANode != nil {
		t.Errorf("NUMA node is %d, want none for -1", *got.NUMANode)
	}
	if diff := cmp.Diff(&inventory.Feature{Fixed: true}, got.Netdev.HWTCOffload); diff != "" {
		t.Errorf("hw-tc-offload (-want +got):\n%s", diff)
	}
	if len(got.Unreadable) != 0 || len(got.Representors) != 0 {
		t.Errorf("unreadable %v, representors %v", got.Unreadable, got.Representors)
	}
	type vf struct {
		Address, DeviceID, Driver, Override string
		Netdev                              bool
	}
	var vfs []vf
	for _, v := range got.VFs {
		vfs = append(vfs, vf{v.PCIAddress, v.DeviceID, v.Driver, v.DriverOverride, v.Netdev != nil})
	}
	want := []vf{
		{"0000:01:10.0", "10ca", "igbvf", "", true},
		{"0000:01:10.2", "10ca", "vfio-pci", "vfio-pci", false},
	}
	if diff := cmp.Diff(want, vfs); diff != "" {
		t.Errorf("VFs (-want +got):\n%s", diff)
	}
}

func TestUnreadable(t *testing.T) {
	tests := []struct {
		name, op string
		errno    syscall.Errno
		// facts of the first PF that are not known; nil when the answer is one.
		facts []string
	}{
		{"eswitch", "devlink.Eswitch pci/0000:5f:00.0", syscall.EIO, []string{"eswitch mode"}},
		{"eswitch busy", "devlink.Eswitch pci/0000:5f:00.0", syscall.EBUSY, []string{"eswitch mode"}},
		{"no eswitch", "devlink.Eswitch pci/0000:5f:00.0", syscall.EOPNOTSUPP, nil},
		{"no devlink", "devlink.Eswitch pci/0000:5f:00.0", syscall.ENODEV, nil},
		{"steering", "devlink.Param pci/0000:5f:00.0*", syscall.EIO, []string{"flow_steering_mode"}},
		{"no steering", "devlink.Param pci/0000:5f:00.0*", syscall.EINVAL, nil},
		{"steering not supported", "devlink.Param pci/0000:5f:00.0*", syscall.EOPNOTSUPP, nil},
		{"info", "devlink.Info pci/0000:5f:00.0*", syscall.ETIMEDOUT, []string{"firmware information"}},
		{"ports", "devlink.Ports*", syscall.EIO, []string{"devlink ports"}},
		{"numvfs", "fs.ReadFile *0000:5f:00.0/sriov_numvfs", syscall.EIO, []string{"sriov_numvfs"}},
		{"driver", "fs.ReadLink *0000:5f:00.0/driver", syscall.EACCES, []string{"driver"}},
		{"VF", "fs.ReadLink *0000:5f:00.0/virtfn1", syscall.EIO, []string{"PCI address of VF 1"}},
		{"driver of a VF", "fs.ReadLink *0000:5f:00.3/driver", syscall.EIO, []string{"driver of VF 1"}},
		{"VF settings", "links.VFs ens41f0np0", syscall.EIO, []string{"VF administrative settings"}},
		{"no VF settings", "links.VFs ens41f0np0", syscall.EOPNOTSUPP, nil},
		{"feature", "ethtool.Feature ens41f0np0*", syscall.EIO, []string{"hw-tc-offload"}},
		{"no feature", "ethtool.Feature ens41f0np0*", syscall.ENOENT, nil},
		{"speed", "fs.ReadFile *ens41f0np0/speed", syscall.EINVAL, nil},
		{"folder", "fs.ReadDir sys/bus/pci/devices/0000:5f:00.0", syscall.EIO, []string{"PCI device"}},
		{"class", "fs.ReadFile *0000:5f:00.0/class", syscall.EIO, []string{"PCI class"}},
		{"network", "links.NodeNetwork*", syscall.EIO, []string{"node network"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			k := connectX5(t)
			switchdev(t, k, pf0, 3)
			truth := node(t, k.Admin())
			k.Fail(simhost.Fault{Op: test.op, Errno: test.errno, Times: -1})
			n := node(t, k.Host())
			var facts []string
			for _, u := range n.PF(pf0).Unreadable {
				facts = append(facts, u.Fact)
				if !strings.Contains(u.Reason, test.errno.Error()) {
					t.Errorf("reason %q does not tell %q", u.Reason, test.errno)
				}
			}
			if diff := cmp.Diff(test.facts, facts); diff != "" {
				t.Errorf("unreadable facts (-want +got):\n%s", diff)
			}
			if eswitch := n.PF(pf0).Eswitch; !eswitch.Known && eswitch != (inventory.Eswitch{}) {
				t.Errorf("an eswitch that is not known is %+v", eswitch)
			}
			if test.name != "network" {
				if diff := cmp.Diff(truth.PF(pf1), n.PF(pf1)); diff != "" {
					t.Errorf("the other PF has changed (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestPodsUnknown(t *testing.T) {
	k := connectX5(t)
	k.PodsUnavailable(errors.New("kubelet is not running"))
	n := node(t, k.Host())
	if !strings.Contains(n.PodsUnknown, "kubelet is not running") {
		t.Errorf("PodsUnknown is %q", n.PodsUnknown)
	}
}

func TestNodeFails(t *testing.T) {
	for _, op := range []string{"links.List*", "fs.ReadFile *boot_id", "fs.ReadDir sys/bus/pci/devices"} {
		t.Run(op, func(t *testing.T) {
			k := connectX5(t)
			k.Fail(simhost.Fault{Op: op, Errno: syscall.EIO, Times: -1})
			if n, err := observe.Node(t.Context(), k.Host()); !errors.Is(err, syscall.EIO) {
				t.Errorf("Node = %+v, %v", n, err)
			}
		})
	}
}

func TestContextEnds(t *testing.T) {
	k := connectX5(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("shutting down")
	h := k.Host()
	h.FS = watched{h.FS, func(string) { cancel(reason) }}
	if n, err := observe.Node(ctx, h); !errors.Is(err, reason) && !errors.Is(err, context.Canceled) {
		t.Errorf("Node = %+v, %v", n, err)
	}
}

// watched calls before with the path of every read.
type watched struct {
	host.FS
	before func(path string)
}

func (w watched) ReadFile(ctx context.Context, path string) ([]byte, error) {
	w.before(path)
	return w.FS.ReadFile(ctx, path)
}

func (w watched) ReadLink(ctx context.Context, path string) (string, error) {
	w.before(path)
	return w.FS.ReadLink(ctx, path)
}

func TestVFsVanish(t *testing.T) {
	k := connectX5(t)
	switchdev(t, k, pf0, 3)
	h := k.Host()
	removed := false
	h.FS = watched{h.FS, func(path string) {
		if !removed && path == attr("0000:5f:00.3", "driver") {
			removed = true
			write(t, k.Admin(), attr(pf0, "sriov_numvfs"), "0")
		}
	}}
	n := node(t, h)
	if !removed {
		t.Fatal("VF 1 was not read")
	}
	got := n.PF(pf0)
	for _, u := range got.Unreadable {
		if !strings.Contains(u.Fact, "representor") {
			t.Errorf("unreadable: %+v", u)
		}
	}
	for _, vf := range got.VFs {
		if vf.Driver == "" {
			t.Errorf("a VF that had left was read as one without a driver: %+v", vf)
		}
	}
}

func TestBond(t *testing.T) {
	k := connectX5(t)
	ctx, admin := t.Context(), k.Admin()
	if err := k.AddBond("bond1", simhost.BondOptions{Mode: "active-backup"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ens41f0np0", "ens41f1np1"} {
		n := node(t, admin)
		for _, pf := range n.PFs {
			if pf.Netdev.Name == name {
				if err := admin.Links.SetUp(ctx, pf.Netdev.Index, false); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := k.Enslave("bond1", name); err != nil {
			t.Fatal(err)
		}
	}
	k.SetNodeNetwork("bond1", "carries the default route")
	n := node(t, k.Host())
	if len(n.Bonds) != 1 {
		t.Fatalf("bonds are %+v", n.Bonds)
	}
	got := n.Bonds[0]
	if len(got.ActiveMembers) > 1 {
		t.Errorf("active members are %v, active-backup has one", got.ActiveMembers)
	}
	got.ActiveMembers = nil
	want := inventory.Bond{
		Name: "bond1", Mode: "active-backup", XmitHashPolicy: "layer2", LACPRate: "slow", MTU: 1500,
		Members: []string{"ens41f0np0", "ens41f1np1"}, NodeNetwork: "carries the default route",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bond (-want +got):\n%s", diff)
	}
	for _, pf := range n.PFs {
		if pf.Netdev.Master != "bond1" || pf.Netdev.MasterKind != "bond" {
			t.Errorf("master of %s is %q of kind %q", pf.PCIAddress, pf.Netdev.Master, pf.Netdev.MasterKind)
		}
		if !strings.Contains(pf.NodeNetwork, "bond1") || !strings.Contains(pf.NodeNetwork, "default route") {
			t.Errorf("node network of %s: %q", pf.PCIAddress, pf.NodeNetwork)
		}
	}
}
