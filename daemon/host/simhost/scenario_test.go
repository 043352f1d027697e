package simhost_test

import (
	"errors"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

func hasLink(t *testing.T, h host.Host, name string) bool {
	t.Helper()
	links, err := h.Links.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if l.Name == name {
			return true
		}
	}
	return false
}

// A VF's netdev is away while a pod holds it, and comes back changed.
func TestPodTakesVF(t *testing.T) {
	k := connectX5(t)
	h := k.Host()
	write(t, h, attr(pf0, "sriov_numvfs"), "2")
	before := linkNamed(t, h, "ens41f0v1")
	if err := k.AssignVF("0000:5f:00.3", "default/web"); err != nil {
		t.Fatal(err)
	}
	if hasLink(t, h, "ens41f0v1") {
		t.Error("the netdev is still in the host's network namespace")
	}
	if _, err := h.FS.ReadDir(t.Context(), attr("0000:5f:00.3", "net")); err == nil {
		t.Error("sysfs still lists the netdev")
	}
	owners, err := h.Pods.DeviceOwners(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"0000:5f:00.3": "default/web"}, owners); diff != "" {
		t.Error(diff)
	}
	if err := k.AssignVF("0000:5f:00.3", "default/other"); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("a second pod: %v", err)
	}
	if err := k.ReleaseVF("0000:5f:00.3"); err != nil {
		t.Fatal(err)
	}
	if after := linkNamed(t, h, "ens41f0v1"); after.Index == before.Index || after.MAC != before.MAC {
		t.Errorf("was %+v, is %+v", before, after)
	}
	k.PodsUnavailable(errors.New("connection refused"))
	if _, err := h.Pods.DeviceOwners(t.Context()); err == nil {
		t.Error("pod resources answered")
	}
}

// The number of VFs set to 0 takes a VF out of a running pod; the kubelet does
// not notice.
func TestVFsTornOutOfPod(t *testing.T) {
	k := connectX5(t)
	write(t, k.Admin(), attr(pf0, "sriov_numvfs"), "1")
	if err := k.AssignVF("0000:5f:00.2", "default/web"); err != nil {
		t.Fatal(err)
	}
	write(t, k.Admin(), attr(pf0, "sriov_numvfs"), "0")
	write(t, k.Admin(), attr(pf0, "sriov_numvfs"), "1")
	if !hasLink(t, k.Host(), "ens41f0v0") {
		t.Error("the new VF's netdev is not in the host's network namespace")
	}
	owners, err := k.Host().Pods.DeviceOwners(t.Context())
	if err != nil || owners["0000:5f:00.2"] != "default/web" {
		t.Errorf("owners %v, %v", owners, err)
	}
	if got := k.Forbidden(); len(got) > 0 {
		t.Errorf("an administrator may do this: %v", got)
	}
}

func TestBondRules(t *testing.T) {
	k := connectX5(t)
	h := k.Host()
	errno := func(err error) syscall.Errno { return refusalOf(t, err).Errno }
	if got := errno(k.AddBond("bond1", simhost.BondOptions{Mode: "no-such-mode"})); got != syscall.EINVAL {
		t.Errorf("an unknown mode: %v", got)
	}
	if err := k.AddBond("bond1", simhost.BondOptions{Mode: "802.3ad", MTU: 9000}); err != nil {
		t.Fatal(err)
	}
	if got := errno(k.AddBond("bond1", simhost.BondOptions{})); got != syscall.EEXIST {
		t.Errorf("a second bond1: %v", got)
	}
	want := refusal{syscall.EPERM, "Device can not be enslaved while up"}
	if got := refusalOf(t, k.Enslave("bond1", "ens41f0np0")); got != want {
		t.Errorf("a member that is up: %v", got)
	}
	enslave(t, k, "ens41f0np0", "ens41f1np1")
	if got := errno(k.SetBondMode("bond1", "active-backup")); got != syscall.ENOTEMPTY {
		t.Errorf("mode with members: %v", got)
	}
	bond, member := linkNamed(t, h, "bond1"), linkNamed(t, h, "ens41f1np1")
	if member.MasterIndex != bond.Index || member.MAC != "08:c0:eb:f4:85:ab" || bond.MAC != member.MAC || member.MTU != 9000 || !member.Up {
		t.Errorf("bond %+v, member %+v", bond, member)
	}
	if err := k.Release("ens41f1np1"); err != nil {
		t.Fatal(err)
	}
	if l := linkNamed(t, h, "ens41f1np1"); l.MasterIndex != 0 || l.MAC != "08:c0:eb:f4:85:bb" || l.Up {
		t.Errorf("after release: %+v", l)
	}
	if err := k.DeleteBond("bond1"); err != nil {
		t.Fatal(err)
	}
	if hasLink(t, h, "bond1") || linkNamed(t, h, "ens41f0np0").MasterIndex != 0 {
		t.Error("the bond is still there")
	}
}

// enslave sets netdevs down and makes them members of bond1.
func enslave(t *testing.T, k *simhost.Kernel, netdevs ...string) {
	t.Helper()
	for _, name := range netdevs {
		admin := k.Admin()
		if err := admin.Links.SetUp(t.Context(), linkNamed(t, admin, name).Index, false); err != nil {
			t.Fatal(err)
		}
		if err := k.Enslave("bond1", name); err != nil {
			t.Fatal(err)
		}
	}
}

// VF-LAG comes some time after the bond, needs unbound VFs on both ports to
// come and to go, and both eswitches in one mode.
func TestVFLAG(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := simhost.New(simhost.Options{
			NICs: []simhost.NIC{simhost.ConnectX5()}, Delays: simhost.TypicalDelays(),
		})
		defer k.Close()
		h := k.Host()
		for _, pf := range []string{pf0, pf1} {
			write(t, h, attr(pf, "sriov_drivers_autoprobe"), "0")
			write(t, h, attr(pf, "sriov_numvfs"), "1")
			k.Settle()
			if err := h.Devlink.SetEswitchMode(t.Context(), host.DevlinkOf(pf), "switchdev"); err != nil {
				t.Fatal(err)
			}
			write(t, h, attr(pf, "sriov_drivers_autoprobe"), "1")
		}
		if err := k.AddBond("bond1", simhost.BondOptions{Mode: "802.3ad"}); err != nil {
			t.Fatal(err)
		}
		enslave(t, k, "ens41f0np0", "ens41f1np1")
		if got := k.LAG(pf0); got != "disabled" {
			t.Errorf("LAG is %s at once", got)
		}
		k.Settle()
		state, err := h.FS.ReadFile(t.Context(), "sys/kernel/debug/mlx5/"+pf1+"/lag/state")
		if err != nil || string(state) != "active\n" || k.LAG(pf0) != "active" {
			t.Errorf("LAG is %q (%v), %s", state, err, k.LAG(pf0))
		}
		write(t, h, "sys/bus/pci/drivers_probe", "0000:5f:00.2")
		if err := k.DeleteBond("bond1"); err != nil {
			t.Fatal(err)
		}
		k.Settle()
		if got := k.LAG(pf0); got != "broken" {
			t.Errorf("LAG is %s after it was taken down with a bound VF", got)
		}
	})
}

// VFs that are bound before the bond is made keep the LAG away for good.
func TestVFLAGNeedsUnboundVFs(t *testing.T) {
	k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}})
	defer k.Close()
	switchdev(t, k, pf0, "ens41f0np0", 1)
	switchdev(t, k, pf1, "ens41f1np1", 1)
	if err := k.AddBond("bond1", simhost.BondOptions{Mode: "active-backup"}); err != nil {
		t.Fatal(err)
	}
	enslave(t, k, "ens41f0np0", "ens41f1np1")
	if got := k.LAG(pf0); got != "disabled" {
		t.Errorf("LAG is %s", got)
	}
	write(t, k.Admin(), "sys/bus/pci/drivers/mlx5_core/unbind", "0000:5f:00.2")
	write(t, k.Admin(), "sys/bus/pci/drivers/mlx5_core/unbind", "0000:5f:01.2")
	if got := k.LAG(pf0); got != "disabled" {
		t.Errorf("LAG is %s as soon as VFs are unbound", got)
	}
	if err := k.Release("ens41f1np1"); err != nil {
		t.Fatal(err)
	}
	enslave(t, k, "ens41f1np1")
	if got := k.LAG(pf0); got != "active" {
		t.Errorf("LAG is %s after the member came back", got)
	}
	if bond := linkNamed(t, k.Host(), "bond1"); bond.BondActive != linkNamed(t, k.Host(), "ens41f0np0").Index {
		t.Errorf("bond %+v", bond)
	}
}

func TestRenameKeepsIdentity(t *testing.T) {
	k := connectX5(t)
	h := k.Host()
	before := linkNamed(t, h, "ens41f0np0")
	if err := k.RenameLink("ens41f0np0", "eth7"); err != nil {
		t.Fatal(err)
	}
	if got := linkNamed(t, h, "eth7").Index; got != before.Index {
		t.Errorf("ifindex was %d, is %d", before.Index, got)
	}
	if err := k.RenameLink("eth7", "eno1"); !errors.Is(err, syscall.EEXIST) {
		t.Errorf("a name that is taken: %v", err)
	}
}

func TestUnplug(t *testing.T) {
	k := connectX5(t)
	before := k.Dump()
	switchdev(t, k, pf0, "ens41f0np0", 2)
	if err := k.Unplug(pf0); err != nil {
		t.Fatal(err)
	}
	names, err := k.Host().FS.ReadDir(t.Context(), "sys/bus/pci/devices")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"0000:00:00.0", "0000:00:1f.6", pf1}, names); diff != "" {
		t.Error(diff)
	}
	k.Reboot()
	if diff := cmp.Diff(before, k.Dump()); diff != "" {
		t.Error(diff)
	}
}

// On mlx5 the representors' parent device is the PF, and both ports of a card
// have one switch id: only the port name tells them apart.
func TestRepresentorsOfTwoPorts(t *testing.T) {
	k := connectX5(t)
	switchdev(t, k, pf0, "ens41f0np0", 1)
	switchdev(t, k, pf1, "ens41f1np1", 1)
	h := k.Host()
	a, b := linkNamed(t, h, "ens41f0r0"), linkNamed(t, h, "ens41f1r0")
	if a.SwitchID == "" || a.SwitchID != b.SwitchID || a.PortName != "pf0vf0" || b.PortName != "pf1vf0" {
		t.Errorf("representors %+v and %+v", a, b)
	}
	names, err := h.FS.ReadDir(t.Context(), attr(pf1, "net"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ens41f1np1", "ens41f1r0"}, names); diff != "" {
		t.Error(diff)
	}
}

// The members of a bond that carries the node's network carry it, too.
func TestNodeNetworkOnBond(t *testing.T) {
	k := connectX5(t)
	h := k.Host()
	if err := k.AddBond("bond1", simhost.BondOptions{Mode: "active-backup"}); err != nil {
		t.Fatal(err)
	}
	enslave(t, k, "ens41f0np0", "ens41f1np1")
	k.SetNodeNetwork("eno1", "")
	k.SetNodeNetwork("bond1", "carries the default route")
	below := "is below bond1, which carries the default route"
	want := map[int]string{
		linkNamed(t, h, "bond1").Index:      "carries the default route",
		linkNamed(t, h, "ens41f0np0").Index: below,
		linkNamed(t, h, "ens41f1np1").Index: below,
	}
	got, err := h.Links.NodeNetwork(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	write(t, h, attr(pf0, "sriov_numvfs"), "1")
	forbidden := []string{"0000:5f:00.0: changing the number of VFs while ens41f0np0 " + below}
	if diff := cmp.Diff(forbidden, k.Forbidden()); diff != "" {
		t.Error(diff)
	}
}
