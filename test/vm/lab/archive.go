package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
)

// archive is an initial RAM file system: cpio in the "newc" format
// (Documentation/driver-api/early-userspace/buffer-format.rst). It is the same,
// byte by byte, for the same files, and needs no root to write.
type archive struct{ entries map[string]entry }

// entry is a file; major and minor are those of a device.
type entry struct {
	mode         uint32
	data         []byte
	major, minor uint32
}

const (
	typeFolder    = 0o040000
	typeFile      = 0o100000
	typeCharacter = 0o020000
)

// newArchive has the console, without which nothing the first process says is seen.
func newArchive() *archive {
	a := &archive{entries: map[string]entry{}}
	a.put("dev/console", entry{mode: typeCharacter | 0o600, major: 5, minor: 1})
	return a
}

func (a *archive) add(name string, mode uint32, data []byte) {
	a.put(name, entry{mode: typeFile | mode, data: data})
}

func (a *archive) put(name string, e entry) {
	for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
		a.entries[folder] = entry{mode: typeFolder | 0o755}
	}
	a.entries[name] = e
}

func (a *archive) write(name string) error {
	var b bytes.Buffer
	for i, each := range slices.Sorted(maps.Keys(a.entries)) {
		a.record(&b, i+1, each, a.entries[each])
	}
	a.record(&b, 0, "TRAILER!!!", entry{})
	return os.WriteFile(name, b.Bytes(), 0o644)
}

func (a *archive) record(b *bytes.Buffer, inode int, name string, e entry) {
	b.WriteString("070701")
	links := 1
	for _, field := range []int{
		inode, int(e.mode), 0, 0, links, 0, len(e.data), 0, 0, int(e.major), int(e.minor), len(name) + 1, 0,
	} {
		fmt.Fprintf(b, "%08X", field)
	}
	b.WriteString(name)
	b.WriteByte(0)
	pad(b)
	b.Write(e.data)
	pad(b)
}

func pad(b *bytes.Buffer) {
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
}
