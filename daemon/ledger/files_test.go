package ledger_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

const rules = "etc/udev/rules.d/79-x.rules"

// A file is remembered before it is written, pending until it is settled, and
// keeps the folders of every time it was noted.
func TestFiles(t *testing.T) {
	s := store(t)
	l := open(t, s)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	is := func(want map[string]ledger.File) {
		t.Helper()
		if diff := cmp.Diff(want, open(t, s).Record().Files); diff != "" {
			t.Error(diff)
		}
	}
	must(l.NoteFile(t.Context(), rules, []string{"etc/udev", "etc/udev/rules.d"}))
	is(map[string]ledger.File{rules: {Folders: []string{"etc/udev", "etc/udev/rules.d"}, Pending: true}})
	must(l.SettleFile(t.Context(), rules))
	must(l.NoteFile(t.Context(), rules, nil))
	is(map[string]ledger.File{rules: {Folders: []string{"etc/udev", "etc/udev/rules.d"}, Pending: true}})
	must(l.SettleFile(t.Context(), rules))
	must(l.SettleFile(t.Context(), "etc/unknown"))
	is(map[string]ledger.File{rules: {Folders: []string{"etc/udev", "etc/udev/rules.d"}}})
	if err := l.Delete(t.Context()); err == nil {
		t.Error("deleted with a file in it")
	}
	must(l.ForgetFile(t.Context(), rules))
	must(l.Note(t.Context(), pf0, boot1, ledger.Initial{}, false))
	if err := l.Delete(t.Context()); err == nil {
		t.Error("deleted with a PF in it")
	}
	must(l.Forget(t.Context(), pf0))
	must(l.NoteOrder(t.Context(), "octep", "ModeFirst"))
	must(l.Delete(t.Context()))
	must(l.Delete(t.Context()))
	if _, err := os.Stat(s.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the ledger is still there: %v", err)
	}
}

func TestInvalidFiles(t *testing.T) {
	for _, c := range []string{
		`{"version": 3, "files": {"/etc/x": {}}}`,
		`{"version": 3, "files": {"etc/../../x": {}}}`,
		`{"version": 3, "files": {"etc/a\nb": {}}}`,
		`{"version": 3, "files": {"etc/a/b": {"folders": ["etc/c"]}}}`,
		`{"version": 3, "files": {"etc/a/b": {"folders": ["etc/a/b"]}}}`,
		`{"version": 3, "files": {"etc/a/b": {"folders": ["etc/a", "."]}}}`,
		`{"version": 3, "pfs": {"0000:5f:00.0": {"initial": {"numVfs": 0, "netdev": "a/b"}}}}`,
		`{"version": 3, "pfs": {"0000:5f:00.0": {"initial": {"numVfs": 0, "netdev": "sixteencharacter"}}}}`,
		`{"version": 3, "pfs": {"0000:5f:00.0": {"initial": {"numVfs": 0, "port": "p 0"}}}}`,
	} {
		if _, err := ledger.Open(t.Context(), memory(c)); !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("%s: %v", c, err)
		}
	}
}

// However often the lock comes and goes with its file, only one has it.
func TestLockExcludes(t *testing.T) {
	s := ledger.FileStore{Path: filepath.Join(t.TempDir(), "lib", "ledger.json")}
	var holders atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				lock, err := s.Lock()
				// The folder may go with the file of the last holder: then it is tried again.
				if errors.Is(err, ledger.ErrLocked) || errors.Is(err, fs.ErrNotExist) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n > 1 {
					t.Errorf("%d have the lock", n)
				}
				holders.Add(-1)
				if err := lock.Unlock(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// One process has the lock; whoever waits gets it when it is free, and what is
// left is what was there before.
func TestLock(t *testing.T) {
	root := t.TempDir()
	s := ledger.FileStore{Path: filepath.Join(root, "lib", "ledger.json")}
	first, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lock(); !errors.Is(err, ledger.ErrLocked) {
		t.Fatalf("a second lock: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.WaitLock(ctx, func(error) {}); !errors.Is(err, context.Canceled) {
		t.Fatalf("waiting with an ended context: %v", err)
	}
	waiting := make(chan struct{})
	var second *ledger.Lock
	var wg sync.WaitGroup
	wg.Go(func() { second, err = s.WaitLock(t.Context(), func(error) { close(waiting) }) })
	<-waiting
	// The folder goes with the first lock, and comes again with the second.
	if err := first.Unlock(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lock(); !errors.Is(err, ledger.ErrLocked) {
		t.Errorf("a third lock: %v", err)
	}
	if err := s.Save(t.Context(), []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := second.Unlock(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.Path); err != nil {
		t.Errorf("the ledger has gone with the lock: %v", err)
	}
	third, err := s.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Delete(t.Context()), third.Unlock()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
