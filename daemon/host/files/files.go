package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/bounded"
)

// suffix of a file that is about to take its place. A crash may leave one; the
// next Put or Link of the same path replaces it, and Remove removes it.
const suffix = ".sriov-offload-new"

// Files keeps files below a root folder.
type Files struct {
	root  *os.Root
	calls bounded.Calls
}

var _ host.Files = (*Files)(nil)

// Open returns the files below root, an absolute path.
func Open(root string) (*Files, error) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("opening the host's root %s: %w", root, err)
	}
	return &Files{root: r}, nil
}

// Close releases the root. Calls after it fail.
func (f *Files) Close() error { return f.root.Close() }

// Put implements host.Files.
func (f *Files) Put(ctx context.Context, name string, data []byte, executable bool) ([]string, error) {
	mode := fs.FileMode(0o644)
	if executable {
		mode = 0o755
	}
	return f.place(ctx, "writing", name, func(temporary string) error { return f.write(temporary, data, mode) })
}

// Link implements host.Files.
func (f *Files) Link(ctx context.Context, name, target string) ([]string, error) {
	return f.place(ctx, "linking", name, func(temporary string) error {
		info, err := f.root.Lstat(name)
		switch {
		case err == nil && info.Mode().Type() != fs.ModeSymlink:
			return syscall.EEXIST
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
		return f.root.Symlink(target, temporary)
	})
}

// place makes missing folders, makes a file beside the final one and renames it.
func (f *Files) place(ctx context.Context, verb, name string, do func(temporary string) error) ([]string, error) {
	return call(ctx, f, verb, name, func() ([]string, error) {
		made, err := f.folders(path.Dir(name))
		if err != nil {
			return made, err
		}
		temporary := name + suffix
		if err := f.drop(temporary); err != nil {
			return made, err
		}
		if err := do(temporary); err != nil {
			return made, errors.Join(err, f.drop(temporary))
		}
		if err := f.root.Rename(temporary, name); err != nil {
			return made, errors.Join(err, f.drop(temporary))
		}
		return made, f.sync(path.Dir(name))
	})
}

func (f *Files) drop(name string) error {
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (f *Files) write(name string, data []byte, mode fs.FileMode) error {
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	// The umask of the daemon must not decide who reads a rule or a unit.
	return errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
}

// folders makes the missing ones on a path and returns those, outer ones first.
func (f *Files) folders(name string) ([]string, error) {
	var made []string
	for i := range strings.Count(name, "/") + 1 {
		parts := strings.SplitN(name, "/", i+2)
		folder := strings.Join(parts[:i+1], "/")
		err := f.root.Mkdir(folder, 0o755)
		switch {
		case err == nil:
			made = append(made, folder)
			if err := f.sync(path.Dir(folder)); err != nil {
				return made, err
			}
		case !errors.Is(err, fs.ErrExist):
			return made, err
		}
	}
	return made, nil
}

// Remove implements host.Files.
func (f *Files) Remove(ctx context.Context, name string) error {
	return f.do(ctx, "removing", name, func() error {
		for _, each := range []string{name + suffix, name} {
			if err := f.drop(each); err != nil {
				return err
			}
		}
		return f.syncIfThere(path.Dir(name))
	})
}

// RemoveDir implements host.Files.
func (f *Files) RemoveDir(ctx context.Context, name string) error {
	return f.do(ctx, "removing folder", name, func() error {
		info, err := f.root.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case !info.IsDir():
			return syscall.ENOTDIR
		}
		err = f.root.Remove(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
		return f.syncIfThere(path.Dir(name))
	})
}

func (f *Files) syncIfThere(folder string) error {
	if err := f.sync(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sync makes the names in a folder survive a power loss.
func (f *Files) sync(folder string) error {
	dir, err := f.root.Open(folder)
	if err != nil {
		return err
	}
	err = dir.Sync()
	// Some file systems have nothing to sync for a folder.
	if errors.Is(err, syscall.EINVAL) {
		err = nil
	}
	return errors.Join(err, dir.Close())
}

func (f *Files) do(ctx context.Context, verb, name string, do func() error) error {
	_, err := call(ctx, f, verb, name, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

// call runs what works on a path, bounded by the context.
func call[T any](ctx context.Context, f *Files, verb, name string, do func() (T, error)) (T, error) {
	var zero T
	if !fs.ValidPath(name) || name == "." {
		return zero, &host.Error{Op: verb, Object: name, Err: errors.New("the path is not relative and clean")}
	}
	value, err := bounded.Do(ctx, &f.calls, name, do)
	if err == nil {
		return value, nil
	}
	out := &host.Error{Op: verb, Object: "/" + name, Err: err}
	if errors.As(err, &out.Errno) {
		out.Err = nil
	}
	return value, out
}
