package apply_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/boot"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/hostfile"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// program is what daemons of these tests copy to the host.
func program(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(name, []byte("our program\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// withUnits is a machine in mode systemd.
type withUnits struct {
	k       *simhost.Kernel
	program string
	// crash, if set, hits the phase at that operation.
	crash *crash
	phase boot.Phase
	// ops of each phase of the last boot, errs what became of it.
	ops  map[boot.Phase]simhost.Ops
	errs map[boot.Phase]error
	// bound are VFs that had a driver after the early phase.
	bound []string
}

// install lets the machine's reboots run the units.
func (w *withUnits) install(ctx context.Context) {
	w.k.AtBoot(func(_, command string) error {
		return w.run(ctx, boot.Phase(command[strings.LastIndex(command, " ")+1:]))
	})
}

// run is the process that a unit starts.
func (w *withUnits) run(ctx context.Context, phase boot.Phase) error {
	if w.k.Crashed() {
		w.k.Restart()
	}
	w.k.Settle()
	if w.crash != nil && w.phase == phase {
		w.crash.arm(w.k, w.ops[phase])
	}
	w.k.ResetOps()
	run := boot.Run{Host: w.k.Host(), Store: w.k.Store(), Drivers: driver.Default(), Phase: phase, Patience: 5 * time.Second}
	err := run.Do(ctx)
	if w.crash == nil {
		w.ops[phase] = w.k.Ops()
	}
	w.errs[phase] = err
	w.k.CrashAfter(0)
	w.k.Settle()
	if phase == boot.Early {
		if observed, err := observe.Node(ctx, w.k.Admin()); err == nil {
			for _, pf := range observed.PFs {
				for _, vf := range pf.VFs {
					if vf.Driver != "" {
						w.bound = append(w.bound, vf.PCIAddress+" on "+vf.Driver)
					}
				}
			}
		}
	}
	return err
}

func (w *withUnits) reboot(crash *crash, phase boot.Phase) {
	if w.ops == nil {
		w.ops = map[boot.Phase]simhost.Ops{}
	}
	w.errs, w.bound = map[boot.Phase]error{}, nil
	w.crash, w.phase = crash, phase
	w.k.Reboot()
	if w.k.Crashed() {
		w.k.Restart()
	}
	w.k.Settle()
}

// keep is the last part of a daemon's turn: what is in force goes to the host.
func (w *withUnits) keep(ctx context.Context, spec sriovv1.SriovNetworkNodeStateSpec) (boot.Status, plan.Plan, error) {
	h := w.k.Host()
	led, err := ledger.Open(ctx, w.k.Store())
	if err != nil {
		return boot.Status{}, plan.Plan{}, err
	}
	spec.System.ConfigurationMode = sriovv1.ConfigurationSystemd
	observed, todo, err := look(ctx, h, spec, led)
	if err != nil {
		return boot.Status{}, plan.Plan{}, err
	}
	keeper := boot.Keeper{Host: h, Program: w.program}
	in := plan.Input{Spec: spec, Observed: observed, Owned: led.Record(), Drivers: driver.Default()}
	return keeper.Keep(ctx, led, in, todo), todo, nil
}

// settle is a daemon at work until nothing is left to be done.
func (w *withUnits) settle(ctx context.Context, spec sriovv1.SriovNetworkNodeStateSpec) (boot.Status, error) {
	if err := stabilize(ctx, w.k, spec); err != nil {
		return boot.Status{}, err
	}
	status, _, err := w.keep(ctx, spec)
	return status, err
}

// rebooting are scenarios for a reboot. A PF that carries the node's network is
// brought back by units, before there is a network, and never by the daemon: see
// TestNodeNetworkAtBoot of daemon/boot.
func rebooting(most int) *rapid.Generator[*scenario] {
	return rapid.Custom(func(t *rapid.T) *scenario {
		s := scenarios(most, true).Draw(t, "scenario")
		s.before = slices.DeleteFunc(s.before, func(a action) bool { return strings.HasSuffix(a.text, "node network") })
		return s
	})
}

// Units bring a node back to what it was, without binding a VF in the early part;
// after them the daemon has nothing to do, and where it has, because something was
// not in force before, it comes to the same end as without units.
func TestUnits(t *testing.T) {
	name := program(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := rebooting(2).Draw(rt, "scenario")
		if err := bubble(t, func(ctx context.Context) error { return comesBack(ctx, s, name) }); err != nil {
			rt.Fatalf("%v\n%s", err, s)
		}
	})
}

// afterReboots is the end of a machine in mode daemon that is rebooted. Whole tells
// that it is as the spec says. Where it is not, something is blocked or fails, and
// the machine in mode systemd has what it had before: that is another end.
func afterReboots(ctx context.Context, s *scenario, boots int) (e ending, whole bool, err error) {
	k := s.boot(ctx)
	defer k.Close()
	for _, spec := range s.specs {
		if err := stabilize(ctx, k, spec); err != nil {
			return ending{}, false, err
		}
	}
	spec := s.specs[len(s.specs)-1]
	for range boots {
		k.Reboot()
		k.Settle()
		if e, err = endWithoutBoot(ctx, k, spec); err != nil {
			return e, false, err
		}
	}
	led, err := ledger.Open(ctx, k.Store())
	if err != nil {
		return e, false, err
	}
	_, todo, err := look(ctx, k.Host(), spec, led)
	return e, todo.Empty() && len(todo.Blockers) == 0, err
}

func comesBack(ctx context.Context, s *scenario, name string) error {
	want, whole, err := afterReboots(ctx, s, 1)
	if err != nil {
		return fmt.Errorf("in mode daemon: %w", err)
	}
	w := &withUnits{k: s.boot(ctx), program: name}
	defer w.k.Close()
	w.install(ctx)
	spec := s.specs[len(s.specs)-1]
	for _, each := range s.specs {
		if status, err := w.settle(ctx, each); err != nil || !status.Ready {
			return fmt.Errorf("in mode systemd: %+v, %w", status, err)
		}
	}
	_, todo, err := w.keep(ctx, spec)
	if err != nil {
		return err
	}
	calm := whole && todo.Empty() && len(todo.Blockers) == 0 && len(todo.Waiting) == 0
	w.reboot(nil, "")
	if len(w.errs) != 2 {
		return fmt.Errorf("units that have run: %v", w.errs)
	}
	if len(w.bound) > 0 {
		return fmt.Errorf("the early part has bound %v", w.bound)
	}
	status, todo, err := w.keep(ctx, spec)
	if err != nil {
		return err
	}
	if calm && (!todo.Empty() || !status.Ready || w.errs[boot.Early] != nil || w.errs[boot.Late] != nil) {
		return fmt.Errorf("after units that had all to do: left %v, %+v, %v", todo.Steps(), status, w.errs)
	}
	if failed := w.errs[boot.Early] != nil || w.errs[boot.Late] != nil; failed != (status.Reason == sriovv1.ReasonBootFailed) {
		return fmt.Errorf("units ended with %v, and the status is %+v", w.errs, status)
	}
	return w.same(ctx, spec, want, calm)
}

// same compares the end with that of mode daemon, if calm: all was in force before
// the reboot, and is again. Otherwise the boot brings back something else first, of
// which an MTU may stay, and that the VFs are ours.
func (w *withUnits) same(ctx context.Context, spec sriovv1.SriovNetworkNodeStateSpec, want ending, calm bool) error {
	got, err := endWithoutBoot(ctx, w.k, spec)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(ending{})); calm && diff != "" {
		return fmt.Errorf("end (-mode daemon +mode systemd):\n%s", diff)
	}
	last, err := take(ctx, w.k, spec)
	if err != nil {
		return err
	}
	if err := reached(ctx, w.k, spec, &last); err != nil {
		return fmt.Errorf("%w\n%s", err, w.k.Dump())
	}
	if f := w.k.Forbidden(); len(f) > 0 {
		return fmt.Errorf("forbidden: %s", strings.Join(f, "; "))
	}
	return nil
}

// A unit that dies at any operation, with the daemon that comes after it, leads to
// the same end, and its death is told.
func TestUnitsCrash(t *testing.T) {
	name := program(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := rebooting(1).Draw(rt, "scenario")
		c := crashes().Draw(rt, "crash")
		phase := rapid.SampledFrom([]boot.Phase{boot.Early, boot.Late}).Draw(rt, "phase")
		if err := bubble(t, func(ctx context.Context) error { return survivesBoot(ctx, s, name, c, phase) }); err != nil {
			rt.Fatalf("%v\n%s part %+v\n%s", err, phase, c, s)
		}
	})
}

func survivesBoot(ctx context.Context, s *scenario, name string, c crash, phase boot.Phase) error {
	want, whole, err := afterReboots(ctx, s, 2)
	if err != nil {
		return fmt.Errorf("in mode daemon: %w", err)
	}
	w := &withUnits{k: s.boot(ctx), program: name}
	defer w.k.Close()
	w.install(ctx)
	if _, err := w.settle(ctx, s.specs[0]); err != nil {
		return err
	}
	// The first boot counts the operations.
	w.reboot(nil, "")
	if _, err := w.settle(ctx, s.specs[0]); err != nil {
		return err
	}
	_, todo, err := w.keep(ctx, s.specs[0])
	if err != nil {
		return err
	}
	w.reboot(&c, phase)
	if len(w.bound) > 0 {
		return fmt.Errorf("the early part has bound %v", w.bound)
	}
	status, _, err := w.keep(ctx, s.specs[0])
	if err != nil {
		return err
	}
	if errors.Is(w.errs[phase], simhost.ErrCrashed) && status.Ready {
		// The last operation is that of the result itself.
		if !strings.Contains(w.errs[phase].Error(), "saving what became") {
			return fmt.Errorf("the death of the %s part is not told: %w, %+v", phase, w.errs[phase], status)
		}
	}
	return w.same(ctx, s.specs[0], want, whole && todo.Empty())
}

// A machine that reboots at any operation of a daemon in mode systemd, also while
// that one writes for the boot, comes to the same end as in mode daemon, and to
// the same files as without the reboot.
func TestRebootWithUnits(t *testing.T) {
	name := program(t)
	rapid.Check(t, func(rt *rapid.T) {
		s := rebooting(2).Draw(rt, "scenario")
		c := crashes().Draw(rt, "crash")
		if err := bubble(t, func(ctx context.Context) error { return rebootsAnywhere(ctx, s, name, c) }); err != nil {
			rt.Fatalf("%v\n%+v\n%s", err, c, s)
		}
	})
}

func rebootsAnywhere(ctx context.Context, s *scenario, name string, c crash) error {
	want, whole, err := afterReboots(ctx, s, 1)
	if err != nil {
		return fmt.Errorf("in mode daemon: %w", err)
	}
	last := s.specs[len(s.specs)-1]
	prepare := func() (*withUnits, error) {
		w := &withUnits{k: s.boot(ctx), program: name}
		w.install(ctx)
		for _, spec := range s.specs[:len(s.specs)-1] {
			if _, err := w.settle(ctx, spec); err != nil {
				return w, err
			}
		}
		w.k.ResetOps()
		return w, nil
	}
	turn := func(w *withUnits) error {
		if _, err := take(ctx, w.k, last); err != nil {
			return err
		}
		_, _, err := w.keep(ctx, last)
		return err
	}
	calm, err := prepare()
	if err != nil {
		return err
	}
	defer calm.k.Close()
	if err := turn(calm); err != nil {
		return err
	}
	ops := calm.k.Ops()
	calm.reboot(nil, "")
	if _, err := calm.settle(ctx, last); err != nil {
		return err
	}
	stormy, err := prepare()
	if err != nil {
		return err
	}
	defer stormy.k.Close()
	c.arm(stormy.k, ops)
	if err := turn(stormy); err != nil && !stormy.k.Crashed() {
		return err
	}
	stormy.k.CrashAfter(0)
	stormy.reboot(nil, "")
	if len(stormy.bound) > 0 {
		return fmt.Errorf("the early part has bound %v", stormy.bound)
	}
	if _, err := stormy.settle(ctx, last); err != nil {
		return err
	}
	files := func(w *withUnits) map[string]string {
		all := w.k.Files()
		for _, phase := range []boot.Phase{boot.Early, boot.Late} {
			// Whether a unit ran at the last boot, and had something to do, may differ.
			delete(all, "var/lib/sriov-offload-operator/boot-"+string(phase)+".json")
		}
		// They follow what can be done about each PF, which another boot may change.
		for _, name := range hostfile.Paths() {
			delete(all, name)
		}
		return all
	}
	if diff := cmp.Diff(files(calm), files(stormy)); whole && diff != "" {
		return fmt.Errorf("files (-calm +rebooted):\n%s", diff)
	}
	return stormy.same(ctx, last, want, whole && len(s.specs) == 1)
}

// withoutFirstLook leaves out what is known of cards whose firmware is chosen: what
// a card is like at first contact depends on whether the units or the daemon look
// first after its firmware was loaded at boot, and whether we bound its driver or
// the boot did, too.
func withoutFirstLook(r *ledger.Record, spec sriovv1.SriovNetworkNodeStateSpec) {
	for _, i := range spec.Interfaces {
		if i.FirmwareApp == "" {
			continue
		}
		delete(r.PFs, i.PCIAddress)
		if f, ok := r.Firmware[i.PCIAddress]; ok {
			f.Loaded, f.Driver = "", ""
			r.Firmware[i.PCIAddress] = f
		}
	}
}

// endWithoutBoot is end without the files for the boot, which only one of two modes
// has.
func endWithoutBoot(ctx context.Context, k *simhost.Kernel, spec sriovv1.SriovNetworkNodeStateSpec) (ending, error) {
	e, err := endWithout(ctx, k, spec, func(r *ledger.Record) { withoutFirstLook(r, spec) })
	maps.DeleteFunc(e.files, func(name, _ string) bool {
		return strings.HasPrefix(name, "etc/systemd/") || strings.HasPrefix(name, "var/lib/sriov-offload-operator/b")
	})
	for _, name := range hostfile.Paths() {
		delete(e.files, name)
	}
	return e, err
}
