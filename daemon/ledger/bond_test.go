package ledger_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// Bonds are noted, outlive a restart, are noted anew for another boot, and forgotten.
func TestBonds(t *testing.T) {
	s := store(t)
	l := open(t, s)
	note := func(name, boot string, members ...string) {
		t.Helper()
		if err := l.NoteBond(t.Context(), name, ledger.Bond{BootID: boot, Members: members}); err != nil {
			t.Fatal(err)
		}
	}
	note("bond1", "a", pf0)
	note("bönd", "a", pf0)
	note("bond1", "b", pf0, pf1)
	want := map[string]ledger.Bond{
		"bond1": {BootID: "b", Members: []string{pf0, pf1}},
		"bönd":  {BootID: "a", Members: []string{pf0}},
	}
	if diff := cmp.Diff(want, open(t, s).Record().Bonds); diff != "" {
		t.Errorf("bonds (-want +got):\n%s", diff)
	}
	held := l.Record()
	if err := l.ForgetBonds(t.Context(), "bond1", "other"); err != nil {
		t.Fatal(err)
	}
	if len(held.Bonds) != 2 {
		t.Error("a copy of the record changed")
	}
	delete(want, "bond1")
	if diff := cmp.Diff(want, open(t, s).Record().Bonds); diff != "" {
		t.Errorf("bonds after forgetting one (-want +got):\n%s", diff)
	}
}

func TestBondStale(t *testing.T) {
	for _, c := range []struct {
		noted, now string
		want       bool
	}{{"a", "a", false}, {"a", "b", true}, {"", "b", false}, {"a", "", false}} {
		if got := (ledger.Bond{BootID: c.noted}).Stale(c.now); got != c.want {
			t.Errorf("noted in %q, now %q: stale is %t", c.noted, c.now, got)
		}
	}
}

// What no bond can be called is not taken, neither from a file nor to be saved.
func TestBondsInvalid(t *testing.T) {
	for name, record := range map[string]string{
		"name":   `{"version": 3, "bonds": {"a/b": {"members": []}}}`,
		"dots":   `{"version": 3, "bonds": {"..": {"members": []}}}`,
		"boot":   `{"version": 3, "bonds": {"bond1": {"bootID": "a b", "members": []}}}`,
		"member": `{"version": 3, "bonds": {"bond1": {"members": ["../x"]}}}`,
	} {
		if _, err := ledger.Open(t.Context(), memory(record)); !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l := open(t, store(t))
	if err := l.NoteBond(t.Context(), "a:b", ledger.Bond{}); err == nil || !strings.Contains(err.Error(), "a:b") {
		t.Errorf("a name that is none: %v", err)
	}
	if len(l.Record().Bonds) != 0 {
		t.Error("it was noted")
	}
}
