package simhost

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// BootLoader describes how the machine is started.
type BootLoader struct {
	// Tool is one of those of daemon/host; empty for a machine with none of them.
	Tool string
	// Arguments that the kernel is started with, besides those that tools add.
	Arguments []string
	// Ignores what its tool is told: an entry that is not the one that is booted.
	Ignores bool
}

// machine is how the kernel was started, and what the boot loader will start next.
type machine struct {
	// entry are arguments that the tool has added; it survives reboots.
	entry []string
	// started are those of the running kernel.
	started []string
	// modprobed are modules that were loaded since.
	modprobed map[string]bool
	// rdmaMode is the mode of the RDMA subsystem.
	rdmaMode string
	// rebooted counts how often the login manager was asked.
	rebooted int
}

// grubDropIn is the file that update-grub reads.
const grubDropIn = "etc/default/grub.d/60-sriov-offload-operator.cfg"

// installTools puts the tools of the boot loader and modules on the disk.
func (k *Kernel) installTools() {
	put := func(names ...string) {
		for _, name := range names {
			_, _ = k.disk.place(name, &file{data: []byte("\x7fELF"), executable: true})
		}
	}
	switch k.opts.BootLoader.Tool {
	case host.ToolRPMOSTree:
		put("run/ostree-booted", "usr/bin/rpm-ostree")
	case host.ToolGrubby:
		put("usr/sbin/grubby")
	case host.ToolUpdateGrub:
		put("etc/default/grub", "usr/sbin/update-grub")
	}
	if len(k.opts.Unloaded) == 0 {
		return
	}
	var table strings.Builder
	for _, name := range k.opts.Unloaded {
		fmt.Fprintf(&table, "kernel/drivers/%s.ko.xz:\n", strings.ReplaceAll(name, "_", "-"))
	}
	_, _ = k.disk.place("lib/modules/"+kernelRelease+"/modules.dep", &file{data: []byte(table.String())})
}

// bootMachine starts the kernel with what the boot loader has.
func (k *Kernel) bootMachine() {
	k.machine.started = append([]string{"ro", "quiet"}, k.opts.BootLoader.Arguments...)
	if !k.opts.BootLoader.Ignores {
		k.machine.started = append(k.machine.started, k.machine.entry...)
	}
	k.machine.modprobed = map[string]bool{}
	k.machine.rdmaMode = host.RDMAShared
	if strings.Contains(k.disk.contents("etc/modprobe.d"), "options ib_core netns_mode=0") && !k.opts.RDMAModeStays {
		k.machine.rdmaMode = host.RDMAExclusive
	}
}

func (k *Kernel) startedWith(argument string) bool {
	return slices.Contains(k.machine.started, argument)
}

// iommu tells whether functions are in groups.
func (k *Kernel) iommu() bool {
	return !k.opts.NoIOMMU && (!k.opts.IOMMUOff || k.startedWith("intel_iommu=on"))
}

// acpiTables is /sys/firmware/acpi/tables: DMAR is there when the BIOS has VT-d on.
func (k *Kernel) acpiTables() *node {
	tables := []entry{{"APIC", func() *node { return unreadable(syscall.EACCES) }}}
	if !k.opts.NoIOMMU {
		tables = append(tables, entry{"DMAR", func() *node { return unreadable(syscall.EACCES) }})
	}
	return nested("acpi/tables", folder(tables...))
}

// modules is /sys/module: those that are loaded and of interest, and parameters.
func (k *Kernel) modules() *node {
	params := k.sysModule()
	return dynamic(func() []string {
		names := params.names()
		for _, name := range []string{ModuleVFIO, ModuleVirtio, ModuleVhost, moduleVhostNet, moduleTun} {
			if k.hasModule(name) {
				names = append(names, name)
			}
		}
		return names
	}, func(name string) *node {
		if n := params.child(name); n != nil {
			return n
		}
		if slices.Contains(k.modules().names(), name) {
			return folder()
		}
		return nil
	})
}

// Modules that the device plugin's needVhostNet is about.
const (
	moduleVhostNet = "vhost_net"
	moduleTun      = "tun"
)

type machineDoor struct{ *handle }

func machineCall(kind, object, value, words string, write bool) call {
	return call{kind: "machine." + kind, object: object, value: value, words: words, device: object, write: write}
}

// tool refuses what the machine does not have.
func (k *Kernel) tool(name string) error {
	if name == "" || k.opts.BootLoader.Tool != name {
		return refuse(syscall.ENOENT)
	}
	return nil
}

// KernelArguments implements host.Machine.
func (d machineDoor) KernelArguments(ctx context.Context, tool string) ([]string, error) {
	return run(ctx, d.handle, machineCall("KernelArguments", tool, "", "reading kernel arguments", false), func() ([]string, error) {
		if err := d.k.tool(tool); err != nil {
			return nil, err
		}
		if tool == host.ToolUpdateGrub {
			return slices.Clone(d.k.machine.entry), nil
		}
		return slices.Concat(d.k.opts.BootLoader.Arguments, d.k.machine.entry), nil
	})
}

// SetKernelArguments implements host.Machine.
func (d machineDoor) SetKernelArguments(ctx context.Context, tool string, add, remove []string) error {
	c := machineCall("SetKernelArguments", tool, strings.Join(add, " ")+" - "+strings.Join(remove, " "), "changing kernel arguments", true)
	_, err := run(ctx, d.handle, c, func() (nothing, error) {
		k := d.k
		if err := k.tool(tool); err != nil {
			return nothing{}, err
		}
		for _, a := range add {
			if !slices.Contains(k.machine.entry, a) {
				k.machine.entry = append(k.machine.entry, a)
			}
		}
		k.machine.entry = slices.DeleteFunc(k.machine.entry, func(a string) bool { return slices.Contains(remove, a) })
		if tool != host.ToolUpdateGrub {
			return nothing{}, nil
		}
		delete(k.disk, grubDropIn)
		if len(k.machine.entry) > 0 {
			_, err := k.disk.place(grubDropIn, &file{data: []byte(strings.Join(k.machine.entry, " "))})
			return nothing{}, err
		}
		return nothing{}, nil
	})
	return err
}

// LoadModule implements host.Machine.
func (d machineDoor) LoadModule(ctx context.Context, module string) error {
	_, err := run(ctx, d.handle, machineCall("LoadModule", module, module, "loading a module", true), func() (nothing, error) {
		k := d.k
		switch {
		case k.hasModule(module):
			return nothing{}, nil
		case !slices.Contains(k.opts.Unloaded, module):
			return nothing{}, refusal{errno: syscall.ENOENT, text: "modprobe: FATAL: Module " + module + " not found."}
		}
		k.machine.modprobed[module] = true
		if module == ModuleVFIO {
			k.drivers[vfioDriver] = true
		}
		return nothing{}, nil
	})
	return err
}

type powerDoor struct{ *handle }

// Reboot implements host.Power. The machine goes down when the test lets it: see
// RebootsAsked.
func (d powerDoor) Reboot(ctx context.Context) error {
	_, err := run(ctx, d.handle, machineCall("Reboot", "login manager", "", "asking for a reboot", true), func() (nothing, error) {
		if d.k.opts.NoSystemd {
			return nothing{}, refuse(syscall.ENOENT)
		}
		d.k.machine.rebooted++
		return nothing{}, nil
	})
	return err
}

// RebootsAsked is how often the login manager was asked for a reboot.
func (k *Kernel) RebootsAsked() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.machine.rebooted
}

// Boots is how often the machine has started.
func (k *Kernel) Boots() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.boots
}

// CommandLine is what the kernel was started with.
func (k *Kernel) CommandLine() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.machine.started)
}

// NextArguments are those that the boot loader's tool has been told of.
func (k *Kernel) NextArguments() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.machine.entry)
}

type rdmaDoor struct{ *handle }

// NetnsMode implements host.RDMA.
func (d rdmaDoor) NetnsMode(ctx context.Context) (string, error) {
	c := call{kind: "rdma.NetnsMode", object: "system", words: "reading the namespace mode", device: "the RDMA subsystem"}
	return run(ctx, d.handle, c, func() (string, error) {
		if !d.k.hasModule(ModuleRDMA) {
			return "", host.ErrNoRDMA
		}
		return d.k.machine.rdmaMode, nil
	})
}

// SetNetnsMode implements host.RDMA: rdma_compatdev_set.
func (d rdmaDoor) SetNetnsMode(ctx context.Context, mode string) error {
	c := call{kind: "rdma.SetNetnsMode", object: "system", value: mode, words: "setting the namespace mode " + mode, device: "the RDMA subsystem", write: true}
	_, err := run(ctx, d.handle, c, func() (nothing, error) {
		switch {
		case !d.k.hasModule(ModuleRDMA):
			return nothing{}, host.ErrNoRDMA
		case mode == d.k.machine.rdmaMode:
			return nothing{}, nil
		case d.k.opts.Namespaces || len(d.k.pods.owners) > 0:
			return nothing{}, refuse(syscall.EBUSY)
		}
		d.k.machine.rdmaMode = mode
		return nothing{}, nil
	})
	return err
}

// dumpMachine writes what is not as on a machine that nobody has touched.
func (k *Kernel) dumpMachine(b *strings.Builder) {
	if len(k.machine.entry) > 0 {
		fmt.Fprintf(b, "kernel arguments of the next boot: %s\n", strings.Join(slices.Sorted(slices.Values(k.machine.entry)), " "))
	}
	if k.machine.rdmaMode != host.RDMAShared {
		fmt.Fprintf(b, "RDMA namespace mode %s\n", k.machine.rdmaMode)
	}
	for _, module := range slices.Sorted(maps.Keys(k.machine.modprobed)) {
		fmt.Fprintf(b, "module %s loaded\n", path.Base(module))
	}
}
