package rtnl

import (
	"encoding/binary"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/nlsock"
)

const (
	defaultRoute = "carries the default route"
	onlyAddress  = "carries the node's only global address"
	openvswitch  = "openvswitch"
)

// nodeNetwork tells why the node's own network depends on links: those of the
// default routes, the one with the only global address, and all that these are
// built on. The same facts give the same words.
func nodeNetwork(linkMessages, routes, addresses [][]byte) map[int]string {
	links := map[int]link{}
	for _, message := range linkMessages {
		if l, ok := parseLink(message); ok {
			links[l.Index] = l
		}
	}
	reasons := map[int]string{}
	for _, message := range routes {
		for _, index := range defaultRouteLinks(message) {
			reasons[index] = defaultRoute
		}
	}
	global := map[int]bool{}
	for _, message := range addresses {
		if index, ok := globalAddressLink(message); ok {
			global[index] = true
		}
	}
	if len(global) == 1 {
		for index := range global {
			if reasons[index] == "" {
				reasons[index] = onlyAddress
			}
		}
	}
	spread(links, reasons)
	return reasons
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

// defaultRouteLinks returns the ifindexes of an RTM_NEWROUTE message if it is a
// default route of the main table.
func defaultRouteLinks(message []byte) []int {
	// struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type (u8 each), u32 flags.
	if len(message) < unix.SizeofRtMsg || message[1] != 0 || message[7] != unix.RTN_UNICAST {
		return nil
	}
	table := int(message[4])
	var out []int
	for kind, value := range nlsock.Attrs(message[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.RTA_TABLE:
			table = nlsock.Int(value)
		case unix.RTA_OIF:
			out = append(out, nlsock.Int(value))
		case unix.RTA_MULTIPATH:
			out = append(out, nextHops(value)...)
		}
	}
	if table != unix.RT_TABLE_MAIN {
		return nil
	}
	return out
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

// globalAddressLink returns the ifindex of an RTM_NEWADDR message if its address
// is of global scope.
func globalAddressLink(message []byte) (int, bool) {
	// struct ifaddrmsg: family, prefixlen, flags, scope (u8 each), u32 index.
	if len(message) < unix.SizeofIfAddrmsg || message[3] != unix.RT_SCOPE_UNIVERSE {
		return 0, false
	}
	return int(binary.NativeEndian.Uint32(message[4:])), true
}
