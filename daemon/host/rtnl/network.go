package rtnl

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/nlsock"
)

const (
	defaultRoute = "carries the default route"
	onlyAddress  = "carries the node's only global address"
	maybeOnly    = "may carry the node's only global address"
	openvswitch  = "openvswitch"
)

// dump is what the kernel says of links, routes and addresses.
type dump struct{ links, routes, addresses [][]byte }

// nodeNetwork tells why the node's own network depends on links: those of the
// default routes of any table, the one with the node's own address, or, while
// that is on no link that leads to hardware, the one with the only global address
// there is on such links; and all that these are built on. nodeIP is the zero
// value when it is not known. The same facts give the same words.
func nodeNetwork(d dump, nodeIP netip.Addr) map[int]string {
	links := map[int]link{}
	for _, message := range d.links {
		if l, ok := parseLink(message); ok {
			links[l.Index] = l
		}
	}
	wired := wiredLinks(links)
	nodeIP = nodeIP.Unmap().WithZone("")
	own, global := carriers(d.addresses, nodeIP)
	reasons := map[int]string{}
	located := false
	for index := range own {
		reasons[index] = "carries the node's address " + nodeIP.String()
		located = located || wired[index]
	}
	for index, table := range defaultTables(d.routes) {
		switch {
		case table == unix.RT_TABLE_MAIN:
			reasons[index] = defaultRoute
		case reasons[index] == "":
			reasons[index] = defaultRoute + " of table " + strconv.Itoa(table)
		}
	}
	if !located {
		addOnlyAddress(links, wired, global, reasons)
	}
	spread(links, reasons)
	return reasons
}

// addOnlyAddress gives a reason to the link with the only global address among
// those that lead to hardware. An internal port of Open vSwitch counts when no
// other link does: whether its bridge has a port of hardware (as br-ex has, and
// ovn0's has not) rtnetlink does not tell.
func addOnlyAddress(links map[int]link, wired, global map[int]bool, reasons map[int]string) {
	var candidates, internal []int
	for index := range global {
		switch {
		case !wired[index]:
		case links[index].Kind == openvswitch:
			internal = append(internal, index)
		default:
			candidates = append(candidates, index)
		}
	}
	words := onlyAddress
	if len(candidates) == 0 {
		candidates = internal
		if len(internal) > 1 {
			words = maybeOnly
		}
	} else if len(candidates) > 1 {
		return
	}
	for _, index := range candidates {
		if reasons[index] == "" {
			reasons[index] = words
		}
	}
}

// wiredLinks returns the links that lead to hardware: hardware itself, and what
// shares the wire of such a link. Tunnels do not, though some are built on a link.
func wiredLinks(links map[int]link) map[int]bool {
	above := map[int][]int{}
	var queue []int
	for index, l := range links {
		if l.isHardware() {
			queue = append(queue, index)
		}
		if l.MasterIndex != 0 {
			above[index] = append(above[index], l.MasterIndex)
		}
		if l.lower != 0 {
			above[l.lower] = append(above[l.lower], index)
		}
	}
	wired := map[int]bool{}
	vswitch := false
	for len(queue) > 0 {
		index := queue[0]
		queue = queue[1:]
		if wired[index] {
			continue
		}
		wired[index] = true
		for _, upper := range above[index] {
			if sharesWire(links[upper].Kind) {
				queue = append(queue, upper)
			}
		}
		// See spread: any internal port may get its packets from any port.
		if links[index].Kind == openvswitch && !vswitch {
			vswitch = true
			for other, l := range links {
				if l.Kind == openvswitch {
					queue = append(queue, other)
				}
			}
		}
	}
	return wired
}

// isHardware tells whether a link is a device. The kernel gives a kind to what it
// makes by itself (rtnl_link_ops), and to IPoIB's devices as well.
func (l *link) isHardware() bool {
	if l.ParentDevice != "" {
		return true
	}
	return !l.loopback && (l.Kind == "" || l.Kind == "ipoib" && l.lower == 0)
}

// sharesWire tells whether the frames of links of a kind are those of the links
// that they are built on.
func sharesWire(kind string) bool {
	switch kind {
	case "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "macsec", "ipoib", "dsa",
		"bond", "team", "bridge", "hsr", "vrf", openvswitch:
		return true
	}
	return false
}

// spread gives the reasons of links to the links below them: the one that a VLAN
// or macvlan is built on, and the members of bonds and bridges.
func spread(links map[int]link, reasons map[int]string) {
	order := slices.Sorted(maps.Keys(links))
	queue := slices.Sorted(maps.Keys(reasons))
	for len(queue) > 0 {
		above := links[queue[0]]
		queue = queue[1:]
		for _, index := range order {
			below := links[index]
			if reasons[index] != "" {
				continue
			}
			switch {
			case isBelow(below, above):
				reasons[index] = "is below " + above.Name + ", which " + reasons[above.Index]
			// rtnetlink does not tell which of Open vSwitch's ports an internal
			// port gets its packets from: it may be any.
			case above.Kind == openvswitch && links[below.MasterIndex].Kind == openvswitch:
				reasons[index] = "may be below " + above.Name + " of Open vSwitch, which " + reasons[above.Index]
			default:
				continue
			}
			queue = append(queue, index)
		}
	}
}

func isBelow(below, above link) bool {
	if below.MasterIndex != 0 && below.MasterIndex == above.Index {
		return true
	}
	// The two ends of a veth name each other; neither is built on the other.
	return above.lower != 0 && above.lower == below.Index && above.Kind != "veth"
}

// defaultTables returns, by ifindex, the routing table of a default route that
// leaves by the link: main if it is in main, else the lowest.
func defaultTables(routes [][]byte) map[int]int {
	out := map[int]int{}
	for _, message := range routes {
		table, indexes := defaultRouteLinks(message)
		for _, index := range indexes {
			known, ok := out[index]
			if !ok || table == unix.RT_TABLE_MAIN || known != unix.RT_TABLE_MAIN && table < known {
				out[index] = table
			}
		}
	}
	return out
}

// defaultRouteLinks returns the table and the ifindexes of an RTM_NEWROUTE message
// if it is a default route that carries packets to others: not of table local.
func defaultRouteLinks(message []byte) (table int, indexes []int) {
	// struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type (u8 each), u32 flags.
	if len(message) < unix.SizeofRtMsg || message[1] != 0 || message[7] != unix.RTN_UNICAST {
		return 0, nil
	}
	table = int(message[4])
	for kind, value := range nlsock.Attrs(message[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.RTA_TABLE:
			table = nlsock.Int(value)
		case unix.RTA_OIF:
			indexes = append(indexes, nlsock.Int(value))
		case unix.RTA_MULTIPATH:
			indexes = append(indexes, nextHops(value)...)
		}
	}
	if table == unix.RT_TABLE_LOCAL {
		return table, nil
	}
	return table, indexes
}

// nextHops returns the ifindexes of RTA_MULTIPATH: struct rtnexthop (u16 length,
// u8 flags, u8 hops, s32 ifindex), each followed by attributes.
func nextHops(value []byte) []int {
	var out []int
	for len(value) >= unix.SizeofRtNexthop {
		length := int(binary.NativeEndian.Uint16(value))
		if length < unix.SizeofRtNexthop || length > len(value) {
			return out
		}
		out = append(out, int(int32(binary.NativeEndian.Uint32(value[4:]))))
		value = value[min((length+3)&^3, len(value)):]
	}
	return out
}

// carriers returns the ifindexes of the links that carry the node's own address,
// and of those that carry an address of global scope.
func carriers(addresses [][]byte, nodeIP netip.Addr) (own, global map[int]bool) {
	own, global = map[int]bool{}, map[int]bool{}
	for _, message := range addresses {
		// struct ifaddrmsg: family, prefixlen, flags, scope (u8 each), u32 index.
		if len(message) < unix.SizeofIfAddrmsg {
			continue
		}
		index := int(binary.NativeEndian.Uint32(message[4:]))
		if message[3] == unix.RT_SCOPE_UNIVERSE {
			global[index] = true
		}
		if ip, ok := addressOf(message); ok && ip == nodeIP {
			own[index] = true
		}
	}
	return own, global
}

// addressOf returns the address of an RTM_NEWADDR message: IFA_LOCAL, or
// IFA_ADDRESS without it; with both, as on point-to-point links, IFA_ADDRESS is
// the peer's.
func addressOf(message []byte) (netip.Addr, bool) {
	var local, address []byte
	for kind, value := range nlsock.Attrs(message[unix.SizeofIfAddrmsg:]) {
		switch kind {
		case unix.IFA_LOCAL:
			local = value
		case unix.IFA_ADDRESS:
			address = value
		}
	}
	if local == nil {
		local = address
	}
	ip, ok := netip.AddrFromSlice(local)
	return ip.Unmap(), ok
}
