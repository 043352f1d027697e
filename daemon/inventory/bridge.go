package inventory

import "slices"

// OVS is the Open vSwitch of a node.
type OVS struct {
	// Unknown is the reason why its bridges are not known, e.g. that it does not
	// run; empty when they are known.
	Unknown string
	// Bridges ordered by name, whosever they are.
	Bridges []Bridge
}

// Bridge of Open vSwitch.
type Bridge struct {
	Name string
	// Owner is the PCI address of the PF that we made the bridge for; empty for a
	// bridge of somebody else's.
	Owner string
	// DatapathType and FailMode are empty when the database has none.
	DatapathType, FailMode   string
	ExternalIDs, OtherConfig map[string]string
	// Set names what we set in columns that others write to as well, ordered:
	// "bridge/external_ids/owner".
	Set []string
	// Ports ordered by name, without the bridge's own.
	Ports []BridgePort
}

// Uplink returns the port of ours; nil if there is none.
func (b *Bridge) Uplink() *BridgePort {
	i := slices.IndexFunc(b.Ports, func(p BridgePort) bool { return b.Owner != "" && p.Owner == b.Owner })
	if i < 0 {
		return nil
	}
	return &b.Ports[i]
}

// BridgePort is a port of a bridge, with its interface. Of a bond of Open vSwitch,
// it is the first.
type BridgePort struct {
	Name string
	// Owner is that of an uplink that we attached; empty for other ports.
	Owner string
	// Type is empty for a netdev of the kernel.
	Type                              string
	Options, ExternalIDs, OtherConfig map[string]string
	// MTURequest in bytes; nil when there is none.
	MTURequest *int
	// OFPort is nil until ovs-vswitchd has seen the port, negative if it could not
	// attach it; Error says why.
	OFPort *int
	Error  string
	// Interfaces are the names of all its interfaces, ordered.
	Interfaces []string
}

// Has tells whether a netdev is in the port.
func (p *BridgePort) Has(netdev string) bool { return slices.Contains(p.Interfaces, netdev) }
