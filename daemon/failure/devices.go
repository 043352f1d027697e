package failure

import "syscall"

// Faults of RDMA and vDPA devices.
const (
	// FaultNoRDMA: a VF on its driver has no RDMA device.
	FaultNoRDMA Fault = "NoRDMA"
	// FaultNoNodeGUID: a VF's RDMA device has no node GUID.
	FaultNoNodeGUID Fault = "NoNodeGUID"
	// FaultNoManager: no vDPA device can be made of a VF.
	FaultNoManager Fault = "NoManager"
)

const (
	createVDPA = "CreateVDPA"
	bindVDPA   = "BindVDPA"
	removeVDPA = "RemoveVDPA"
	setVFGUID  = "SetVFGUID"
	rebindVF   = "RebindVF"
)

// deviceEntries: drivers/vdpa/vdpa.c, drivers/vdpa/mlx5/net/mlx5_vnet.c,
// drivers/infiniband/hw/mlx5, net/core/rtnetlink.c.
func deviceEntries() []Entry {
	vdpa := []string{createVDPA, bindVDPA, removeVDPA}
	return []Entry{
		{Code: "RDMAMissing", Faults: []Fault{FaultNoRDMA},
			Message: "the VF's driver is bound, and no RDMA device came with it",
			Remedy:  "load the modules ib_core and mlx5_ib (package rdma-core does it at boot); check the VF's devlink parameters enable_rdma and enable_roce, and see the kernel log"},
		{Code: "NodeGUIDMissing", Faults: []Fault{FaultNoNodeGUID},
			Message: "the VF was probed again, and its RDMA device still has no node GUID",
			Remedy:  "see the kernel log for a refusal of the NIC's firmware to set the MAC or GUID of the VF; update the firmware"},
		{Code: "GUIDRefused", Steps: []string{setVFGUID}, Errnos: []syscall.Errno{syscall.EOPNOTSUPP, syscall.EINVAL, syscall.EIO, syscall.EREMOTEIO, notSupported},
			Message: "the NIC did not take the GUID of the VF",
			Remedy:  "check that the port is InfiniBand, and that the host's PF is the vport group manager (a BlueField must be in NIC mode); see the kernel log"},
		{Code: "VDPAManagerMissing", Steps: vdpa, Faults: []Fault{FaultNoManager},
			Message: "no vDPA device can be made of the VF: it is no management device",
			Remedy:  "load the module mlx5_vdpa; the NIC must be a ConnectX-6 Dx or newer, with recent firmware"},
		{Code: "VDPAManagerMissing", Steps: []string{createVDPA}, Errnos: []syscall.Errno{syscall.ENODEV}, Texts: []string{"management device"},
			Message: "no vDPA device can be made of the VF: it is no management device",
			Remedy:  "load the module mlx5_vdpa; the NIC must be a ConnectX-6 Dx or newer, with recent firmware"},
		{Code: "VDPAUnsupported", Steps: []string{createVDPA}, Errnos: []syscall.Errno{syscall.EOPNOTSUPP},
			Message: "the kernel or the VF's driver cannot make the vDPA device",
			Remedy:  "load the modules vdpa and mlx5_vdpa (Linux 5.12 or newer); see the kernel log for what the driver lacks"},
		{Code: "VDPATaken", Steps: []string{createVDPA}, Errnos: []syscall.Errno{syscall.ENOSPC, syscall.EEXIST},
			Message: "the VF has a vDPA device, or one has its name: somebody else made it in the meantime",
			Remedy:  "none: the host is observed and planned again; if it comes back, find the other tool that makes vDPA devices"},
		{Code: "VDPADriverNotBound", Steps: []string{createVDPA, bindVDPA}, Faults: []Fault{FaultNotBound},
			Message: "the vDPA device was not bound to the driver of its type",
			Remedy:  "load the module virtio_vdpa or vhost_vdpa; see the kernel log"},
		{Code: "VDPADriverRefused", Steps: []string{createVDPA, bindVDPA}, Errnos: []syscall.Errno{syscall.ENODEV, syscall.EINVAL, syscall.ENOENT},
			Message: "the driver of its type did not take the vDPA device",
			Remedy:  "load the module virtio_vdpa or vhost_vdpa; see the kernel log"},
		{Code: "VDPATimeout", Steps: vdpa, Faults: []Fault{FaultTimeout},
			Message: "the vDPA device was not changed in time: the kernel waits for whoever has a vDPA device open",
			Remedy:  "find the process that has /dev/vhost-vdpa-* open, such as a virtual machine or DPDK, and stop it"},
	}
}
