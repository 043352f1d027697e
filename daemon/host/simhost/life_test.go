package simhost_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

func connectX5(t *testing.T) *simhost.Kernel {
	t.Helper()
	k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5(simhost.TotalVFs(3))}})
	t.Cleanup(k.Close)
	return k
}

func TestReboot(t *testing.T) {
	k := connectX5(t)
	fresh := k.Dump()
	old := k.Host()
	bootID := func(h host.Host) string {
		data, err := h.FS.ReadFile(t.Context(), "proc/sys/kernel/random/boot_id")
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	before := bootID(old)
	switchdev(t, k, pf0, "ens41f0np0", 3)
	if err := old.Links.SetVFMAC(t.Context(), linkNamed(t, old, "ens41f0np0").Index, 0, "02:00:00:00:00:01"); err != nil {
		t.Fatal(err)
	}
	if err := k.AssignVF("0000:5f:00.2", "default/web"); err != nil {
		t.Fatal(err)
	}
	if err := k.AddBond("bond1", simhost.BondOptions{Mode: "802.3ad"}); err != nil {
		t.Fatal(err)
	}
	if err := k.Store().Save(t.Context(), []byte("ledger")); err != nil {
		t.Fatal(err)
	}
	k.Reboot()
	if diff := cmp.Diff(fresh, k.Dump()); diff != "" {
		t.Error(diff)
	}
	if got := bootID(k.Host()); got == before {
		t.Errorf("the boot id is still %s", got)
	}
	if got, err := k.Store().Load(t.Context()); err != nil || string(got) != "ledger" {
		t.Errorf("the file holds %q, %v", got, err)
	}
	if _, err := old.Links.List(t.Context()); !errors.Is(err, simhost.ErrCrashed) {
		t.Errorf("a handle from before the reboot: %v", err)
	}
}

// A crash at any operation: it takes effect or not, as asked; nothing after it
// does; a restart finds the kernel as it was.
func TestCrash(t *testing.T) {
	for n := 1; n <= 4; n++ {
		for _, when := range [][]simhost.CrashWhen{nil, {simhost.BeforeEffect}, {simhost.CountWrites}, {simhost.BeforeEffect, simhost.CountWrites}} {
			t.Run(fmt.Sprint(n, when), func(t *testing.T) {
				k := connectX5(t)
				h, store := k.Host(), k.Store()
				k.CrashAfter(n, when...)
				steps := []func() error{
					func() error { return store.Save(t.Context(), []byte("x")) },
					func() error { _, err := h.FS.ReadFile(t.Context(), attr(pf0, "vendor")); return err },
					func() error { return h.FS.WriteFile(t.Context(), attr(pf0, "sriov_numvfs"), []byte("2")) },
					func() error { return h.FS.WriteFile(t.Context(), attr(pf1, "sriov_numvfs"), []byte("1")) },
				}
				fatal := n
				if writes := len(when) > 0 && when[len(when)-1] == simhost.CountWrites; writes && n > 1 {
					fatal = n + 1
				}
				for i, step := range steps {
					err := step()
					if crashed := i+1 >= fatal; errors.Is(err, simhost.ErrCrashed) != crashed || (!crashed && err != nil) {
						t.Fatalf("operation %d: %v", i+1, err)
					}
				}
				if got, want := k.Crashed(), fatal <= len(steps); got != want {
					t.Fatalf("crashed: %t", got)
				}
				k.Restart()
				last := fatal
				if len(when) > 0 && when[0] == simhost.BeforeEffect {
					last--
				}
				wantEffects(t, k, last)
			})
		}
	}
}

// wantEffects checks that exactly the first n steps of TestCrash took effect.
func wantEffects(t *testing.T, k *simhost.Kernel, n int) {
	t.Helper()
	_, err := k.Store().Load(t.Context())
	if saved := !errors.Is(err, fs.ErrNotExist); saved != (n >= 1) {
		t.Errorf("saved: %t", saved)
	}
	for pf, want := range map[string]bool{pf0: n >= 3, pf1: n >= 4} {
		data, err := k.Host().FS.ReadFile(t.Context(), attr(pf, "sriov_numvfs"))
		if err != nil || (string(data) != "0\n") != want {
			t.Errorf("%s has %q VFs (%v), wanted some: %t", pf, data, err, want)
		}
	}
}

func TestFaults(t *testing.T) {
	k := connectX5(t)
	h := k.Host()
	before := k.Dump()
	k.Fail(simhost.Fault{
		Op: "fs.WriteFile */" + pf0 + "/sriov_numvfs = *", Nth: 2, Times: 2,
		Errno: syscall.ENOMEM, Log: "not enough MMIO resources for SR-IOV",
	})
	k.Fail(simhost.Fault{
		Op: "devlink.SetEswitchMode pci/" + pf0 + "*", Errno: syscall.EBUSY, Text: "mlx5_core: Can't change mode, E-Switch is busy",
	})
	k.Fail(simhost.Fault{Op: "fs.ReadFile */sriov_totalvfs", Errno: syscall.EIO, Times: -1})
	numVFs := func() syscall.Errno {
		return refusalOf(t, h.FS.WriteFile(t.Context(), attr(pf0, "sriov_numvfs"), []byte("0"))).Errno
	}
	got := []syscall.Errno{numVFs(), numVFs(), numVFs(), numVFs()}
	if diff := cmp.Diff([]syscall.Errno{0, syscall.ENOMEM, syscall.ENOMEM, 0}, got); diff != "" {
		t.Error(diff)
	}
	err := h.Devlink.SetEswitchMode(t.Context(), host.DevlinkOf(pf0), "switchdev")
	if want := "setting eswitch mode switchdev on 0000:5f:00.0: device or resource busy (mlx5_core: Can't change mode, E-Switch is busy)"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	for range 3 {
		_, err := h.FS.ReadFile(t.Context(), attr(pf0, "sriov_totalvfs"))
		if got := refusalOf(t, err).Errno; got != syscall.EIO {
			t.Errorf("sriov_totalvfs: %v", err)
		}
	}
	if diff := cmp.Diff(before, k.Dump()); diff != "" {
		t.Error(diff)
	}
	if got := k.Forbidden(); len(got) > 0 {
		t.Errorf("injected failures are no fault of the caller: %v", got)
	}
	lines, err := h.Log.Recent(t.Context(), pf0, 1)
	if err != nil || len(lines) != 1 || !strings.Contains(lines[0], "not enough MMIO") {
		t.Errorf("log: %v, %v", lines, err)
	}
	k.ClearFaults()
	if _, err := h.FS.ReadFile(t.Context(), attr(pf0, "sriov_totalvfs")); err != nil {
		t.Error(err)
	}
}

// A caller may give up on a write; the kernel does not, and holds the device's
// lock until it is done.
func TestDelayedWrite(t *testing.T) {
	writes := map[string]struct {
		fault string
		do    func(ctx context.Context, h host.Host) error
		vfs   string
	}{
		"sriov_numvfs": {
			"fs.WriteFile */sriov_numvfs = 2",
			func(ctx context.Context, h host.Host) error {
				return h.FS.WriteFile(ctx, attr(pf0, "sriov_numvfs"), []byte("2"))
			}, "2",
		},
		"eswitch mode": {
			"devlink.SetEswitchMode *",
			func(ctx context.Context, h host.Host) error {
				return h.Devlink.SetEswitchMode(ctx, host.DevlinkOf(pf0), "switchdev")
			}, "0",
		},
	}
	for name, w := range writes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := connectX5(t)
				k.Fail(simhost.Fault{Op: w.fault, Delay: 3 * time.Minute})
				// The time from here to the end of an operation that may last so long.
				start := time.Now()
				given := func(patience time.Duration, do func(context.Context) error) (time.Duration, error) {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					err := do(ctx)
					return time.Since(start), err
				}
				h := k.Host()
				at, err := given(2*time.Minute, func(ctx context.Context) error { return w.do(ctx, h) })
				if !errors.Is(err, context.DeadlineExceeded) || at != 2*time.Minute {
					t.Errorf("after %s: %v", at, err)
				}
				read := func(ctx context.Context) error {
					data, err := h.FS.ReadFile(ctx, attr(pf0, "sriov_numvfs"))
					if err == nil && strings.TrimSpace(string(data)) != w.vfs {
						return fmt.Errorf("%q VFs", data)
					}
					return err
				}
				waiting := map[string]func(context.Context) error{
					"sriov_numvfs": read,
					"eswitch mode": func(ctx context.Context) error {
						_, err := h.Devlink.Eswitch(ctx, host.DevlinkOf(pf0))
						return err
					},
					"ports": func(ctx context.Context) error { _, err := h.Devlink.Ports(ctx); return err },
				}
				for name, do := range waiting {
					if _, err := given(time.Second, do); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%s of the device: %v", name, err)
					}
				}
				before := time.Now()
				free := map[string]func(context.Context) error{
					"vendor": func(ctx context.Context) error {
						_, err := h.FS.ReadFile(ctx, attr(pf0, "vendor"))
						return err
					},
					"links": func(ctx context.Context) error { _, err := h.Links.List(ctx); return err },
					"other port": func(ctx context.Context) error {
						_, err := h.Devlink.Eswitch(ctx, host.DevlinkOf(pf1))
						return err
					},
				}
				for name, do := range free {
					if _, err := given(time.Second, do); err != nil || !time.Now().Equal(before) {
						t.Errorf("%s: %v after %s", name, err, time.Since(before))
					}
				}
				for name, do := range waiting {
					if at, err := given(time.Hour, do); err != nil || at != 3*time.Minute {
						t.Errorf("%s of the device after %s: %v", name, at, err)
					}
				}
			})
		})
	}
}

// Parameter and inline mode are set with the lock of their device, and of no other.
func TestModesTakeLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := connectX5(t)
		h, lasts := k.Host().Devlink, time.Hour
		for op, set := range map[string]func() error{
			"devlink.SetParam *":      func() error { return h.SetParam(t.Context(), host.DevlinkOf(pf0), "flow_steering_mode", "smfs") },
			"devlink.SetInlineMode *": func() error { return h.SetInlineMode(t.Context(), host.DevlinkOf(pf0), "none") },
		} {
			k.Fail(simhost.Fault{Op: op, Delay: lasts})
			// What the device says to it is not the point.
			done, start := make(chan struct{}), time.Now()
			go func() { defer close(done); _ = set() }()
			synctest.Wait()
			if _, err := h.Eswitch(t.Context(), host.DevlinkOf(pf1)); err != nil || time.Since(start) > 0 {
				t.Errorf("%s: the other device answered after %v: %v", op, time.Since(start), err)
			}
			if _, err := h.Eswitch(t.Context(), host.DevlinkOf(pf0)); err != nil || time.Since(start) != lasts {
				t.Errorf("%s: the device answered after %v: %v", op, time.Since(start), err)
			}
			<-done
		}
	})
}

// A lock that a write holds is free after a reboot, and whoever waited is dead.
func TestRebootFreesLocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := connectX5(t)
		k.Fail(simhost.Fault{Op: "fs.WriteFile */sriov_numvfs = 2", Delay: 1000 * time.Hour})
		h, results := k.Host(), make(chan error, 3)
		go func() { results <- h.FS.WriteFile(t.Context(), attr(pf0, "sriov_numvfs"), []byte("2")) }()
		synctest.Wait()
		go func() { results <- h.FS.WriteFile(t.Context(), attr(pf0, "sriov_numvfs"), []byte("0")) }()
		go func() { _, err := k.Admin().Devlink.Ports(t.Context()); results <- err }()
		synctest.Wait()
		k.Reboot()
		for range 3 {
			if err := <-results; !errors.Is(err, simhost.ErrCrashed) {
				t.Errorf("from before the reboot: %v", err)
			}
		}
		write(t, k.Host(), attr(pf0, "sriov_numvfs"), "3")
	})
}

// Handles of a dead caller do not wait for the kernel.
func TestCrashDuringDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := connectX5(t)
		h := k.Host()
		k.Fail(simhost.Fault{Op: "fs.WriteFile *", Delay: time.Hour})
		waiting := make(chan error, 1)
		go func() { waiting <- h.FS.WriteFile(t.Context(), attr(pf0, "sriov_numvfs"), []byte("2")) }()
		synctest.Wait()
		k.CrashAfter(1)
		if _, err := h.Links.List(t.Context()); !errors.Is(err, simhost.ErrCrashed) {
			t.Errorf("the last operation: %v", err)
		}
		if err := <-waiting; !errors.Is(err, simhost.ErrCrashed) {
			t.Errorf("the waiting operation: %v", err)
		}
	})
}

func TestOps(t *testing.T) {
	k := connectX5(t)
	h := k.Host()
	write(t, k.Admin(), attr(pf0, "sriov_numvfs"), "1")
	write(t, h, attr(pf1, "sriov_numvfs"), "1")
	linkNamed(t, h, "eno1")
	linkNamed(t, h, "lo")
	want := simhost.Ops{Reads: 2, Writes: 1, ByKind: map[string]int{"fs.WriteFile": 1, "links.List": 2}}
	if diff := cmp.Diff(want, k.Ops()); diff != "" {
		t.Error(diff)
	}
	k.ResetOps()
	if got := k.Ops().Total(); got != 0 {
		t.Errorf("%d operations after a reset", got)
	}
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := connectX5(t)
		events, err := k.Host().Events.Subscribe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		write(t, k.Admin(), attr(pf0, "sriov_numvfs"), "1")
		want := []host.Event{
			{Source: "uevent", Device: "add@/devices/pci0000:5f/0000:5f:00.2"},
			{Source: "uevent", Device: "bind@/devices/pci0000:5f/0000:5f:00.2"},
			{Source: "netlink", Device: "ens41f0v0"},
			{Source: "uevent", Device: "change@/devices/pci0000:5f/0000:5f:00.0"},
		}
		for _, w := range want {
			if got := <-events; got != w {
				t.Errorf("got %v, want %v", got, w)
			}
		}
		for range 1000 {
			k.SetNodeNetwork("eno1", "carries the default route")
		}
		overrun := false
		for len(events) > 0 {
			e := <-events
			overrun = overrun || e.Device == "overrun"
		}
		if !overrun {
			t.Error("events were lost without a word")
		}
	})
}

func TestMatchingOfFaults(t *testing.T) {
	k := connectX5(t)
	for pattern, want := range map[string]bool{
		"fs.ReadFile sys/bus/pci/devices/0000:5f:00.0/vendor": true,
		"fs.ReadFile *":         true,
		"*":                     true,
		"*vendor":               true,
		"fs.*/0000:5f:00.0/v*r": true,
		"fs.ReadFile":           false,
		"*/vend":                false,
		"fs.WriteFile *":        false,
		"*0000:5f:00.0*vendor*": true,
		"*vendor*0000:5f:00.0*": false,
	} {
		k.ClearFaults()
		k.Fail(simhost.Fault{Op: pattern, Errno: syscall.EIO})
		_, err := k.Host().FS.ReadFile(t.Context(), attr(pf0, "vendor"))
		if got := err != nil; got != want {
			t.Errorf("%q matches: %t", pattern, got)
		}
	}
}
