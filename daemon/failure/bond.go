package failure

import "syscall"

// Kinds of steps on bonds, as daemon/plan names them.
const (
	createBond    = "CreateBond"
	setBond       = "SetBond"
	setBondMTU    = "SetBondMTU"
	setBondUp     = "SetBondUp"
	deleteBond    = "DeleteBond"
	enslave       = "EnslaveMember"
	releaseMember = "ReleaseMember"
	releaseOther  = "ReleaseOther"
	awaitLAG      = "AwaitLAG"
)

// bondEntries: drivers/net/bonding/bond_main.c, bond_options.c and bond_netlink.c,
// and mlx5's lag/lag.c.
func bondEntries() []Entry {
	return append(lagEntries(), []Entry{
		{Code: "BondExists", Steps: []string{createBond}, Faults: []Fault{FaultBondExists},
			Message: "a bond of this name has appeared since the plan was made: somebody else made it",
			Remedy:  "set the bond's ownership to Adopted if its owner is to keep it, delete it, or choose another name"},
		{Code: "BondNameTaken", Steps: []string{createBond}, Errnos: []syscall.Errno{syscall.EEXIST},
			Message: "a network interface of this name is there already",
			Remedy:  "choose another name for the bond"},
		{Code: "BondNameInvalid", Steps: []string{createBond}, Errnos: []syscall.Errno{syscall.EINVAL, syscall.ERANGE},
			Message: "the kernel takes no bond of this name, or not with these options",
			Remedy:  "choose another name of at most 15 bytes; use a newer kernel for the options"},
		{Code: "BondingMissing", Steps: []string{createBond}, Errnos: []syscall.Errno{syscall.EOPNOTSUPP},
			Message: "the kernel makes no bonds",
			Remedy:  "load the module bonding, or use a kernel that has it"},
		{Code: "MemberUp", Steps: []string{enslave}, Texts: []string{"can not be enslaved while up", "cannot be enslaved while up"},
			Message: "the port was set up in the meantime, and a bond takes no member that is up",
			Remedy:  "none at first: it is tried again; if it comes back, keep NetworkManager or systemd-networkd off the port"},
		{Code: "MemberInUse", Steps: []string{enslave}, Errnos: []syscall.Errno{syscall.EBUSY},
			Message: "the port is in use: in a bridge, an Open vSwitch bridge, or below a macvlan",
			Remedy:  "detach the port; the bond is what belongs into the bridge"},
		{Code: "MemberRefused", Steps: []string{enslave}, Errnos: []syscall.Errno{syscall.EPERM, syscall.EINVAL, syscall.EOPNOTSUPP},
			Message: "the port cannot be a member of the bond, or not with the bond's MTU",
			Remedy:  "see the kernel's words; lower the bond's mtu to what the NIC takes; turn esw_multiport of the NIC off"},
		{Code: "BondHasMembers", Steps: []string{setBond}, Errnos: []syscall.Errno{syscall.ENOTEMPTY, syscall.EBUSY},
			Message: "the bond got a member, or was set up, while it was changed",
			Remedy:  "none at first: the host is observed and planned again; if it comes back, find the tool that changes the bond"},
		{Code: "BondOption", Steps: []string{setBond}, Errnos: []syscall.Errno{syscall.EACCES, syscall.EINVAL},
			Message: "the bond does not take the option in its mode",
			Remedy:  "correct the options of the bond in the policy"},
		{Code: "BondMTU", Steps: []string{setBondMTU}, Errnos: []syscall.Errno{syscall.EINVAL, syscall.ERANGE},
			Message: "a port of the bond does not take this MTU",
			Remedy:  "choose an MTU within the limits of the NIC (ip -d link show: minmtu, maxmtu)"},
		{Code: "BondGone", Steps: []string{setBond, setBondMTU, setBondUp, deleteBond, enslave, releaseMember, releaseOther}, Errnos: []syscall.Errno{syscall.ENODEV},
			Message: "the bond or a port of it is gone",
			Remedy:  "none at first: the host is observed and planned again; if it comes back, find the tool that changes the bond"},
	}...)
}

func lagEntries() []Entry {
	const bound = "none at first: the VFs are unbound, and the ports leave the bond and join again; if it comes back, find the tool that binds VFs, and reload the driver of both ports (unbind and bind each in /sys/bus/pci/drivers/mlx5_core) or reboot the node"
	return []Entry{
		{Code: "LAGBroken", Steps: []string{awaitLAG}, Texts: []string{"Failed to deactivate VF LAG"},
			Message: "the NIC could not take an earlier VF-LAG down, because VFs were bound when its bond changed",
			Remedy:  "reload the driver of both ports (unbind and bind each in /sys/bus/pci/drivers/mlx5_core) or reboot the node"},
		{Code: "LAGVFsBound", Steps: []string{awaitLAG}, Texts: []string{"Failed to activate VF LAG", "VFs are unbound prior to VF LAG"},
			Message: "VFs were bound when the NIC looked at the bond",
			Remedy:  bound},
		{Code: "LAGMode", Steps: []string{awaitLAG}, Texts: []string{"TX type isn't supported"},
			Message: "the NIC does not offload a bond of this mode",
			Remedy:  "use mode active-backup, balance-xor or 802.3ad"},
		{Code: "LAGTooManyVFs", Steps: []string{awaitLAG}, Texts: []string{"is configured with more than"},
			Message: "the NIC or its driver offloads no bond of ports with so many VFs",
			Remedy:  "lower numVfs to the limit in the kernel's words, or update kernel and firmware"},
		{Code: "LAGInactive", Steps: []string{awaitLAG}, Faults: []Fault{FaultTimeout},
			Message: "the bond is there with both ports, and the NIC did not offload it in time; the VFs stay without drivers",
			Remedy:  "see the kernel log for the driver's reason; update the NIC's firmware (LAG_RESOURCE_ALLOCATION=1), turn esw_multiport off, or remove bond from the policy"},
	}
}
