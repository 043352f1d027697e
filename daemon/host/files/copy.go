package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

const (
	// selinux is there when the kernel enforces or logs SELinux rules.
	selinux = "sys/fs/selinux/enforce"
	// label is the attribute that SELinux keeps a file's label in; program is the
	// label of /usr/bin. In /var/lib a new file is var_lib_t, which init may not
	// execute: the unit would end with status 203/EXEC.
	label   = "security.selinux"
	program = "system_u:object_r:bin_t:s0"
)

// Copy implements host.Files.
func (f *Files) Copy(ctx context.Context, name string, from io.Reader, mode fs.FileMode) ([]string, error) {
	return f.place(ctx, "writing", name, func(temporary string) error { return f.fill(temporary, from, mode) })
}

func (f *Files) fill(name string, from io.Reader, mode fs.FileMode) error {
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	if err == nil && mode&0o111 != 0 {
		err = f.mark(file)
	}
	return errors.Join(err, file.Chmod(mode), file.Sync(), file.Close())
}

// mark labels a program.
func (f *Files) mark(file *os.File) error {
	if _, err := f.root.Stat(selinux); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := unix.Fsetxattr(int(file.Fd()), label, []byte(program), 0); err != nil {
		return &fs.PathError{Op: "labelling for SELinux", Path: path.Base(file.Name()), Err: err}
	}
	return nil
}

// Digest implements host.Files.
func (f *Files) Digest(ctx context.Context, name string) (string, error) {
	return call(ctx, f, "reading", name, func() (string, error) {
		file, err := f.root.Open(name)
		if err != nil {
			return "", err
		}
		sum := sha256.New()
		_, err = io.Copy(sum, file)
		if err = errors.Join(err, file.Close()); err != nil {
			return "", err
		}
		return hex.EncodeToString(sum.Sum(nil)), nil
	})
}
