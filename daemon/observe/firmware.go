package observe

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/firmware"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

const (
	// agilioDriver is the only one whose cards have an application firmware.
	agilioDriver = "nfp"
	osrelease    = "proc/sys/kernel/osrelease"
)

// readApplication reads which application runs on an Agilio, and what decides on
// the file that its driver loads.
func (s *scan) readApplication(ctx context.Context, d *device, pf *inventory.PF) {
	if pf.Driver != agilioDriver {
		return
	}
	app := &inventory.Application{Card: firmware.Card{PCIAddress: pf.PCIAddress, BoardID: pf.BoardID, Media: mediaOf(pf)}}
	pf.Application = app
	for _, p := range []struct {
		name  string
		value **int
	}{{"fw_load_policy", &app.Card.LoadPolicy}, {"reset_dev_on_drv_probe", &app.Card.ResetOnProbe}} {
		value, err := s.host.Devlink.PermanentParam(ctx, host.DevlinkOf(pf.PCIAddress), p.name)
		switch {
		case err == nil:
			*p.value = &value
		case missing(err), errors.Is(err, syscall.EINVAL):
		default:
			d.fail(inventory.FactFirmwareParams, err)
		}
	}
	config, err := s.host.FS.ReadFile(ctx, path.Join(d.dir, "config"))
	if err != nil {
		d.fail(inventory.FactSerial, err)
	}
	app.Card.SerialFile, _ = firmware.SerialFile(config)
	if s.disk == nil {
		s.disk = &diskScan{}
		s.disk.read(ctx, s.host.FS)
	}
	if s.disk.err != nil {
		d.fail(inventory.FactFirmwareFiles, s.disk.err)
	}
	if pf.Netdev == nil || !pf.Eswitch.Known {
		return
	}
	text, err := s.host.Ethtool.FirmwareVersion(ctx, pf.Netdev.Name)
	if err == nil {
		app.Running, err = firmware.Running(text, pf.Eswitch.Supported)
	}
	if err != nil {
		d.fail(inventory.FactApplication, err)
	}
}

// mediaOf is the port configuration of a card as firmware files are named after.
func mediaOf(pf *inventory.PF) string {
	var speeds []int
	for _, n := range pf.Ports() {
		if n.SpeedMbps == nil || n.PortName == "" {
			return ""
		}
		speeds = append(speeds, *n.SpeedMbps)
	}
	return firmware.Media(speeds)
}

// diskScan reads what there is to load. It is done once for all cards of a node.
type diskScan struct {
	disk   firmware.Disk
	mounts mounts
	err    error
}

func (s *diskScan) read(ctx context.Context, files host.FS) {
	s.err = errors.Join(s.readSearchPath(ctx, files), s.readMounts(ctx, files))
	if s.err != nil {
		return
	}
	release, err := files.ReadFile(ctx, osrelease)
	if err != nil {
		s.err = err
		return
	}
	updates := path.Join(firmware.System, "updates")
	name := strings.TrimSpace(string(release))
	for _, folder := range []string{s.disk.SearchPath, path.Join(updates, name), updates, path.Join(firmware.System, name), firmware.System} {
		if folder == "" {
			continue
		}
		if s.err = s.readFolder(ctx, files, folder); s.err != nil {
			return
		}
	}
	if s.disk.Ours, _, s.err = s.folder(ctx, files, firmware.Own); s.err != nil {
		return
	}
	s.disk.Dracut = folderThere(ctx, files, "etc/dracut.conf.d")
	s.disk.InitramfsTools = folderThere(ctx, files, "etc/initramfs-tools/hooks")
}

func (s *diskScan) readSearchPath(ctx context.Context, files host.FS) error {
	data, err := files.ReadFile(ctx, firmware.SearchPathParameter)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if text := strings.TrimSpace(string(data)); path.IsAbs(text) {
		s.disk.SearchPath = strings.TrimPrefix(path.Clean(text), "/")
	}
	return nil
}

func (s *diskScan) readMounts(ctx context.Context, files host.FS) error {
	data, err := files.ReadFile(ctx, initMounts)
	if err != nil {
		return err
	}
	s.mounts = parseMounts(string(data))
	return nil
}

func folderThere(ctx context.Context, files host.FS, name string) bool {
	at, err := resolve(ctx, files, name)
	if err != nil {
		return false
	}
	_, err = files.ReadDir(ctx, at)
	return err == nil
}

// readFolder adds a folder that the kernel looks into, if it is there.
func (s *diskScan) readFolder(ctx context.Context, files host.FS, name string) error {
	folder, there, err := s.folder(ctx, files, name)
	if there {
		s.disk.Folders = append(s.disk.Folders, folder)
	}
	return err
}

// folder reads a folder with firmware and tells whether it is there.
func (s *diskScan) folder(ctx context.Context, files host.FS, name string) (folder firmware.Folder, there bool, err error) {
	at, err := resolve(ctx, files, name)
	if err != nil {
		return firmware.Folder{}, false, err
	}
	folder = firmware.Folder{Path: name, ReadOnly: s.mounts.readOnly(at), VendorMissing: !folderThere(ctx, files, path.Join(at, firmware.Vendor))}
	if _, err := files.ReadDir(ctx, at); errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return folder, false, nil
	}
	if err := addFiles(ctx, files, &folder, firmware.Vendor, 1); err != nil {
		return folder, false, err
	}
	slices.SortFunc(folder.Files, func(a, b firmware.File) int { return strings.Compare(a.Name, b.Name) })
	return folder, true, nil
}

// addFiles adds the firmware files of a folder and of those below it.
func addFiles(ctx context.Context, files host.FS, folder *firmware.Folder, name string, depth int) error {
	at, err := resolve(ctx, files, path.Join(folder.Path, name))
	if err != nil {
		return err
	}
	entries, err := files.ReadDir(ctx, at)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		file := firmware.File{Name: path.Join(name, entry)}
		switch {
		case strings.Contains(entry, ".nffw"):
			file.Target, file.Broken, err = lead(ctx, files, path.Join(at, entry))
			folder.Files = append(folder.Files, file)
		case depth > 0:
			err = addFiles(ctx, files, folder, file.Name, depth-1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lead tells where a file leads if it is a link, and whether that is nowhere.
func lead(ctx context.Context, files host.FS, name string) (target string, broken bool, err error) {
	target, err = files.ReadLink(ctx, name)
	if errors.Is(err, syscall.EINVAL) {
		return "", false, nil
	}
	if err != nil {
		return "", true, gone(err)
	}
	at, err := resolve(ctx, files, name)
	if err != nil {
		return target, true, nil //nolint:nilerr // a link in a circle leads nowhere
	}
	// What is there and is no link cannot be read as one.
	_, err = files.ReadLink(ctx, at)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return target, true, nil
	}
	if err != nil && !errors.Is(err, syscall.EINVAL) {
		return target, true, err
	}
	return target, false, nil
}

// gone is nil for what was removed meanwhile.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// resolve follows all links on a path, from the root of the machine: a path
// through a link that is absolute cannot be opened otherwise. What is not there
// stays as it is.
func resolve(ctx context.Context, files host.FS, name string) (string, error) {
	at, rest := "", strings.Split(name, "/")
	for followed := 0; len(rest) > 0; {
		next := path.Join(at, rest[0])
		if rest = rest[1:]; next == ".." || strings.HasPrefix(next, "../") {
			next = ""
		}
		if next == "" || next == "." {
			at = ""
			continue
		}
		target, err := files.ReadLink(ctx, next)
		switch {
		case errors.Is(err, syscall.EINVAL), errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			at = next
			continue
		case err != nil:
			return "", err
		}
		if followed++; followed > 40 {
			return "", syscall.ELOOP
		}
		if path.IsAbs(target) {
			at = ""
		}
		rest = append(strings.Split(strings.Trim(target, "/"), "/"), rest...)
	}
	return at, nil
}
