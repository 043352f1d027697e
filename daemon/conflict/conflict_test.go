package conflict_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/sriov-offload/sriov-offload-operator/daemon/conflict"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// parse has a file parsed as the first place does that has its folder.
func parse(t *testing.T, folder, name, content string) ([]inventory.Claim, error) {
	t.Helper()
	for _, p := range conflict.Places() {
		if p.Folder == folder && p.Counts(name) {
			return p.Claims(name, content)
		}
	}
	t.Fatalf("nobody reads %s/%s", folder, name)
	return nil, nil
}

const (
	profiles = "etc/NetworkManager/system-connections"
	confs    = "etc/NetworkManager/conf.d"
	netplan  = "etc/netplan"
	networkd = "etc/systemd/network"
	operator = "etc/sriov-operator"
)

func TestClaims(t *testing.T) {
	names := func(all ...string) inventory.Selector { return inventory.Selector{Names: all} }
	at := func(all ...string) inventory.Selector { return inventory.Selector{PCIAddresses: all} }
	mac := inventory.Selector{MACs: []string{"b8:3f:d2:00:00:01"}}
	for _, c := range []struct {
		label, folder, name, content string
		want                         []inventory.Claim
	}{
		{"profile by name", profiles, "uplink.nmconnection", "[connection]\nid=uplink\ninterface-name=ens1f0\n\n[sriov]\ntotal-vfs=4\neswitch-mode=1\n",
			[]inventory.Claim{{Owner: "NetworkManager", Setting: "[sriov] total-vfs=4 eswitch-mode=1", Sets: true, Of: names("ens1f0")}}},
		{"profile that sets no number sets 0", profiles, "a", "[connection]\n[ethernet]\nmac-address=B8:3F:D2:00:00:01\n[sriov]\n",
			[]inventory.Claim{{Owner: "NetworkManager", Setting: "[sriov]", Sets: true, Of: mac}}},
		{"profile with an old address", profiles, "a", "[802-3-ethernet]\nmac-address=184;63;210;0;0;1;\n[sriov]\n",
			[]inventory.Claim{{Owner: "NetworkManager", Setting: "[sriov]", Sets: true, Of: mac}}},
		{"profile by patterns", profiles, "a", "[match]\ninterface-name=!lo;ens1f*;\npath=pci-0000:5f:00.0;\n[sriov]\ntotal-vfs=2",
			[]inventory.Claim{{Owner: "NetworkManager", Setting: "[sriov] total-vfs=2", Sets: true,
				Of: inventory.Selector{Names: []string{"ens1f*"}, PCIAddresses: []string{"0000:5f:00.0"}}}}},
		{"profile for anything", profiles, "a", "[connection]\nid=sriov\n[sriov]\ntotal-vfs=2",
			[]inventory.Claim{{Owner: "NetworkManager", Setting: "[sriov] total-vfs=2", Sets: true}}},
		{"profile without the setting", profiles, "a", "[connection]\nid=sriov\ninterface-name=ens1f0\n", nil},
		{"settings of devices", confs, "a.conf", "[device-mlx]\nmatch-device=interface-name:ens1*;mac:B8:3F:D2:00:00:01,driver:mlx5_core/5.0,except:interface-name:x\nsriov-num-vfs=8\n[device]\nsriov-num-vfs=1\n[main]\nsriov-num-vfs=2\n",
			[]inventory.Claim{
				{Owner: "NetworkManager", Setting: "[device-mlx] sriov-num-vfs=8", Sets: true, Of: names("ens1*")},
				{Owner: "NetworkManager", Setting: "[device-mlx] sriov-num-vfs=8", Sets: true, Of: mac},
				{Owner: "NetworkManager", Setting: "[device-mlx] sriov-num-vfs=8", Sets: true, Of: inventory.Selector{Drivers: []string{"mlx5_core"}}},
				{Owner: "NetworkManager", Setting: "[device] sriov-num-vfs=1", Sets: true, Of: names("*")},
			}},
		{"netplan", netplan, "50-sriov.yaml", `network:
  version: 2
  ethernets:
    pf0: {match: {driver: [mlx5_core, "ixgbe*"], macaddress: "B8:3F:D2:00:00:01"}, virtual-function-count: 4, embedded-switch-mode: switchdev, delay-virtual-functions-rebind: true}
    ens1f1: {delay-virtual-functions-rebind: true}
    pf2: {match: {name: "ens1f2*", driver: ice}, set-name: uplink2}
    vf: {link: pf2}
    other: {link: ens9}
    plain: {dhcp4: true}
    empty:
`, []inventory.Claim{
			{Owner: "netplan", Setting: "ethernets.ens1f1.delay-virtual-functions-rebind: true", Of: names("ens1f1")},
			{Owner: "netplan", Setting: "ethernets.other.link: ens9", Sets: true, Of: names("ens9")},
			{Owner: "netplan", Setting: "ethernets.pf0.virtual-function-count: 4", Sets: true,
				Of: inventory.Selector{MACs: mac.MACs, Drivers: []string{"mlx5_core", "ixgbe*"}}},
			{Owner: "netplan", Setting: "ethernets.pf0.embedded-switch-mode: switchdev", Sets: true,
				Of: inventory.Selector{MACs: mac.MACs, Drivers: []string{"mlx5_core", "ixgbe*"}}},
			{Owner: "netplan", Setting: "ethernets.vf.link: pf2", Sets: true,
				Of: inventory.Selector{Names: []string{"ens1f2*", "uplink2"}, Drivers: []string{"ice"}}},
		}},
		{"netplan without SR-IOV", netplan, "a.yaml", "network: {vlans: {v: {id: 3, link: ens1}}, ethernets: {ens1: {dhcp4: true}}}", nil},
		{"link", networkd, "10-a.link", "# a comment\n[Match]\nPath=pci-0000:5f:00.0\nDriver=mlx5_core \\\n ice\nOriginalName=!lo\n\n[Link]\nName=up0\nSR-IOVVirtualFunctions=4\n[SR-IOV]\nVirtualFunction=0\n[SR-IOV]\nVirtualFunction=3\nTrust=yes\n",
			[]inventory.Claim{
				{Owner: "systemd-udevd", Setting: "[Link] SR-IOVVirtualFunctions=4", Sets: true,
					Of: inventory.Selector{PCIAddresses: []string{"0000:5f:00.0"}, Drivers: []string{"mlx5_core", "ice"}}},
				{Owner: "systemd-udevd", Setting: "[SR-IOV] VirtualFunction=0,3",
					Of: inventory.Selector{PCIAddresses: []string{"0000:5f:00.0"}, Drivers: []string{"mlx5_core", "ice"}}},
			}},
		{"network", networkd, "10-a.network", "[Match]\nName=ens1f0 ens1f1\nPermanentMACAddress=b8-3f-d2-00-00-01\n[SR-IOV]\nMACSpoofCheck=no\n",
			[]inventory.Claim{{Owner: "systemd-networkd", Setting: "[SR-IOV]", Of: inventory.Selector{Names: []string{"ens1f0", "ens1f1"}, MACs: mac.MACs}}}},
		{"network with the key of a link", networkd, "10-a.network", "[Match]\nName=ens1f0\n[Link]\nSR-IOVVirtualFunctions=4\n", nil},
		{"operator at boot", operator, "sriov-interface-config.yaml", "spec:\n  interfaces:\n  - pciaddress: \"0000:5f:00.0\"\n    numvfs: 4\n    eswitchmode: switchdev\n  - {pciAddress: \"0000:5f:00.1\", numVfs: 2, externallyManaged: true}\n",
			[]inventory.Claim{
				{Owner: "sriov-network-operator", Setting: "0000:5f:00.0 numVfs: 4 eSwitchMode: switchdev", Sets: true, Of: at("0000:5f:00.0")},
				{Owner: "sriov-network-operator", Setting: "0000:5f:00.1 numVfs: 2", Of: at("0000:5f:00.1")},
			}},
		{"operator of old", operator, "sriov_config.json", `{"interfaces": [{"pciAddress": "0000:5f:00.0", "numVfs": 1}]}`,
			[]inventory.Claim{{Owner: "sriov-network-operator", Setting: "0000:5f:00.0 numVfs: 1", Sets: true, Of: at("0000:5f:00.0")}}},
		{"what an operator did", operator + "/pci", "0000:5f:00.0", `{"pciAddress": "0000:5f:00.0", "numVfs": 3}`,
			[]inventory.Claim{{Owner: "sriov-network-operator", Setting: "0000:5f:00.0 numVfs: 3", Of: at("0000:5f:00.0")}}},
		{"unit", "etc/systemd/system", "sriov-config.service", "[Service]\n",
			[]inventory.Claim{{Owner: "sriov-network-operator", Setting: "a service that sets up PFs at boot"}}},
		{"rules", "lib/udev/rules.d", "82-net-setup-link.rules", "# vf-net-link-name.sh\nIMPORT{program}=\"/etc/infiniband/vf-net-link-name.sh $attr{phys_port_name}\"\n",
			[]inventory.Claim{{Owner: "mlnx-tools", Setting: "names for representors"}}},
		{"no rules", "lib/udev/rules.d", "82-net-setup-link.rules", "# vf-net-link-name.sh\n", nil},
		{"hook", "etc/modprobe.d", "mlnx-eswitch.conf", "install mlx5_ib /sbin/modprobe --ignore-install mlx5_ib && /sbin/mlnx_eswitch_set.sh\n",
			[]inventory.Claim{{Owner: "mlnx-tools", Setting: "a script that sets eswitch modes", Sets: true}}},
	} {
		got, err := parse(t, c.folder, c.name, c.content)
		if err != nil {
			t.Errorf("%s: %v", c.label, err)
		}
		for i := range c.want {
			c.want[i].Source = c.folder + "/" + c.name
		}
		if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.label, diff)
		}
	}
}

// What mentions SR-IOV and cannot be understood is an error; what does not mention
// it is nobody's business.
func TestNotUnderstood(t *testing.T) {
	for _, c := range []struct{ folder, name, content string }{
		{profiles, "a", "[sriov\n"},
		{profiles, "a", "total-vfs=1\n[sriov]\n"},
		{profiles, "a", "[sriov]\ntotal-vfs\n"},
		{profiles, "a", "[sriov]\n\x00"},
		{networkd, "a.network", "[SR-IOV]\nx"},
		{netplan, "a.yaml", "network: [virtual-function-count"},
		{netplan, "a.yaml", "network: {ethernets: {a: {virtual-function-count: many}}}"},
		{operator, "sriov_config.json", "{"},
	} {
		if claims, err := parse(t, c.folder, c.name, c.content); err == nil {
			t.Errorf("%s %q: no error, %v", c.folder, c.content, claims)
		}
	}
	for folder, name := range map[string]string{profiles: "a", networkd: "a.link", netplan: "a.yaml", confs: "a.conf"} {
		if claims, err := parse(t, folder, name, "[[[ \x00"); err != nil || claims != nil {
			t.Errorf("%s: %v, %v", folder, claims, err)
		}
	}
}

func TestCounts(t *testing.T) {
	for _, p := range conflict.Places() {
		for _, name := range []string{".hidden.conf", "a.conf~", ".82-net-setup-link.rules"} {
			if p.Counts(name) {
				t.Errorf("%s: %s counts", p.Folder, name)
			}
		}
	}
}

func TestFits(t *testing.T) {
	pf := &inventory.PF{PCIAddress: "0000:5f:00.0", Driver: "mlx5_core",
		Netdev: &inventory.Netdev{Name: "ens1f0", AltNames: []string{"enp95s0f0"}, MAC: "B8:3f:d2:00:00:01"}}
	for _, c := range []struct {
		of   inventory.Selector
		want bool
	}{
		{inventory.Selector{}, false},
		{inventory.Selector{Names: []string{"ens1f0"}}, true},
		{inventory.Selector{Names: []string{"ens2", "enp*f0"}}, true},
		{inventory.Selector{Names: []string{"ens1f"}}, false},
		{inventory.Selector{Names: []string{"ens1f0?"}}, false},
		{inventory.Selector{Names: []string{"*1*0"}, Drivers: []string{"mlx5_core"}}, true},
		{inventory.Selector{Names: []string{"ens1f0"}, Drivers: []string{"ice"}}, false},
		{inventory.Selector{MACs: []string{"b8:3f:d2:00:00:01"}}, true},
		{inventory.Selector{MACs: []string{"b8:3f:d2:00:00:02"}}, false},
		{inventory.Selector{PCIAddresses: []string{"0000:5f:00.0"}}, true},
		{inventory.Selector{PCIAddresses: []string{"0000:5f:00.1"}}, false},
	} {
		if got := conflict.Fits(c.of, pf); got != c.want {
			t.Errorf("%+v: %t", c.of, got)
		}
	}
	if conflict.Fits(inventory.Selector{Names: []string{"*"}}, &inventory.PF{}) {
		t.Error("a name fits a PF without netdev")
	}
}

// A pattern made of a text, with parts of it left to * and ?, fits it.
func TestPatterns(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringMatching(`[ab]{1,8}`).Draw(rt, "text")
		pattern := ""
		for i := 0; i < len(text); i++ {
			switch rapid.IntRange(0, 3).Draw(rt, "part") {
			case 0:
				pattern += "?"
			case 1:
				pattern += "*"
				i += rapid.IntRange(-1, len(text)-i-1).Draw(rt, "taken")
			default:
				pattern += text[i : i+1]
			}
		}
		pf := &inventory.PF{Driver: text}
		if !conflict.Fits(inventory.Selector{Drivers: []string{pattern}}, pf) {
			rt.Fatalf("%q does not fit %q", pattern, text)
		}
		if conflict.Fits(inventory.Selector{Drivers: []string{pattern + "c"}}, pf) {
			rt.Fatalf("%q fits %q", pattern+"c", text)
		}
	})
}

// Whatever is in a file: an answer, and no claim that leads out of it.
func FuzzClaims(f *testing.F) {
	for _, content := range []string{
		"[connection]\ninterface-name=a\n[sriov]\ntotal-vfs=1\n", "[device]\nsriov-num-vfs=1\nmatch-device=*",
		"network: {ethernets: {a: {match: {driver: [x]}, virtual-function-count: 1}, b: {link: a}}}", "network: {ethernets: {a: , b: {link: a}}}",
		"[Match]\nName=a\n[Link]\nSR-IOVVirtualFunctions=1\n[SR-IOV]\nVirtualFunction=0\\\n", "spec: {interfaces: [{pciAddress: x, numVfs: 1}]}",
		"{\"pciAddress\": \"a\"}", "a: &a [*a]", "[sriov]\n=\n", "\\\n\\",
	} {
		f.Add(content)
	}
	places := conflict.Places()
	f.Fuzz(func(t *testing.T, content string) {
		for _, p := range places {
			name := "a"
			switch {
			case len(p.Names) > 0:
				name = p.Names[0]
			case len(p.Suffixes) > 0:
				name += p.Suffixes[len(p.Suffixes)-1]
			}
			claims, err := p.Claims(name, content)
			if err != nil && len(claims) > 0 {
				t.Errorf("%s: claims with an error: %v", p.Folder, claims)
			}
			for _, c := range claims {
				if c.Owner == "" || c.Setting == "" || !strings.HasPrefix(c.Source, p.Folder+"/") {
					t.Errorf("%s: %+v", p.Folder, c)
				}
				if slices.Contains(slices.Concat(c.Of.Names, c.Of.PCIAddresses, c.Of.Drivers, c.Of.MACs), "") && c.Of.PCIAddresses == nil {
					t.Errorf("%s: an empty pattern: %+v", p.Folder, c)
				}
				conflict.Fits(c.Of, &inventory.PF{PCIAddress: content})
			}
		}
	})
}
