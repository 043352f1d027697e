package boot_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/apply"
	"github.com/sriov-offload/sriov-offload-operator/daemon/boot"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/hostfile"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

const (
	pf     = "0000:5f:00.0"
	other  = "0000:5f:00.1"
	uplink = "ens41f0np0"

	stateFile   = "var/lib/sriov-offload-operator/boot.json"
	programFile = "var/lib/sriov-offload-operator/bin/sriov-offload-operator"
	earlyUnit   = "etc/systemd/system/sriov-offload-early.service"
	earlyLink   = "etc/systemd/system/multi-user.target.wants/sriov-offload-early.service"
	lateResult  = "var/lib/sriov-offload-operator/boot-late.json"
)

// node is a machine with a daemon.
type node struct {
	t       *testing.T
	k       *simhost.Kernel
	keeper  *boot.Keeper
	program string
	// phases that have run, with what became of them, in order.
	ran  []string
	errs map[boot.Phase]error
}

// on runs a test on a machine in virtual time.
func on(t *testing.T, opts simhost.Options, test func(n *node)) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, []byte("version 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		if opts.NICs == nil {
			opts.NICs = []simhost.NIC{simhost.ConnectX5()}
		}
		n := &node{t: t, k: simhost.New(opts), program: name, errs: map[boot.Phase]error{}}
		defer n.k.Close()
		n.k.AtBoot(func(_, command string) error {
			phase := boot.Phase(command[strings.LastIndex(command, " ")+1:])
			n.errs[phase] = n.phase(phase)
			n.ran = append(n.ran, command)
			return n.errs[phase]
		})
		n.restart()
		test(n)
	})
}

// restart is a new daemon process.
func (n *node) restart() { n.keeper = &boot.Keeper{Host: n.k.Host(), Program: n.program} }

func (n *node) phase(phase boot.Phase) error {
	n.k.Settle()
	run := boot.Run{Host: n.k.Host(), Store: n.k.Store(), Drivers: driver.Default(), Phase: phase, Patience: 30 * time.Second}
	err := run.Do(n.t.Context())
	n.k.Settle()
	return err
}

func (n *node) ledger() *ledger.Ledger {
	n.t.Helper()
	led, err := ledger.Open(n.t.Context(), n.k.Store())
	if err != nil {
		n.t.Fatal(err)
	}
	return led
}

// wants is a spec with VFs on PFs, in switchdev mode.
func wants(mode string, numVFs map[string]int) sriovv1.SriovNetworkNodeStateSpec {
	spec := sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "x", System: sriovv1.System{ConfigurationMode: mode}}
	for _, address := range slices.Sorted(maps.Keys(numVFs)) {
		spec.Interfaces = append(spec.Interfaces, sriovv1.Interface{PCIAddress: address, NumVfs: numVFs[address], EswitchMode: "switchdev"})
	}
	return spec
}

// turn is one of the daemon: look, apply, look, keep.
func (n *node) turn(spec sriovv1.SriovNetworkNodeStateSpec) boot.Status {
	n.t.Helper()
	ctx, led := n.t.Context(), n.ledger()
	var in plan.Input
	var todo plan.Plan
	for range 2 {
		observed, err := observe.Node(ctx, n.k.Host())
		if err != nil {
			n.t.Fatal(err)
		}
		in = plan.Input{Spec: spec, Observed: observed, Owned: led.Record(), Drivers: driver.Default()}
		todo = plan.Compute(in)
		run := plan.Plan{Released: todo.Released}
		for _, c := range todo.Chains {
			if d, _ := plan.Disruption(plan.Plan{Chains: []plan.Chain{c}}, observed); d == sriovv1.DisruptionNone {
				run.Chains = append(run.Chains, c)
			}
		}
		apply.Run(ctx, n.k.Host(), led, observed, run)
		n.k.Settle()
	}
	return n.keeper.Keep(ctx, led, in, todo)
}

func (n *node) reboot() {
	n.ran, n.errs = nil, map[boot.Phase]error{}
	n.k.Reboot()
	n.k.Settle()
	n.restart()
}

func (n *node) expect(status boot.Status, mode, reason string, ready bool, words ...string) {
	n.t.Helper()
	if status.Mode != mode || status.Reason != reason || status.Ready != ready {
		n.t.Errorf("status is %+v, want mode %s, reason %s, ready %t", status, mode, reason, ready)
	}
	for _, w := range words {
		if !strings.Contains(status.Message, w) {
			n.t.Errorf("message %q lacks %q", status.Message, w)
		}
	}
}

const systemd, daemon = sriovv1.ConfigurationSystemd, sriovv1.ConfigurationDaemon

// From mode daemon to mode systemd, over a boot, and back: what is installed is
// what the units need, a turn without news writes nothing, and nothing is left.
func TestLife(t *testing.T) {
	on(t, simhost.Options{}, func(n *node) {
		both := map[string]int{pf: 2, other: 1}
		before := n.files()
		n.expect(n.turn(wants(daemon, both)), daemon, sriovv1.ReasonDaemonMode, true)
		if diff := cmp.Diff(before, n.files()); diff != "" {
			t.Errorf("files of mode daemon:\n%s", diff)
		}
		dump := n.k.Dump()
		n.expect(n.turn(wants(systemd, both)), systemd, sriovv1.ReasonBootInstalled, true, "at the next boot")
		if diff := cmp.Diff(dump, n.k.Dump()); diff != "" {
			t.Errorf("installing has changed the machine:\n%s", diff)
		}
		files := n.files()
		if files[programFile] != "version 1" || files[earlyLink] == "" || !strings.Contains(files[stateFile], pf) {
			t.Errorf("files are %q", slices.Sorted(maps.Keys(files)))
		}
		for name := range files {
			if _, known := before[name]; !known && !slices.Contains(n.ledger().Record().Boot.Files, name) {
				t.Errorf("%s is not in the ledger", name)
			}
		}
		n.k.ResetOps()
		n.expect(n.turn(wants(systemd, both)), systemd, sriovv1.ReasonBootInstalled, true)
		if ops := n.k.Ops(); ops.Writes > 0 || ops.ByKind["systemd.Unit"] > 0 || ops.ByKind["files.Digest"] > 0 {
			t.Errorf("a turn without news costs %+v", ops)
		}
		n.reboot()
		if len(n.ran) != 2 || n.errs[boot.Early] != nil || n.errs[boot.Late] != nil {
			t.Errorf("units %q: %v", n.ran, n.errs)
		}
		if diff := cmp.Diff(dump, n.k.Dump()); diff != "" {
			t.Errorf("after the boot (-before +after):\n%s", diff)
		}
		n.expect(n.turn(wants(systemd, both)), systemd, sriovv1.ReasonBootInstalled, true, "went well")
		n.expect(n.turn(wants(daemon, both)), daemon, sriovv1.ReasonDaemonMode, true)
		if diff := cmp.Diff(before, n.files()); diff != "" {
			t.Errorf("left over:\n%s", diff)
		}
		if diff := cmp.Diff(dump, n.k.Dump()); diff != "" {
			t.Errorf("removing has changed the machine:\n%s", diff)
		}
		if left := n.ledger().Record().Boot; !left.Empty() {
			t.Errorf("the ledger still has %+v", left)
		}
		n.reboot()
		if len(n.ran) > 0 {
			t.Errorf("units still run: %q", n.ran)
		}
	})
}

// What somebody removes or changes is put back, and a new version replaces its
// program, state and units.
func TestRepair(t *testing.T) {
	on(t, simhost.Options{}, func(n *node) {
		spec := wants(systemd, map[string]int{pf: 2})
		n.turn(spec)
		want := n.files()
		for name, damage := range map[string]func(){
			"unit gone":       func() { n.k.RemoveFile(earlyUnit) },
			"unit changed":    func() { _ = n.k.PutFile(earlyUnit, "[Service]\n") },
			"link gone":       func() { n.k.RemoveFile(earlyLink) },
			"program gone":    func() { n.k.RemoveFile(programFile) },
			"state gone":      func() { n.k.RemoveFile(stateFile) },
			"state damaged":   func() { _ = n.k.PutFile(stateFile, "{") },
			"program changed": func() { _ = n.k.PutFile(programFile, "version 0"); n.restart() },
		} {
			damage()
			n.expect(n.turn(spec), systemd, sriovv1.ReasonBootInstalled, true)
			if diff := cmp.Diff(want, n.files()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		if err := os.WriteFile(n.program, []byte("version 2"), 0o600); err != nil {
			t.Fatal(err)
		}
		n.restart()
		n.turn(spec)
		if got := n.files()[programFile]; got != "version 2" {
			t.Errorf("program is %q", got)
		}
	})
}

func TestNoSystemd(t *testing.T) {
	on(t, simhost.Options{NoSystemd: true}, func(n *node) {
		before := n.files()
		for range 2 {
			n.expect(n.turn(wants(systemd, map[string]int{pf: 2})), daemon, sriovv1.ReasonNoSystemd, false, "configurationMode: daemon")
		}
		if diff := cmp.Diff(before, n.files()); diff != "" {
			t.Errorf("something was installed:\n%s", diff)
		}
	})
}

// A host that refuses a file says so, in its own words, until it no longer does.
func TestInstallFails(t *testing.T) {
	on(t, simhost.Options{ReadOnly: []string{"etc/systemd"}}, func(n *node) {
		spec := wants(systemd, map[string]int{pf: 2})
		for range 2 {
			n.expect(n.turn(spec), daemon, sriovv1.ReasonBootInstallFailed, false, "/"+earlyUnit, "read-only file system", "configurationMode: daemon")
		}
		_ = n.k.PutFile(earlyUnit, "")
		n.expect(n.turn(wants(daemon, map[string]int{pf: 2})), systemd, sriovv1.ReasonBootInstallFailed, false, "removing", "read-only")
		n.k.RemoveFile(earlyUnit)
		n.expect(n.turn(wants(daemon, map[string]int{pf: 2})), daemon, sriovv1.ReasonDaemonMode, true)
	})
	on(t, simhost.Options{}, func(n *node) {
		spec := wants(systemd, map[string]int{pf: 2})
		for _, op := range []string{"systemd.Enable *", "systemd.Reload *", "files.Copy " + stateFile + " *", "files.Copy " + programFile + " *", "files.Put *late*"} {
			n.k.Fail(simhost.Fault{Op: op, Errno: syscall.ENOSPC})
			mode := daemon
			if op == "systemd.Reload *" {
				// A boot needs no reload.
				mode = systemd
			}
			n.expect(n.turn(spec), mode, sriovv1.ReasonBootInstallFailed, false, "no space left")
			n.k.ClearFaults()
			n.expect(n.turn(spec), systemd, sriovv1.ReasonBootInstalled, true)
			n.turn(wants(daemon, map[string]int{pf: 2}))
			n.restart()
		}
	})
}

// A boot brings back what was in force, not what waits for a drain.
func TestBootBringsBackWhatWasInForce(t *testing.T) {
	on(t, simhost.Options{}, func(n *node) {
		n.turn(wants(systemd, map[string]int{pf: 2}))
		if err := n.k.AssignVF("0000:5f:00.2", "shop/cart"); err != nil {
			t.Fatal(err)
		}
		n.turn(wants(systemd, map[string]int{pf: 3, other: 1}))
		n.reboot()
		observed, err := observe.Node(n.t.Context(), n.k.Admin())
		if err != nil {
			t.Fatal(err)
		}
		if a, b := *observed.PF(pf).NumVFs, *observed.PF(other).NumVFs; a != 2 || b != 1 {
			t.Errorf("the PFs have %d and %d VFs, want 2 and 1", a, b)
		}
		n.turn(wants(systemd, map[string]int{pf: 3, other: 1}))
		if observed, _ = observe.Node(n.t.Context(), n.k.Admin()); *observed.PF(pf).NumVFs != 3 {
			t.Errorf("the daemon does not go on: %d VFs", *observed.PF(pf).NumVFs)
		}
	})
}

// The network that came to be on a PF after its VFs were made is there again with
// them: they are made before it. What the network forbade before, a boot does not
// do, and a network that is there already forbids it at boot too.
func TestNodeNetworkAtBoot(t *testing.T) {
	on(t, simhost.Options{}, func(n *node) {
		spec := wants(systemd, map[string]int{pf: 2})
		n.turn(spec)
		n.k.SetNodeNetwork(uplink, "carries the default route")
		n.turn(spec)
		dump := n.k.Dump()
		n.reboot()
		if diff := cmp.Diff(dump, n.k.Dump()); diff != "" {
			t.Errorf("after the boot (-before +after):\n%s", diff)
		}
		n.turn(wants(systemd, map[string]int{pf: 3}))
		n.reboot()
		if diff := cmp.Diff(dump, n.k.Dump()); diff != "" {
			t.Errorf("a boot did what was blocked:\n%s", diff)
		}
		if f := n.k.Forbidden(); len(f) > 0 {
			t.Errorf("forbidden: %q", f)
		}
	})
	on(t, simhost.Options{}, func(n *node) {
		n.turn(wants(systemd, map[string]int{pf: 2}))
		n.k.SetNodeNetwork(uplink, "carries the default route")
		n.k.AtBoot(nil)
		n.k.Reboot()
		n.k.PodsUnavailable(&os.PathError{Op: "dial", Path: "kubelet.sock", Err: syscall.ENOENT})
		if err := n.phase(boot.Early); err == nil || !strings.Contains(err.Error(), "carries the default route") {
			t.Errorf("with the node's network up: %v", err)
		}
		if f := n.k.Forbidden(); len(f) > 0 {
			t.Errorf("forbidden: %q", f)
		}
	})
}

// A state that cannot be used, a ledger that cannot be read: nothing is touched,
// the units fail, and the daemon says why and repairs.
func TestDamagedState(t *testing.T) {
	on(t, simhost.Options{}, func(n *node) {
		spec := wants(systemd, map[string]int{pf: 2})
		n.turn(spec)
		want := n.k.Dump()
		if err := n.k.PutFile(stateFile, "{\"version\": 1"); err != nil {
			t.Fatal(err)
		}
		n.k.ResetOps()
		n.reboot()
		if ops := n.k.Ops(); ops.Writes != ops.ByKind["files.Copy"] || ops.Writes != 2 {
			t.Errorf("units that know nothing have done %+v", ops)
		}
		for _, phase := range []boot.Phase{boot.Early, boot.Late} {
			if !errors.Is(n.errs[phase], boot.ErrState) {
				t.Errorf("%s: %v", phase, n.errs[phase])
			}
		}
		n.expect(n.turn(spec), systemd, sriovv1.ReasonBootFailed, false, "/"+stateFile, "damaged", "journalctl -b -u sriov-offload-early.service")
		if diff := cmp.Diff(want, n.k.Dump()); diff != "" {
			t.Errorf("the daemon did not repair:\n%s", diff)
		}
		n.reboot()
		n.expect(n.turn(spec), systemd, sriovv1.ReasonBootInstalled, true, "went well")
	})
}

// A unit that leaves no result failed, whatever the reason.
func TestNoResult(t *testing.T) {
	on(t, simhost.Options{}, func(n *node) {
		spec := wants(systemd, map[string]int{pf: 2})
		n.turn(spec)
		n.k.RemoveFile(programFile)
		n.reboot()
		n.expect(n.turn(spec), systemd, sriovv1.ReasonBootFailed, false,
			"sriov-offload-early.service left no result at this boot (load loaded, file enabled, active failed, result exit-code)", "sriov-offload-late.service left")
		// A result of another boot is none of this.
		n.reboot()
		n.expect(n.turn(spec), systemd, sriovv1.ReasonBootInstalled, true)
		n.k.RemoveFile(programFile)
		n.reboot()
		n.expect(n.turn(spec), systemd, sriovv1.ReasonBootFailed, false, "left no result")
		_ = n.k.PutFile(lateResult, "nonsense")
		n.expect(n.turn(spec), systemd, sriovv1.ReasonBootFailed, false, "/"+lateResult+" is no result")
	})
}

// With a kubelet nothing is done, and what became of the boot stays known.
func TestKubeletRuns(t *testing.T) {
	on(t, simhost.Options{}, func(n *node) {
		spec := wants(systemd, map[string]int{pf: 2})
		n.turn(spec)
		n.reboot()
		n.turn(spec)
		if err := n.k.Admin().FS.WriteFile(n.t.Context(), "sys/bus/pci/devices/0000:5f:00.2/driver/unbind", []byte("0000:5f:00.2")); err != nil {
			t.Fatal(err)
		}
		dump, files := n.k.Dump(), n.files()
		for _, phase := range []boot.Phase{boot.Early, boot.Late} {
			if err := n.phase(phase); !errors.Is(err, boot.ErrKubelet) {
				t.Errorf("%s: %v", phase, err)
			}
		}
		if diff := cmp.Diff(dump, n.k.Dump()); diff != "" {
			t.Errorf("something was done:\n%s", diff)
		}
		if diff := cmp.Diff(files, n.files()); diff != "" {
			t.Errorf("files:\n%s", diff)
		}
		// Without a result of this boot, the refusal is one.
		n.k.RemoveFile(lateResult)
		if err := n.phase(boot.Late); !errors.Is(err, boot.ErrKubelet) {
			t.Error(err)
		}
		n.expect(n.turn(spec), systemd, sriovv1.ReasonBootFailed, false, "a kubelet runs")
	})
}

// A kubelet that comes to life or hangs is not one that is not there.
func TestKubeletUnknown(t *testing.T) {
	on(t, simhost.Options{}, func(n *node) {
		n.turn(wants(systemd, map[string]int{pf: 2}))
		n.k.AtBoot(nil)
		n.k.Reboot()
		if err := n.k.Admin().FS.WriteFile(n.t.Context(), "sys/bus/pci/devices/"+pf+"/sriov_numvfs", []byte("1")); err != nil {
			t.Fatal(err)
		}
		dump := n.k.Dump()
		n.k.PodsUnavailable(context.DeadlineExceeded)
		if err := n.phase(boot.Early); err == nil || !strings.Contains(err.Error(), "steps are left") {
			t.Errorf("with a kubelet that hangs: %v", err)
		}
		if diff := cmp.Diff(dump, n.k.Dump()); diff != "" {
			t.Errorf("VFs were removed of which nobody knows who holds them:\n%s", diff)
		}
	})
}

// A NIC whose driver is late is waited for; one that never comes is told, and the
// others are there all the same.
func TestWaitsForNICs(t *testing.T) {
	on(t, simhost.Options{}, func(n *node) {
		spec := wants(systemd, map[string]int{pf: 2, other: 1})
		n.turn(spec)
		dump := n.k.Dump()
		bind := func(what string) error {
			return n.k.Admin().FS.WriteFile(n.t.Context(), "sys/bus/pci/drivers/mlx5_core/"+what, []byte(other))
		}
		late := true
		n.k.AtBoot(func(_, command string) error {
			phase := boot.Phase(command[strings.LastIndex(command, " ")+1:])
			if phase == boot.Early {
				if err := bind("unbind"); err != nil {
					return err
				}
				if late {
					time.AfterFunc(10*time.Second, func() { _ = bind("bind") })
				}
			}
			n.errs[phase] = n.phase(phase)
			return n.errs[phase]
		})
		n.reboot()
		if n.errs[boot.Early] != nil || n.errs[boot.Late] != nil {
			t.Errorf("units: %v", n.errs)
		}
		if diff := cmp.Diff(dump, n.k.Dump()); diff != "" {
			t.Errorf("after the boot (-before +after):\n%s", diff)
		}
		late = false
		begin := time.Now()
		n.reboot()
		for _, phase := range []boot.Phase{boot.Early, boot.Late} {
			if err := n.errs[phase]; err == nil || !strings.Contains(err.Error(), other) || strings.Contains(err.Error(), pf+":") {
				t.Errorf("%s: %v", phase, err)
			}
		}
		if took := time.Since(begin); took < 30*time.Second || took > 2*time.Minute {
			t.Errorf("the boot took %v", took)
		}
		observed, err := observe.Node(n.t.Context(), n.k.Admin())
		if err != nil || len(observed.PF(pf).VFs) != 2 {
			t.Errorf("the other PF is %+v, %v", observed.PF(pf), err)
		}
	})
}

// files are those on the disk without those that any PF with VFs has.
func (n *node) files() map[string]string {
	out := n.k.Files()
	for _, name := range hostfile.Paths() {
		delete(out, name)
	}
	return out
}
