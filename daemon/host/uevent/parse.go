package uevent

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/nlsock"
)

const (
	sourceUevent  = "uevent"
	sourceNetlink = "netlink"
)

// uevent is what the kernel says of a device.
type uevent struct{ action, device, subsystem string }

// parseUevent parses a kernel uevent: "add@/devices/...", then KEY=value texts,
// each ended by NUL. False when it is none.
func parseUevent(message []byte) (uevent, bool) {
	header, rest, ok := bytes.Cut(message, []byte{0})
	// What udev sends to others starts with "libudev" and has no such header.
	if !ok || !bytes.Contains(header, []byte("@/")) {
		return uevent{}, false
	}
	var u uevent
	for field := range bytes.SplitSeq(rest, []byte{0}) {
		key, value, _ := strings.Cut(string(field), "=")
		switch key {
		case "DEVPATH":
			u.device = value
		case "SUBSYSTEM":
			u.subsystem = value
		case "ACTION":
			u.action = value
		}
	}
	return u, u.device != "" && u.action != ""
}

// concerns tells whether a PF may have changed.
func (u uevent) concerns() bool {
	switch u.subsystem {
	case "pci":
		return true
	case "net":
		// Pods' interfaces are virtual; the bonds among them are told by rtnetlink.
		return !strings.HasPrefix(u.device, "/devices/virtual/")
	}
	return false
}

// parseDevices is what the reader of uevents hands on.
func parseDevices(message []byte) []host.Event {
	u, ok := parseUevent(message)
	if !ok || !u.concerns() {
		return nil
	}
	return []host.Event{{Source: sourceUevent, Device: u.device}}
}

// parseLinks parses what rtnetlink sends to its link group: one or more
// messages. Links that come and go with pods are left out, and so is what the
// bridge module says of its ports.
func parseLinks(data []byte) []host.Event {
	var out []host.Event
	for len(data) >= unix.SizeofNlMsghdr {
		// struct nlmsghdr: u32 length, u16 type, u16 flags, u32 sequence, u32 port.
		length := int(binary.NativeEndian.Uint32(data))
		kind := binary.NativeEndian.Uint16(data[4:])
		if length < unix.SizeofNlMsghdr || length > len(data) {
			return out
		}
		if kind == unix.RTM_NEWLINK || kind == unix.RTM_DELLINK {
			if event, ok := parseLink(data[unix.SizeofNlMsghdr:length]); ok {
				out = append(out, event)
			}
		}
		data = data[min((length+3)&^3, len(data)):]
	}
	return out
}

func parseLink(message []byte) (host.Event, bool) {
	if len(message) < unix.SizeofIfInfomsg || message[0] == unix.AF_BRIDGE {
		return host.Event{}, false
	}
	event := host.Event{Source: sourceNetlink}
	for kind, value := range nlsock.Attrs(message[unix.SizeofIfInfomsg:]) {
		switch kind {
		case unix.IFLA_IFNAME:
			event.Device = nlsock.Text(value)
		// A wireless event, not a change of the link.
		case unix.IFLA_WIRELESS:
			return host.Event{}, false
		case unix.IFLA_LINKINFO:
			for kind, value := range nlsock.Attrs(value) {
				if kind == nl.IFLA_INFO_KIND && ofPods(nlsock.Text(value)) {
					return host.Event{}, false
				}
			}
		}
	}
	return event, true
}

// ofPods tells the kinds of links that CNIs make for pods and tunnels. No PF,
// VF, representor or bond is of these kinds.
func ofPods(kind string) bool {
	switch kind {
	case "veth", "netkit", "ipvlan", "tun", "dummy", "ifb", "vxlan", "geneve", "gre", "gretap", "ip6gre",
		"ip6gretap", "ipip", "ip6tnl", "sit", "wireguard":
		return true
	}
	return false
}
