package observe_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/sysfs"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// plantTree makes a tree of files. A content of "-> target" is a symbolic link,
// one of "/" a folder.
func plantTree(t testing.TB, files map[string]string) host.FS {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		full := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		target, link := strings.CutPrefix(content, "-> ")
		var err error
		switch {
		case link:
			err = os.Symlink(target, full)
		case content == "/":
			err = os.MkdirAll(full, 0o755)
		default:
			err = os.WriteFile(full, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tree, err := sysfs.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Close() })
	return tree
}

// device adds a PCI function to a tree, with its link in the bus folder.
func device(files map[string]string, address string, attributes map[string]string) {
	files["sys/bus/pci/devices/"+address] = "-> ../../../devices/pci0000:00/" + address
	for name, content := range attributes {
		files["sys/devices/pci0000:00/"+address+"/"+name] = content
	}
}

// static is what a machine answers besides its files: links, and devlink ports
// of instances that have an eswitch in the given mode.
type static struct {
	links   []host.Link
	ports   []host.DevlinkPort
	network map[int]string
	mode    map[string]string
	feature map[string]host.Feature
	vdpa    []host.VDPADevice
}

func (s static) host(files host.FS) host.Host {
	return host.Host{FS: files, Links: s, Devlink: s, Ethtool: s, Pods: s, Bonds: noBonds{}, OVS: s, VDPA: s, RDMA: noRDMA{}}
}

// noRDMA is a machine without RDMA subsystem.
type noRDMA struct{ host.RDMA }

func (noRDMA) NetnsMode(context.Context) (string, error) { return "", host.ErrNoRDMA }

// noBonds is a machine without bonds.
type noBonds struct{ host.Bonds }

func (noBonds) List(context.Context) ([]host.Bond, error) { return nil, nil }

// No machine of files has an Open vSwitch.
func (static) Bridges(context.Context) ([]host.OVSBridge, error)  { return nil, nil }
func (static) EnsureBridge(context.Context, host.OVSWant) error   { return nil }
func (static) RemoveBridge(context.Context, string, string) error { return nil }

func refusal(errno syscall.Errno) error {
	return &host.Error{Op: "asking", Object: "it", Errno: errno}
}

func (s static) List(context.Context) ([]host.Link, error) { return s.links, nil }
func (s static) VFs(context.Context, int) ([]host.LinkVF, error) {
	return nil, refusal(syscall.EOPNOTSUPP)
}
func (s static) NodeNetwork(context.Context) (map[int]string, error)     { return s.network, nil }
func (s static) SetUp(context.Context, int, bool) error                  { return refusal(syscall.EPERM) }
func (s static) SetMTU(context.Context, int, int) error                  { return refusal(syscall.EPERM) }
func (s static) SetVFMAC(context.Context, int, int, string) error        { return refusal(syscall.EPERM) }
func (s static) SetVFGUID(context.Context, int, int, string) error       { return refusal(syscall.EPERM) }
func (s static) Devices(context.Context) ([]host.VDPADevice, error)      { return s.vdpa, nil }
func (s static) Managers(context.Context) ([]host.DevlinkHandle, error)  { return nil, nil }
func (s static) Delete(context.Context, string) error                    { return refusal(syscall.EPERM) }
func (s static) Ports(context.Context) ([]host.DevlinkPort, error)       { return s.ports, nil }
func (s static) DeviceOwners(context.Context) (map[string]string, error) { return nil, nil }
func (s static) SetFeature(context.Context, string, string, bool) error {
	return refusal(syscall.EPERM)
}
func (s static) SetEswitchMode(context.Context, host.DevlinkHandle, string) error {
	return refusal(syscall.EPERM)
}

func (s static) SetInlineMode(context.Context, host.DevlinkHandle, string) error {
	return refusal(syscall.EPERM)
}

func (s static) Create(context.Context, string, host.DevlinkHandle) error {
	return refusal(syscall.EPERM)
}

func (s static) SetParam(context.Context, host.DevlinkHandle, string, string) error {
	return refusal(syscall.EPERM)
}

func (s static) Eswitch(_ context.Context, h host.DevlinkHandle) (host.Eswitch, error) {
	mode, ok := s.mode[h.Device]
	if !ok {
		return host.Eswitch{}, refusal(syscall.ENODEV)
	}
	return host.Eswitch{Mode: mode}, nil
}

func (s static) Info(context.Context, host.DevlinkHandle) (host.DevlinkInfo, error) {
	return host.DevlinkInfo{
		Fixed: map[string]string{"board.id": "AMDA0097-0001"}, Running: map[string]string{"fw.mgmt": "28.0.2"},
	}, nil
}

func (s static) Param(context.Context, host.DevlinkHandle, string) (string, error) {
	return "", refusal(syscall.EINVAL)
}

func (s static) PermanentParam(context.Context, host.DevlinkHandle, string) (int, error) {
	return 0, refusal(syscall.EINVAL)
}

func (s static) FirmwareVersion(context.Context, string) (string, error) { return "", nil }

func (s static) Feature(_ context.Context, netdev, _ string) (host.Feature, error) {
	f, ok := s.feature[netdev]
	if !ok {
		return host.Feature{}, refusal(syscall.ENOENT)
	}
	return f, nil
}

const boot = "proc/sys/kernel/random/boot_id"

// treePF is the PF of most trees.
const treePF = "0000:3b:00.0"

// sriov are the attributes that every PF has.
func sriov(more map[string]string) map[string]string {
	out := map[string]string{
		"class": "0x020000\n", "vendor": "0x15b3\n", "device": "0x101d\n", "numa_node": "1\n",
		"driver": "-> ../../../bus/pci/drivers/mlx5_core", "sriov_totalvfs": "8\n", "sriov_numvfs": "0\n",
		"sriov_drivers_autoprobe": "1\n", "sriov_vf_device": "101e\n",
	}
	for name, content := range more {
		out[name] = content
	}
	return out
}

// known is what sriov says, as an inventory.
func known() inventory.PF {
	return inventory.PF{
		PCIAddress: treePF, Vendor: "15b3", DeviceID: "101d", Driver: "mlx5_core", NUMANode: ptr(1),
		NumVFs: ptr(0), TotalVFs: ptr(8), Autoprobe: ptr(true), Eswitch: inventory.Eswitch{Known: true},
	}
}

func TestTrees(t *testing.T) {
	const pf = treePF
	tests := []struct {
		name  string
		plant func(files map[string]string)
		rest  static
		want  func() []inventory.PF
	}{
		{
			name: "what is no PF",
			plant: func(files map[string]string) {
				device(files, "0000:00:00.0", map[string]string{"class": "0x060000\n"})
				device(files, "0000:00:01.0", map[string]string{"class": "0x020000\n", "vendor": "0x8086\n"})
				// An NVMe drive with SR-IOV.
				device(files, "0000:00:02.0", map[string]string{"class": "0x010802\n", "sriov_totalvfs": "32\n"})
				files["sys/bus/pci/devices/0000:00:03.0"] = "-> ../../../devices/pci0000:00/0000:00:03.0"
			},
			want: func() []inventory.PF { return nil },
		},
		{
			name: "no VFs allowed, no driver, no NUMA",
			plant: func(files map[string]string) {
				attributes := sriov(map[string]string{"sriov_totalvfs": "0\n", "numa_node": "-1\n", "sriov_drivers_autoprobe": "0\n"})
				delete(attributes, "driver")
				device(files, pf, attributes)
			},
			want: func() []inventory.PF {
				want := known()
				want.TotalVFs, want.NUMANode, want.Driver, want.Autoprobe = ptr(0), nil, "", ptr(false)
				return []inventory.PF{want}
			},
		},
		{
			name: "what cannot be understood",
			plant: func(files map[string]string) {
				device(files, pf, sriov(map[string]string{"sriov_numvfs": "many\n", "device": "0xzz\n"}))
			},
			want: func() []inventory.PF {
				want := known()
				want.NumVFs, want.DeviceID = nil, ""
				want.Unreadable = []inventory.Unreadable{
					{Fact: "device ID", Reason: `"0xzz" is not a PCI id`},
					{Fact: "sriov_numvfs", Reason: `"many" is not a number`},
				}
				return []inventory.PF{want}
			},
		},
		{
			// Before Linux 5.14 links do not name their parents, before 4.15 a PF
			// does not name its VFs' device ID.
			name: "an old kernel",
			plant: func(files map[string]string) {
				attributes := sriov(map[string]string{
					"sriov_numvfs": "1\n", "virtfn0": "-> ../0000:3b:00.2", "net/ens1f0/mtu": "1500\n",
				})
				delete(attributes, "sriov_vf_device")
				device(files, pf, attributes)
				device(files, "0000:3b:00.2", map[string]string{
					"class": "0x020000\n", "vendor": "0x15b3\n", "device": "0x101e\n", "driver_override": "(null)\n",
					"driver": "-> ../../../bus/pci/drivers/mlx5_core", "net/ens1f0v0/mtu": "1500\n",
					"iommu_group": "-> ../../../kernel/iommu_groups/42",
				})
				files["sys/class/net/ens1f0/speed"] = "-1\n"
			},
			rest: static{
				links:   []host.Link{{Index: 3, Name: "ens1f0", Up: true, Carrier: true}, {Index: 4, Name: "ens1f0v0", MTU: 1500}},
				network: map[int]string{4: "carries the default route"},
			},
			want: func() []inventory.PF {
				want := known()
				want.NumVFs = ptr(1)
				want.Netdev = &inventory.Netdev{Index: 3, Name: "ens1f0", LinkType: "ETH", Up: true}
				want.NodeNetwork = "its VF netdev ens1f0v0 carries the default route"
				want.VFs = []inventory.VF{{
					PCIAddress: "0000:3b:00.2", Vendor: "15b3", DeviceID: "101e", Driver: "mlx5_core", IOMMUGroup: ptr(42),
					Netdev: &inventory.Netdev{Index: 4, Name: "ens1f0v0", LinkType: "ETH", MTU: 1500},
				}}
				return []inventory.PF{want}
			},
		},
		{
			// The parent of a virtio link is a virtio device below the function.
			name: "virtio",
			plant: func(files map[string]string) {
				device(files, pf, sriov(map[string]string{
					"virtio3": "/", "sriov_numvfs": "1\n", "virtfn0": "-> ../0000:3b:00.2",
					"driver": "-> ../../../bus/pci/drivers/virtio-pci",
				}))
				device(files, "0000:3b:00.2", map[string]string{
					"driver_override": "(null)\n", "virtio4": "/", "driver": "-> ../../../bus/pci/drivers/virtio-pci",
				})
			},
			rest: static{links: []host.Link{
				{Index: 3, Name: "eth0", ParentDevice: "virtio3"}, {Index: 4, Name: "eth1", ParentDevice: "virtio4"},
			}},
			want: func() []inventory.PF {
				want := known()
				want.NumVFs, want.Driver = ptr(1), "virtio-pci"
				want.Netdev = &inventory.Netdev{Index: 3, Name: "eth0", LinkType: "ETH"}
				want.VFs = []inventory.VF{{
					PCIAddress: "0000:3b:00.2", Vendor: "15b3", DeviceID: "101e", Driver: "virtio-pci",
					Netdev: &inventory.Netdev{Index: 4, Name: "eth1", LinkType: "ETH"},
				}}
				return []inventory.PF{want}
			},
		},
		{
			// One PF with two physical ports, a PF representor, and a netdev without a
			// port name; devlink names the firmware and the board.
			name:  "an Agilio with two ports",
			plant: func(files map[string]string) { device(files, pf, sriov(nil)) },
			rest: static{
				mode: map[string]string{pf: "switchdev"},
				links: []host.Link{
					{Index: 2, Name: "ens3", ParentDevice: pf},
					{Index: 3, Name: "ens3np1", ParentDevice: pf, SwitchID: "00154d", PortName: "p1"},
					{Index: 4, Name: "ens3np0", ParentDevice: pf, SwitchID: "00154d", PortName: "p0"},
					{Index: 5, Name: "ens3npf0", ParentDevice: pf, SwitchID: "00154d", PortName: "pf0"},
					{Index: 6, Name: "ens3r0", SwitchID: "00154d", PortName: "pf0vf0"},
				},
				feature: map[string]host.Feature{"ens3r0": {On: true}},
			},
			want: func() []inventory.PF {
				want := known()
				want.Eswitch.Supported, want.Eswitch.Mode = true, "switchdev"
				want.FirmwareVersion, want.BoardID = "28.0.2", "AMDA0097-0001"
				want.Netdev = &inventory.Netdev{Index: 4, Name: "ens3np0", LinkType: "ETH", SwitchID: "00154d", PortName: "p0"}
				want.FurtherPorts = []inventory.Netdev{{Index: 3, Name: "ens3np1", LinkType: "ETH", SwitchID: "00154d", PortName: "p1"}}
				want.Representors = []inventory.Representor{{Netdev: inventory.Netdev{
					Index: 6, Name: "ens3r0", LinkType: "ETH", SwitchID: "00154d", PortName: "pf0vf0",
					HWTCOffload: &inventory.Feature{On: true},
				}}}
				return []inventory.PF{want}
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			files := map[string]string{boot: "b00t\n", "sys/bus/pci/devices": "/"}
			test.plant(files)
			got := node(t, test.rest.host(plantTree(t, files)))
			if got.BootID != "b00t" {
				t.Errorf("boot id is %q", got.BootID)
			}
			if diff := cmp.Diff(test.want(), got.PFs); diff != "" {
				t.Errorf("PFs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRepresentors finds each PF's representors whatever of the kernel's hints
// there are. Both PFs of a NIC share its switch ID.
func TestRepresentors(t *testing.T) {
	const first, second, id = "0000:3b:00.0", "0000:3b:00.1", "b83fd20003112230"
	uplinks := []host.Link{
		{Index: 2, Name: "ens1f0np0", ParentDevice: first, SwitchID: id, PortName: "p0"},
		{Index: 3, Name: "ens1f1np1", ParentDevice: second, SwitchID: id, PortName: "p1"},
	}
	port := func(pf string, vf, index int) host.DevlinkPort {
		return host.DevlinkPort{
			Handle: host.DevlinkOf(pf), Flavour: "pcivf", PFNumber: ptr(0), VFNumber: ptr(vf), NetdevIndex: index,
		}
	}
	tests := []struct {
		name  string
		links []host.Link
		ports []host.DevlinkPort
		want  map[string][]string
	}{
		{
			name: "parent and port name",
			links: []host.Link{
				{Index: 10, Name: "a", ParentDevice: first, SwitchID: id, PortName: "pf0vf1"},
				{Index: 11, Name: "b", ParentDevice: first, SwitchID: id, PortName: "pf0vf0"},
				{Index: 12, Name: "c", ParentDevice: second, SwitchID: id, PortName: "pf1vf0"},
			},
			want: map[string][]string{first: {"b", "a"}, second: {"c"}},
		},
		{
			name: "PF number and port name",
			links: []host.Link{
				{Index: 10, Name: "a", SwitchID: id, PortName: "pf0vf0"},
				{Index: 11, Name: "b", SwitchID: id, PortName: "pf1vf0"},
				{Index: 12, Name: "sf", SwitchID: id, PortName: "pf0sf88"},
				{Index: 13, Name: "other NIC", SwitchID: "00", PortName: "pf0vf1"},
			},
			want: map[string][]string{first: {"a"}, second: {"b"}},
		},
		{
			name: "devlink ports",
			links: []host.Link{
				{Index: 10, Name: "a"}, {Index: 11, Name: "b"},
			},
			ports: []host.DevlinkPort{
				port(first, 0, 10), port(second, 0, 11), port(second, 1, 0), port(second, 2, 99),
				{Handle: host.DevlinkOf(first), Flavour: "physical", NetdevIndex: 2},
				{Handle: host.DevlinkHandle{Bus: "netdevsim", Device: first}, Flavour: "pcivf", VFNumber: ptr(7), NetdevIndex: 10},
			},
			want: map[string][]string{first: {"a"}, second: {"b"}},
		},
		{
			name: "another controller's VFs have the same numbers",
			links: []host.Link{
				{Index: 10, Name: "a", ParentDevice: first, SwitchID: id, PortName: "pf0vf0"},
				{Index: 11, Name: "b", ParentDevice: first, SwitchID: id, PortName: "c1pf0vf0"},
			},
			ports: []host.DevlinkPort{port(first, 0, 10), port(first, 0, 11)},
			want:  map[string][]string{first: {"a"}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			files := map[string]string{boot: "b00t\n"}
			device(files, first, sriov(nil))
			device(files, second, sriov(nil))
			s := static{
				links: append(uplinks[:2:2], test.links...), ports: test.ports,
				mode: map[string]string{first: "switchdev", second: "switchdev"},
			}
			got := map[string][]string{}
			for _, pf := range node(t, s.host(plantTree(t, files))).PFs {
				for _, r := range pf.Representors {
					got[pf.PCIAddress] = append(got[pf.PCIAddress], r.Netdev.Name)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("representors (-want +got):\n%s", diff)
			}
		})
	}
}
