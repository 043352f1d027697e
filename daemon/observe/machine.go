package observe

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

const (
	commandLine = "proc/cmdline"
	acpiTables  = "sys/firmware/acpi/tables"
	loaded      = "sys/module"
	modules     = "lib/modules"
)

// interesting are modules that VFs or their users may need.
func interesting() []string {
	return []string{"vfio_pci", "vhost_vdpa", "virtio_vdpa", "vhost_net", "tun"}
}

// machine reads how the kernel was started and what it can still get.
func machine(ctx context.Context, h host.Host) inventory.Machine {
	var out inventory.Machine
	data, err := h.FS.ReadFile(ctx, commandLine)
	if err != nil {
		out.CommandLineUnknown = err.Error()
	}
	out.CommandLine = strings.Fields(string(data))
	out.BootLoader = bootLoader(ctx, h.FS)
	tables, _ := h.FS.ReadDir(ctx, acpiTables)
	out.VTd = slices.Contains(tables, "DMAR")
	out.RDMAMode, err = h.RDMA.NetnsMode(ctx)
	if err != nil && !errors.Is(err, host.ErrNoRDMA) {
		out.RDMAModeUnknown = err.Error()
	}
	out.Loadable = loadable(ctx, h.FS)
	return out
}

// bootLoader finds the tool by which the boot loader of this machine is told. One
// that boots an image overwrites what other tools write; grub.d is read by those
// grub.cfg makers that come with update-grub.
func bootLoader(ctx context.Context, files host.FS) string {
	for _, tool := range []struct {
		name string
		// needs are files, one of each list.
		needs [][]string
	}{
		{host.ToolRPMOSTree, [][]string{{"run/ostree-booted"}, {"usr/bin/rpm-ostree"}}},
		{host.ToolGrubby, [][]string{{"usr/sbin/grubby", "usr/bin/grubby", "sbin/grubby"}}},
		{host.ToolUpdateGrub, [][]string{{"etc/default/grub"}, {"usr/sbin/update-grub", "usr/bin/update-grub"}}},
	} {
		if !slices.ContainsFunc(tool.needs, func(anyOf []string) bool {
			return !slices.ContainsFunc(anyOf, func(name string) bool { return exists(ctx, files, name) })
		}) {
			return tool.name
		}
		if tool.name == host.ToolRPMOSTree && exists(ctx, files, "run/ostree-booted") {
			return ""
		}
	}
	return ""
}

// exists tells whether there is a file: what is no symbolic link says so.
func exists(ctx context.Context, files host.FS, name string) bool {
	_, err := files.ReadLink(ctx, name)
	return !errors.Is(err, fs.ErrNotExist)
}

// loadable returns the interesting modules that are not loaded and that there is a
// file of.
func loadable(ctx context.Context, files host.FS) []string {
	there, err := files.ReadDir(ctx, loaded)
	if err != nil {
		return nil
	}
	missing := slices.DeleteFunc(interesting(), func(m string) bool { return slices.Contains(there, m) })
	release, err := files.ReadFile(ctx, osrelease)
	if err != nil || len(missing) == 0 {
		return nil
	}
	table, err := files.ReadFile(ctx, path.Join(modules, strings.TrimSpace(string(release)), "modules.dep"))
	if err != nil {
		return nil
	}
	known := moduleFiles(string(table))
	return slices.DeleteFunc(missing, func(m string) bool { return !known[m] })
}

// moduleFiles returns the modules that modules.dep has a line for, by name with '_':
// "kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/...".
func moduleFiles(table string) map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(table) {
		file, _, ok := strings.Cut(line, ":")
		name, _, isModule := strings.Cut(path.Base(file), ".ko")
		if ok && isModule {
			out[strings.ReplaceAll(name, "-", "_")] = true
		}
	}
	return out
}
