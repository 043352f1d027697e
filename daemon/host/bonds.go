package host

import "context"

// KindBond is the Kind of a bond's Link.
const KindBond = "bond"

// BondOptions are options of a bond, in the kernel's spelling. An empty or zero
// one is the kernel's default when a bond is made, and left alone when options
// are set.
type BondOptions struct {
	// Mode: active-backup, balance-xor, 802.3ad, ...
	Mode string
	// MiimonMilliseconds is the interval of link monitoring.
	MiimonMilliseconds int
	// XmitHashPolicy: layer2, layer2+3, layer3+4, encap2+3, encap3+4, vlan+srcmac.
	XmitHashPolicy string
	// LACPRate is slow or fast; in mode 802.3ad only.
	LACPRate string
}

// Bond is a bonding device of the host's network namespace.
type Bond struct {
	Index int
	Name  string
	MTU   int
	// Up is IFF_UP, Carrier is IFF_LOWER_UP.
	Up, Carrier bool
	BondOptions
	// LACP is what was agreed on with the switch; nil in other modes than 802.3ad,
	// and while no aggregator is active.
	LACP *LACP
	// Members in the order of their ifindexes.
	Members []BondMember
}

// BondMember is a port of a bond.
type BondMember struct {
	Index int
	Name  string
	// Active is false for a backup: it does not carry traffic.
	Active bool
	// Linked is the bond's own view of the member's link (MII status).
	Linked bool
	// Aggregator is the member's, in mode 802.3ad; 0 elsewhere.
	Aggregator int
}

// LACP is the active aggregator of an 802.3ad bond.
type LACP struct {
	Aggregator int
	// Ports is the number of members in it.
	Ports int
	// PartnerMAC is the switch's; all zeros while none answers.
	PartnerMAC string
}

// Bonds makes and changes bonding devices in the host's network namespace. Their
// link state and MTU are changed through Links.
type Bonds interface {
	// List returns all bonds, ordered by ifindex.
	List(ctx context.Context) ([]Bond, error)
	// Create makes a bond, down and without members. A name that is taken is
	// EEXIST, a kernel without bonding EOPNOTSUPP.
	Create(ctx context.Context, name string, o BondOptions) error
	// SetOptions sets the options that are not empty. The kernel takes a mode only
	// without members (ENOTEMPTY) and while the bond is down (EBUSY), a LACP rate
	// only while it is down and in mode 802.3ad (EACCES), the others at any time.
	SetOptions(ctx context.Context, index int, o BondOptions) error
	// SetMaster makes a link a member of a bond, or of none for bond 0. It leaves
	// the bond that it was in. A link that is up is EPERM; as a member it is up.
	SetMaster(ctx context.Context, member, bond int) error
	// Delete deletes a bond; its members are released.
	Delete(ctx context.Context, index int) error
}
