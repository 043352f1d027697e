package apply_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

// lagVFs is how many VFs each port of the timed VF-LAG has.
const lagVFs = 127

// perPF is how many VFs of a PF are bound at the same time (parallel in run.go).
const perPF = 16

// realDelays are those of a dual-port ConnectX-6 Dx.
func realDelays() simhost.Delays {
	return simhost.Delays{
		NumVFs:  100 * time.Millisecond,
		PerVF:   10 * time.Millisecond,
		Eswitch: time.Second,
		Probe:   30 * time.Millisecond,
		Rename:  5 * time.Millisecond,
		LAG:     time.Second,
		Carrier: 700 * time.Millisecond,
	}
}

// criticalPath is what has to follow one after the other, whoever does it: VFs are
// made (both ports at once), the mode changes (both at once), the NIC offloads the
// bond, and the VFs of a port are probed, perPF at a time. Renames and carriers come
// beside it: nothing waits for them.
func criticalPath(d simhost.Delays, vfs int) time.Duration {
	rounds := time.Duration((vfs + perPF - 1) / perPF)
	return d.NumVFs + time.Duration(vfs)*d.PerVF + d.Eswitch + d.LAG + rounds*d.Probe
}

// timeLAG makes a VF-LAG of two fresh ports with VFs, and returns how long the turn
// took and the critical path.
func timeLAG(ctx context.Context, vfs int) (took, critical time.Duration, err error) {
	delays := realDelays()
	k := simhost.New(simhost.Options{
		NICs:   []simhost.NIC{simhost.ConnectX6Dx(simhost.TotalVFs(vfs), simhost.LAGVFs(0))},
		Delays: delays,
	})
	defer k.Close()
	const pf0, pf1 = "0000:3b:00.0", "0000:3b:00.1"
	spec := guide(vfs, pf0, pf1)
	spec.Bonds = []sriovv1.Bond{{
		BondSpec: sriovv1.BondSpec{Name: "bond1", Mode: sriovv1.BondModeLACP},
		Members:  []string{pf0, pf1}, PolicyName: "policy",
	}}
	start := time.Now()
	turn, err := take(ctx, k, spec)
	if err != nil {
		return 0, 0, err
	}
	took = time.Since(start)
	if err := turn.result.Err(); err != nil {
		return 0, 0, err
	}
	k.Settle()
	if again, err := take(ctx, k, spec); err != nil || !again.plan.Empty() || len(again.plan.Blockers) > 0 {
		return 0, 0, fmt.Errorf("one turn left something to be done: %v, %v (%w)", again.plan.Steps(), again.plan.Blockers, err)
	}
	if f := k.Forbidden(); len(f) > 0 || k.LAG(pf0) != "active" {
		return 0, 0, fmt.Errorf("forbidden %v, LAG %s", f, k.LAG(pf0))
	}
	return took, criticalPath(delays, vfs), nil
}

// A VF-LAG of two ports with 127 VFs each takes at most a fifth longer than what
// cannot be done at the same time. The time is virtual: the same on every machine.
func TestLAGTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took, critical, err := timeLAG(t.Context(), lagVFs)
		if err != nil {
			t.Fatal(err)
		}
		ratio := float64(took) / float64(critical)
		t.Logf("took %v, critical path %v, ratio %.3f", took, critical, ratio)
		if ratio > 1.2 || ratio < 1 {
			t.Errorf("ratio %.3f: it took %v, the critical path is %v", ratio, took, critical)
		}
	})
}

// BenchmarkLAG2x127 reports, besides the machine's own time, the virtual time of a
// VF-LAG and its ratio to the critical path.
func BenchmarkLAG2x127(b *testing.B) {
	for b.Loop() {
		var took, critical time.Duration
		err := virtually(b, func(ctx context.Context) (err error) {
			took, critical, err = timeLAG(ctx, lagVFs)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(took.Seconds(), "virtual-s/op")
		b.ReportMetric(float64(took)/float64(critical), "ratio")
	}
}

// virtually runs f in virtual time, which testing offers to tests alone.
func virtually(b *testing.B, f func(context.Context) error) error {
	b.Helper()
	err := errors.New("it was not run")
	body := func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { err = f(t.Context()) })
	}
	all := func(string, string) (bool, error) { return true, nil }
	testing.RunTests(all, []testing.InternalTest{{Name: b.Name(), F: body}})
	return err
}
