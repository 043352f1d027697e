package simhost_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

var _ ledger.Store = (*simhost.Store)(nil)

const (
	pf0 = "0000:5f:00.0"
	pf1 = "0000:5f:00.1"
)

// attr is the path of an attribute of a PCI function.
func attr(address, name string) string { return "sys/bus/pci/devices/" + address + "/" + name }

func write(t *testing.T, h host.Host, path, data string) {
	t.Helper()
	if err := h.FS.WriteFile(t.Context(), path, []byte(data)); err != nil {
		t.Fatal(err)
	}
}

func linkNamed(t *testing.T, h host.Host, name string) host.Link {
	t.Helper()
	links, err := h.Links.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if l.Name == name {
			return l
		}
	}
	t.Fatalf("no link %s in %v", name, links)
	return host.Link{}
}

// switchdev configures the first PF as the offload guides do.
func switchdev(t *testing.T, k *simhost.Kernel, pf, netdev string, vfs int) {
	t.Helper()
	h := k.Host()
	write(t, h, attr(pf, "sriov_drivers_autoprobe"), "0")
	write(t, h, attr(pf, "sriov_numvfs"), fmt.Sprint(vfs))
	if err := h.Devlink.SetEswitchMode(t.Context(), host.DevlinkOf(pf), "switchdev"); err != nil {
		t.Fatal(err)
	}
	if err := h.Ethtool.SetFeature(t.Context(), netdev, host.FeatureHWTCOffload, true); err != nil {
		t.Fatal(err)
	}
	if err := h.Links.SetUp(t.Context(), linkNamed(t, h, netdev).Index, true); err != nil {
		t.Fatal(err)
	}
	write(t, h, attr(pf, "sriov_drivers_autoprobe"), "1")
	for i := range vfs {
		target, err := h.FS.ReadLink(t.Context(), attr(pf, fmt.Sprintf("virtfn%d", i)))
		if err != nil {
			t.Fatal(err)
		}
		write(t, h, "sys/bus/pci/drivers_probe", strings.TrimPrefix(target, "../"))
	}
}

const guideState = `0000:5f:00.0 15b3:1017 driver mlx5_core numvfs 3/3 autoprobe true eswitch switchdev steering dmfs
  netdev ens41f0np0 up mtu 1500 mac 08:c0:eb:f4:85:ab hw-tc-offload true
  vf 0 0000:5f:00.2 15b3:1018 driver mlx5_core
    netdev ens41f0v0 down mtu 1500 mac 02:5e:00:00:5f:02 hw-tc-offload false
  vf 1 0000:5f:00.3 15b3:1018 driver mlx5_core
    netdev ens41f0v1 down mtu 1500 mac 02:5e:00:00:5f:03 hw-tc-offload false
  vf 2 0000:5f:00.4 15b3:1018 driver mlx5_core
    netdev ens41f0v2 down mtu 1500 mac 02:5e:00:00:5f:04 hw-tc-offload false
  representor 0 ens41f0r0 down mtu 1500 mac 0a:5e:00:00:5f:02 hw-tc-offload true
  representor 1 ens41f0r1 down mtu 1500 mac 0a:5e:00:00:5f:03 hw-tc-offload true
  representor 2 ens41f0r2 down mtu 1500 mac 0a:5e:00:00:5f:04 hw-tc-offload true
0000:5f:00.1 15b3:1017 driver mlx5_core numvfs 3/3 autoprobe true eswitch switchdev steering dmfs
  netdev ens41f1np1 up mtu 1500 mac 08:c0:eb:f4:85:bb hw-tc-offload true
  vf 0 0000:5f:00.5 15b3:1018 driver mlx5_core
    netdev ens41f1v0 down mtu 1500 mac 02:5e:00:00:5f:05 hw-tc-offload false
  vf 1 0000:5f:00.6 15b3:1018 driver mlx5_core
    netdev ens41f1v1 down mtu 1500 mac 02:5e:00:00:5f:06 hw-tc-offload false
  vf 2 0000:5f:00.7 15b3:1018 driver mlx5_core
    netdev ens41f1v2 down mtu 1500 mac 02:5e:00:00:5f:07 hw-tc-offload false
  representor 0 ens41f1r0 down mtu 1500 mac 0a:5e:00:00:5f:05 hw-tc-offload true
  representor 1 ens41f1r1 down mtu 1500 mac 0a:5e:00:00:5f:06 hw-tc-offload true
  representor 2 ens41f1r2 down mtu 1500 mac 0a:5e:00:00:5f:07 hw-tc-offload true
node network: eno1 carries the default route
`

// The state at the end of the Kube-OVN guide, addresses included.
func TestGuide(t *testing.T) {
	k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5(simhost.TotalVFs(3))}})
	defer k.Close()
	switchdev(t, k, pf0, "ens41f0np0", 3)
	switchdev(t, k, pf1, "ens41f1np1", 3)
	if diff := cmp.Diff(guideState, k.Dump()); diff != "" {
		t.Error(diff)
	}
	if got := k.Forbidden(); len(got) > 0 {
		t.Error(got)
	}
}

// The same with the delays of real machines: everything arrives in the end.
func TestGuideWithDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := simhost.New(simhost.Options{
			NICs:   []simhost.NIC{simhost.ConnectX5(simhost.TotalVFs(3))},
			Delays: simhost.TypicalDelays(),
		})
		defer k.Close()
		h := k.Host()
		write(t, h, attr(pf0, "sriov_numvfs"), "3")
		if _, err := h.FS.ReadLink(t.Context(), attr(pf0, "virtfn0")); err == nil {
			t.Error("VFs appeared without delay")
		}
		k.Settle()
		linkNamed(t, h, "ens41f0v2")
	})
}
