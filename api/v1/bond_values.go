package v1

// Modes of a bond that NICs offload, in the kernel's spelling.
const (
	BondModeActiveBackup = "active-backup"
	BondModeXOR          = "balance-xor"
	BondModeLACP         = "802.3ad"
)

// Owners of a bond.
const (
	// OwnershipManaged: this operator makes the bond, and removes it.
	OwnershipManaged = "Managed"
	// OwnershipAdopted: the host's network manager makes the bond; it is never changed.
	OwnershipAdopted = "Adopted"
)

// Values of a bond's vfLAG in the status of a node state.
const (
	VFLAGActive   = "active"
	VFLAGInactive = "inactive"
	VFLAGUnknown  = "unknown"
)
