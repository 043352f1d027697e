package rtnl

import (
	"encoding/binary"
	"encoding/hex"
	"net"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/nlsock"
)

// Attributes of a bond's link data (uapi if_link.h).
const (
	bondMode        = 1
	bondActiveSlave = 2
)

// maxVFAddress is MAX_ADDR_LEN, the room for a VF's hardware address.
const maxVFAddress = 32

// link is a link with what only nodeNetwork needs.
type link struct {
	host.Link
	// lower is the ifindex of the link that this one is built on, in this
	// network namespace; 0 if none.
	lower int
	// loopback is true for the loopback device.
	loopback bool
}

// parseLink parses an RTM_NEWLINK message; false when it is too short.
func parseLink(message []byte) (link, bool) {
	if len(message) < unix.SizeofIfInfomsg {
		return link{}, false
	}
	// struct ifinfomsg: u8 family, u8 pad, u16 type, s32 index, u32 flags, u32 change.
	kind := binary.NativeEndian.Uint16(message[2:])
	flags := binary.NativeEndian.Uint32(message[8:])
	l := link{Link: host.Link{
		Index:      int(int32(binary.NativeEndian.Uint32(message[4:]))),
		Infiniband: kind == unix.ARPHRD_INFINIBAND,
		Up:         flags&unix.IFF_UP != 0,
		Carrier:    flags&unix.IFF_LOWER_UP != 0,
	}, loopback: kind == unix.ARPHRD_LOOPBACK}
	elsewhere := false
	for kind, value := range nlsock.Attrs(message[unix.SizeofIfInfomsg:]) {
		switch kind {
		case unix.IFLA_LINK:
			l.lower = nlsock.Int(value)
		case unix.IFLA_LINK_NETNSID:
			elsewhere = true
		case unix.IFLA_LINKINFO:
			l.parseInfo(value)
		default:
			l.parseAttr(kind, value)
		}
	}
	// A link that is built on itself says so in IFLA_LINK; one of another
	// namespace has an ifindex of that namespace.
	if elsewhere || l.lower == l.Index {
		l.lower = 0
	}
	return l, true
}

func (l *link) parseAttr(kind uint16, value []byte) {
	switch kind {
	case unix.IFLA_IFNAME:
		l.Name = nlsock.Text(value)
	case unix.IFLA_ADDRESS:
		l.MAC = net.HardwareAddr(value).String()
	case unix.IFLA_MTU:
		l.MTU = nlsock.Int(value)
	case unix.IFLA_MASTER:
		l.MasterIndex = nlsock.Int(value)
	case unix.IFLA_PARENT_DEV_NAME:
		l.ParentDevice = nlsock.Text(value)
	case unix.IFLA_PHYS_SWITCH_ID:
		l.SwitchID = hex.EncodeToString(value)
	case unix.IFLA_PHYS_PORT_NAME:
		l.PortName = nlsock.Text(value)
	case unix.IFLA_PROP_LIST:
		for kind, value := range nlsock.Attrs(value) {
			if kind == unix.IFLA_ALT_IFNAME {
				l.AltNames = append(l.AltNames, nlsock.Text(value))
			}
		}
	}
}

func (l *link) parseInfo(info []byte) {
	var data []byte
	for kind, value := range nlsock.Attrs(info) {
		switch kind {
		case nl.IFLA_INFO_KIND:
			l.Kind = nlsock.Text(value)
		case nl.IFLA_INFO_DATA:
			data = value
		}
	}
	if l.Kind != "bond" {
		return
	}
	for kind, value := range nlsock.Attrs(data) {
		switch kind {
		case bondMode:
			l.BondMode = bondModeName(nlsock.Int(value))
		case bondActiveSlave:
			l.BondActive = nlsock.Int(value)
		}
	}
}

// bondModeName returns the kernel's word for a bond mode.
func bondModeName(mode int) string {
	return named(bondModes[:], mode)
}

// parseVFs parses the VFs of an RTM_NEWLINK message.
func parseVFs(message []byte) []host.LinkVF {
	if len(message) < unix.SizeofIfInfomsg {
		return nil
	}
	infiniband := binary.NativeEndian.Uint16(message[2:]) == unix.ARPHRD_INFINIBAND
	var out []host.LinkVF
	for kind, list := range nlsock.Attrs(message[unix.SizeofIfInfomsg:]) {
		if kind != unix.IFLA_VFINFO_LIST {
			continue
		}
		for kind, info := range nlsock.Attrs(list) {
			if kind == nl.IFLA_VF_INFO {
				out = append(out, parseVF(info, infiniband))
			}
		}
	}
	return out
}

// parseVF parses IFLA_VF_INFO. Each of its structs starts with the VF's index.
func parseVF(info []byte, infiniband bool) host.LinkVF {
	var vf host.LinkVF
	for kind, value := range nlsock.Attrs(info) {
		if len(value) < 8 {
			continue
		}
		switch kind {
		case nl.IFLA_VF_MAC:
			vf.Index = int(binary.NativeEndian.Uint32(value))
			if mac := value[4:]; !infiniband && len(mac) >= 6 && !allZero(mac[:6]) {
				vf.MAC = net.HardwareAddr(mac[:6]).String()
			}
		case nl.IFLA_VF_VLAN:
			vf.VLAN = int(binary.NativeEndian.Uint32(value[4:]))
		case nl.IFLA_VF_IB_PORT_GUID:
			vf.GUID, vf.ReportsGUID = parseGUID(value)
		case nl.IFLA_VF_IB_NODE_GUID:
			vf.NodeGUID, _ = parseGUID(value)
		}
	}
	return vf
}

// guid writes a GUID as eight bytes in hexadecimal; empty when it is zero.
func guid(n uint64) string {
	if n == 0 {
		return ""
	}
	b := make([]byte, 8)
	binary.BigEndian.PutUint64(b, n)
	return net.HardwareAddr(b).String()
}

func allZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}
