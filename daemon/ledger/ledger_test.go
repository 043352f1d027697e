package ledger_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

const (
	pf0 = "0000:5f:00.0"
	pf1 = "0000:5f:00.1"
)

func open(t *testing.T, store ledger.Store) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func note(t *testing.T, l *ledger.Ledger, pf string, initial ledger.Initial, owns bool) {
	t.Helper()
	if err := l.Note(t.Context(), pf, initial, owns); err != nil {
		t.Fatal(err)
	}
}

func store(t *testing.T) ledger.FileStore {
	return ledger.FileStore{Path: filepath.Join(t.TempDir(), "var", "lib", "ledger.json")}
}

// What was noted is there after a restart, readable by root alone.
func TestPersistence(t *testing.T) {
	s := store(t)
	l := open(t, s)
	on := true
	initial := ledger.Initial{NumVFs: 2, EswitchMode: "legacy", MTU: 1500, Autoprobe: &on,
		VFs: []ledger.InitialVF{{Index: 0, Driver: "mlx5_core", MTU: 1500}, {Index: 1}}}
	note(t, l, pf0, initial, true)
	note(t, l, pf1, ledger.Initial{}, false)
	want := ledger.Record{Version: ledger.Version, PFs: map[string]ledger.PF{
		pf0: {Initial: initial, OwnsVFs: true}, pf1: {},
	}}
	if diff := cmp.Diff(want, open(t, s).Record()); diff != "" {
		t.Errorf("record after a restart:\n%s", diff)
	}
	for path, mode := range map[string]fs.FileMode{s.Path: 0o600, filepath.Dir(s.Path): 0o700 | fs.ModeDir} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != mode {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), mode)
		}
	}
	if err := l.Forget(t.Context(), pf0, "0000:99:00.0"); err != nil {
		t.Fatal(err)
	}
	delete(want.PFs, pf0)
	if diff := cmp.Diff(want, open(t, s).Record()); diff != "" {
		t.Errorf("record after forgetting:\n%s", diff)
	}
	entries, err := os.ReadDir(filepath.Dir(s.Path))
	if err != nil || len(entries) != 1 {
		t.Errorf("files left behind: %v, %v", entries, err)
	}
}

// The first state stays, whatever comes later, unless somebody else changed the
// VFs before they became ours.
func TestNote(t *testing.T) {
	first := ledger.Initial{NumVFs: 2, EswitchMode: "legacy", MTU: 1500, VFs: []ledger.InitialVF{{Index: 0, Driver: "mlx5_core"}}}
	ours := ledger.Initial{NumVFs: 2, EswitchMode: "legacy", MTU: 9000, VFs: []ledger.InitialVF{{Index: 0, Driver: "vfio-pci"}}}
	theirs := ledger.Initial{NumVFs: 4, EswitchMode: "legacy", MTU: 9000}
	type entry struct {
		initial ledger.Initial
		owns    bool
	}
	for _, c := range []struct {
		name  string
		notes []entry
		want  ledger.PF
	}{
		{"settings only", []entry{{first, false}, {ours, false}}, ledger.PF{Initial: first}},
		{"settings, then VFs", []entry{{first, false}, {ours, true}}, ledger.PF{Initial: first, OwnsVFs: true}},
		{"somebody else in between", []entry{{first, false}, {theirs, true}},
			ledger.PF{Initial: ledger.Initial{NumVFs: 4, EswitchMode: "legacy", MTU: 1500}, OwnsVFs: true}},
		{"VFs are ours", []entry{{first, true}, {theirs, true}}, ledger.PF{Initial: first, OwnsVFs: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := open(t, store(t))
			for _, n := range c.notes {
				note(t, l, pf0, n.initial, n.owns)
			}
			if diff := cmp.Diff(c.want, l.Record().PFs[pf0]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A record that cannot be understood is an error that names file and remedy; it
// is never an empty record.
func TestUnreadable(t *testing.T) {
	for _, c := range []struct {
		name, content string
		want          error
	}{
		{"empty", "", ledger.ErrCorrupt},
		{"cut off", `{"version": 1, "pfs": {`, ledger.ErrCorrupt},
		{"no version", `{}`, ledger.ErrCorrupt},
		{"unknown field", `{"version": 1, "bonds": {}}`, ledger.ErrCorrupt},
		{"trailing", `{"version": 1} {}`, ledger.ErrCorrupt},
		{"not an object", `null`, ledger.ErrCorrupt},
		{"newer", `{"version": 2, "bonds": {}}`, ledger.ErrNewer},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := ledger.FileStore{Path: filepath.Join(t.TempDir(), "ledger.json")}
			if err := os.WriteFile(s.Path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := ledger.Open(t.Context(), s)
			if !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			if !strings.Contains(err.Error(), s.Path) || !strings.Contains(err.Error(), "move ") {
				t.Errorf("error names neither file nor remedy: %v", err)
			}
		})
	}
	t.Run("a folder", func(t *testing.T) {
		if _, err := ledger.Open(t.Context(), ledger.FileStore{Path: t.TempDir()}); err == nil {
			t.Error("no error")
		}
	})
}

// What could not be stored is not remembered either.
func TestFailedSave(t *testing.T) {
	dir := t.TempDir()
	// A file stands where the folder should be.
	blocked := filepath.Join(dir, "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := brokenStore{}
	l := open(t, s)
	if err := l.Note(t.Context(), pf0, ledger.Initial{}, true); !errors.Is(err, errBroken) {
		t.Errorf("error %v, want %v", err, errBroken)
	}
	if len(l.Record().PFs) > 0 {
		t.Error("remembered what was not stored")
	}
	if err := (ledger.FileStore{Path: filepath.Join(blocked, "ledger.json")}).Save(t.Context(), nil); err == nil {
		t.Error("saving below a file is no error")
	}
}

var errBroken = errors.New("broken")

type brokenStore struct{}

func (brokenStore) Load(context.Context) ([]byte, error)   { return nil, fs.ErrNotExist }
func (brokenStore) Save(_ context.Context, _ []byte) error { return errBroken }

// Chains note at the same time, and a record handed out does not change.
func TestConcurrent(t *testing.T) {
	s := store(t)
	l := open(t, s)
	before := l.Record()
	var wg sync.WaitGroup
	for _, pf := range []string{pf0, pf1, "0000:3b:00.0", "0000:3b:00.1"} {
		wg.Go(func() {
			if err := l.Note(t.Context(), pf, ledger.Initial{}, true); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(open(t, s).Record().PFs); n != 4 {
		t.Errorf("%d PFs stored, want 4", n)
	}
	if len(before.PFs) > 0 {
		t.Error("a record handed out has changed")
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"version": 1, "pfs": {"0000:5f:00.0": {"initial": {"numVfs": 2}, "ownsVFs": true}}}`))
	f.Add([]byte(`{"version": 2}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ledger.Open(t.Context(), memory(data))
		if err == nil && l.Record().Version != ledger.Version {
			t.Errorf("%q was read as version %d", data, l.Record().Version)
		}
	})
}

type memory []byte

func (m memory) Load(context.Context) ([]byte, error) { return m, nil }
func (memory) Save(_ context.Context, _ []byte) error { return nil }
