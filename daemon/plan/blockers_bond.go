package plan

// Codes of blockers about bonds.
const (
	CodeBondMembers    = "BondMembers"
	CodeBondMember     = "BondMemberBlocked"
	CodeBondNotOurs    = "BondNotOurs"
	CodeBondNotReady   = "BondNotReady"
	CodeBondMode       = "BondModeUnsupported"
	CodeLAGUnsupported = "LAGUnsupported"
	CodeLAGTooManyVFs  = "LAGTooManyVFs"
	CodeLAGInactive    = "LAGInactive"
)

func bondCodes() []BlockerCode {
	return []BlockerCode{
		{CodeBondMembers, "The bond's members are not exactly the two ports of one NIC, both in switchdev mode.",
			"Let the policy select exactly the two ports of one NIC on the node, with eSwitchMode switchdev."},
		{CodeLAGUnsupported, "The driver of the NIC offloads no bond.",
			"Use a NIC whose driver does (NVIDIA ConnectX-5 or newer), or remove bond from the policy."},
		{CodeBondMode, "The NIC cannot offload a bond of this mode.",
			"Use one of the modes in the message."},
		{CodeLAGTooManyVFs, "The NIC offloads no bond of ports with so many VFs.",
			"Lower numVfs to the limit in the message."},
		{CodeBondNotOurs, "A bond of this name is there, and it is not this operator that made it.",
			"Set the bond's ownership to Adopted if its owner is to keep it, delete it, or choose another name."},
		{CodeBondNotReady, "The bond belongs to the host's network manager, and is not there with both ports yet.",
			"Make the bond with the tool that manages it (NetworkManager, netplan, systemd-networkd), with exactly the two ports as members; VFs are bound as soon as it is offloaded."},
		{CodeLAGInactive, "The bond belongs to the host's network manager, and the NIC does not offload it.",
			"Take one port out of the bond and put it back with the tool that manages it: the NIC looks at the bond again then, and the VFs are unbound as it wants; see the kernel log for its reason."},
		{CodeBondMember, "The other port of the bond is blocked, and the two are changed together.",
			"See the blockers of the other port."},
	}
}
