package sysfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/bounded"
)

// FS reads and writes below a root folder. Reads are bounded by their context
// too: while sriov_numvfs is written, reading it waits for the device's lock.
type FS struct {
	root  *os.Root
	calls bounded.Calls
}

var _ host.FS = (*FS)(nil)

// Open returns the files below root, an absolute path.
func Open(root string) (*FS, error) {
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("opening the host's root %s: %w", root, err)
	}
	return &FS{root: r}, nil
}

// Close releases the root. Calls after it fail.
func (f *FS) Close() error { return f.root.Close() }

// ReadFile returns the content of an attribute.
func (f *FS) ReadFile(ctx context.Context, name string) ([]byte, error) {
	data, err := call(ctx, f, name, func() ([]byte, error) { return f.root.ReadFile(name) })
	if err != nil {
		return nil, kernelError("reading "+path.Base(name), name, err)
	}
	return data, nil
}

// ReadDir returns the names in a folder, sorted.
func (f *FS) ReadDir(ctx context.Context, name string) ([]string, error) {
	names, err := call(ctx, f, name, func() ([]string, error) {
		dir, err := f.root.Open(name)
		if err != nil {
			return nil, err
		}
		names, err := dir.Readdirnames(-1)
		return names, errors.Join(err, dir.Close())
	})
	if err != nil {
		return nil, kernelError("listing "+path.Base(name), name, err)
	}
	slices.Sort(names)
	return names, nil
}

// ReadLink returns the target of a symbolic link.
func (f *FS) ReadLink(ctx context.Context, name string) (string, error) {
	target, err := call(ctx, f, name, func() (string, error) { return f.root.Readlink(name) })
	if err != nil {
		return "", kernelError("reading the link "+path.Base(name), name, err)
	}
	return target, nil
}

// WriteFile writes an attribute in one write call. The attribute must exist and
// be a regular file; nothing is created or truncated.
func (f *FS) WriteFile(ctx context.Context, name string, data []byte) error {
	_, err := call(ctx, f, name, func() (struct{}, error) { return struct{}{}, f.write(name, data) })
	if err != nil {
		return kernelError(fmt.Sprintf("writing %s to %s", shown(data), path.Base(name)), name, err)
	}
	return nil
}

func (f *FS) write(name string, data []byte) error {
	// Asked before it is opened: opening a FIFO or a device would have effects.
	info, err := f.root.Stat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("not an attribute: %s", info.Mode())
	}
	file, err := f.root.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Close())
}

// call runs f, which works on a path, bounded by the context.
func call[T any](ctx context.Context, f *FS, name string, do func() (T, error)) (T, error) {
	if !fs.ValidPath(name) {
		var zero T
		return zero, fmt.Errorf("path %q is not relative and clean", name)
	}
	return bounded.Do(ctx, &f.calls, name, do)
}

// kernelError names the operation and the device: for an attribute in sysfs the
// device's folder, elsewhere the path.
func kernelError(op, name string, err error) error {
	out := &host.Error{Op: op, Object: name, Err: err}
	if strings.HasPrefix(name, "sys/") {
		out.Object = path.Base(path.Dir(name))
	}
	// A path error repeats the path; what is below it is what happened.
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		out.Err = pathErr.Err
	}
	if errors.As(err, &out.Errno) {
		out.Err = nil
	}
	return out
}

// shown is written data as messages show it.
func shown(data []byte) string {
	text := strings.TrimSpace(string(data))
	if text == "" {
		return "nothing"
	}
	return text
}
