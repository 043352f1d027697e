package ledger_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// A bridge is noted with the PF's MTU of the first time, outlives the PF, and is
// forgotten by itself.
func TestBridges(t *testing.T) {
	s := store(t)
	l := open(t, s)
	note(t, l, pf0, ledger.Initial{}, true)
	for _, c := range []struct {
		change func() error
		want   map[string]ledger.Bridge
	}{
		{func() error { return l.NoteBridge(t.Context(), pf0, ledger.Bridge{Name: "br0", MTU: 1500}) }, map[string]ledger.Bridge{pf0: {Name: "br0", MTU: 1500}}},
		{func() error { return l.NoteBridge(t.Context(), pf0, ledger.Bridge{Name: "br0", MTU: 9000}) }, map[string]ledger.Bridge{pf0: {Name: "br0", MTU: 1500}}},
		{func() error { return l.NoteBridge(t.Context(), pf0, ledger.Bridge{Name: "br1", MTU: 9000}) }, map[string]ledger.Bridge{pf0: {Name: "br1", MTU: 1500}}},
		{func() error { return l.Forget(t.Context(), pf0) }, map[string]ledger.Bridge{pf0: {Name: "br1", MTU: 1500}}},
		{func() error { return l.ForgetBridges(t.Context(), pf1) }, map[string]ledger.Bridge{pf0: {Name: "br1", MTU: 1500}}},
		{func() error { return l.ForgetBridges(t.Context(), pf0) }, nil},
	} {
		before := l.Record()
		if err := c.change(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, open(t, s).Record().Bridges); diff != "" {
			t.Errorf("bridges after a restart:\n%s", diff)
		}
		if len(before.Bridges) > 0 && before.Bridges[pf0].Name == "" {
			t.Error("a copy of the record changed")
		}
	}
}

// A bridge that cannot be makes the whole record untrustworthy, and is never saved.
func TestBridgesInvalid(t *testing.T) {
	for _, bridges := range []string{`{"a/b": {"name": "br0"}}`, `{"0000:5f:00.0": {"name": ""}}`, `{"0000:5f:00.0": {"name": "br0", "mtu": -1}}`} {
		if _, err := ledger.Open(t.Context(), memory(`{"version": 3, "bridges": `+bridges+`}`)); !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("%s: %v", bridges, err)
		}
	}
	if err := open(t, store(t)).NoteBridge(t.Context(), pf0, ledger.Bridge{Name: "a b"}); err == nil {
		t.Error("a name that is none was saved")
	}
}
