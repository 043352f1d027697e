package simhost_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

func fourPFs(tb testing.TB) *simhost.Kernel {
	tb.Helper()
	k := simhost.New(simhost.Options{NICs: []simhost.NIC{
		simhost.ConnectX6Dx(simhost.TotalVFs(127)),
		simhost.ConnectX6Dx(simhost.At("0000:86:00.0"), simhost.TotalVFs(127)),
	}})
	tb.Cleanup(k.Close)
	for _, pf := range []string{"0000:3b:00.0", "0000:3b:00.1", "0000:86:00.0", "0000:86:00.1"} {
		h := k.Admin()
		for _, err := range []error{
			h.FS.WriteFile(tb.Context(), attr(pf, "sriov_drivers_autoprobe"), []byte("0")),
			h.FS.WriteFile(tb.Context(), attr(pf, "sriov_numvfs"), []byte("127")),
			h.Devlink.SetEswitchMode(tb.Context(), host.DevlinkOf(pf), "switchdev"),
		} {
			if err != nil {
				tb.Fatal(err)
			}
		}
	}
	return k
}

func TestScale(t *testing.T) {
	k := fourPFs(t)
	links, err := k.Host().Links.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(links), 2+4+4*127; got != want {
		t.Errorf("%d links, want %d", got, want)
	}
	addresses, err := k.Host().FS.ReadDir(t.Context(), "sys/bus/pci/devices")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(addresses), 2+4+4*127; got != want {
		t.Errorf("%d functions, want %d", got, want)
	}
}

// Reading one attribute costs the same however many VFs there are.
func BenchmarkReadAttribute(b *testing.B) {
	k := fourPFs(b)
	h := k.Host()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.FS.ReadFile(b.Context(), attr("0000:86:00.1", "virtfn99/vendor")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}}).Close()
	}
}

// action is a random thing to do to a machine.
type action func(h host.Host, k *simhost.Kernel) error

// actions are what random histories are made of.
func actions(tb testing.TB) []action {
	ctx := tb.Context()
	pfs := []string{pf0, pf1}
	var out []action
	file := func(path, data string) {
		out = append(out, func(h host.Host, _ *simhost.Kernel) error { return h.FS.WriteFile(ctx, path, []byte(data)) })
	}
	for i, pf := range pfs {
		for _, n := range []string{"0", "1", "3", "4"} {
			file(attr(pf, "sriov_numvfs"), n)
		}
		file(attr(pf, "sriov_drivers_autoprobe"), "0")
		file(attr(pf, "sriov_drivers_autoprobe"), "1")
		file("sys/bus/pci/drivers/mlx5_core/unbind", pf)
		file("sys/bus/pci/drivers/mlx5_core/bind", pf)
		for _, mode := range []string{"legacy", "switchdev"} {
			out = append(out, func(h host.Host, _ *simhost.Kernel) error {
				return h.Devlink.SetEswitchMode(ctx, host.DevlinkOf(pf), mode)
			})
		}
		name := fmt.Sprintf("ens41f%dnp%d", i, i)
		out = append(out,
			func(_ host.Host, k *simhost.Kernel) error { return k.Enslave("bond1", name) },
			func(_ host.Host, k *simhost.Kernel) error { return k.Release(name) })
	}
	for _, vf := range []string{"0000:5f:00.2", "0000:5f:00.4", "0000:5f:00.5"} {
		file("sys/bus/pci/drivers_probe", vf)
		file("sys/bus/pci/drivers/mlx5_core/unbind", vf)
		file(attr(vf, "driver_override"), "vfio-pci")
		file(attr(vf, "driver_override"), "\n")
		out = append(out,
			func(_ host.Host, k *simhost.Kernel) error { return k.AssignVF(vf, "default/web") },
			func(_ host.Host, k *simhost.Kernel) error { return k.ReleaseVF(vf) })
	}
	return append(out,
		func(_ host.Host, k *simhost.Kernel) error {
			return k.AddBond("bond1", simhost.BondOptions{Mode: "balance-xor"})
		},
		func(_ host.Host, k *simhost.Kernel) error { return k.DeleteBond("bond1") })
}

// Whatever was done to a machine, its doors agree with each other, and a reboot
// brings back what it was at first.
func TestRandomHistories(t *testing.T) {
	all := actions(t)
	rapid.Check(t, func(r *rapid.T) {
		k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5(simhost.TotalVFs(3))}})
		defer k.Close()
		fresh := k.Dump()
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(all)-1), 0, 40).Draw(r, "actions") {
			_ = all[i](k.Host(), k)
		}
		consistent(r, k)
		k.Reboot()
		if got := k.Dump(); got != fresh {
			r.Fatalf("after a reboot:\n%s\nat first:\n%s", got, fresh)
		}
	})
}

type failer interface {
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// consistent compares what rtnetlink, sysfs and devlink say.
func consistent(t failer, k *simhost.Kernel) {
	h, ctx := k.Admin(), context.Background()
	links, err := h.Links.List(ctx)
	if err != nil {
		t.Fatalf("listing links: %v", err)
	}
	index := map[string]int{}
	for _, l := range links {
		index[l.Name] = l.Index
		data, err := h.FS.ReadFile(ctx, "sys/class/net/"+l.Name+"/ifindex")
		if err != nil || string(data) != fmt.Sprintln(l.Index) {
			t.Errorf("%s: sysfs says %q (%v), the link %d", l.Name, data, err, l.Index)
		}
	}
	names, err := h.FS.ReadDir(ctx, "sys/class/net")
	if err != nil || len(names) != len(links) {
		t.Errorf("sysfs has %v (%v), rtnetlink %d links", names, err, len(links))
	}
	ports, err := h.Devlink.Ports(ctx)
	if err != nil {
		t.Fatalf("listing ports: %v", err)
	}
	for _, p := range ports {
		if p.NetdevName != "" && index[p.NetdevName] != p.NetdevIndex {
			t.Errorf("port %+v, links %v", p, index)
		}
	}
}

// Many callers at once, with delays, crashes and reboots in between.
func TestConcurrency(t *testing.T) {
	k := simhost.New(simhost.Options{
		NICs: []simhost.NIC{simhost.ConnectX5(simhost.TotalVFs(3))},
		Delays: simhost.Delays{
			NumVFs: time.Microsecond, VF: time.Microsecond, Netdev: time.Microsecond,
			Representor: time.Microsecond, Carrier: time.Microsecond, LAG: time.Microsecond,
		},
	})
	defer k.Close()
	all := actions(t)
	var wg sync.WaitGroup
	for caller := range 4 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(caller), 1))
			events, err := k.Admin().Events.Subscribe(t.Context())
			if err != nil {
				t.Error(err)
			}
			for n := range 200 {
				_ = all[random.IntN(len(all))](k.Host(), k)
				switch {
				case n%50 == 49:
					k.Reboot()
				case n%20 == 19:
					k.CrashAfter(1)
					_, _ = k.Host().Links.List(t.Context())
					k.Restart()
				}
				select {
				case <-events:
				default:
				}
			}
		})
	}
	wg.Wait()
	k.Settle()
	consistent(t, k)
}
