package simhost

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// classNet is /sys/class/net.
func (k *Kernel) classNet() *node {
	return dynamic(func() []string {
		out := make([]string, 0, len(k.links.ordered))
		for _, l := range k.links.ordered {
			out = append(out, l.name)
		}
		return out
	}, func(name string) *node {
		l := k.links.byName[name]
		if l == nil {
			return nil
		}
		return symlink("../.."+linkPath(l), k.netdev(l))
	})
}

// linkPath is a netdev's place in sysfs, from /sys.
func linkPath(l *link) string {
	if l.fn == nil {
		return "/devices/virtual/net/" + l.name
	}
	return devicePath(l.fn) + "/net/" + l.name
}

var netdevFiles = [...]string{
	"address", "mtu", "operstate", "carrier", "speed", "ifindex", "type", "flags", "phys_switch_id",
	"phys_port_name", "phys_port_id", "uevent", "device", "master", "bonding", "compat",
}

// netdev is the folder of a network interface.
func (k *Kernel) netdev(l *link) *node {
	return &node{
		names: func() []string {
			var out []string
			for _, name := range netdevFiles {
				if k.netdevEntry(l, name) != nil {
					out = append(out, name)
				}
			}
			return out
		},
		child: func(name string) *node { return k.netdevEntry(l, name) },
	}
}

func (k *Kernel) netdevEntry(l *link, name string) *node {
	switch name {
	case "address":
		return text(l.mac)
	case "mtu":
		n := text(strconv.Itoa(l.mtu))
		n.write = func(data string) error {
			mtu, err := strconv.Atoi(strings.TrimSpace(data))
			if err != nil {
				return refuse(syscall.EINVAL)
			}
			return k.setMTU(l, mtu)
		}
		return n
	case "ifindex":
		return text(strconv.Itoa(l.index))
	case "type":
		return text(strconv.Itoa(linkType(l)))
	case "uevent":
		return k.netdevUevent(l)
	case "operstate", "carrier", "speed", "flags":
		return k.netdevState(l, name)
	case "phys_switch_id":
		return orUnsupported(switchID(l))
	case "phys_port_name":
		return orUnsupported(portName(l))
	case "phys_port_id":
		return unreadable(syscall.EOPNOTSUPP)
	}
	return k.netdevRelation(l, name)
}

func (k *Kernel) netdevRelation(l *link, name string) *node {
	switch {
	case name == "device" && l.fn != nil:
		return symlink("../../../"+l.fn.address, k.device(l.fn))
	case name == "master" && l.datapath != nil:
		return symlink("../../../../virtual/net/"+l.datapath.name, k.netdev(l.datapath))
	case name == "master" && l.master != nil:
		return symlink("../../../../virtual/net/"+l.master.name, k.netdev(l.master))
	case name == "compat":
		return k.compatDevlink(l)
	case name == "bonding" && l.bond != nil:
		return k.bonding(l.bond)
	default:
		return nil
	}
}

// linkType is ARPHRD_ETHER, ARPHRD_INFINIBAND or ARPHRD_LOOPBACK.
func linkType(l *link) int {
	switch {
	case l.fn == nil && l.bond == nil:
		return 772
	case l.fn != nil && l.fn.class == classIB:
		return 32
	default:
		return 1
	}
}

func (k *Kernel) netdevState(l *link, name string) *node {
	carrier := k.carrier(l)
	switch name {
	case "operstate":
		return text(map[bool]string{true: "up", false: "down"}[carrier])
	case "carrier":
		if !l.up {
			return unreadable(syscall.EINVAL)
		}
		return text(map[bool]string{true: "1", false: "0"}[carrier])
	case "speed":
		// speed_show: EINVAL while the netdev is not running or cannot say
		if speed := k.speed(l); speed > 0 {
			return text(strconv.Itoa(speed))
		}
		return unreadable(syscall.EINVAL)
	default:
		flags := 0x1002
		if l.up {
			flags |= 1
		}
		return text(fmt.Sprintf("0x%x", flags))
	}
}

// orUnsupported is EOPNOTSUPP for a driver without the callback.
func orUnsupported(value string) *node {
	if value == "" {
		return unreadable(syscall.EOPNOTSUPP)
	}
	return text(value)
}

func (k *Kernel) bonding(b *bond) *node {
	active := ""
	if m := k.activeMember(b); m != nil {
		active = m.name
	}
	number := 0
	for i, m := range bondModes {
		if m.name == b.Mode {
			number = i
		}
	}
	return folder(
		entry{"mode", func() *node { return text(fmt.Sprintf("%s %d", b.Mode, number)) }},
		entry{"miimon", func() *node { return text(strconv.Itoa(b.MiimonMilliseconds)) }},
		entry{"xmit_hash_policy", func() *node { return text(b.XmitHashPolicy) }},
		entry{"slaves", func() *node { return text(b.names()) }},
		entry{"active_slave", func() *node { return text(active) }},
	)
}
