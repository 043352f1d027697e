package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// File is what we know of a file of ours.
type File struct {
	// Folders that were made for it, outer ones first, below the root of the host.
	Folders []string `json:"folders,omitempty"`
	// Pending tells that it is about to be written, or that those who read it have
	// not been told yet.
	Pending bool `json:"pending,omitempty"`
}

// NoteFile remembers a file before it is written, together with the folders that
// have to be made for it. Folders that are known stay.
func (l *Ledger) NoteFile(ctx context.Context, path string, folders []string) error {
	return l.changeFile(ctx, path, func(f File, _ bool) (File, bool) {
		all := slices.Concat(f.Folders, folders)
		slices.Sort(all)
		return File{Folders: slices.Clip(slices.Compact(all)), Pending: true}, true
	})
}

// SettleFile remembers that a file is written and that its readers know.
func (l *Ledger) SettleFile(ctx context.Context, path string) error {
	return l.changeFile(ctx, path, func(f File, known bool) (File, bool) {
		f.Pending = false
		return f, known
	})
}

// ForgetFile drops a file that is no longer ours.
func (l *Ledger) ForgetFile(ctx context.Context, path string) error {
	return l.changeFile(ctx, path, func(File, bool) (File, bool) { return File{}, false })
}

// changeFile saves what change makes of a file, unless that is what is known.
func (l *Ledger) changeFile(ctx context.Context, path string, change func(f File, known bool) (File, bool)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, known := l.record.Files[path]
	after, stays := change(before, known)
	if known == stays && before.Pending == after.Pending && slices.Equal(before.Folders, after.Folders) {
		return nil
	}
	next := l.record.clone()
	if next.Files == nil {
		next.Files = map[string]File{}
	}
	next.Files[path] = after
	if !stays {
		delete(next.Files, path)
	}
	if err := l.save(ctx, next); err != nil {
		return fmt.Errorf("noting the file %s: %w", path, err)
	}
	return nil
}

// Empty tells that nothing on the host is ours. What is known of drivers stays
// true, but is worth nothing by itself.
func (r *Record) Empty() bool {
	return len(r.PFs)+len(r.Files)+len(r.Bonds)+len(r.Bridges)+len(r.Firmware)+len(r.Machine.Arguments) == 0 && r.Boot.Empty()
}

// errNotEmpty says that there is something to remember.
var errNotEmpty = errors.New("something on the host is still ours")

// Delete removes the record from the store, if nothing is ours any more: the
// ledger leaves no trace then. It is of no use afterwards.
func (l *Ledger) Delete(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.record.Empty() {
		return fmt.Errorf("deleting %s: %w", name(l.store), errNotEmpty)
	}
	if err := l.store.Delete(ctx); err != nil {
		return fmt.Errorf("deleting %s: %w", name(l.store), err)
	}
	l.record = Record{Version: Version}
	return nil
}

// validFiles: paths are of files below the root, which a removal cannot leave.
func (r *Record) validFiles() error {
	for _, path := range slices.Sorted(maps.Keys(r.Files)) {
		where := fmt.Sprintf("files[%q]", path)
		if !isPath(path) {
			return fmt.Errorf("%s: the key is no path below the root", where)
		}
		for i, folder := range r.Files[path].Folders {
			if !isPath(folder) || !strings.HasPrefix(path, folder+"/") {
				return fmt.Errorf("%s.folders[%d] is %q, which is no folder of the file", where, i, folder)
			}
		}
	}
	return nil
}

// isPath tells whether a text is a clean path of at least one folder and a name.
func isPath(s string) bool {
	unprintable := func(c rune) bool { return c < ' ' || c == 0x7f }
	return fs.ValidPath(s) && s != "." && !strings.ContainsFunc(s, unprintable)
}

// maxNetdev is IFNAMSIZ of include/uapi/linux/if.h, with the terminating zero.
const maxNetdev = 16

// validNetdev is dev_valid_name of net/core/dev.c: the kernel takes more
// characters for a netdev than isName.
func validNetdev(field, value string) error {
	if value == "" {
		return nil
	}
	unfit := func(c rune) bool { return c <= ' ' || c == '/' || c == ':' || c == 0x7f }
	if len(value) >= maxNetdev || value == "." || value == ".." || strings.ContainsFunc(value, unfit) {
		return fmt.Errorf("%s is %q, which is no name of a netdev", field, value)
	}
	return nil
}
