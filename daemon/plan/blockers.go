package plan

import (
	"cmp"
	"fmt"
	"slices"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Codes of blockers. They are part of the API: users and alerts match on them.
const (
	CodePFNotFound          = "PFNotFound"
	CodeFactUnreadable      = "FactUnreadable"
	CodeSRIOVDisabled       = "SRIOVDisabled"
	CodeTooManyVFs          = "TooManyVFs"
	CodeNoDriver            = "NoDriver"
	CodeNoNetdev            = "NoNetdev"
	CodeLinkTypeMismatch    = "LinkTypeMismatch"
	CodeNodeNetwork         = "NodeNetwork"
	CodeConnectivityLost    = "ConnectivityLost"
	CodePFHasMaster         = "PFHasMaster"
	CodeEswitchModeFixed    = "EswitchModeFixed"
	CodeEswitchUnsupported  = "EswitchUnsupported"
	CodeOffloadUnsupported  = "HWTCOffloadUnsupported"
	CodeAutoprobeMissing    = "AutoprobeMissing"
	CodeNoIOMMUGroup        = "NoIOMMUGroup"
	CodeVFRangeInvalid      = "VFRangeInvalid"
	CodeExternalVFs         = "ExternalTooFewVFs"
	CodeExternalMode        = "ExternalEswitchMode"
	CodeExternalSteering    = "ExternalSteeringMode"
	CodeExternalMTU         = "ExternalMTUTooSmall"
	CodeExternalAutoprobe   = "ExternalAutoprobeOff"
	CodeSteeringUnsupported = "SteeringModeUnsupported"
	CodeFirmwareUnsupported = "FirmwareAppUnsupported"
	CodeFirmwareBoard       = "FirmwareBoardUnknown"
	CodeFirmwareMissing     = "FirmwareMissing"
	CodeFirmwarePreferred   = "FirmwareOtherPreferred"
	CodeFirmwareDefeated    = "FirmwareNotLoadable"
	CodeFirmwareReadOnly    = "FirmwareFolderReadOnly"
	CodeRDMAModeUnsupported = "RDMAModeUnsupported"
	CodeKernelArguments     = "KernelArgumentsUnset"
	CodeArgumentsLeft       = "KernelArgumentsLeft"
	CodeRebootIneffective   = "RebootIneffective"
)

// BlockerCode documents a code.
type BlockerCode struct {
	Code string
	// Meaning of the blocker.
	Meaning string
	// Remedy is what a person can do about it.
	Remedy string
}

// BlockerCodes lists every code of the blockers and warnings of a plan, ordered as a
// planner meets them.
func BlockerCodes() []BlockerCode {
	return slices.Concat(hostCodes(), machineCodes(), deviceCodes(), firmwareBlockerCodes(), needCodes(), bondCodes(), bridgeCodes())
}

func deviceCodes() []BlockerCode {
	return []BlockerCode{
		{CodePFNotFound, "The node has no PF with this PCI address.",
			"Check that the NIC is seated and shows up in lspci; otherwise correct the policy's selector."},
		{CodeFactUnreadable, "A fact that the decision needs exists and could not be read.",
			"See the reason in the message; the daemon reads it again at the next event or resync."},
		{CodeNoDriver, "The PF is bound to no kernel network driver.",
			"Bind the PF to its network driver, e.g. through /sys/bus/pci/drivers_probe, or load the driver's module."},
		{CodeSRIOVDisabled, "The PF offers no VFs: SR-IOV is off in BIOS or firmware.",
			"Turn SR-IOV on in the BIOS; on NVIDIA NICs also set the firmware's SRIOV_EN=1 and NUM_OF_VFS, then reboot."},
		{CodeTooManyVFs, "More VFs are wanted than the PF offers.",
			"Lower numVfs, or raise the firmware's limit (NVIDIA: NUM_OF_VFS) and reboot."},
		{CodeNoNetdev, "The PF has no netdev in the host's network namespace.",
			"Move the netdev back from the namespace or pod that holds it; if there is none at all, see the kernel log for the driver's reason."},
		{CodeLinkTypeMismatch, "The port's link type is not the one that is wanted.",
			"Change the policy's linkType, or the port type in the NIC's firmware (NVIDIA: LINK_TYPE_P1, LINK_TYPE_P2)."},
		{CodeNodeNetwork, "The node's own network depends on the PF, and the change would interrupt it.",
			"Move the node's network to another NIC, or create the VFs at boot and set externallyManaged in the policy; or permit the interruption: allowNodeNetwork in the policy, or in the node's pool."},
		{CodeConnectivityLost, "The change was made once, the node lost a connection by it, and the PF went back to its state of before. The same change is not made again.",
			"See in the message which connection was lost, and find out why: the switch port, a bond or VLAN on the PF, the host's network manager. Then change the policy: any change of what is wanted of the PF is tried anew."},
		{CodePFHasMaster, "The PF is a member of a bond or bridge, and the change would break its link.",
			"Take the PF out of the bond or bridge until the change is done; an MTU is set on the bond or bridge itself."},
		{CodeEswitchModeFixed, "The firmware that runs on the NIC decides on the eswitch mode (Agilio), and it is another one than the wanted.",
			"Set firmwareApp: flower in the policy for switchdev, none for legacy; or change the policy's eSwitchMode."},
		{CodeEswitchUnsupported, "The device has no eswitch that the host can set.",
			"Use eSwitchMode legacy; a BlueField must be in NIC mode for the host to own its eswitch."},
		{CodeOffloadUnsupported, "The netdev's hw-tc-offload cannot be turned on, so that switchdev mode would offload nothing.",
			"Use a kernel and NIC firmware with TC offload, or eSwitchMode legacy."},
		{CodeAutoprobeMissing, "The kernel has no sriov_drivers_autoprobe for the PF, so that it cannot be told whether to bind new VFs.",
			"Use Linux 4.12 or newer."},
		{CodeVFRangeInvalid, "A VF group goes beyond numVfs.",
			"Correct the VF range of the policy."},
		{CodeNoIOMMUGroup, "VFs without an IOMMU group cannot be bound to vfio-pci.",
			"Turn the IOMMU on: VT-d or AMD-Vi in the BIOS and intel_iommu=on or amd_iommu=on on the kernel's command line."},
		{CodeExternalVFs, "The PF is externally managed and has fewer VFs than its groups need.",
			"Create the VFs with the tool that manages the PF, or lower the policy's VF range."},
		{CodeExternalMode, "The PF is externally managed and in another eswitch mode.",
			"Set the mode with the tool that manages the PF, or change the policy's eSwitchMode."},
		{CodeExternalSteering, "The PF is externally managed, and another flow steering mode is in force.",
			"Set it with the tool that manages the PF, or remove flowSteeringMode from the policy."},
		{CodeExternalMTU, "The PF is externally managed and its MTU is below the one wanted for VFs.",
			"Raise the PF's MTU with the tool that manages the PF, or lower the policy's mtu."},
		{CodeExternalAutoprobe, "The PF is externally managed and its sriov_drivers_autoprobe is off or not known, so that VFs cannot be bound to their kernel driver.",
			"Turn autoprobe on with the tool that manages the PF, or let it bind the VFs."},
		{CodeSteeringUnsupported, "A flow steering mode is wanted, and the driver of the NIC has none to choose.",
			"Remove flowSteeringMode from the policy; an mlx5 NIC needs a kernel with the devlink parameter flow_steering_mode, or MLNX_OFED."},
	}
}

// blocker makes a blocker with the remedy of its code.
func blocker(pf, code, format string, args ...any) Blocker {
	b := Blocker{PF: pf, Blocker: sriovv1.Blocker{Code: code, Message: fmt.Sprintf(format, args...)}}
	codes := BlockerCodes()
	if i := slices.IndexFunc(codes, func(c BlockerCode) bool { return c.Code == code }); i >= 0 {
		b.Remedy = codes[i].Remedy
	}
	return b
}

func sortBlockers(blockers []Blocker) {
	slices.SortStableFunc(blockers, func(a, b Blocker) int { return cmp.Compare(a.PF, b.PF) })
}
