package simhost_test

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/lag"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

// bonded is a ConnectX-5 in switchdev mode with VFs without drivers, its ports in bond1.
func bonded(t *testing.T, mode string, vfs int, opts simhost.Options, nic ...simhost.NICOption) *simhost.Kernel {
	t.Helper()
	opts.NICs = []simhost.NIC{simhost.ConnectX5(append(nic, simhost.TotalVFs(8))...)}
	k := simhost.New(opts)
	t.Cleanup(k.Close)
	for _, pf := range []string{pf0, pf1} {
		write(t, k.Admin(), attr(pf, "sriov_drivers_autoprobe"), "0")
		write(t, k.Admin(), attr(pf, "sriov_numvfs"), string(rune('0'+vfs)))
		k.Settle()
		if err := k.Admin().Devlink.SetEswitchMode(t.Context(), host.DevlinkOf(pf), "switchdev"); err != nil {
			t.Fatal(err)
		}
		write(t, k.Admin(), attr(pf, "sriov_drivers_autoprobe"), "1")
	}
	if err := k.AddBond("bond1", simhost.BondOptions{Mode: mode}); err != nil {
		t.Fatal(err)
	}
	enslave(t, k, "ens41f0np0", "ens41f1np1")
	k.Settle()
	return k
}

// What a NIC does not offload, and what the kernel tells of it.
func TestLAGObstacles(t *testing.T) {
	for _, c := range []struct {
		name, mode string
		opts       simhost.Options
		nic        []simhost.NICOption
		want, log  string
	}{
		{"hash", "balance-xor", simhost.Options{}, nil, "active", "lag map: port 1:1 port 2:2"},
		{"mode", "balance-rr", simhost.Options{}, nil, "disabled", "TX type isn't supported"},
		{"VFs", "802.3ad", simhost.Options{}, []simhost.NICOption{simhost.LAGVFs(1)}, "disabled", "PF is configured with more than 1 VFs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := bonded(t, c.mode, 2, c.opts, c.nic...)
			if got := k.LAG(pf0); got != c.want {
				t.Errorf("LAG is %s", got)
			}
			lines, err := k.Host().Log.Recent(t.Context(), pf0, 20)
			if err != nil || !strings.Contains(strings.Join(lines, "\n"), c.log) {
				t.Errorf("log %q, %v", lines, err)
			}
			state, err := lag.Read(t.Context(), k.Host().FS, pf1)
			if err != nil || !state.Known || state.VFLAG() != (c.want == "active") {
				t.Errorf("state %+v, %v", state, err)
			}
		})
	}
}

// A LAG that was broken is none, for all that the driver tells.
func TestBrokenLAGIsDisabled(t *testing.T) {
	k := bonded(t, "802.3ad", 1, simhost.Options{})
	write(t, k.Admin(), "sys/bus/pci/drivers_probe", "0000:5f:00.2")
	if err := k.Release("ens41f1np1"); err != nil {
		t.Fatal(err)
	}
	state, err := lag.Read(t.Context(), k.Host().FS, pf0)
	if err != nil || !state.Known || state.Active || k.LAG(pf0) != "broken" {
		t.Errorf("state %+v, %v, LAG %s", state, err, k.LAG(pf0))
	}
}

// Where debugfs is missing, the LAG is there all the same.
func TestLAGWithoutDebugfs(t *testing.T) {
	k := bonded(t, "802.3ad", 1, simhost.Options{NoDebugfs: true})
	if _, err := k.Host().FS.ReadFile(t.Context(), "sys/kernel/debug/mlx5/"+pf0+"/lag/state"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("state: %v", err)
	}
	state, err := lag.Read(t.Context(), k.Host().FS, pf0)
	if err != nil || state.Known || state.Reason == "" || k.LAG(pf0) != "active" {
		t.Errorf("state %+v, %v, LAG %s", state, err, k.LAG(pf0))
	}
}

// A VF that is bound before the NIC offloads the bond is noted, one after it is not,
// nor is what an administrator does.
func TestEarlyBinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := bonded(t, "802.3ad", 1, simhost.Options{Delays: simhost.Delays{LAG: time.Second}})
		if err := k.Release("ens41f0np0"); err != nil {
			t.Fatal(err)
		}
		k.Settle()
		enslave(t, k, "ens41f0np0")
		write(t, k.Host(), "sys/bus/pci/drivers_probe", "0000:5f:00.2")
		if got := k.EarlyBinds(); len(got) != 1 || got[0] != "0000:5f:00.2" {
			t.Errorf("early %v", got)
		}
		write(t, k.Admin(), "sys/bus/pci/drivers/mlx5_core/unbind", "0000:5f:00.2")
		write(t, k.Admin(), "sys/bus/pci/drivers_probe", "0000:5f:00.2")
		write(t, k.Admin(), "sys/bus/pci/drivers/mlx5_core/unbind", "0000:5f:00.2")
		k.Settle()
		write(t, k.Host(), "sys/bus/pci/drivers_probe", "0000:5f:00.2")
		if got := k.EarlyBinds(); len(got) != 0 || k.LAG(pf0) != "active" {
			t.Errorf("early %v, LAG %s", got, k.LAG(pf0))
		}
	})
}

// What no caller that knows the kernel's rules tries with bonds.
func TestForbiddenBonds(t *testing.T) {
	k := bonded(t, "802.3ad", 1, simhost.Options{})
	h := k.Host()
	write(t, h, "sys/bus/pci/drivers_probe", "0000:5f:00.2")
	member := linkNamed(t, h, "ens41f0np0")
	if err := h.Bonds.SetMaster(t.Context(), member.Index, 0); err != nil {
		t.Fatal(err)
	}
	if err := h.Links.SetUp(t.Context(), member.Index, true); err != nil {
		t.Fatal(err)
	}
	bond := linkNamed(t, h, "bond1").Index
	if got := refusalOf(t, h.Bonds.SetMaster(t.Context(), member.Index, bond)).Errno; got != syscall.EPERM {
		t.Errorf("a member that is up: %v", got)
	}
	if err := h.Bonds.Delete(t.Context(), bond); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(k.Forbidden(), "\n")
	for _, want := range []string{
		"taking out of its bond while VFs of the NIC are bound", "enslaving a device that is up", "deleting its bond while VFs of the NIC are bound",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not forbidden:\n%s", want, got)
		}
	}
	if got := refusalOf(t, h.Bonds.Delete(t.Context(), member.Index)).Errno; got != syscall.EOPNOTSUPP {
		t.Errorf("deleting hardware: %v", got)
	}
}

// The switch's answer shows in 802.3ad alone, and only when there is one.
func TestLACPPartner(t *testing.T) {
	bond := func(mode string, o simhost.Options) host.Bond {
		t.Helper()
		list, err := bonded(t, mode, 1, o).Host().Bonds.List(t.Context())
		if err != nil || len(list) != 1 {
			t.Fatalf("bonds %+v, %v", list, err)
		}
		return list[0]
	}
	if b := bond("802.3ad", simhost.Options{}); b.LACP == nil || b.LACP.Ports != 2 || b.LACP.PartnerMAC == "00:00:00:00:00:00" {
		t.Errorf("with a partner: %+v", b.LACP)
	}
	if b := bond("802.3ad", simhost.Options{NoLACPPartner: true}); b.LACP == nil || b.LACP.Ports != 1 || b.LACP.PartnerMAC != "00:00:00:00:00:00" || b.Members[0].Aggregator == b.Members[1].Aggregator {
		t.Errorf("without one: %+v", b)
	}
	if b := bond("balance-xor", simhost.Options{}); b.LACP != nil {
		t.Errorf("balance-xor: %+v", b.LACP)
	}
}

// Writes block as long as their VFs need, and netdevs get their names later.
func TestTimesPerVF(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}, Delays: simhost.Delays{
			NumVFs: 100 * time.Millisecond, PerVF: 10 * time.Millisecond, Probe: 30 * time.Millisecond, Rename: 5 * time.Millisecond,
		}})
		defer k.Close()
		h := k.Host()
		timed := func(want time.Duration, path, value string) {
			t.Helper()
			start := time.Now()
			write(t, h, path, value)
			if got := time.Since(start); got != want {
				t.Errorf("writing %s took %v, want %v", path, got, want)
			}
		}
		write(t, h, attr(pf0, "sriov_drivers_autoprobe"), "0")
		timed(130*time.Millisecond, attr(pf0, "sriov_numvfs"), "3")
		write(t, h, attr(pf0, "sriov_drivers_autoprobe"), "1")
		timed(30*time.Millisecond, "sys/bus/pci/drivers_probe", "0000:5f:00.2")
		if hasLink(t, h, "ens41f0v0") || !hasLink(t, h, "eth0") {
			t.Error("the VF's netdev has its name at once")
		}
		k.Settle()
		if !hasLink(t, h, "ens41f0v0") || hasLink(t, h, "eth0") {
			t.Error("the VF's netdev has no name yet")
		}
		timed(130*time.Millisecond, attr(pf0, "sriov_numvfs"), "0")
	})
}
