package ledger_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// What was noted for the boot is kept, together with the boot it was first noted
// in, until it is forgotten; a holder of a copy sees none of it.
func TestBoot(t *testing.T) {
	store := ledger.FileStore{Path: t.TempDir() + "/ledger.json"}
	l := open(t, store)
	note := func(b ledger.Boot) {
		t.Helper()
		if err := l.NoteBoot(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	const unit, folder = "etc/systemd/system/a.service", "var/lib/sriov-offload-operator"
	note(ledger.Boot{BootID: "one", Units: []string{"a.service"}, Files: []string{unit}, Folders: []string{folder}})
	before := l.Record()
	note(ledger.Boot{BootID: "two", Files: []string{unit, folder + "/boot.json"}, Folders: []string{folder + "/bin"}})
	want := ledger.Boot{
		BootID: "one", Units: []string{"a.service"}, Files: []string{unit, folder + "/boot.json"}, Folders: []string{folder, folder + "/bin"},
	}
	if diff := cmp.Diff(want, open(t, store).Record().Boot); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if len(before.Boot.Files) != 1 || len(before.Boot.Folders) != 1 {
		t.Errorf("a copy has changed: %+v", before.Boot)
	}
	if err := l.ForgetBoot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := open(t, store).Record().Boot; !got.Empty() || got.BootID != "" {
		t.Errorf("after it was forgotten: %+v", got)
	}
	note(ledger.Boot{BootID: "three", Units: []string{"a.service"}})
	if got := l.Record().Boot.BootID; got != "three" {
		t.Errorf("noted anew in boot %q", got)
	}
}

// A damaged record must not make us remove what is not ours.
func TestBootPlaces(t *testing.T) {
	for _, boot := range []string{
		`"files": ["etc/passwd"]`, `"files": ["etc/systemd/system/../../passwd"]`, `"files": ["/etc/systemd/system/a"]`,
		`"files": ["etc/systemd/systemx/a"]`, `"folders": ["var/lib"]`, `"folders": [""]`, `"units": ["a/b"]`, `"bootID": "a b"`,
	} {
		_, err := ledger.Open(t.Context(), memory(`{"version": 3, "boot": {`+boot+`}}`))
		if !errors.Is(err, ledger.ErrCorrupt) || !strings.Contains(err.Error(), "boot.") {
			t.Errorf("%s: %v", boot, err)
		}
	}
	l := open(t, store(t))
	if err := l.NoteBoot(t.Context(), ledger.Boot{Files: []string{"etc/passwd"}}); err == nil {
		t.Error("a file that Open would not read again was noted")
	}
}
