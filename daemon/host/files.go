package host

import (
	"context"
	"io"
	"io/fs"
)

// Files keeps files of ours on the machine: rules, units, links to firmware. They
// are read through FS. Paths are as there; what lies outside the root cannot be
// reached, through links neither. Errors are *Error.
//
// Each method returns when its effect would survive a power loss.
type Files interface {
	// Put replaces a file, or makes it, in one atomic step. The mode is 0644, or
	// 0755 if it is to be executable. Missing folders are made and returned, outer
	// ones first, so that whoever removes the file can remove them too.
	Put(ctx context.Context, path string, data []byte, executable bool) (made []string, err error)
	// Copy is Put for what is large or not for everybody: the content is read as it
	// is written, and mode are the permissions. On a machine with SELinux, what can
	// be executed gets the label of programs, because init may run nothing else.
	Copy(ctx context.Context, path string, from io.Reader, mode fs.FileMode) (made []string, err error)
	// Digest returns the SHA-256 of a file's content, in lower case hexadecimal.
	// errors.Is(err, fs.ErrNotExist) holds for a missing file.
	Digest(ctx context.Context, path string) (string, error)
	// Link replaces a symbolic link, or makes it, in one atomic step, and the
	// missing folders as Put does. The target is not looked at. EEXIST if something
	// that is no symbolic link is in its place.
	Link(ctx context.Context, path, target string) (made []string, err error)
	// Remove removes a file or a symbolic link. That there is none is no error.
	Remove(ctx context.Context, path string) error
	// RemoveDir removes a folder if it is empty. That it is not, or that there is
	// none, is no error.
	RemoveDir(ctx context.Context, path string) error
}
