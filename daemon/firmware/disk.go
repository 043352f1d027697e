package firmware

import (
	"path"
	"slices"
	"strings"
)

const (
	// System is the folder of firmware of every distribution.
	System = "lib/firmware"
	// Own is our folder, for a machine on which System cannot be written. The
	// kernel looks there when its parameter firmware_class.path says so.
	Own = "var/lib/sriov-offload-operator/firmware"
	// Vendor is the folder, below each of those, that the driver looks into.
	Vendor = "netronome"
	// SearchPathParameter is the kernel's parameter firmware_class.path.
	SearchPathParameter = "sys/module/firmware_class/parameters/path"
)

// suffixes of a firmware file in the order in which the kernel tries them, each
// in all folders (_request_firmware).
var suffixes = []string{"", ".zst", ".xz"}

// Disk is what the file systems offer to the kernel's firmware loader.
type Disk struct {
	// Folders that the kernel looks into, in its order: firmware_class.path if it
	// is set, /lib/firmware/updates/<release>, /lib/firmware/updates,
	// /lib/firmware/<release>, /lib/firmware. A folder that is not there is not
	// in the list.
	Folders []Folder
	// SearchPath is firmware_class.path, without a slash at its start; empty if it
	// is not set.
	SearchPath string
	// Ours is the folder Own. It is among the Folders as well if SearchPath names it.
	Ours Folder
	// Dracut and InitramfsTools tell which tool makes the initramfs.
	Dracut, InitramfsTools bool
}

// Folder is one folder with firmware.
type Folder struct {
	// Path from the root, without a slash at its start.
	Path string
	// ReadOnly tells that its file system is mounted read-only.
	ReadOnly bool
	// VendorMissing tells that it has no Vendor folder.
	VendorMissing bool
	// Files in its Vendor folder and in those below, ordered by name.
	Files []File
}

// File is a file, or a link to one.
type File struct {
	// Name below the folder: "netronome/flower/nic_AMDA0097.nffw.xz".
	Name string
	// Target of a symbolic link, as it is; empty for a file.
	Target string
	// Broken tells that a link leads to no file.
	Broken bool
}

func (f *Folder) file(name string) (File, bool) {
	i := slices.IndexFunc(f.Files, func(file File) bool { return file.Name == name })
	if i < 0 {
		return File{}, false
	}
	return f.Files[i], true
}

// found is a file that the kernel would load.
type found struct {
	File
	folder string
	// rank of the place in the kernel's order; a lower one wins.
	rank int
}

func (f *found) path() string { return path.Join(f.folder, f.Name) }

// all returns what there is under a firmware name, in the kernel's order.
func (d *Disk) all(name string) []found {
	var out []found
	for s, suffix := range suffixes {
		for i := range d.Folders {
			if file, ok := d.Folders[i].file(name + suffix); ok && !file.Broken {
				out = append(out, found{File: file, folder: d.Folders[i].Path, rank: s*(len(d.Folders)+1) + i + 1})
			}
		}
	}
	return out
}

// find returns what the kernel would load under a firmware name.
func (d *Disk) find(name string) (found, bool) {
	if all := d.all(name); len(all) > 0 {
		return all[0], true
	}
	return found{}, false
}

// At returns the file or link at a path.
func (d *Disk) At(at string) (File, bool) {
	for _, folder := range append(slices.Clone(d.Folders), d.Ours) {
		if name, ok := strings.CutPrefix(at, folder.Path+"/"); ok {
			if file, ok := folder.file(name); ok {
				return file, true
			}
		}
	}
	return File{}, false
}

// MissingFolders returns the folders that have to be made for a link, outer ones
// first.
func (d *Disk) MissingFolders(choice Choice) []string {
	vendor := path.Dir(choice.Link)
	for i := range d.Folders {
		if f := &d.Folders[i]; f.Path == path.Dir(vendor) {
			if f.VendorMissing {
				return []string{vendor}
			}
			return nil
		}
	}
	return []string{path.Dir(vendor), vendor}
}

// names below a folder that start like this, without suffix, ordered, none twice.
func (d *Disk) names(prefix string) []string {
	var out []string
	for i := range d.Folders {
		for _, file := range d.Folders[i].Files {
			if strings.HasPrefix(file.Name, prefix) && !file.Broken {
				out = append(out, plain(file.Name))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// plain is a name without the suffix of a compressed file.
func plain(name string) string {
	name, _ = strings.CutSuffix(name, ".zst")
	name, _ = strings.CutSuffix(name, ".xz")
	return name
}

// suffixOf is the suffix of a compressed file, empty for another.
func suffixOf(name string) string { return strings.TrimPrefix(name, plain(name)) }
