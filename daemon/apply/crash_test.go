package apply_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/hostfile"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// crash is where the daemon dies.
type crash struct {
	// at is the operation, as a share of those of an undisturbed turn.
	at float64
	// before its effect, or after it but before the daemon learns of it.
	before bool
	// writes counts only operations that change something.
	writes bool
	// reboot: the whole machine goes down with the daemon.
	reboot bool
}

func crashes() *rapid.Generator[crash] {
	return rapid.Custom(func(t *rapid.T) crash {
		return crash{
			at:     rapid.Float64Range(0, 1).Draw(t, "at"),
			before: rapid.Bool().Draw(t, "before"),
			writes: rapid.IntRange(0, 3).Draw(t, "writes") > 0,
		}
	})
}

func (c crash) arm(k *simhost.Kernel, ops simhost.Ops) {
	var when []simhost.CrashWhen
	total := ops.Total()
	if c.writes {
		when = append(when, simhost.CountWrites)
		total = ops.Writes
	}
	if c.before {
		when = append(when, simhost.BeforeEffect)
	}
	k.CrashAfter(1+int(c.at*float64(total)), when...)
}

// A daemon that dies at any operation and starts again comes to the same end,
// in the machine and in the ledger, as one that does not.
func TestCrash(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := scenarios(2, true).Draw(rt, "scenario")
		c := crashes().Draw(rt, "crash")
		if err := bubble(t, func(ctx context.Context) error { return survives(ctx, s, c) }); err != nil {
			rt.Fatalf("%v\n%+v\n%s", err, c, s)
		}
	})
}

// The same when the machine reboots in the middle.
func TestReboot(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := scenarios(1, true).Draw(rt, "scenario")
		c := crashes().Draw(rt, "crash")
		c.reboot = true
		if err := bubble(t, func(ctx context.Context) error { return survives(ctx, s, c) }); err != nil {
			rt.Fatalf("%v\n%+v\n%s", err, c, s)
		}
	})
}

// survives carries out all specs but the last on two machines, and the last one
// with a crash on one of them.
func survives(ctx context.Context, s *scenario, c crash) error {
	last := len(s.specs) - 1
	prepare := func() (*simhost.Kernel, error) {
		k := s.boot(ctx)
		for _, spec := range s.specs[:last] {
			if err := stabilize(ctx, k, spec); err != nil {
				k.Close()
				return nil, err
			}
		}
		k.ResetOps()
		return k, nil
	}
	calm, err := prepare()
	if err != nil {
		return err
	}
	defer calm.Close()
	if c.reboot {
		calm.Reboot()
		calm.Settle()
		calm.ResetOps()
	}
	want, err := end(ctx, calm, s.specs[last])
	if err != nil {
		return fmt.Errorf("undisturbed: %w", err)
	}
	stormy, err := prepare()
	if err != nil {
		return err
	}
	defer stormy.Close()
	c.arm(stormy, calm.Ops())
	if _, err := take(ctx, stormy, s.specs[last]); err != nil && !stormy.Crashed() {
		return fmt.Errorf("before the crash: %w", err)
	}
	stormy.CrashAfter(0)
	if c.reboot {
		stormy.Reboot()
		stormy.Settle()
	}
	got, err := end(ctx, stormy, s.specs[last])
	if err != nil {
		return fmt.Errorf("after the crash: %w", err)
	}
	if c.reboot && wantsFirmware(s.specs[last]) {
		// A link that was made before the reboot has led to the application by then:
		// the first state in this boot is another one.
		want.ledger, got.ledger = "", ""
		want.dump, got.dump = upOrDown.ReplaceAllString(want.dump, "$2"), upOrDown.ReplaceAllString(got.dump, "$2")
		// The rules, and which ports are up, follow what can be done about a PF, which the application's number of
		// VFs limits from the beginning then.
		for _, name := range hostfile.Paths() {
			delete(want.files, name)
			delete(got.files, name)
		}
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(ending{})); diff != "" {
		return fmt.Errorf("end (-undisturbed +crashed):\n%s", diff)
	}
	if f := stormy.Forbidden(); len(f) > 0 {
		return fmt.Errorf("forbidden: %s", strings.Join(f, "; "))
	}
	return nil
}

var upOrDown = regexp.MustCompile(` (up|down)( mtu)`)

// ending is the end state of a machine.
type ending struct {
	dump, ledger string
	files        map[string]string
}

// end takes turns until nothing happens any more.
func end(ctx context.Context, k *simhost.Kernel, spec sriovv1.SriovNetworkNodeStateSpec) (ending, error) {
	return endWithout(ctx, k, spec, func(*ledger.Record) {})
}

// endWithout is end, but for what forget drops from the ledger's record.
func endWithout(ctx context.Context, k *simhost.Kernel, spec sriovv1.SriovNetworkNodeStateSpec, forget func(*ledger.Record)) (ending, error) {
	if err := stabilize(ctx, k, spec); err != nil {
		return ending{}, err
	}
	led, err := ledger.Open(ctx, k.Store())
	if err != nil {
		return ending{}, err
	}
	observed, p, err := look(ctx, k.Admin(), spec, led)
	if err != nil {
		return ending{}, err
	}
	found := led.Record()
	// What was noted in an earlier boot means nothing.
	maps.DeleteFunc(found.PFs, func(_ string, pf ledger.PF) bool { return pf.BootID != observed.BootID })
	maps.DeleteFunc(found.Bonds, func(_ string, b ledger.Bond) bool { return b.BootID != observed.BootID })
	forgetEarlier(&found, observed.BootID)
	for pf, f := range found.Firmware {
		if f.Pending != observed.BootID {
			f.Pending = ""
			found.Firmware[pf] = f
		}
	}
	// What is installed for the boot is compared as files.
	found.Boot = ledger.Boot{}
	forget(&found)
	dump := k.Dump()
	if !p.Empty() {
		// The orders of VFs and mode take turns while an unknown driver refuses
		// both, and they are refused at different points: how far the last one came
		// depends on the number of turns.
		found.Orders = nil
		dump = withoutEarlierMTUs(withoutTrials(dump), observed.BootID)
	}
	record, err := json.MarshalIndent(found, "", " ")
	return ending{dump: dump, ledger: string(record), files: k.Files()}, err
}

// withoutTrials leaves out of a dump how far an order that is tried on a driver
// that is not known has come: the PF's VFs, autoprobe and everything of its VFs.
func withoutTrials(dump string) string {
	var out []string
	trial := false
	for line := range strings.Lines(dump) {
		if !strings.HasPrefix(line, " ") {
			before, _, found := strings.Cut(line, " driver newcomer ")
			if trial = found; trial {
				line = before + " on trial\n"
			}
		}
		if !trial || !strings.HasPrefix(line, " ") || strings.HasPrefix(line, "  netdev ") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}
