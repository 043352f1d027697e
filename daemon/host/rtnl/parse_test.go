package rtnl

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// message is an RTM_NEWLINK payload as the kernel makes it.
func message(kind uint16, index int, flags uint32, attrs ...*nl.RtAttr) []byte {
	head := nl.NewIfInfomsg(unix.AF_UNSPEC)
	head.Type, head.Index, head.Flags = kind, int32(index), flags
	out := head.Serialize()
	for _, a := range attrs {
		out = append(out, a.Serialize()...)
	}
	return out
}

func text(kind int, value string) *nl.RtAttr { return nl.NewRtAttr(kind, nl.ZeroTerminated(value)) }

func nested(kind int, children ...*nl.RtAttr) *nl.RtAttr {
	a := nl.NewRtAttr(kind|unix.NLA_F_NESTED, nil)
	for _, c := range children {
		a.AddChild(c)
	}
	return a
}

func words(values ...uint32) []byte {
	var out []byte
	for _, v := range values {
		out = binary.NativeEndian.AppendUint32(out, v)
	}
	return out
}

func uplink() []byte {
	return message(unix.ARPHRD_ETHER, 4, unix.IFF_UP|unix.IFF_LOWER_UP,
		text(unix.IFLA_IFNAME, "ens1f0np0"),
		nl.NewRtAttr(unix.IFLA_ADDRESS, []byte{0xb8, 0x3f, 0xd2, 0x11, 0x22, 0x30}),
		nl.NewRtAttr(unix.IFLA_MTU, words(9000)),
		nl.NewRtAttr(unix.IFLA_MASTER, words(9)),
		// Eight bytes: the library keeps four of them, as a number.
		nl.NewRtAttr(unix.IFLA_PHYS_SWITCH_ID, []byte{0x30, 0x22, 0x11, 0, 3, 0xd2, 0x3f, 0xb8}),
		text(unix.IFLA_PHYS_PORT_NAME, "p0"),
		text(unix.IFLA_PARENT_DEV_NAME, "0000:3b:00.0"),
		nested(unix.IFLA_PROP_LIST, text(unix.IFLA_ALT_IFNAME, "enp59s0f0np0"), text(unix.IFLA_ALT_IFNAME, "uplink")),
	)
}

func bond() []byte {
	return message(unix.ARPHRD_ETHER, 9, unix.IFF_UP, text(unix.IFLA_IFNAME, "bond1"),
		nested(unix.IFLA_LINKINFO, text(nl.IFLA_INFO_KIND, "bond"),
			nested(nl.IFLA_INFO_DATA, nl.NewRtAttr(bondMode, []byte{1}), nl.NewRtAttr(bondActiveSlave, words(4)))))
}

func TestParseLink(t *testing.T) {
	tests := []struct {
		name    string
		message []byte
		want    host.Link
	}{
		{"uplink", uplink(), host.Link{
			Index: 4, Name: "ens1f0np0", AltNames: []string{"enp59s0f0np0", "uplink"}, MAC: "b8:3f:d2:11:22:30", MTU: 9000,
			Up: true, Carrier: true, MasterIndex: 9, ParentDevice: "0000:3b:00.0", SwitchID: "3022110003d23fb8", PortName: "p0",
		}},
		{"bond", bond(), host.Link{Index: 9, Name: "bond1", Up: true, Kind: "bond", BondMode: "active-backup", BondActive: 4}},
		// A kernel may have a mode that nobody has heard of yet.
		{"new bond mode", message(unix.ARPHRD_ETHER, 9, 0, nested(unix.IFLA_LINKINFO, text(nl.IFLA_INFO_KIND, "bond"),
			nested(nl.IFLA_INFO_DATA, nl.NewRtAttr(bondMode, []byte{7})))), host.Link{Index: 9, Kind: "bond", BondMode: "unknown(7)"}},
		{"netdevsim's long switch ID", message(unix.ARPHRD_ETHER, 2, 0, nl.NewRtAttr(unix.IFLA_PHYS_SWITCH_ID, make([]byte, 32))),
			host.Link{Index: 2, SwitchID: "0000000000000000000000000000000000000000000000000000000000000000"}},
		{"InfiniBand", message(unix.ARPHRD_INFINIBAND, 5, 0, text(unix.IFLA_IFNAME, "ib0")), host.Link{Index: 5, Name: "ib0", Infiniband: true}},
	}
	for _, test := range tests {
		got, ok := parseLink(test.message)
		if !ok {
			t.Errorf("%s: not parsed", test.name)
		}
		if diff := cmp.Diff(test.want, got.Link); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// vfMessage is what a PF's link says of four VFs, in the attributes and structs of
// the kernel's rtnl_fill_vfinfo.
func vfMessage(kind uint16) []byte {
	mac := func(vf uint32, mac ...byte) []byte {
		return append(words(vf), append(mac, make([]byte, 32-len(mac))...)...)
	}
	guid := binary.NativeEndian.AppendUint64(words(1, 0), 0x506b4b0300abcdef)
	node := binary.NativeEndian.AppendUint64(words(1, 0), 0x506b4b0300abcdee)
	unset := binary.NativeEndian.AppendUint64(words(2, 0), 0)
	return message(kind, 4, unix.IFF_UP, nested(unix.IFLA_VFINFO_LIST,
		nested(nl.IFLA_VF_INFO,
			nl.NewRtAttr(nl.IFLA_VF_MAC, mac(0, 2, 0, 0, 0, 0, 0x11)),
			nl.NewRtAttr(nl.IFLA_VF_VLAN, words(0, 100, 3))),
		nested(nl.IFLA_VF_INFO,
			nl.NewRtAttr(nl.IFLA_VF_MAC, mac(1)),
			nl.NewRtAttr(nl.IFLA_VF_VLAN, words(1, 0, 0)),
			nl.NewRtAttr(nl.IFLA_VF_IB_NODE_GUID, node),
			nl.NewRtAttr(nl.IFLA_VF_IB_PORT_GUID, guid)),
		nested(nl.IFLA_VF_INFO,
			nl.NewRtAttr(nl.IFLA_VF_MAC, mac(2)),
			nl.NewRtAttr(nl.IFLA_VF_IB_NODE_GUID, unset),
			nl.NewRtAttr(nl.IFLA_VF_IB_PORT_GUID, unset)),
		nested(nl.IFLA_VF_INFO,
			nl.NewRtAttr(nl.IFLA_VF_MAC, mac(3)),
			nl.NewRtAttr(nl.IFLA_VF_IB_PORT_GUID, words(3, 0)))))
}

func TestParseVFs(t *testing.T) {
	want := []host.LinkVF{
		{Index: 0, MAC: "02:00:00:00:00:11", VLAN: 100},
		{Index: 1, GUID: "50:6b:4b:03:00:ab:cd:ef", NodeGUID: "50:6b:4b:03:00:ab:cd:ee", ReportsGUID: true},
		// Never set, and cut short.
		{Index: 2, ReportsGUID: true},
		{Index: 3},
	}
	if diff := cmp.Diff(want, parseVFs(vfMessage(unix.ARPHRD_ETHER))); diff != "" {
		t.Errorf("Ethernet (-want +got):\n%s", diff)
	}
	want[0].MAC = ""
	if diff := cmp.Diff(want, parseVFs(vfMessage(unix.ARPHRD_INFINIBAND))); diff != "" {
		t.Errorf("InfiniBand (-want +got):\n%s", diff)
	}
}

func route(table, kind uint8, attrs ...*nl.RtAttr) []byte {
	out := (&nl.RtMsg{RtMsg: unix.RtMsg{Family: unix.AF_INET, Table: table, Type: kind}}).Serialize()
	for _, a := range attrs {
		out = append(out, a.Serialize()...)
	}
	return out
}

// stacked are links of what this kernel may lack: bonds, VLANs, Open vSwitch.
func stacked() [][]byte {
	named := func(index, master int, name string, more ...*nl.RtAttr) []byte {
		attrs := []*nl.RtAttr{text(unix.IFLA_IFNAME, name)}
		if master != 0 {
			attrs = append(attrs, nl.NewRtAttr(unix.IFLA_MASTER, words(uint32(master))))
		}
		return message(unix.ARPHRD_ETHER, index, 0, append(attrs, more...)...)
	}
	kind := func(kind string) *nl.RtAttr { return nested(unix.IFLA_LINKINFO, text(nl.IFLA_INFO_KIND, kind)) }
	on := func(index uint32) *nl.RtAttr { return nl.NewRtAttr(unix.IFLA_LINK, words(index)) }
	return [][]byte{
		named(2, 9, "ens1f0"), named(3, 9, "ens1f1"), named(4, 0, "ens2f0"),
		named(9, 0, "bond1", kind("bond")), named(10, 0, "bond1.7", kind("vlan"), on(9)),
		named(20, 0, "ovs-system", kind("openvswitch")), named(21, 0, "br-ex", kind("openvswitch")), named(22, 20, "ens3f0"),
		// The other end is in another namespace, where 4 is something else.
		named(30, 0, "veth0", kind("veth"), on(4), nl.NewRtAttr(unix.IFLA_LINK_NETNSID, words(0))),
	}
}

// TestNetworkBelowBond covers what this kernel may lack: bonds, VLANs, Open vSwitch.
func TestNetworkBelowBond(t *testing.T) {
	links := stacked()
	hops := append(append([]byte{8, 0, 0, 0}, words(10)...), append([]byte{8, 0, 0, 0}, words(21)...)...)
	tests := []struct {
		name   string
		routes [][]byte
		want   map[int]string
	}{
		{"none", [][]byte{
			route(unix.RT_TABLE_MAIN, unix.RTN_UNREACHABLE, nl.NewRtAttr(unix.RTA_OIF, words(4))),
			route(unix.RT_TABLE_LOCAL, unix.RTN_UNICAST, nl.NewRtAttr(unix.RTA_OIF, words(4))),
		}, map[int]string{}},
		{"policy routing", [][]byte{
			route(unix.RT_TABLE_UNSPEC, unix.RTN_UNICAST, nl.NewRtAttr(unix.RTA_TABLE, words(1000)), nl.NewRtAttr(unix.RTA_OIF, words(10))),
			route(unix.RT_TABLE_UNSPEC, unix.RTN_UNICAST, nl.NewRtAttr(unix.RTA_TABLE, words(1001)), nl.NewRtAttr(unix.RTA_OIF, words(10))),
			route(unix.RT_TABLE_MAIN, unix.RTN_UNICAST, nl.NewRtAttr(unix.RTA_OIF, words(4))),
			route(7, unix.RTN_UNICAST, nl.NewRtAttr(unix.RTA_OIF, words(4))),
		}, map[int]string{
			4:  "carries the default route",
			10: "carries the default route of table 1000",
			9:  "is below bond1.7, which carries the default route of table 1000",
			2:  "is below bond1, which is below bond1.7, which carries the default route of table 1000",
			3:  "is below bond1, which is below bond1.7, which carries the default route of table 1000",
		}},
		{"VLAN of a bond", [][]byte{route(unix.RT_TABLE_MAIN, unix.RTN_UNICAST, nl.NewRtAttr(unix.RTA_OIF, words(10)))}, map[int]string{
			10: "carries the default route",
			9:  "is below bond1.7, which carries the default route",
			2:  "is below bond1, which is below bond1.7, which carries the default route",
			3:  "is below bond1, which is below bond1.7, which carries the default route",
		}},
		{"Open vSwitch", [][]byte{route(unix.RT_TABLE_MAIN, unix.RTN_UNICAST, nl.NewRtAttr(unix.RTA_OIF, words(21)))}, map[int]string{
			21: "carries the default route",
			22: "may be below br-ex of Open vSwitch, which carries the default route",
		}},
		{"veth", [][]byte{route(unix.RT_TABLE_MAIN, unix.RTN_UNICAST, nl.NewRtAttr(unix.RTA_OIF, words(30)))}, map[int]string{
			30: "carries the default route",
		}},
		{"two next hops", [][]byte{route(unix.RT_TABLE_MAIN, unix.RTN_UNICAST, nl.NewRtAttr(unix.RTA_MULTIPATH, hops))}, map[int]string{
			10: "carries the default route", 21: "carries the default route",
			9:  "is below bond1.7, which carries the default route",
			2:  "is below bond1, which is below bond1.7, which carries the default route",
			3:  "is below bond1, which is below bond1.7, which carries the default route",
			22: "may be below br-ex of Open vSwitch, which carries the default route",
		}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, nodeNetwork(dump{links: links, routes: test.routes}, netip.Addr{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// address is an RTM_NEWADDR payload of global scope.
func address(index int, attr int, ip string) []byte {
	a := netip.MustParseAddr(ip)
	family := uint8(unix.AF_INET6)
	if a.Is4() {
		family = unix.AF_INET
	}
	head := nl.NewIfAddrmsg(int(family))
	head.Index = uint32(index)
	return append(head.Serialize(), nl.NewRtAttr(attr, a.AsSlice()).Serialize()...)
}

// TestAddressAboveBond has the node's addresses on what is built on hardware.
func TestAddressAboveBond(t *testing.T) {
	kind := func(kind string) *nl.RtAttr { return nested(unix.IFLA_LINKINFO, text(nl.IFLA_INFO_KIND, kind)) }
	named := func(kindOf uint16, index int, name string, more ...*nl.RtAttr) []byte {
		return message(kindOf, index, 0, append([]*nl.RtAttr{text(unix.IFLA_IFNAME, name)}, more...)...)
	}
	links := append(stacked(),
		named(unix.ARPHRD_LOOPBACK, 1, "lo"),
		named(unix.ARPHRD_ETHER, 40, "dummy0", kind("dummy")),
		named(unix.ARPHRD_ETHER, 41, "ovn0", kind("openvswitch")),
		named(unix.ARPHRD_IPGRE, 42, "gre1", kind("gre"), nl.NewRtAttr(unix.IFLA_LINK, words(4))),
		named(unix.ARPHRD_INFINIBAND, 43, "ib0", kind("ipoib")),
	)
	aboveBond := func(why string) map[int]string {
		return map[int]string{
			10: why, 9: "is below bond1.7, which " + why,
			2: "is below bond1, which is below bond1.7, which " + why, 3: "is below bond1, which is below bond1.7, which " + why,
		}
	}
	only := "carries the node's only global address"
	tests := []struct {
		name      string
		nodeIP    string
		addresses [][]byte
		want      map[int]string
	}{
		{"only address, on a VLAN of a bond", "", [][]byte{
			address(10, unix.IFA_LOCAL, "192.0.2.1"), address(10, unix.IFA_ADDRESS, "2001:db8::1"),
			address(1, unix.IFA_LOCAL, "10.0.0.1"), address(30, unix.IFA_LOCAL, "10.0.0.2"), address(40, unix.IFA_LOCAL, "10.0.0.3"),
			address(41, unix.IFA_LOCAL, "10.0.0.4"), address(42, unix.IFA_LOCAL, "10.0.0.5"),
		}, aboveBond(only)},
		{"two of them", "", [][]byte{address(10, unix.IFA_LOCAL, "192.0.2.1"), address(4, unix.IFA_LOCAL, "198.51.100.1")}, map[int]string{}},
		{"the node's of two", "192.0.2.1", [][]byte{address(10, unix.IFA_LOCAL, "192.0.2.1"), address(4, unix.IFA_LOCAL, "198.51.100.1")},
			aboveBond("carries the node's address 192.0.2.1")},
		{"IPv6", "2001:db8::1", [][]byte{address(10, unix.IFA_ADDRESS, "2001:db8::1"), address(4, unix.IFA_LOCAL, "198.51.100.1")},
			aboveBond("carries the node's address 2001:db8::1")},
		{"mapped", "::ffff:192.0.2.1", [][]byte{address(10, unix.IFA_LOCAL, "192.0.2.1"), address(4, unix.IFA_LOCAL, "198.51.100.1")},
			aboveBond("carries the node's address 192.0.2.1")},
		{"a peer's address", "192.0.2.1", [][]byte{
			append(address(4, unix.IFA_LOCAL, "192.0.2.2"), nl.NewRtAttr(unix.IFA_ADDRESS, []byte{192, 0, 2, 1}).Serialize()...),
			address(10, unix.IFA_LOCAL, "192.0.2.1"),
		}, aboveBond("carries the node's address 192.0.2.1")},
		{"on no link", "203.0.113.1", [][]byte{address(10, unix.IFA_LOCAL, "192.0.2.1")}, aboveBond(only)},
		{"on no hardware", "10.0.0.1", [][]byte{address(1, unix.IFA_LOCAL, "10.0.0.1"), address(43, unix.IFA_LOCAL, "192.0.2.1")}, map[int]string{
			1: "carries the node's address 10.0.0.1", 43: only,
		}},
		{"Open vSwitch", "192.0.2.1", [][]byte{address(21, unix.IFA_LOCAL, "192.0.2.1"), address(41, unix.IFA_LOCAL, "10.0.0.4")}, map[int]string{
			21: "carries the node's address 192.0.2.1",
			22: "may be below br-ex of Open vSwitch, which carries the node's address 192.0.2.1",
		}},
		{"Open vSwitch, not known", "", [][]byte{address(21, unix.IFA_LOCAL, "192.0.2.1"), address(41, unix.IFA_LOCAL, "10.0.0.4")}, map[int]string{
			21: "may carry the node's only global address", 41: "may carry the node's only global address",
			22: "may be below br-ex of Open vSwitch, which may carry the node's only global address",
		}},
	}
	for _, test := range tests {
		var nodeIP netip.Addr
		if test.nodeIP != "" {
			nodeIP = netip.MustParseAddr(test.nodeIP)
		}
		if diff := cmp.Diff(test.want, nodeNetwork(dump{links: links, addresses: test.addresses}, nodeIP)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range [][]byte{
		nil, uplink(), bond(), vfMessage(unix.ARPHRD_ETHER),
		route(unix.RT_TABLE_MAIN, unix.RTN_UNICAST, nl.NewRtAttr(unix.RTA_MULTIPATH, append([]byte{8, 0, 0, 0}, words(10)...))),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, ok := parseLink(data)
		if ok != (len(data) >= unix.SizeofIfInfomsg) {
			t.Errorf("%d bytes are a link: %v", len(data), ok)
		}
		if ok && l.lower == l.Index && l.lower != 0 {
			t.Errorf("link %d is built on itself", l.Index)
		}
		parseVFs(data)
		// Whatever the kernel may say, finding out what is below what must end.
		nodeNetwork(dump{[][]byte{data, data}, [][]byte{data}, [][]byte{data}}, netip.IPv4Unspecified())
	})
}
