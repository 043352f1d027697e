package simhost_test

import (
	"errors"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/hosttest"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

// The simulated Open vSwitch follows the rules of a real one: daemon/host/ovs runs
// the same specification.
func TestOVSConformance(t *testing.T) {
	for name, delays := range map[string]simhost.Delays{"at once": {}, "typical delays": simhost.TypicalDelays()} {
		t.Run(name, func(t *testing.T) {
			hosttest.OVS(t, synctest.Test, func(t *testing.T) hosttest.OVSMachine {
				k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}, Delays: delays})
				t.Cleanup(k.Close)
				return hosttest.OVSMachine{
					OVS: k.Host().OVS, Netdevs: [2]string{uplink0, uplink1}, AddBridge: k.AddOVSBridge, AddPort: k.AddOVSPort,
					SetColumn: func(bridge, _, column, key, value string) error { return k.SetOVSColumn(bridge, column, key, value) },
					Stop:      k.StopOVS,
				}
			})
		})
	}
}

const (
	pf5     = "0000:5f:00.0"
	uplink0 = "ens41f0np0"
	uplink1 = "ens41f1np1"
)

func bridgeOn(netdev string) host.OVSWant {
	return host.OVSWant{Name: "br0", Owner: pf5, Uplink: host.OVSInterface{Name: netdev}}
}

func links(t *testing.T, k *simhost.Kernel) []host.Link {
	t.Helper()
	list, err := k.Admin().Links.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// master is the name of a netdev's master.
func master(t *testing.T, k *simhost.Kernel, netdev string) string {
	t.Helper()
	names := map[int]string{}
	found := ""
	list := links(t, k)
	for _, l := range list {
		names[l.Index] = l.Name
	}
	for _, l := range list {
		if l.Name == netdev {
			found = names[l.MasterIndex]
		}
	}
	return found
}

// The database is on disk: a bridge is there after a reboot, and ovs-vswitchd
// attaches the uplink anew.
func TestOVSReboot(t *testing.T) {
	k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}})
	defer k.Close()
	if err := k.Admin().OVS.EnsureBridge(t.Context(), bridgeOn(uplink0)); err != nil {
		t.Fatal(err)
	}
	before := k.Dump()
	k.StopOVS(false)
	if got := master(t, k, uplink0); got != "ovs-system" {
		t.Errorf("without its daemons, the datapath has let the port go: master %q", got)
	}
	k.Reboot()
	if got := master(t, k, uplink0); got != "ovs-system" || k.Dump() != before {
		t.Errorf("after a reboot: master %q\n%s", got, k.Dump())
	}
	if err := k.Admin().OVS.RemoveBridge(t.Context(), "br0", pf5); err != nil {
		t.Fatal(err)
	}
	if got := master(t, k, uplink0); got != "" {
		t.Errorf("after removal: master %q", got)
	}
}

// ovs-vswitchd follows the netdevs: a port whose netdev goes has an error, until the
// netdev comes back.
func TestOVSFollowsNetdevs(t *testing.T) {
	k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}})
	defer k.Close()
	if err := k.Admin().OVS.EnsureBridge(t.Context(), bridgeOn(uplink0)); err != nil {
		t.Fatal(err)
	}
	port := func() host.OVSInterface {
		found, err := k.Admin().OVS.Bridges(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return found[0].Ports[0].Interfaces[0]
	}
	for _, rename := range []struct{ from, to, want string }{
		{uplink0, "other", "could not open network device " + uplink0 + " (No such device)"}, {"other", uplink0, ""},
	} {
		if err := k.RenameLink(rename.from, rename.to); err != nil {
			t.Fatal(err)
		}
		if got := port(); got.Error != rename.want || (*got.OFPort < 0) != (rename.want != "") {
			t.Errorf("after renaming %s to %s: %+v", rename.from, rename.to, got)
		}
	}
}

// An mlx5 eswitch that Open vSwitch offloads to keeps its mode; a member of a bond
// cannot be a port.
func TestOVSRefusals(t *testing.T) {
	k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}})
	defer k.Close()
	h := k.Host()
	try := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	try(h.Devlink.SetEswitchMode(t.Context(), host.DevlinkOf(pf5), "switchdev"))
	try(h.Ethtool.SetFeature(t.Context(), uplink0, host.FeatureHWTCOffload, true))
	try(h.OVS.EnsureBridge(t.Context(), bridgeOn(uplink0)))
	if err := h.Devlink.SetEswitchMode(t.Context(), host.DevlinkOf(pf5), "legacy"); err == nil || len(k.Forbidden()) != 1 {
		t.Errorf("leaving switchdev mode: %v, forbidden %v", err, k.Forbidden())
	}
	try(k.AddBond("bond0", simhost.BondOptions{Mode: "active-backup"}))
	down := func(netdev string) {
		for _, l := range links(t, k) {
			if l.Name == netdev {
				try(k.Admin().Links.SetUp(t.Context(), l.Index, false))
			}
		}
	}
	down(uplink1)
	try(k.Enslave("bond0", uplink1))
	second := bridgeOn(uplink1)
	second.Name, second.Owner = "br1", "0000:5f:00.1"
	if err := h.OVS.EnsureBridge(t.Context(), second); err == nil || master(t, k, uplink1) != "bond0" {
		t.Errorf("a member of a bond became a port: %v", err)
	}
	down(uplink0)
	if err := k.Enslave("bond0", uplink0); !errors.Is(err, syscall.EOPNOTSUPP) {
		t.Errorf("a port became a member of a bond: %v", err)
	}
}
