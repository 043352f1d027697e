package ledger_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

func begin(t *testing.T, l *ledger.Ledger, pf string, p ledger.Probation) {
	t.Helper()
	if err := l.Begin(t.Context(), map[string]ledger.Probation{pf: p}); err != nil {
		t.Fatal(err)
	}
}

// A change that is under way is known after a restart, with the state before the
// first of several unfinished ones; a new boot begins anew.
func TestProbation(t *testing.T) {
	s := store(t)
	l := open(t, s)
	first := ledger.Probation{
		Identity: boot1, Before: ledger.Initial{NumVFs: 2, EswitchMode: "legacy"}, Want: "w1",
		Checks: []ledger.Check{{Kind: "Gateway", Address: "192.0.2.1", Link: "0000:5f:00.0"}},
	}
	begin(t, l, pf0, first)
	begin(t, l, pf0, ledger.Probation{Identity: boot1, Before: ledger.Initial{NumVFs: 0}, Want: "w2"})
	if diff := cmp.Diff(map[string]ledger.Probation{pf0: first}, open(t, s).Record().Probations); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
	later := ledger.Probation{Identity: boot2, Before: ledger.Initial{NumVFs: 1}, Want: "w2"}
	begin(t, l, pf0, later)
	if diff := cmp.Diff(map[string]ledger.Probation{pf0: later}, open(t, s).Record().Probations); diff != "" {
		t.Errorf("in the next boot (-want +got):\n%s", diff)
	}
}

// An ended change leaves nothing, or what it cost; that lasts until something else
// is wanted, also of the next boot, and not of another NIC.
func TestLoss(t *testing.T) {
	s := store(t)
	l := open(t, s)
	begin(t, l, pf0, ledger.Probation{Identity: boot1, Want: "w1"})
	begin(t, l, pf1, ledger.Probation{Identity: boot1, Want: "w1"})
	loss := ledger.Loss{Vendor: "15b3", DeviceID: "1017", Want: "w1", Message: "the API server was lost"}
	if err := l.End(t.Context(), []string{pf0, pf1}, map[string]ledger.Loss{pf0: loss}); err != nil {
		t.Fatal(err)
	}
	got := open(t, s).Record()
	if diff := cmp.Diff(map[string]ledger.Loss{pf0: loss}, got.Losses); diff != "" || len(got.Probations) > 0 {
		t.Errorf("after a restart: %v\n%s", got.Probations, diff)
	}
	for _, c := range []struct {
		now      ledger.Identity
		want     string
		concerns bool
	}{{boot1, "w1", true}, {boot2, "w1", true}, {boot1, "w2", false}, {other, "w1", false}, {ledger.Identity{}, "w1", true}} {
		if loss.Concerns(c.now, c.want) != c.concerns {
			t.Errorf("Concerns(%v, %s) is %t", c.now, c.want, !c.concerns)
		}
	}
	if err := l.ForgetLosses(t.Context(), pf0); err != nil {
		t.Fatal(err)
	}
	if got := open(t, s).Record().Losses; len(got) > 0 {
		t.Errorf("forgotten losses: %v", got)
	}
}

// Records with what no PF can have are refused.
func TestUnfitProbation(t *testing.T) {
	for name, text := range map[string]string{
		"address":      `"probations": {"a/b": {"before": {"numVfs": 0}}}`,
		"state":        `"probations": {"0000:5f:00.0": {"before": {"numVfs": -1}}}`,
		"check":        `"probations": {"0000:5f:00.0": {"before": {"numVfs": 0}, "checks": [{"kind": ""}]}}`,
		"loss":         `"losses": {"a/b": {"want": "w"}}`,
		"loss of what": `"losses": {"0000:5f:00.0": {"want": ""}}`,
	} {
		if _, err := ledger.Open(t.Context(), memory(`{"version": 3, `+text+`}`)); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
}
