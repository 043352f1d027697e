package host

import (
	"context"
	"errors"
)

// Tools of boot loaders, as the inventory names them.
const (
	// ToolRPMOSTree is rpm-ostree kargs: machines whose system is an image.
	ToolRPMOSTree = "rpm-ostree"
	// ToolGrubby changes entries of the boot loader specification, and others.
	ToolGrubby = "grubby"
	// ToolUpdateGrub is a drop-in below /etc/default/grub.d, and update-grub, which
	// makes grub.cfg from it: Debian and its descendants.
	ToolUpdateGrub = "update-grub"
)

// Machine changes how the machine's kernel is started and what it has loaded. It
// runs the machine's own programs, and nothing else does.
type Machine interface {
	// KernelArguments returns the arguments that the boot loader gives the kernel at
	// the next boot. Of ToolUpdateGrub it is those of our drop-in alone.
	KernelArguments(ctx context.Context, tool string) ([]string, error)
	// SetKernelArguments adds arguments and takes others away, for all kernels that
	// the boot loader offers. What is there already, or not there, is no error. It
	// takes effect at the next boot.
	SetKernelArguments(ctx context.Context, tool string, add, remove []string) error
	// LoadModule loads a module with those that it needs. One that is loaded, or built
	// in, is no error.
	LoadModule(ctx context.Context, module string) error
}

// Power restarts the machine.
type Power interface {
	// Reboot asks the machine's login manager for an orderly restart and returns when
	// that is under way.
	Reboot(ctx context.Context) error
}

// Modes of the RDMA subsystem.
const (
	// RDMAShared: every network namespace sees every RDMA device.
	RDMAShared = "shared"
	// RDMAExclusive: an RDMA device belongs to one network namespace.
	RDMAExclusive = "exclusive"
)

// ErrNoRDMA says that the kernel has no RDMA subsystem, or one that knows no modes
// (before Linux 5.2).
var ErrNoRDMA = errors.New("the kernel has no RDMA subsystem with namespace modes")

// RDMA talks to the RDMA subsystem (netlink family RDMA).
type RDMA interface {
	// NetnsMode returns RDMAShared or RDMAExclusive; ErrNoRDMA if there is none.
	NetnsMode(ctx context.Context) (string, error)
	// SetNetnsMode sets the mode. EBUSY while there is a network namespace besides
	// that of the machine (rdma_compatdev_set, drivers/infiniband/core/device.c).
	SetNetnsMode(ctx context.Context, mode string) error
}
