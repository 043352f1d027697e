package host

import "context"

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
