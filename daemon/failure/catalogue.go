package failure

import "syscall"

// Kinds of steps, as daemon/plan names them.
const (
	createVFs = "CreateVFs"
	removeVFs = "RemoveVFs"
	setMode   = "SetEswitchMode"
	setInline = "SetInlineMode"
	setSteer  = "SetSteeringMode"
	await     = "AwaitRepresentors"
	bindVF    = "BindVF"
	unbindVF  = "UnbindVF"
	setMTU    = "SetMTU"
	setVFMTU  = "SetVFMTU"
	setVFMAC  = "SetVFAdminMAC"
	setTC     = "SetHWTCOffload"
	setRepTC  = "SetRepresentorHWTCOffload"
)

// notSupported is ENOTSUPP, an errno of the kernel's own that drivers let out.
const notSupported = syscall.Errno(524)

// Catalogue returns all entries, the most specific first: those that know the
// kernel's words, then those that know the step, then any other.
func Catalogue() []Entry {
	var all []Entry
	for _, part := range [][]Entry{
		firmwareEntries(), numVFsEntries(), eswitchEntries(), steeringEntries(), ovsEntries(), deviceEntries(), bindEntries(), linkEntries(),
		bondEntries(), safetyEntries(), machineEntries(), faultEntries(), fileEntries(), errnoEntries(),
	} {
		all = append(all, part...)
	}
	return all
}

// numVFsEntries: drivers/pci/iov.c, unless another file is named.
func numVFsEntries() []Entry {
	return []Entry{
		{Code: "NoMMIO", Steps: []string{createVFs}, Errnos: []syscall.Errno{syscall.ENOMEM}, Texts: []string{"not enough MMIO resources"},
			Message: "the firmware left no memory space for the VFs",
			Remedy:  "turn SR-IOV and Above 4G Decoding on in the BIOS, or boot with pci=realloc"},
		{Code: "NoBusNumbers", Steps: []string{createVFs}, Errnos: []syscall.Errno{syscall.ENOMEM}, Texts: []string{"bus number out of range", "out of range of [bus"},
			Message: "the PCI bridge has too few bus numbers for the VFs",
			Remedy:  "turn ARI and SR-IOV on in the BIOS, or boot with pci=assign-busses,realloc"},
		{Code: "NoPCIResources", Steps: []string{createVFs}, Errnos: []syscall.Errno{syscall.ENOMEM},
			Message: "there was no memory space, bus number or memory for the VFs",
			Remedy:  "turn SR-IOV and Above 4G Decoding on in the BIOS, or boot with pci=realloc; see the kernel log"},
		{Code: "VFsAlreadyEnabled", Steps: []string{createVFs}, Errnos: []syscall.Errno{syscall.EBUSY},
			Message: "VFs were there already: somebody else made them in the meantime",
			Remedy:  "none: the host is observed and planned again; if it comes back, find the other tool that sets sriov_numvfs"},
		{Code: "TooManyVFs", Steps: []string{createVFs}, Errnos: []syscall.Errno{syscall.ERANGE},
			Message: "more VFs were asked for than sriov_totalvfs allows",
			Remedy:  "lower numVfs, or raise the firmware's limit (NVIDIA: NUM_OF_VFS) and reboot"},
		{Code: "FirmwareLimit", Steps: []string{createVFs}, Texts: []string{"firmware limits number of VFs"},
			Message: "the NIC's firmware allows fewer VFs",
			Remedy:  "lower numVfs"},
		{Code: "NoSRIOVDriver", Steps: []string{createVFs, removeVFs}, Errnos: []syscall.Errno{syscall.ENOENT},
			Message: "the PF has no driver that can make VFs",
			Remedy:  "bind the PF to its network driver; turn SR-IOV on in BIOS and firmware"},
		{Code: "VFInVM", Steps: []string{removeVFs}, Errnos: []syscall.Errno{syscall.EPERM, syscall.EBUSY},
			Texts:   []string{"VFs assigned", "VFs are assigned", "orphan VFs"},
			Message: "a virtual machine holds a VF",
			Remedy:  "stop or drain the virtual machine first"},
		{Code: "VFInVM", Steps: []string{removeVFs}, Errnos: []syscall.Errno{syscall.EPERM},
			Message: "the driver does not give the VFs up; usually a virtual machine holds one",
			Remedy:  "stop or drain the virtual machine first"},
		{Code: "PFDown", Steps: []string{createVFs, removeVFs}, Texts: []string{"Reject SRIOV config request since if is down"},
			Message: "the driver makes and removes VFs only while the PF's netdev is up, and it was set down in the meantime",
			Remedy:  "none at first: the PF is set up and it is tried again; if it comes back, find the tool that sets it down"},
		{Code: "PartialVFs", Steps: []string{createVFs}, Faults: []Fault{FaultPartial},
			Message: "the driver enabled fewer VFs than asked for",
			Remedy:  "lower numVfs; see the kernel log for the driver's reason"},
		{Code: "VFsTimeout", Steps: []string{createVFs, removeVFs}, Faults: []Fault{FaultTimeout},
			Message: "the change of sriov_numvfs did not end in time; the driver may still be at work",
			Remedy:  "none at first: it is tried again; if it comes back, update driver and firmware of the NIC"},
	}
}

// eswitchEntries: mlx5's eswitch_offloads.c and devlink.c, bnxt_vfr.c, ice_eswitch.c.
func eswitchEntries() []Entry {
	mode := []string{setMode}
	return []Entry{
		{Code: "FirmwareReset", Steps: mode, Errnos: []syscall.Errno{syscall.EBUSY}, Texts: []string{"firmware reset"},
			Message: "the NIC's firmware is being reset",
			Remedy:  "none: it is tried again"},
		{Code: "NetnsDiverged", Steps: mode, Texts: []string{"netdev net namespace has diverged"},
			Message: "the PF's netdev is in another network namespace than its devlink instance",
			Remedy:  "move the PF's netdev back into the host's network namespace"},
		{Code: "SocketDirect", Steps: mode, Texts: []string{"multi-PF netdev", "Socket Direct"},
			Message: "a multi-PF (Socket Direct) netdev cannot switch its mode on this kernel",
			Remedy:  "turn Socket Direct off in the NIC's firmware, or use eSwitchMode legacy"},
		{Code: "IPsecConfigured", Steps: mode, Texts: []string{"IPsec SA"},
			Message: "IPsec states or policies are offloaded to the NIC",
			Remedy:  "remove them from the PF (ip xfrm state, ip xfrm policy)"},
		{Code: "TrapsActive", Steps: mode, Texts: []string{"devlink traps are active"},
			Message: "devlink traps are active on the NIC",
			Remedy:  "set their action back to drop (devlink trap set)"},
		{Code: "InlineFlows", Steps: []string{setInline}, Texts: []string{"when flows are configured"},
			Message: "flows are offloaded to the NIC, so that its inline mode cannot be set",
			Remedy:  "detach the uplink from Open vSwitch, and remove TC filters from it"},
		{Code: "InlineMode", Steps: append([]string{setInline}, mode...), Texts: []string{"Inline mode can't be set", "Failed to set min inline on vport"},
			Message: "the inline mode of a VF could not be set",
			Remedy:  "none: VFs are unbound and it is tried again; otherwise update the NIC's firmware"},
		{Code: "FlowsConfigured", Steps: mode, Texts: []string{"when flows are configured"},
			Message: "flows are offloaded to the NIC",
			Remedy:  "detach the uplink from Open vSwitch, and remove TC filters from it"},
		{Code: "VFsPresent", Steps: mode, Texts: []string{"only if there is no VFs created"},
			Message: "the driver changes its mode only without VFs",
			Remedy:  "none at first: with a driver that is not known the other order is tried next; if it comes back, find the tool that makes VFs"},
		{Code: "VFsMissing", Steps: mode, Texts: []string{"Enable VFs before setting switchdev mode", "SRIOV legacy not enabled"},
			Message: "the driver changes its mode only when VFs exist",
			Remedy:  "set numVfs to 1 or more; with a driver that is not known the other order is tried next"},
		{Code: "AlreadyInMode", Steps: mode, Errnos: []syscall.Errno{syscall.EINVAL}, Texts: []string{"already in"},
			Message: "the eswitch is in this mode already: somebody else set it in the meantime",
			Remedy:  "none: the host is observed and planned again"},
		{Code: "LAGActive", Steps: append([]string{bindVF, unbindVF, rebindVF}, mode...),
			Texts:   []string{"VFs are unbound prior to VF LAG", "Failed to activate VF LAG", "Failed to deactivate VF LAG"},
			Message: "the NIC's bond offload (VF-LAG) stands in the way: VFs were bound while it changed",
			Remedy:  "take the ports out of their bond, unbind all VFs, and put the ports back; as a last resort reload the driver"},
		{Code: "EswitchBusy", Steps: mode, Errnos: []syscall.Errno{syscall.EBUSY},
			Message: "the eswitch is busy with other work, such as a change of a bond or of TC flows",
			Remedy:  "none: it is tried again; if it comes back, detach the PF from bonds and Open vSwitch bridges"},
		{Code: "EswitchUnsupported", Steps: mode, Errnos: []syscall.Errno{syscall.EOPNOTSUPP, syscall.ENODEV, notSupported},
			Message: "the device has no eswitch that the host can set, its firmware is too old for it, or it wants another order of VFs and mode",
			Remedy:  "update the NIC's firmware, or use eSwitchMode legacy; a BlueField must be in NIC mode; with a driver that is not known the other order is tried next"},
		{Code: "EswitchRefused", Steps: mode, Errnos: []syscall.Errno{syscall.EPERM, syscall.EACCES},
			Message: "the host does not own the eswitch, or the daemon lacks CAP_NET_ADMIN",
			Remedy:  "check that a BlueField is in NIC mode, and that the daemon runs privileged"},
		{Code: "EswitchFailed", Steps: mode, Errnos: []syscall.Errno{syscall.EINVAL, syscall.ENOMEM, syscall.EIO, syscall.ENOSPC},
			Message: "the NIC could not change its eswitch mode",
			Remedy:  "see the kernel log; update the NIC's firmware"},
		{Code: "EswitchTimeout", Steps: mode, Faults: []Fault{FaultTimeout},
			Message: "the eswitch did not change its mode in time",
			Remedy:  "none at first: it is tried again; if it comes back, see the kernel log and update the NIC's firmware"},
		{Code: "RepresentorsMissing", Steps: []string{await, setRepTC}, Faults: []Fault{FaultTimeout, FaultNoNetdev},
			Message: "the uplink or some VFs got no representor in the host's network namespace",
			Remedy:  "see the kernel log; check that no tool moved representors into another namespace"},
	}
}

// steeringEntries: mlx5's fs_core.c and devlink.c, and eswitch_offloads.c for the
// inline mode. Through the compat file of MLNX_OFED, the words are in the log.
func steeringEntries() []Entry {
	steer, inline := []string{setSteer}, []string{setInline}
	return []Entry{
		{Code: "SteeringInSwitchdev", Texts: []string{"when eswitch offloads enabled"},
			Message: "the flow steering mode can be changed in legacy mode only, and somebody switched the eswitch to switchdev in the meantime",
			Remedy:  "none at first: it is tried again from legacy mode; if it comes back, find the other tool that sets the eswitch mode"},
		{Code: "SteeringModeOfNIC", Texts: []string{"Software managed steering is not supported", "Hardware managed steering is not supported", "managed steering is not supported by current device"},
			Message: "the NIC or its firmware cannot do this flow steering mode",
			Remedy:  "choose another flowSteeringMode: dmfs is what every NIC can do, smfs needs ConnectX-5 or newer, hmfs newer firmware and kernel; or update the NIC's firmware"},
		{Code: "SteeringModeOfKernel", Steps: steer, Texts: []string{"supported values are"},
			Message: "the kernel's driver does not know this flow steering mode",
			Remedy:  "choose one of the modes that the kernel names, or use a newer kernel (hmfs)"},
		{Code: "SteeringNotTaken", Steps: steer, Faults: []Fault{FaultNotTaken},
			Message: "the driver accepted the flow steering mode, and another one is in force",
			Remedy:  "see the kernel log; update kernel or MLNX_OFED, or remove flowSteeringMode from the policy"},
		{Code: "SteeringRefused", Steps: steer, Errnos: []syscall.Errno{syscall.EOPNOTSUPP, syscall.EINVAL, syscall.ENODEV, syscall.ENOENT, notSupported},
			Message: "the driver did not take the flow steering mode",
			Remedy:  "see the kernel's words and the kernel log; choose another flowSteeringMode, or remove it from the policy"},
		{Code: "InlineNotTaken", Steps: inline, Faults: []Fault{FaultNotTaken},
			Message: "the driver accepted the inline mode, and another one is in force",
			Remedy:  "see the kernel log; update the NIC's firmware"},
		{Code: "InlineRefused", Steps: inline, Errnos: []syscall.Errno{syscall.EOPNOTSUPP, syscall.EINVAL, syscall.ENODEV, notSupported},
			Message: "the driver did not take the eswitch's inline mode",
			Remedy:  "see the kernel's words and the kernel log; update the NIC's firmware, or use eSwitchMode legacy"},
	}
}

func bindEntries() []Entry {
	return []Entry{
		{Code: "NoIOMMUGroup", Steps: []string{bindVF}, Faults: []Fault{FaultNoIOMMUGroup},
			Message: "vfio-pci needs an IOMMU group, and the VF is in none",
			Remedy:  "turn the IOMMU on: VT-d or AMD-Vi in the BIOS, intel_iommu=on or amd_iommu=on on the kernel's command line"},
		{Code: "DriverNotBound", Steps: []string{bindVF, rebindVF}, Faults: []Fault{FaultNotBound, FaultTimeout},
			Message: "the driver did not take the VF",
			Remedy:  "check that the driver's module is loaded; see the kernel log for why its probe failed"},
		{Code: "VFNetdevMissing", Steps: []string{bindVF, rebindVF, setVFMTU, setVFMAC}, Faults: []Fault{FaultNoNetdev, FaultTimeout},
			Message: "the VF's driver is bound, but no netdev came, not even after binding it once more",
			Remedy:  "see the kernel log for why the probe failed; update driver and firmware of the NIC"},
		{Code: "BindRefused", Steps: []string{bindVF, rebindVF}, Errnos: []syscall.Errno{syscall.ENODEV, syscall.EINVAL},
			Message: "the kernel did not bind the VF: the VF is gone, or autoprobe was turned off in the meantime",
			Remedy:  "none at first: the host is observed and planned again; if it comes back, see the kernel log"},
		{Code: "BindBusy", Steps: []string{bindVF, unbindVF}, Errnos: []syscall.Errno{syscall.EBUSY},
			Message: "another driver holds the VF",
			Remedy:  "none at first: it is tried again; if it comes back, find the tool that binds VFs"},
		{Code: "UnbindRefused", Steps: []string{unbindVF}, Errnos: []syscall.Errno{syscall.ENODEV, syscall.EINVAL},
			Message: "the VF or its driver is gone",
			Remedy:  "none: the host is observed and planned again"},
	}
}

func linkEntries() []Entry {
	return []Entry{
		{Code: "MTUOutOfRange", Steps: []string{setMTU, setVFMTU}, Errnos: []syscall.Errno{syscall.EINVAL, syscall.ERANGE},
			Message: "the device does not take this MTU",
			Remedy:  "choose an MTU within the limits of the NIC (ip -d link show: minmtu, maxmtu); a VF's is at most its PF's"},
		{Code: "MTUUnsupported", Steps: []string{setMTU, setVFMTU}, Errnos: []syscall.Errno{syscall.EOPNOTSUPP, syscall.EBUSY},
			Message: "the device does not change its MTU, or not in its present state",
			Remedy:  "remove mtu from the policy, or set it with the tool that manages the link"},
		{Code: "AdminMACRefused", Steps: []string{setVFMAC}, Errnos: []syscall.Errno{syscall.EINVAL, syscall.EOPNOTSUPP, syscall.EPERM},
			Message: "the PF's driver did not take the VF's MAC",
			Remedy:  "see the kernel log; update driver and firmware of the NIC"},
		{Code: "OffloadFixed", Steps: []string{setTC, setRepTC}, Faults: []Fault{FaultFixed},
			Message: "hw-tc-offload cannot be changed on this netdev",
			Remedy:  "use a kernel with TC offload for this NIC, or eSwitchMode legacy"},
		{Code: "OffloadRefused", Steps: []string{setTC, setRepTC}, Errnos: []syscall.Errno{syscall.EOPNOTSUPP, syscall.EINVAL, syscall.ENOENT, syscall.EIO},
			Message: "the driver did not change hw-tc-offload",
			Remedy:  "use a kernel with TC offload for this NIC, or eSwitchMode legacy"},
		{Code: "OffloadBusy", Steps: []string{setTC, setRepTC}, Errnos: []syscall.Errno{syscall.EBUSY},
			Message: "TC rules are offloaded to this netdev",
			Remedy:  "detach it from Open vSwitch, and remove TC filters from it"},
	}
}

// faultEntries explain what the daemon itself found, at any step.
func faultEntries() []Entry {
	return []Entry{
		{Code: "NetdevMissing", Faults: []Fault{FaultNoNetdev},
			Message: "the netdev is not in the host's network namespace",
			Remedy:  "move it back from the namespace or pod that holds it"},
		{Code: "PlanOutdated", Faults: []Fault{FaultOutdated},
			Message: "the host changed after the plan was made",
			Remedy:  "none: the host is observed and planned again"},
		{Code: "LedgerUnwritable", Faults: []Fault{FaultLedger},
			Message: "the ledger could not be written, and without it nothing is touched",
			Remedy:  "check the disk and the permissions of /var/lib/sriov-offload-operator on the node"},
		{Code: "Timeout", Faults: []Fault{FaultTimeout},
			Message: "the step did not end in time",
			Remedy:  "none at first: it is tried again; if it comes back, see the kernel log"},
		{Code: "Interrupted", Faults: []Fault{FaultCanceled},
			Message: "the daemon was told to stop",
			Remedy:  "none: it goes on after its start"},
	}
}

// errnoEntries explain an errno at any step.
func errnoEntries() []Entry {
	return []Entry{
		{Code: "PermissionDenied", Errnos: []syscall.Errno{syscall.EPERM, syscall.EACCES, syscall.EROFS},
			Message: "the kernel did not allow it",
			Remedy:  "check that the daemon runs privileged with the host's /sys writable, and that no kernel lockdown is in force"},
		{Code: "DeviceBusy", Errnos: []syscall.Errno{syscall.EBUSY, syscall.EAGAIN, syscall.EINTR},
			Message: "the device is busy",
			Remedy:  "none: it is tried again"},
		{Code: "DeviceGone", Errnos: []syscall.Errno{syscall.ENODEV, syscall.ENOENT, syscall.ENXIO},
			Message: "the device or attribute is not there, or no longer",
			Remedy:  "none at first: the host is observed and planned again; if it comes back, see the kernel log"},
		{Code: "NotSupported", Errnos: []syscall.Errno{syscall.EOPNOTSUPP, syscall.ENOTTY, syscall.ENOSYS, notSupported},
			Message: "the driver does not support it",
			Remedy:  "update kernel or driver, or take the setting out of the policy"},
		{Code: "InvalidArgument", Errnos: []syscall.Errno{syscall.EINVAL, syscall.ERANGE},
			Message: "the driver refused the value",
			Remedy:  "see the kernel's words and the kernel log; correct the policy"},
		{Code: "OutOfMemory", Errnos: []syscall.Errno{syscall.ENOMEM, syscall.ENOSPC, syscall.ENOBUFS},
			Message: "the kernel or the device ran out of memory or space",
			Remedy:  "free memory on the node, or lower numVfs"},
		{Code: "DeviceError", Errnos: []syscall.Errno{syscall.EIO, syscall.ETIMEDOUT, syscall.EPROTO, syscall.EREMOTEIO},
			Message: "the device did not answer as it should",
			Remedy:  "see the kernel log; reset the NIC or reboot the node; update its firmware"},
		{Code: "Unexplained",
			Message: "the step failed for a reason that is not in the catalogue",
			Remedy:  "see the kernel's words and the kernel log, and report it"},
	}
}
