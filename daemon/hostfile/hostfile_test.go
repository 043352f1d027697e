package hostfile_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sriov-offload/sriov-offload-operator/daemon/hostfile"
)

const (
	pf0 = "0000:5f:00.0"
	pf1 = "0000:5f:00.1"
)

// pciUevent is the uevent attribute of a PCI function.
func pciUevent(address string) string {
	return "DRIVER=mlx5_core\nPCI_CLASS=20000\nPCI_ID=15B3:1017\nPCI_SLOT_NAME=" + address + "\nMODALIAS=pci:v000015B3"
}

func content(t *testing.T, path string, networkManager bool, devices ...hostfile.Device) string {
	t.Helper()
	files, problems := hostfile.Render(devices, networkManager)
	if len(problems) > 0 {
		t.Fatalf("problems: %v", problems)
	}
	i := slices.IndexFunc(files, func(f hostfile.File) bool { return f.Path == path })
	return files[i].Content
}

// What the rules make of each kind of netdev around two ports of a NIC.
func TestRules(t *testing.T) {
	rules := content(t, hostfile.UdevRules, false,
		hostfile.Device{PCIAddress: pf0, Netdev: "ens41f0np0", Pin: true, VFs: 12, Representors: 12},
		hostfile.Device{PCIAddress: pf1, Netdev: "ens41f1np1", VFs: 2},
	)
	child := func(of string, more ...string) netdev {
		d := netdev{"device/uevent": pciUevent(of)}
		for i := 0; i < len(more); i += 2 {
			d[more[i]] = more[i+1]
		}
		return d
	}
	port := func(of, name string) netdev { return child(of, "phys_switch_id", "b83fd2", "phys_port_name", name) }
	vfOf := func(pf string) netdev { return child("0000:5f:00.2", "device/physfn/uevent", pciUevent(pf)) }
	for _, c := range []struct {
		label, action string
		dev           netdev
		want          outcome
	}{
		{"PF in legacy mode", "add", child(pf0), outcome{name: "ens41f0np0"}},
		{"PF in switchdev mode", "add", port(pf0, "p0"), outcome{name: "ens41f0np0"}},
		{"PF that only changes", "change", port(pf0, "p0"), outcome{}},
		{"PF whose name is not kept", "add", child(pf1), outcome{}},
		{"another PF", "add", child("0000:3b:00.0"), outcome{}},
		{"representor of VF 1", "add", port(pf0, "pf0vf1"), outcome{name: "ens41f0np0_1", unmanaged: true}},
		{"representor of VF 11", "add", port(pf0, "pf0vf11"), outcome{name: "ens41f0np0_11", unmanaged: true}},
		{"representor of VF 1 on the second controller", "add", port(pf0, "c1pf0vf1"), outcome{unmanaged: true}},
		{"representor that a CNI has renamed", "change", port(pf0, "pf0vf1"), outcome{unmanaged: true}},
		{"representor that moved", "move", port(pf0, "pf0vf1"), outcome{unmanaged: true}},
		{"representor that goes", "remove", port(pf0, "pf0vf1"), outcome{}},
		{"representor of the second port", "add", port(pf1, "pf1vf1"), outcome{unmanaged: true}},
		{"representor of an SF", "add", port(pf0, "pf0sf88"), outcome{}},
		{"representor of the PF", "add", port(pf0, "pf0"), outcome{}},
		{"port name without a switch", "add", child(pf0, "phys_port_name", "pf0vf1"), outcome{}},
		{"VF", "add", vfOf(pf0), outcome{unmanaged: true}},
		{"VF of the second port", "change", vfOf(pf1), outcome{unmanaged: true}},
		{"VF of another PF", "add", vfOf("0000:3b:00.0"), outcome{}},
		{"SF of the PF", "add", netdev{"device/uevent": "DRIVER=mlx5_core.sf"}, outcome{}},
		{"veth", "add", netdev{}, outcome{}},
	} {
		if got := udev(t, rules, c.action, c.dev); got != c.want {
			t.Errorf("%s, %s: got %+v, want %+v", c.label, c.action, got, c.want)
		}
	}
}

func TestNetworkManagerConf(t *testing.T) {
	got := content(t, hostfile.NetworkManagerConf, true,
		hostfile.Device{PCIAddress: pf1, Netdev: "p4p1", VFs: 1},
		hostfile.Device{PCIAddress: pf0, Netdev: "ens41f0np0", VFs: 2, Representors: 2})
	_, settings, _ := strings.Cut(got, "[keyfile]\n")
	want := "unmanaged-devices+=interface-name:=ens41f0np0_0;interface-name:=ens41f0np0_1;" +
		"interface-name:=ens41f0v0;interface-name:=ens41f0np0v0;interface-name:=ens41f0v1;interface-name:=ens41f0np0v1;interface-name:=p4p1v0\n"
	if diff := cmp.Diff(want, settings); diff != "" {
		t.Error(diff)
	}
	if !hostfile.Ours(got) {
		t.Error("the file does not say whose it is")
	}
}

func TestNothingToSay(t *testing.T) {
	files, problems := hostfile.Render(nil, true)
	want := []hostfile.File{{Path: hostfile.NetworkManagerConf}, {Path: hostfile.UdevRules}}
	if diff := cmp.Diff(want, files); diff != "" || problems != nil {
		t.Error(diff, problems)
	}
	if got := content(t, hostfile.NetworkManagerConf, true, hostfile.Device{PCIAddress: pf0, Netdev: "a"}); got != "" {
		t.Errorf("without VFs: %q", got)
	}
	if got := content(t, hostfile.NetworkManagerConf, false, hostfile.Device{PCIAddress: pf0, Netdev: "a", VFs: 1}); got != "" {
		t.Errorf("without NetworkManager: %q", got)
	}
}

// A name that cannot be said is left out, with a reason; the rest is said.
func TestProblems(t *testing.T) {
	for _, c := range []struct {
		device hostfile.Device
		word   string
		names  bool
	}{
		{hostfile.Device{PCIAddress: pf0, Netdev: `a"b`, Pin: true, Representors: 1}, "characters", false},
		{hostfile.Device{PCIAddress: pf0, Netdev: "a*", Pin: true}, "characters", false},
		{hostfile.Device{PCIAddress: pf0, Netdev: "enp193s0f0np0", Pin: true, Representors: 11}, "enp193s0f0np0_10", true},
		{hostfile.Device{PCIAddress: "../x", Netdev: "a", Pin: true}, "no PCI address", false},
	} {
		files, problems := hostfile.Render([]hostfile.Device{c.device}, true)
		if len(problems) != 1 || !strings.Contains(problems[0].Message, c.word) || problems[0].PCIAddress != c.device.PCIAddress {
			t.Errorf("%+v: problems %v", c.device, problems)
		}
		if rules := files[1].Content; strings.Contains(rules, "NAME=\"") != c.names || strings.Contains(rules, "vf0\", NAME") {
			t.Errorf("%+v: %s", c.device, rules)
		}
	}
	if _, problems := hostfile.Render([]hostfile.Device{{PCIAddress: pf0, Netdev: "enp193s0f0np0", Representors: 10}}, false); problems != nil {
		t.Errorf("names of 15 characters: %v", problems)
	}
}

// Whatever the kernel calls a netdev, no rule gets more words than we wrote, and
// the order of the devices says nothing.
func TestNames(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		devices := rapid.SliceOfDistinct(rapid.Custom(func(rt *rapid.T) hostfile.Device {
			return hostfile.Device{
				PCIAddress: fmt.Sprintf("0000:%02x:00.%d", rapid.Byte().Draw(rt, "bus"), rapid.IntRange(0, 7).Draw(rt, "function")),
				Netdev:     rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z0-9"$%{}*?,\[\]|\\-]{1,15}`), rapid.StringMatching(`[a-z0-9_.-]{1,15}`)).Draw(rt, "name"),
				Pin:        rapid.Bool().Draw(rt, "pin"),
				VFs:        rapid.IntRange(0, 12).Draw(rt, "vfs"), Representors: rapid.IntRange(0, 12).Draw(rt, "representors"),
			}
		}), func(d hostfile.Device) string { return d.PCIAddress }).Draw(rt, "devices")
		files, _ := hostfile.Render(devices, true)
		for action := range strings.FieldsSeq("add change") {
			got := udev(t, files[1].Content, action, netdev{"device/uevent": pciUevent("0000:00:00.0"), "phys_port_name": "p0"})
			if got.name != "" && !hostfile.SoundName(got.name) {
				rt.Fatalf("named %q", got.name)
			}
		}
		for line := range strings.Lines(files[0].Content) {
			if !strings.HasPrefix(line, "#") && line != "[keyfile]\n" && !strings.HasPrefix(line, "unmanaged-devices+=") {
				rt.Fatalf("line %q", line)
			}
		}
		slices.Reverse(devices)
		again, _ := hostfile.Render(devices, true)
		if diff := cmp.Diff(files, again); diff != "" {
			rt.Fatalf("in another order:\n%s", diff)
		}
	})
}
