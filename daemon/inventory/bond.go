package inventory

import "slices"

// Bond is a kernel bonding device.
type Bond struct {
	Name string
	// Mode, XmitHashPolicy and LACPRate in the kernel's spelling.
	Mode, XmitHashPolicy, LACPRate string
	// MiimonMilliseconds is the interval of link monitoring; 0 when it is off.
	MiimonMilliseconds int
	MTU                int
	// Up is the administrative state, Carrier tells that a member has a link.
	Up, Carrier bool
	// Members and ActiveMembers are netdev names, ordered.
	Members, ActiveMembers []string
	// LACP is nil unless the mode is 802.3ad and an aggregator is active.
	LACP *LACP
	// NodeNetwork says why the node's own network depends on the bond; empty if it
	// does not.
	NodeNetwork string
}

// LACP is what an 802.3ad bond agreed on with the switch.
type LACP struct {
	// Ports is how many members are in the active aggregator.
	Ports int
	// PartnerMAC is the switch's; all zeros while none answers.
	PartnerMAC string
}

// Answered tells whether a switch speaks LACP to the bond.
func (l *LACP) Answered() bool { return l.PartnerMAC != "" && l.PartnerMAC != "00:00:00:00:00:00" }

// LAG is what the driver of a NIC makes of a bond over its ports.
type LAG struct {
	// Known is false when the kernel does not tell; Reason says why.
	Known  bool
	Reason string
	// Active: the NIC offloads the bond for its VFs.
	Active bool
}

// Bond returns the bond with this name, or nil.
func (n *Node) Bond(name string) *Bond {
	i := slices.IndexFunc(n.Bonds, func(b Bond) bool { return b.Name == name })
	if i < 0 {
		return nil
	}
	return &n.Bonds[i]
}

// ByNetdev returns the PF whose netdev has this name, or nil.
func (n *Node) ByNetdev(name string) *PF {
	i := slices.IndexFunc(n.PFs, func(p PF) bool {
		return slices.ContainsFunc(p.Ports(), func(n *Netdev) bool { return n.Name == name })
	})
	if i < 0 {
		return nil
	}
	return &n.PFs[i]
}
