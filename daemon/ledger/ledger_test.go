package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

const (
	pf0 = "0000:5f:00.0"
	pf1 = "0000:5f:00.1"
)

// boot1 is a ConnectX-5 in a first boot; boot2 the same one in the next, other
// another NIC in its slot.
var (
	boot1 = ledger.Identity{BootID: "b00t-1", Vendor: "15b3", DeviceID: "1017"}
	boot2 = ledger.Identity{BootID: "b00t-2", Vendor: "15b3", DeviceID: "1017"}
	other = ledger.Identity{BootID: "b00t-1", Vendor: "8086", DeviceID: "10c9"}
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
	if err := l.Note(t.Context(), pf, boot1, initial, owns); err != nil {
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
		pf0: {Identity: boot1, Initial: initial, OwnsVFs: true}, pf1: {Identity: boot1},
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

// The order of a driver is noted once, replaced only by who was refused, and kept
// when the PFs are forgotten.
func TestOrders(t *testing.T) {
	s := store(t)
	l := open(t, s)
	note(t, l, pf0, ledger.Initial{}, true)
	before := l.Record()
	for _, c := range []struct {
		change func() error
		want   string
	}{
		{func() error { return l.ReplaceOrder(t.Context(), "newcomer", "VFsFirst", "ModeFirst") }, ""},
		{func() error { return l.NoteOrder(t.Context(), "newcomer", "VFsFirst") }, "VFsFirst"},
		{func() error { return l.ReplaceOrder(t.Context(), "newcomer", "VFsFirst", "ModeFirst") }, "ModeFirst"},
		{func() error { return l.NoteOrder(t.Context(), "newcomer", "VFsFirst") }, "ModeFirst"},
		{func() error { return l.ReplaceOrder(t.Context(), "newcomer", "VFsFirst", "ModeFirst") }, "ModeFirst"},
		{func() error { return l.Forget(t.Context(), pf0) }, "ModeFirst"},
	} {
		if err := c.change(); err != nil {
			t.Fatal(err)
		}
		if got := open(t, s).Record().Orders["newcomer"]; got != c.want {
			t.Errorf("order %q, want %q", got, c.want)
		}
	}
	if len(before.Orders) > 0 {
		t.Errorf("an earlier copy of the record changed: %v", before.Orders)
	}
}

// The first state stays, whatever comes later, unless somebody else changed the
// VFs before they became ours.
func TestNote(t *testing.T) {
	first := ledger.Initial{NumVFs: 2, EswitchMode: "legacy", MTU: 1500, VFs: []ledger.InitialVF{{Index: 0, Driver: "mlx5_core"}}}
	ours := ledger.Initial{NumVFs: 2, EswitchMode: "legacy", MTU: 9000, VFs: []ledger.InitialVF{{Index: 0, Driver: "vfio-pci"}}}
	theirs := ledger.Initial{NumVFs: 4, EswitchMode: "legacy", MTU: 9000}
	type entry struct {
		identity ledger.Identity
		initial  ledger.Initial
		owns     bool
	}
	nobody := ledger.Identity{}
	for _, c := range []struct {
		name  string
		notes []entry
		want  ledger.PF
	}{
		{"settings only", []entry{{boot1, first, false}, {boot1, ours, false}}, ledger.PF{Identity: boot1, Initial: first}},
		{"settings, then VFs", []entry{{boot1, first, false}, {boot1, ours, true}}, ledger.PF{Identity: boot1, Initial: first, OwnsVFs: true}},
		{"somebody else in between", []entry{{boot1, first, false}, {boot1, theirs, true}},
			ledger.PF{Identity: boot1, Initial: ledger.Initial{NumVFs: 4, EswitchMode: "legacy", MTU: 1500}, OwnsVFs: true}},
		{"VFs are ours", []entry{{boot1, first, true}, {boot1, theirs, true}}, ledger.PF{Identity: boot1, Initial: first, OwnsVFs: true}},
		{"VFs stay ours", []entry{{boot1, first, true}, {boot1, theirs, false}}, ledger.PF{Identity: boot1, Initial: first, OwnsVFs: true}},
		{"another boot", []entry{{boot1, first, true}, {boot2, theirs, false}}, ledger.PF{Identity: boot2, Initial: theirs}},
		{"another NIC", []entry{{boot1, first, true}, {other, theirs, false}}, ledger.PF{Identity: other, Initial: theirs}},
		{"format 1, then known", []entry{{nobody, first, true}, {boot1, theirs, false}}, ledger.PF{Identity: boot1, Initial: first, OwnsVFs: true}},
		{"known, then unreadable", []entry{{boot1, first, true}, {ledger.Identity{BootID: boot1.BootID}, theirs, false}},
			ledger.PF{Identity: boot1, Initial: first, OwnsVFs: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := store(t)
			l := open(t, s)
			for _, n := range c.notes {
				if err := l.Note(t.Context(), pf0, n.identity, n.initial, n.owns); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(c.want, open(t, s).Record().PFs[pf0]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A record of version 1 is read as one that knows neither boot nor NIC.
func TestFormat1(t *testing.T) {
	l := open(t, memory(`{"version": 1, "pfs": {"0000:5f:00.0": {"initial": {"numVfs": 2}, "ownsVFs": true}}}`))
	want := ledger.Record{Version: ledger.Version, PFs: map[string]ledger.PF{pf0: {Initial: ledger.Initial{NumVFs: 2}, OwnsVFs: true}}}
	got := l.Record()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.PFs[pf0].Stale(boot1) {
		t.Error("it does not count as ours")
	}
}

// Values that no PF can have are an error that names the field; they are neither
// read nor stored.
func TestInvalid(t *testing.T) {
	for _, c := range []struct{ field, pfs string }{
		{`pfs["0000:5f:00.0"].initial.numVfs`, `"0000:5f:00.0": {"initial": {"numVfs": -1}}`},
		{`pfs["0000:5f:00.0"].initial.numVfs`, `"0000:5f:00.0": {"initial": {"numVfs": 65536}}`},
		{`pfs["0000:5f:00.0"].initial.mtu`, `"0000:5f:00.0": {"initial": {"numVfs": 0, "mtu": -9000}}`},
		{`pfs["0000:5f:00.0"].initial.eswitchMode`, `"0000:5f:00.0": {"initial": {"numVfs": 0, "eswitchMode": "leg acy"}}`},
		{`pfs["0000:5f:00.0"].initial.vfs[0].index`, `"0000:5f:00.0": {"initial": {"numVfs": 1, "vfs": [{"index": -1}]}}`},
		{`pfs["0000:5f:00.0"].initial.vfs[0].index`, `"0000:5f:00.0": {"initial": {"numVfs": 1, "vfs": [{"index": 65535}]}}`},
		{`pfs["0000:5f:00.0"].initial.vfs[1].index`, `"0000:5f:00.0": {"initial": {"numVfs": 2, "vfs": [{"index": 1}, {"index": 1}]}}`},
		{`pfs["0000:5f:00.0"].initial.vfs[0].mtu`, `"0000:5f:00.0": {"initial": {"numVfs": 1, "vfs": [{"index": 0, "mtu": -1}]}}`},
		{`pfs["0000:5f:00.0"].initial.vfs[0].driver`, `"0000:5f:00.0": {"initial": {"numVfs": 1, "vfs": [{"index": 0, "driver": "../../devices/x"}]}}`},
		{`pfs["0000:5f:00.0"].initial.vfs[0].driver`, `"0000:5f:00.0": {"initial": {"numVfs": 1, "vfs": [{"index": 0, "driver": ".."}]}}`},
		{`pfs["0000:5f:00.0"].initial.vfs[0].override`, `"0000:5f:00.0": {"initial": {"numVfs": 1, "vfs": [{"index": 0, "override": "a\nb"}]}}`},
		{`pfs["0000:5f:00.0"].initial.vfs[0].vdpaType`, `"0000:5f:00.0": {"initial": {"numVfs": 1, "vfs": [{"index": 0, "vdpaType": "../x"}]}}`},
		{`pfs["0000:5f:00.0"].vendor`, `"0000:5f:00.0": {"vendor": "15 b3", "initial": {"numVfs": 0}}`},
		{`pfs["0000:5f:00.0"].bootID`, `"0000:5f:00.0": {"bootID": "\n", "initial": {"numVfs": 0}}`},
		{`pfs[""]`, `"": {"initial": {"numVfs": 0}}`},
		{`pfs["../x"]`, `"../x": {"initial": {"numVfs": 0}}`},
		{`pfs["0000:5f:00.0"].initial.inlineMode`, `"0000:5f:00.0": {"initial": {"numVfs": 0, "inlineMode": "a\nb"}}`},
		{`pfs["0000:5f:00.0"].initial.steeringMode`, `"0000:5f:00.0": {"initial": {"numVfs": 0, "steeringMode": "../x"}}`},
		{`orders["a/b"]`, `}, "orders": {"a/b": "VFsFirst"`},
		{`orders["octep"]`, `}, "orders": {"octep": ""`},
	} {
		t.Run(c.pfs, func(t *testing.T) {
			_, err := ledger.Open(t.Context(), memory(`{"version": 3, "pfs": {`+c.pfs+`}}`))
			if !errors.Is(err, ledger.ErrCorrupt) || !strings.Contains(err.Error(), c.field) {
				t.Errorf("error %v, want %v that names %s", err, ledger.ErrCorrupt, c.field)
			}
		})
	}
	s := store(t)
	l := open(t, s)
	if err := l.Note(t.Context(), pf0, boot1, ledger.Initial{NumVFs: -1}, true); err == nil || !strings.Contains(err.Error(), "numVfs") {
		t.Errorf("noting -1 VFs: %v", err)
	}
	if n := len(l.Record().PFs) + len(open(t, s).Record().PFs); n > 0 {
		t.Error("remembered what cannot be read again")
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
		{"unknown field", `{"version": 1, "unheardOf": {}}`, ledger.ErrCorrupt},
		{"trailing", `{"version": 1} {}`, ledger.ErrCorrupt},
		{"not an object", `null`, ledger.ErrCorrupt},
		{"newer", fmt.Sprintf(`{"version": %d, "bonds": {}}`, ledger.Version+1), ledger.ErrNewer},
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
	if err := l.Note(t.Context(), pf0, boot1, ledger.Initial{}, true); !errors.Is(err, errBroken) {
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
func (brokenStore) Delete(context.Context) error           { return errBroken }

// Chains note at the same time, and a record handed out does not change.
func TestConcurrent(t *testing.T) {
	s := store(t)
	l := open(t, s)
	before := l.Record()
	var wg sync.WaitGroup
	for _, pf := range []string{pf0, pf1, "0000:3b:00.0", "0000:3b:00.1"} {
		wg.Go(func() {
			if err := l.Note(t.Context(), pf, boot1, ledger.Initial{}, true); err != nil {
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

// Whatever is in the store, what Open takes is sound and is the same when it is
// written and read again.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"version": 1, "pfs": {"0000:5f:00.0": {"initial": {"numVfs": 2}, "ownsVFs": true}}}`))
	f.Add([]byte(`{"version": 2, "pfs": {"0000:5f:00.0": {"bootID": "b", "vendor": "15b3", "deviceID": "1017", "initial": {"numVfs": 2,
		"eswitchMode": "legacy", "mtu": 1500, "autoprobe": true, "up": false, "vfs": [{"index": 0, "driver": "mlx5_core", "override": "x", "mtu": 1500}]}}}}`))
	f.Add([]byte(`{"version": 2, "pfs": {"0000:5f:00.0": {"initial": {"numVfs": -1}}}}`))
	f.Add([]byte(`{"version": 2, "pfs": {"0000:5f:00.0": {"initial": {"numVfs": 1, "vfs": [{"index": 99999, "driver": "a/b"}]}}}}`))
	f.Add([]byte(`{"version": 2, "orders": {"octep": "ModeFirst", "a/b": ""}}`))
	f.Add([]byte(`{"version": 3, "bonds": {"bond1": {"bootID": "b", "members": ["0000:5f:00.0", "a/b"]}}}`))
	f.Add([]byte(`{"version": 3, "files": {"etc/a/b": {"folders": ["etc/a"], "pending": true}}}`))
	f.Add([]byte(`{"version": 4}`))
	f.Add([]byte(`{"version": 3, "boot": {"bootID": "b", "units": ["a.service"], "files": ["etc/systemd/system/a.service"]}}`))
	f.Add([]byte(`{"version": 1000}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ledger.Open(t.Context(), memory(data))
		if err != nil {
			return
		}
		read := l.Record()
		if read.Version != ledger.Version {
			t.Errorf("read as version %d", read.Version)
		}
		for address, pf := range read.PFs {
			if n := pf.Initial.NumVFs; n < 0 || n > 65535 {
				t.Errorf("%s: %d VFs", address, n)
			}
			for _, vf := range pf.Initial.VFs {
				if vf.Index < 0 || vf.MTU < 0 || strings.ContainsAny(vf.Driver+vf.Override, "/ \n") {
					t.Errorf("%s: %+v", address, vf)
				}
			}
		}
		again, err := json.Marshal(read)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(read, open(t, memory(again)).Record(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("written and read again:\n%s", diff)
		}
	})
}

type memory []byte

func (m memory) Load(context.Context) ([]byte, error) { return m, nil }
func (memory) Save(_ context.Context, _ []byte) error { return nil }
func (memory) Delete(context.Context) error           { return nil }
