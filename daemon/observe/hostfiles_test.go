package observe_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/hostfile"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

func put(t *testing.T, k *simhost.Kernel, files map[string]string) {
	t.Helper()
	for name, content := range files {
		if err := k.PutFile(name, content); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHostFiles(t *testing.T) {
	k := simhost.New(simhost.Options{NetworkManager: true, ReadOnly: []string{"etc/NetworkManager"}})
	defer k.Close()
	put(t, k, map[string]string{hostfile.UdevRules: "mine"})
	n := node(t, k.Host())
	want := []inventory.HostFile{{Path: hostfile.NetworkManagerConf, ReadOnly: true}, {Path: hostfile.UdevRules, Exists: true, Content: "mine"}}
	if diff := cmp.Diff(want, n.Files); diff != "" || !n.NetworkManager {
		t.Errorf("NetworkManager %t, files:\n%s", n.NetworkManager, diff)
	}
	bare := simhost.New(simhost.Options{})
	defer bare.Close()
	if n := node(t, bare.Host()); n.Files != nil || n.NetworkManager {
		t.Errorf("on a bare host: %+v, NetworkManager %t", n.Files, n.NetworkManager)
	}
}

// A file that cannot be read is neither there nor missing; a link that leads
// nowhere is there.
func TestHostFileUnknown(t *testing.T) {
	k := simhost.New(simhost.Options{})
	defer k.Close()
	if _, err := k.Admin().Files.Link(t.Context(), hostfile.UdevRules, "nowhere"); err != nil {
		t.Fatal(err)
	}
	if f := node(t, k.Host()).Files; len(f) != 1 || !f[0].Exists || hostfile.Ours(f[0].Content) {
		t.Errorf("a link: %+v", f)
	}
	k.Fail(simhost.Fault{Op: "fs.ReadFile " + hostfile.UdevRules, Errno: syscall.EIO})
	f := node(t, k.Host()).Files
	if len(f) != 1 || f[0].Exists || !strings.Contains(f[0].Unreadable, "input/output error") {
		t.Errorf("got %+v", f)
	}
}

// Where the host says that it is read-only is what counts, not what its first
// mount says.
func TestReadOnly(t *testing.T) {
	for _, c := range []struct {
		readOnly []string
		want     bool
	}{
		{[]string{"etc"}, true}, {[]string{"etc/udev/rules.d"}, true}, {[]string{"etc/udev/rules"}, false}, {[]string{"usr"}, false},
	} {
		k := simhost.New(simhost.Options{ReadOnly: c.readOnly})
		if got := node(t, k.Host()); got.File(hostfile.UdevRules).ReadOnly != c.want {
			t.Errorf("%v: %+v", c.readOnly, got.Files)
		}
		k.Close()
	}
}

// Of files with the same name the one in the stronger folder counts; drop-ins add
// to a file; a masked file says nothing; what cannot be read is said.
func TestClaims(t *testing.T) {
	k := simhost.New(simhost.Options{})
	defer k.Close()
	put(t, k, map[string]string{
		"etc/systemd/network/10-a.link":          "[Match]\nOriginalName=a\n",
		"etc/systemd/network/10-a.link.d/b.conf": "[Link]\nSR-IOVVirtualFunctions=2\n",
		"etc/systemd/network/10-a.link.d/c.txt":  "[Link]\nSR-IOVVirtualFunctions=3\n",
		"usr/lib/systemd/network/10-a.link":      "[Match]\nOriginalName=other\n[Link]\nSR-IOVVirtualFunctions=9\n",
		"usr/lib/systemd/network/20-b.network":   "[Match]\nName=b\n[SR-IOV]\n",
		"usr/lib/systemd/network/30-c.network":   "[Match]\nName=c\n[SR-IOV]\n",
		"opt/real.yaml":                          "network: {ethernets: {d: {embedded-switch-mode: switchdev}}}",
		"etc/netplan/50.yaml":                    "network: [virtual-function",
		"etc/netplan/50.yml":                     "network: {ethernets: {e: {virtual-function-count: 1}}}",
	})
	for link, target := range map[string]string{
		"etc/systemd/network/30-c.network": "/dev/null", "etc/netplan/60.yaml": "/opt/real.yaml", "etc/netplan/70.yaml": "/opt/none.yaml",
	} {
		if _, err := k.Admin().Files.Link(t.Context(), link, target); err != nil {
			t.Fatal(err)
		}
	}
	n := node(t, k.Host())
	want := []inventory.Claim{
		{Owner: "netplan", Source: "etc/netplan/60.yaml", Setting: "ethernets.d.embedded-switch-mode: switchdev", Sets: true, Of: inventory.Selector{Names: []string{"d"}}},
		{Owner: "systemd-udevd", Source: "etc/systemd/network/10-a.link", Setting: "[Link] SR-IOVVirtualFunctions=2", Sets: true, Of: inventory.Selector{Names: []string{"a"}}},
		{Owner: "systemd-networkd", Source: "usr/lib/systemd/network/20-b.network", Setting: "[SR-IOV]", Of: inventory.Selector{Names: []string{"b"}}},
	}
	if diff := cmp.Diff(want, n.Claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if len(n.Unreadable) != 1 || n.Unreadable[0].Fact != "etc/netplan/50.yaml" || !strings.Contains(n.Unreadable[0].Reason, "not understood") {
		t.Errorf("unreadable: %+v", n.Unreadable)
	}
	k.Fail(simhost.Fault{Op: "fs.ReadDir etc/NetworkManager/system-connections", Errno: syscall.EACCES})
	n = node(t, k.Host())
	if len(n.Unreadable) != 2 || n.Unreadable[0].Fact != "etc/NetworkManager/system-connections" {
		t.Errorf("a folder that may not be read: %+v", n.Unreadable)
	}
}
