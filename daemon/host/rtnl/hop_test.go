package rtnl

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// Gateways over devices are known by these; dead next hops, and routes to nobody,
// have none. An IPv4 route may have an IPv6 next hop (RTA_VIA).
func TestGatewaysOfMessages(t *testing.T) {
	link := func(index byte, name, device string) []byte {
		m := make([]byte, unix.SizeofIfInfomsg)
		m[4] = index
		m = append(m, nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)).Serialize()...)
		if device != "" {
			m = append(m, nl.NewRtAttr(unix.IFLA_PARENT_DEV_NAME, nl.ZeroTerminated(device)).Serialize()...)
		}
		return m
	}
	route := func(kind byte, flags uint32, attributes ...*nl.RtAttr) []byte {
		m := make([]byte, unix.SizeofRtMsg)
		m[0], m[4], m[7] = unix.AF_INET, unix.RT_TABLE_MAIN, kind
		binary.NativeEndian.PutUint32(m[8:], flags)
		for _, a := range attributes {
			m = append(m, a.Serialize()...)
		}
		return m
	}
	over := func(index uint32) *nl.RtAttr { return nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(index)) }
	by := func(last byte) *nl.RtAttr { return nl.NewRtAttr(unix.RTA_GATEWAY, []byte{192, 0, 2, last}) }
	via := append([]byte{unix.AF_INET6, 0, 0xfe, 0x80}, make([]byte, 14)...)
	d := dump{
		links: [][]byte{link(2, "ens1", "0000:3b:00.0"), link(3, "bond0", "")},
		routes: [][]byte{
			route(unix.RTN_UNICAST, 0, over(2), by(1)),
			route(unix.RTN_UNICAST, 0, over(3), nl.NewRtAttr(unix.RTA_VIA, via)),
			route(unix.RTN_UNICAST, unix.RTNH_F_DEAD, over(2), by(2)),
			route(unix.RTN_UNICAST, 0, over(2)),
			route(unix.RTN_BLACKHOLE, 0, over(2), by(3)),
			route(unix.RTN_UNICAST, 0, over(9), by(4)),
			route(unix.RTN_UNICAST, 0, over(2), by(1)),
		},
	}
	want := []host.Gateway{{Address: "192.0.2.1", Index: 2, Link: "0000:3b:00.0"}, {Address: "fe80::", Index: 3, Link: "bond0"}}
	if diff := cmp.Diff(want, gateways(d)); diff != "" {
		t.Errorf("gateways (-want +got):\n%s", diff)
	}
}

// FuzzNeighbours: nothing that a kernel of the future may say makes the parsers fail.
func FuzzNeighbours(f *testing.F) {
	f.Add(make([]byte, unix.SizeofRtMsg), make([]byte, unix.SizeofNdMsg))
	f.Fuzz(func(_ *testing.T, route, neighbour []byte) {
		gateways(dump{routes: [][]byte{route}})
		for _, h := range defaultHops(route) {
			neighbourState(neighbour, h.index, h.address)
		}
	})
}
