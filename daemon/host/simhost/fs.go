package simhost

import (
	"context"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type fsDoor struct{ *handle }

// pathCall describes an operation on a path; errors name the device that the
// path is about, as far as there is one. sriov_numvfs is read and written with
// the device's lock held (sriov_numvfs_show since Linux 5.14).
func pathCall(kind, verb, p string) call {
	c := call{kind: kind, object: p, words: verb + " " + path.Base(p), device: p}
	if rest, ok := strings.CutPrefix(p, "sys/bus/pci/devices/"); ok {
		if device, _, nested := strings.Cut(rest, "/"); nested {
			c.device = device
			if path.Base(p) == "sriov_numvfs" {
				c.lock = device
			}
		}
	}
	return c
}

// ReadFile implements host.FS.
func (d fsDoor) ReadFile(ctx context.Context, p string) ([]byte, error) {
	return run(ctx, d.handle, pathCall("fs.ReadFile", "reading", p), func() ([]byte, error) {
		n, err := d.k.lookup(p)
		switch {
		case err != nil:
			return nil, err
		case n.child != nil:
			return nil, refuse(syscall.EISDIR)
		case n.read == nil:
			return nil, refuse(syscall.EACCES)
		}
		s, err := n.read()
		return []byte(s), err
	})
}

// ReadDir implements host.FS.
func (d fsDoor) ReadDir(ctx context.Context, p string) ([]string, error) {
	return run(ctx, d.handle, pathCall("fs.ReadDir", "listing", p), func() ([]string, error) {
		n, err := d.k.lookup(p)
		switch {
		case err != nil:
			return nil, err
		case n.names == nil:
			return nil, refuse(syscall.ENOTDIR)
		}
		names := n.names()
		slices.Sort(names)
		return slices.Compact(names), nil
	})
}

// ReadLink implements host.FS.
func (d fsDoor) ReadLink(ctx context.Context, p string) (string, error) {
	return run(ctx, d.handle, pathCall("fs.ReadLink", "reading the link", p), func() (string, error) {
		n, err := d.k.lookup(p)
		switch {
		case err != nil:
			return "", err
		case n.target == "":
			return "", refuse(syscall.EINVAL)
		}
		return n.target, nil
	})
}

// WriteFile implements host.FS.
func (d fsDoor) WriteFile(ctx context.Context, p string, data []byte) error {
	value := strings.TrimSpace(string(data))
	c := pathCall("fs.WriteFile", "writing "+value+" to", p)
	c.write, c.value = true, value
	c.takes = d.k.writeTime(p, value)
	if path.Base(p) == "uevent" {
		// It changes nothing: those who count changes must be able to tell.
		c.kind = "fs.WriteUevent"
	}
	_, err := run(ctx, d.handle, c, func() (nothing, error) {
		n, err := d.k.lookup(p)
		switch {
		case err != nil:
			return nothing{}, err
		case n.child != nil:
			return nothing{}, refuse(syscall.EISDIR)
		case n.write == nil:
			return nothing{}, refuse(syscall.EACCES)
		}
		return nothing{}, n.write(string(data))
	})
	return err
}

// writeTime is how long a write of an attribute blocks.
func (k *Kernel) writeTime(p, value string) time.Duration {
	delays := &k.opts.Delays
	switch path.Base(p) {
	case "drivers_probe", "bind":
		return delays.Probe
	case "sriov_numvfs":
		return delays.NumVFs + time.Duration(k.vfsConcerned(path.Base(path.Dir(p)), value))*delays.PerVF
	}
	return 0
}

// vfsConcerned is how many VFs come or go when a number is written.
func (k *Kernel) vfsConcerned(pf, value string) int {
	n, err := strconv.Atoi(value)
	if err != nil || n > 0 {
		return n
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if fn := k.functions[pf]; fn != nil && fn.pf != nil {
		return fn.pf.numVFs
	}
	return 0
}
