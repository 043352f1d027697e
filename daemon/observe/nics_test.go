package observe_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
)

// What every NIC says of itself, with two VFs, in switchdev mode where it can be.
func TestNICs(t *testing.T) {
	type facts struct {
		Driver, Netdev, PortName, Mode, Inline, Steering, Firmware, Board string
		VFs, Representors                                                 int
	}
	for name, c := range map[string]struct {
		nic       simhost.NIC
		pf        string
		switchdev bool
		want      facts
	}{
		"ConnectX-4 Lx": {simhost.ConnectX4Lx(), "0000:04:00.0", true,
			facts{"mlx5_core", "enp4s0f0np0", "p0", "switchdev", "link", "dmfs", "14.32.1010", "MT_2420110034", 2, 2}},
		"MLNX_OFED": {simhost.ConnectX5(simhost.CompatSteering()), "0000:5f:00.1", true,
			facts{"mlx5_core", "ens41f1np1", "p1", "switchdev", "none", "dmfs", "16.35.4030", "MT_0000000080", 2, 2}},
		"E810": {simhost.E810(), "0000:17:00.1", true,
			facts{"ice", "ens801f1np1", "p1", "switchdev", "", "", "7.3.4", "K91258-000", 2, 2}},
		"BCM57414": {simhost.BCM57414(), "0000:af:00.0", true,
			facts{"bnxt_en", "ens5f0np0", "p0", "switchdev", "", "", "226.0.145.0", "", 2, 2}},
		// The first of two physical ports, not the netdev without a port.
		"Agilio with flower": {simhost.AgilioFlower(), "0000:05:00.0", false,
			facts{"nfp", "ens3np0", "p0", "switchdev", "", "", "22.09.0-3", "AMDA0099-0001", 2, 2}},
		"Agilio with nic": {simhost.AgilioNIC(), "0000:05:00.0", false,
			facts{"nfp", "ens3np0", "p0", "", "", "", "22.09.0-3", "AMDA0099-0001", 2, 0}},
		"unknown": {simhost.Newcomer(), "0000:c1:00.0", true,
			facts{"newcomer", "enp193s0f0np0", "p0", "switchdev", "", "", "1.0", "", 2, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			k := simhost.New(simhost.Options{NICs: []simhost.NIC{c.nic}})
			defer k.Close()
			h := k.Admin()
			if c.switchdev {
				if err := h.Devlink.SetEswitchMode(t.Context(), host.DevlinkOf(c.pf), "switchdev"); err != nil {
					t.Fatal(err)
				}
				for _, l := range mustList(t, h) {
					if l.ParentDevice == c.pf {
						if err := h.Links.SetUp(t.Context(), l.Index, true); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			if err := h.FS.WriteFile(t.Context(), "sys/bus/pci/devices/"+c.pf+"/sriov_numvfs", []byte("2")); err != nil {
				t.Fatal(err)
			}
			node, err := observe.Node(t.Context(), h)
			if err != nil {
				t.Fatal(err)
			}
			pf := node.PF(c.pf)
			got := facts{pf.Driver, pf.Netdev.Name, pf.Netdev.PortName, pf.Eswitch.Mode, pf.Eswitch.InlineMode, pf.SteeringMode,
				pf.FirmwareVersion, pf.BoardID, len(pf.VFs), len(pf.Representors)}
			if diff := cmp.Diff(c.want, got); diff != "" || len(pf.Unreadable) > 0 {
				t.Errorf("unreadable %v, facts:\n%s", pf.Unreadable, diff)
			}
		})
	}
}

func mustList(t *testing.T, h host.Host) []host.Link {
	t.Helper()
	list, err := h.Links.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}
