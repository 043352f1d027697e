package simhost

import (
	"context"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
)

// disk holds files by path, folders among them. It survives reboots.
type disk map[string]*file

// file is a regular file, a symbolic link when it has a target, or a folder.
type file struct {
	data       []byte
	executable bool
	target     string
	folder     bool
}

// newDisk has the folders that every machine has.
func newDisk() disk {
	d := disk{}
	for _, name := range []string{"etc/udev/rules.d", "etc/systemd/system", "etc/modprobe.d", "lib/firmware", "run", "usr/lib", "var/lib"} {
		d.folders(name)
	}
	return d
}

// lookup finds a file; links on the way are followed within the root.
func (d disk) lookup(name string) (*node, error) {
	name = strings.Trim(path.Clean("/"+name), "/")
	if name == "" {
		return d.node("", &file{folder: true}, 0), nil
	}
	name, err := d.resolve(name, 0)
	if err != nil {
		return nil, err
	}
	f := d[name]
	if f == nil {
		return nil, refuse(syscall.ENOENT)
	}
	return d.node(name, f, 0), nil
}

// maxLinks is how many symbolic links a path may go through.
const maxLinks = 40

// resolve follows links in all but the last element of a path.
func (d disk) resolve(name string, followed int) (string, error) {
	if followed > maxLinks {
		return "", refuse(syscall.ELOOP)
	}
	parts := strings.Split(name, "/")
	for i := 1; i < len(parts); i++ {
		folder := strings.Join(parts[:i], "/")
		f := d[folder]
		switch {
		case f == nil:
			return "", refuse(syscall.ENOENT)
		case f.target != "":
			to := f.target
			if !path.IsAbs(to) {
				to = path.Join("/", path.Dir(folder), to)
			}
			return d.resolve(strings.Trim(path.Join(to, strings.Join(parts[i:], "/")), "/"), followed+1)
		case !f.folder:
			return "", refuse(syscall.ENOTDIR)
		}
	}
	return name, nil
}

// at is where a path leads, empty if nothing is there.
func (d disk) at(name string) string {
	at, err := d.resolve(name, 0)
	if err != nil || d[at] == nil {
		return ""
	}
	return at
}

func (d disk) node(name string, f *file, followed int) *node {
	switch {
	case f.folder:
		return dynamic(func() []string { return d.names(name) }, func(string) *node { return nil })
	case f.target != "":
		to := f.target
		if !path.IsAbs(to) {
			to = path.Join("/", path.Dir(name), to)
		}
		out := &node{target: f.target, read: func() (string, error) { return "", refuse(syscall.ENOENT) }}
		if at, err := d.resolve(strings.Trim(to, "/"), 0); err == nil && d[at] != nil && followed < maxLinks {
			n := d.node(at, d[at], followed+1)
			out.child, out.names, out.read = n.child, n.names, n.read
		}
		return out
	}
	return &node{read: func() (string, error) { return string(f.data), nil }}
}

// names lists a folder.
func (d disk) names(folder string) []string {
	var out []string
	for name := range d {
		if dir := path.Dir(name); dir == folder || folder == "" && dir == "." {
			out = append(out, path.Base(name))
		}
	}
	return out
}

// folders makes the missing folders of a path and returns those, outer ones first.
func (d disk) folders(name string) []string {
	var made []string
	parts := strings.Split(name, "/")
	for i := range parts {
		folder := strings.Join(parts[:i+1], "/")
		if folder != "." && d[folder] == nil {
			d[folder] = &file{folder: true}
			made = append(made, folder)
		}
	}
	return made
}

// place puts a file where its path leads.
func (d disk) place(name string, f *file) ([]string, error) {
	if !strings.Contains(name, "/") {
		return nil, refuse(syscall.EACCES)
	}
	folder := path.Dir(name)
	at, err := d.resolve(folder+"/x", 0)
	var made []string
	if err != nil {
		made = d.folders(folder)
		at = folder + "/x"
	}
	at = path.Join(path.Dir(at), path.Base(name))
	if old := d[at]; old != nil && old.folder {
		return made, refuse(syscall.EISDIR)
	}
	d[at] = f
	return made, nil
}

// filesDoor is host.Files.
type filesDoor struct{ *handle }

// badPath is EINVAL for a path that is not relative and clean.
func badPath(name string) error {
	if !fs.ValidPath(name) || name == "." {
		return refuse(syscall.EINVAL)
	}
	return nil
}

func fileCall(kind, verb, name string) call {
	return call{kind: kind, object: name, words: verb, device: "/" + name, write: true}
}

// Put implements host.Files.
func (d filesDoor) Put(ctx context.Context, name string, data []byte, executable bool) ([]string, error) {
	return run(ctx, d.handle, fileCall("files.Put", "writing", name), func() ([]string, error) {
		if err := d.k.writable(name); err != nil {
			return nil, err
		}
		return d.k.disk.place(name, &file{data: slices.Clone(data), executable: executable})
	})
}

// Link implements host.Files.
func (d filesDoor) Link(ctx context.Context, name, target string) ([]string, error) {
	return run(ctx, d.handle, fileCall("files.Link", "linking", name), func() ([]string, error) {
		if err := d.k.writable(name); err != nil {
			return nil, err
		}
		if at, err := d.k.disk.resolve(name, 0); err == nil && d.k.disk[at] != nil && d.k.disk[at].target == "" {
			return nil, refuse(syscall.EEXIST)
		}
		return d.k.disk.place(name, &file{target: target})
	})
}

// Remove implements host.Files.
func (d filesDoor) Remove(ctx context.Context, name string) error {
	_, err := run(ctx, d.handle, fileCall("files.Remove", "removing", name), func() (nothing, error) {
		if err := badPath(name); err != nil {
			return nothing{}, err
		}
		at := d.k.disk.at(name)
		if at == "" {
			return nothing{}, nil
		}
		switch err := d.k.writable(name); {
		case err != nil:
			return nothing{}, err
		case d.k.disk[at].folder:
			return nothing{}, refuse(syscall.EISDIR)
		}
		delete(d.k.disk, at)
		return nothing{}, nil
	})
	return err
}

// RemoveDir implements host.Files.
func (d filesDoor) RemoveDir(ctx context.Context, name string) error {
	_, err := run(ctx, d.handle, fileCall("files.RemoveDir", "removing folder", name), func() (nothing, error) {
		if err := badPath(name); err != nil {
			return nothing{}, err
		}
		at := d.k.disk.at(name)
		if at == "" {
			return nothing{}, nil
		}
		switch err := d.k.writable(name); {
		case err != nil:
			return nothing{}, err
		case !d.k.disk[at].folder:
			return nothing{}, refuse(syscall.ENOTDIR)
		}
		if len(d.k.disk.names(at)) == 0 {
			delete(d.k.disk, at)
		}
		return nothing{}, nil
	})
	return err
}

// writable is EROFS for a path on a file system that was mounted read-only.
func (k *Kernel) writable(name string) error {
	for _, folder := range k.opts.ReadOnly {
		if name == folder || strings.HasPrefix(name, folder+"/") {
			return refuse(syscall.EROFS)
		}
	}
	return badPath(name)
}

// PutFile writes a file of the administrator's, or of the distribution's.
func (k *Kernel) PutFile(name, content string) error {
	return k.scenario("writing", name, func() error {
		_, err := k.disk.place(name, &file{data: []byte(content)})
		return err
	})
}

// PutLink makes a symbolic link of the administrator's, or of the distribution's.
func (k *Kernel) PutLink(name, target string) error {
	return k.scenario("linking", name, func() error {
		_, err := k.disk.place(name, &file{target: target})
		return err
	})
}

// RemoveFile removes a file behind the daemon's back.
func (k *Kernel) RemoveFile(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.disk, name)
}

// Files returns the content of all files and "-> target" for links, by path.
func (k *Kernel) Files() map[string]string {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(k.disk)) {
		switch f := k.disk[name]; {
		case f.target != "":
			out[name] = "-> " + f.target
		case !f.folder:
			out[name] = string(f.data)
		}
	}
	return out
}
