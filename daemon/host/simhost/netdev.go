package simhost

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
)

type linkRole int

const (
	roleOther linkRole = iota
	rolePF
	roleVF
	roleRepresentor
	roleBond
	// rolePort is a further physical port of a PF, roleControl the PF's own
	// netdev without a port, rolePFRepresentor the PF's representor (nfp).
	rolePort
	roleControl
	rolePFRepresentor
)

// link is a network interface.
type link struct {
	index     int
	name      string
	altNames  []string
	mac       string
	permanent string
	mtu       int
	// ownMTU is what a member of a bond gets back at its release.
	ownMTU int
	up     bool
	// linked: a PF's port has link; it matters only while the netdev is up.
	linked bool
	role   linkRole
	// fn is the parent device: of a representor, its PF.
	fn *function
	// parent is the parent device when it is no PCI function.
	parent string
	// vf is the index of a representor's VF, port the number of a further port.
	vf, port int
	offload  bool
	master   *link
	bond     *bond
	// datapath is ovs-system while the netdev is a port of Open vSwitch.
	datapath *link
	// kind is IFLA_INFO_KIND of a link that is neither hardware nor bond.
	kind string
	// rules are what udev has treated the netdev with.
	rules string
	// pod is set while the netdev is in a pod's network namespace.
	pod string
}

// links are the interfaces of the host's network namespace.
type links struct {
	next    int
	ordered []*link
	byName  map[string]*link
	byIndex map[int]*link
}

func newLinks() links {
	return links{next: 1, byName: map[string]*link{}, byIndex: map[int]*link{}}
}

// addLink registers a netdev under a new ifindex; when its name is taken it
// becomes eth<N>, as without udev.
func (k *Kernel) addLink(l *link) {
	if l.role == roleVF || l.role == roleRepresentor {
		k.renamedLater(l)
	}
	for n := 0; k.links.byName[l.name] != nil; n++ {
		l.name = fmt.Sprintf("eth%d", n)
	}
	l.index = k.links.next
	k.links.next++
	if l.permanent == "" {
		l.permanent = l.mac
	}
	k.links.ordered = append(k.links.ordered, l)
	k.links.byName[l.name], k.links.byIndex[l.index] = l, l
	k.udevSees(l)
	k.netlink(l)
	k.ovsChanged()
}

// renamedLater lets a netdev arrive under the kernel's own name and get that of
// udev's rules afterwards.
func (k *Kernel) renamedLater(l *link) {
	if k.opts.Delays.Rename <= 0 {
		return
	}
	name := l.name
	l.name = "eth0"
	k.later(k.opts.Delays.Rename, func() {
		if k.links.byIndex[l.index] != l || k.links.byName[name] != nil {
			return
		}
		delete(k.links.byName, l.name)
		l.name = name
		k.links.byName[name] = l
		k.netlink(l)
	})
}

func (k *Kernel) removeLink(l *link) {
	if l.pod != "" {
		return
	}
	if l.master != nil {
		k.release(l)
	}
	k.unlist(l)
}

// unlist takes a netdev out of the host's network namespace.
func (k *Kernel) unlist(l *link) {
	k.links.ordered = slices.DeleteFunc(k.links.ordered, func(o *link) bool { return o == l })
	delete(k.links.byName, l.name)
	delete(k.links.byIndex, l.index)
	l.datapath = nil
	k.netlink(l)
	k.ovsChanged()
}

func (k *Kernel) addPFNetdev(fn *function) {
	c, port := fn.card, fn.pf.port
	l := &link{name: c.names[port], mac: c.macs[port], mtu: 1500, role: rolePF, fn: fn, offload: c.offloadDefault}
	l.altNames = slices.Clone(c.altNames[port])
	if c.infiniband {
		l.mac = "00:00:10:49:fe:80:00:00:00:00:00:00:" + pfGUID(fn)
	}
	fn.netdev = l
	k.addLink(l)
	k.addFurther(fn)
}

// addFurther adds the netdevs of a PF besides the one of its first port.
func (k *Kernel) addFurther(fn *function) {
	c := fn.card
	add := func(name string, number int, role linkRole) {
		l := &link{
			name: name, mac: fn.at.mac(fmt.Sprintf("%02x:15", 0x10+4*number)), mtu: 1500, role: role, fn: fn, port: number,
			offload: c.offloadDefault,
		}
		fn.physical = append(fn.physical, l)
		k.addLink(l)
	}
	base := baseName(c.names[fn.pf.port])
	for i := range c.furtherPorts {
		add(fmt.Sprintf("%snp%d", base, i+1), i+1, rolePort)
	}
	if c.flower {
		add(base, 14, roleControl)
		add("eth0", 15, rolePFRepresentor)
	}
}

func (k *Kernel) addVFNetdev(fn *function, random bool) {
	l := &link{
		name: fmt.Sprintf("%sv%d", baseName(fn.card.names[fn.parent.pf.port]), fn.index),
		mac:  fn.at.mac("02:5e"), mtu: 1500, role: roleVF, fn: fn,
	}
	if admin := fn.parent.pf.admin[fn.index]; admin != "" {
		l.mac = admin
	}
	if random {
		l.mac = fn.at.mac("06:0d")
	}
	if fn.class == classIB {
		l.mac = "00:00:10:4a:fe:80:00:00:00:00:00:00:" + vfGUID(fn)
	}
	fn.netdev = l
	k.addLink(l)
}

// carrier is IFF_LOWER_UP.
func (k *Kernel) carrier(l *link) bool {
	if !l.up {
		return false
	}
	switch l.role {
	case rolePF:
		return l.linked && !k.cutOff(l)
	case roleVF:
		pf := l.fn.parent.pf
		if pf.mode != modeSwitchdev {
			return true
		}
		rep := pf.reps[l.fn.index]
		return rep != nil && rep.up
	case roleRepresentor:
		vf := l.fn.pf.vf(l.vf)
		return vf != nil && vf.netdev != nil && vf.netdev.up
	case roleBond:
		return slices.ContainsFunc(l.bond.members, k.carrier)
	default:
		return !k.cutOff(l)
	}
}

// linkUp lets a port negotiate its link.
func (k *Kernel) linkUp(l *link) {
	if l.role != rolePF {
		return
	}
	l.linked = false
	k.later(k.opts.Delays.Carrier, func() {
		if l.up && k.links.byIndex[l.index] == l {
			l.linked = true
			k.netlink(l)
		}
	})
}

func (k *Kernel) setUp(l *link, up bool) {
	if l.up == up {
		return
	}
	l.up = up
	if up {
		k.linkUp(l)
	} else {
		l.linked = false
		if l.fn != nil && l.role == rolePF {
			k.guardNodeNetwork(l.fn, "setting down")
		}
	}
	k.netlink(l)
	if l.master != nil && l.master.bond != nil {
		k.bondChanged(cardOf(l))
	}
}

// setMTU is dev_set_mtu_ext in net/core/dev.c.
func (k *Kernel) setMTU(l *link, mtu int) error {
	low, high := 68, 65535
	if l.fn != nil && l.fn.card != nil {
		low, high = l.fn.card.minMTU, l.fn.card.maxMTU
	}
	switch {
	case mtu == l.mtu:
		return nil
	case mtu < low:
		return refusal{errno: syscall.EINVAL, text: "mtu less than device minimum"}
	case mtu > high:
		return refusal{errno: syscall.EINVAL, text: "mtu greater than device maximum"}
	}
	l.mtu = mtu
	if l.bond != nil {
		// bond_change_mtu: all members or none
		for _, m := range l.bond.members {
			if c := cardOf(m); c != nil && (mtu < c.minMTU || mtu > c.maxMTU) {
				return refuse(syscall.EINVAL)
			}
		}
		for _, m := range l.bond.members {
			m.mtu = mtu
			k.netlink(m)
		}
	}
	k.netlink(l)
	return nil
}

// setVFMAC is ndo_set_vf_mac of mlx5 and igb: zeros take the admin MAC away.
func (k *Kernel) setVFMAC(l *link, index int, mac string) error {
	hw, err := net.ParseMAC(mac)
	if err != nil {
		return refuse(syscall.EINVAL)
	}
	if l.fn == nil || l.fn.pf == nil || l.role != rolePF {
		return refuse(syscall.EOPNOTSUPP)
	}
	p := l.fn.pf
	if index < 0 || index >= p.numVFs {
		k.forbid(fmt.Sprintf("%s: admin MAC for VF %d of %d", l.fn.address, index, p.numVFs))
		return refuse(syscall.EINVAL)
	}
	if len(hw) != 6 || hw[0]&1 == 1 {
		k.forbid(fmt.Sprintf("%s: admin MAC %s for VF %d", l.fn.address, mac, index))
		return refuse(syscall.EINVAL)
	}
	if hw.String() == "00:00:00:00:00:00" {
		delete(p.admin, index)
	} else {
		p.admin[index] = hw.String()
	}
	if l.fn.card.pfResets {
		k.printk(l.fn, "setting MAC %s on VF %d", hw, index)
		k.printk(l.fn, "Reload the VF driver to make this change effective.")
		if !l.up {
			k.printk(l.fn, "The VF MAC address has been set, but the PF device is not up.")
		}
	}
	k.netlink(l)
	return nil
}

// reportedVFMAC is what the PF's link says of a VF's MAC; empty for zeros.
func reportedVFMAC(pf *function, index int) string {
	if mac := pf.pf.admin[index]; mac != "" {
		return mac
	}
	vf := pf.pf.vf(index)
	if pf.card.reportsVFMAC && vf != nil && vf.netdev != nil {
		return vf.netdev.mac
	}
	return ""
}

// switchID is phys_switch_id: on mlx5 that of the card, the same on all ports,
// and only in switchdev mode; on nfp the serial number, with any application
// (nfp_devlink_port_register).
func switchID(l *link) string {
	if l.fn == nil || l.fn.pf == nil || l.role == roleControl {
		return ""
	}
	c := l.fn.card
	if c.nfp != nil {
		return fmt.Sprintf("%x", c.serial())
	}
	if l.fn.pf.mode != modeSwitchdev {
		return ""
	}
	return strings.ReplaceAll(c.macs[0], ":", "")[:6] + "0003" + strings.ReplaceAll(c.macs[0], ":", "")[6:]
}

// portName is phys_port_name.
func portName(l *link) string {
	switch {
	case l.role == rolePF && l.fn.card.portName:
		return fmt.Sprintf("p%d", l.fn.pf.port)
	case l.role == rolePort:
		return fmt.Sprintf("p%d", l.port)
	case l.role == rolePFRepresentor:
		return "pf0"
	case l.role == roleRepresentor:
		return fmt.Sprintf("pf%dvf%d", l.fn.pf.port, l.vf)
	default:
		return ""
	}
}

// speed in Mb/s; 0 when the link cannot say.
func (k *Kernel) speed(l *link) int {
	if !k.carrier(l) || l.fn == nil {
		return 0
	}
	switch {
	case l.role == roleRepresentor:
		return 0
	case l.fn.card != nil:
		return l.fn.card.speedMbps
	default:
		return 1000
	}
}

func cardOf(l *link) *card {
	if l.fn == nil {
		return nil
	}
	return l.fn.card
}
