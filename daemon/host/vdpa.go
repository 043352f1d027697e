package host

import "context"

// Drivers of the vdpa bus: which one a device is bound to makes its type.
const (
	// DriverVirtioVDPA gives the host a virtio device, e.g. a virtio-net netdev.
	DriverVirtioVDPA = "virtio_vdpa"
	// DriverVhostVDPA gives user space a character device, /dev/vhost-vdpa-N.
	DriverVhostVDPA = "vhost_vdpa"
)

// VDPADevice is a device of the vdpa bus that was made by request.
type VDPADevice struct {
	// Name on the vdpa bus: "vdpa:0000:3b:00.2".
	Name string
	// Manager is the function that the device was made of, e.g. a VF.
	Manager DevlinkHandle
}

// VDPA makes and removes vDPA devices (generic netlink family vdpa, Linux 5.12).
// To which driver a device is bound is a matter of sysfs, /sys/bus/vdpa.
type VDPA interface {
	// Managers lists the functions that vDPA devices can be made of: those whose
	// driver and its vdpa module are bound. None without the family.
	Managers(ctx context.Context) ([]DevlinkHandle, error)
	// Devices lists the devices made by request. None without the family.
	Devices(ctx context.Context) ([]VDPADevice, error)
	// Create makes a device. ENODEV when there is no such manager, ENOSPC when it
	// can have no more devices, EEXIST when the name is taken, EOPNOTSUPP without
	// the family.
	Create(ctx context.Context, name string, manager DevlinkHandle) error
	// Delete removes a device and waits for whoever has it open: nobody may use
	// it. ENODEV when there is none.
	Delete(ctx context.Context, name string) error
}
