package rtnl

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/nlsock"
)

// Attributes of a bond's and a member's link data (uapi if_link.h), besides those
// in parse.go.
const (
	bondMiimon         = 3
	bondXmitHashPolicy = 14
	bondADLACPRate     = 21
	bondADInfo         = 23

	adAggregator = 1
	adPorts      = 2
	adPartnerMAC = 5

	infoSlaveKind = 4
	infoSlaveData = 5

	memberState      = 1
	memberMIIStatus  = 2
	memberAggregator = 6
)

// Values of options by their number (uapi if_bonding.h, bond_options.c).
var (
	bondModes        = [...]string{"balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"}
	bondHashPolicies = [...]string{"layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"}
	bondLACPRates    = [...]string{"slow", "fast"}
)

// named returns the kernel's word for a number, one that nobody has heard of in
// digits.
func named(names []string, number int) string {
	if number < 0 || number >= len(names) {
		return fmt.Sprintf("unknown(%d)", number)
	}
	return names[number]
}

// parseBonds finds the bonds among the links of a dump, with their members.
func parseBonds(messages [][]byte) []host.Bond {
	byIndex := map[int]*host.Bond{}
	members := map[int][]host.BondMember{}
	for _, message := range messages {
		l, ok := parseLink(message)
		if !ok {
			continue
		}
		kind, data, memberKind, memberData := linkInfo(message)
		if kind == host.KindBond {
			b := parseBond(data)
			b.Index, b.Name, b.MTU, b.Up, b.Carrier = l.Index, l.Name, l.MTU, l.Up, l.Carrier
			byIndex[l.Index] = &b
		}
		if memberKind == host.KindBond {
			m := parseMember(memberData)
			m.Index, m.Name = l.Index, l.Name
			members[l.MasterIndex] = append(members[l.MasterIndex], m)
		}
	}
	out := make([]host.Bond, 0, len(byIndex))
	for index, b := range byIndex {
		b.Members = members[index]
		slices.SortFunc(b.Members, func(a, b host.BondMember) int { return cmp.Compare(a.Index, b.Index) })
		out = append(out, *b)
	}
	slices.SortFunc(out, func(a, b host.Bond) int { return cmp.Compare(a.Index, b.Index) })
	return out
}

// linkInfo returns what IFLA_LINKINFO says of a link and of its place in its master.
func linkInfo(message []byte) (kind string, data []byte, memberKind string, memberData []byte) {
	for attr, value := range nlsock.Attrs(message[unix.SizeofIfInfomsg:]) {
		if attr != unix.IFLA_LINKINFO {
			continue
		}
		for attr, value := range nlsock.Attrs(value) {
			switch attr {
			case nl.IFLA_INFO_KIND:
				kind = nlsock.Text(value)
			case nl.IFLA_INFO_DATA:
				data = value
			case infoSlaveKind:
				memberKind = nlsock.Text(value)
			case infoSlaveData:
				memberData = value
			}
		}
	}
	return kind, data, memberKind, memberData
}

// parseBond parses IFLA_INFO_DATA of a bond.
func parseBond(data []byte) host.Bond {
	var b host.Bond
	for attr, value := range nlsock.Attrs(data) {
		switch attr {
		case bondMode:
			b.Mode = bondModeName(nlsock.Int(value))
		case bondMiimon:
			b.MiimonMilliseconds = nlsock.Int(value)
		case bondXmitHashPolicy:
			b.XmitHashPolicy = named(bondHashPolicies[:], nlsock.Int(value))
		case bondADLACPRate:
			b.LACPRate = named(bondLACPRates[:], nlsock.Int(value))
		case bondADInfo:
			b.LACP = parseLACP(value)
		}
	}
	return b
}

// parseLACP parses IFLA_BOND_AD_INFO, which the kernel leaves out while no
// aggregator is active.
func parseLACP(info []byte) *host.LACP {
	var l host.LACP
	for attr, value := range nlsock.Attrs(info) {
		switch attr {
		case adAggregator:
			l.Aggregator = nlsock.Int(value)
		case adPorts:
			l.Ports = nlsock.Int(value)
		case adPartnerMAC:
			l.PartnerMAC = net.HardwareAddr(value).String()
		}
	}
	return &l
}

// parseMember parses IFLA_INFO_SLAVE_DATA: state 0 is active, MII status 0 is up
// (BOND_STATE_ACTIVE, BOND_LINK_UP).
func parseMember(data []byte) host.BondMember {
	var m host.BondMember
	for attr, value := range nlsock.Attrs(data) {
		switch attr {
		case memberState:
			m.Active = len(value) == 1 && value[0] == 0
		case memberMIIStatus:
			m.Linked = len(value) == 1 && value[0] == 0
		case memberAggregator:
			if len(value) == 2 {
				m.Aggregator = int(binary.NativeEndian.Uint16(value))
			}
		}
	}
	return m
}
