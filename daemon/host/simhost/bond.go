package simhost

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// BondOptions are the options of a bond, in the kernel's spelling; an empty
// one is the kernel's default.
type BondOptions struct {
	// Mode: balance-rr, active-backup, balance-xor, broadcast, 802.3ad,
	// balance-tlb or balance-alb.
	Mode string
	// MiimonMilliseconds is the interval of link monitoring.
	MiimonMilliseconds int
	XmitHashPolicy     string
	LACPRate           string
	MTU                int
}

type bond struct {
	BondOptions
	members []*link
}

// bondModes are those of bonding, and whether mlx5 can offload them
// (mlx5_lag_check_prereq: active-backup and hash).
var bondModes = [...]struct {
	name    string
	offload bool
}{
	{"balance-rr", false},
	{"active-backup", true},
	{"balance-xor", true},
	{"broadcast", false},
	{"802.3ad", true},
	{"balance-tlb", false},
	{"balance-alb", false},
}

func offloadable(mode string) (known, ok bool) {
	for _, m := range bondModes {
		if m.name == mode {
			return true, m.offload
		}
	}
	return false, false
}

// lag is the state of a card's link aggregation in hardware.
type lag struct {
	active bool
	// kind is "switchdev" for VF-LAG and "roce" otherwise.
	kind string
	// broken: the LAG could not be taken down because VFs were bound; only a
	// driver restart helps.
	broken bool
}

// AddBond creates a bond with all its options, down and without members.
func (k *Kernel) AddBond(name string, o BondOptions) error {
	return k.scenario("adding bond", name, func() error {
		if k.links.byName[name] != nil {
			return refuse(syscall.EEXIST)
		}
		if o.Mode == "" {
			o.Mode = bondModes[0].name
		}
		if known, _ := offloadable(o.Mode); !known || name == "" || len(name) > 15 {
			return refuse(syscall.EINVAL)
		}
		if o.MTU == 0 {
			o.MTU = 1500
		}
		k.addLink(&link{name: name, mac: "0e:b0:00:00:00:00", mtu: o.MTU, role: roleBond, bond: &bond{BondOptions: o}})
		return nil
	})
}

// SetBondMode changes the mode, which the kernel allows only while the bond
// has no members and is down.
func (k *Kernel) SetBondMode(name, mode string) error {
	return k.scenario("setting mode "+mode, name, func() error {
		l := k.links.byName[name]
		known, _ := offloadable(mode)
		switch {
		case l == nil || l.bond == nil:
			return refuse(syscall.ENODEV)
		case !known:
			return refuse(syscall.EINVAL)
		case len(l.bond.members) > 0:
			return refuse(syscall.ENOTEMPTY)
		case l.up:
			return refuse(syscall.EBUSY)
		}
		l.bond.Mode = mode
		k.netlink(l)
		return nil
	})
}

// Enslave makes a netdev a member of a bond; the netdev must be down, and the
// bond sets it up (bond_enslave).
func (k *Kernel) Enslave(bondName, netdev string) error {
	return k.scenario("enslaving "+netdev, bondName, func() error {
		b, l := k.links.byName[bondName], k.links.byName[netdev]
		switch {
		case b == nil || b.bond == nil || l == nil:
			return refuse(syscall.ENODEV)
		case l.master == b:
			return nil
		// do_set_master: Open vSwitch has no ndo_del_slave.
		case l.datapath != nil:
			return refuse(syscall.EOPNOTSUPP)
		case l.bond != nil:
			return refusal{errno: syscall.EPERM, text: "Cannot enslave bond to itself."}
		case l.up:
			return refusal{errno: syscall.EPERM, text: "Device can not be enslaved while up"}
		}
		if l.master != nil {
			k.release(l)
		}
		k.enslave(b, l)
		return nil
	})
}

func (k *Kernel) enslave(b, l *link) {
	if len(b.bond.members) == 0 {
		b.mac = l.mac
	}
	b.bond.members = append(b.bond.members, l)
	l.master, l.mac, l.mtu, l.up = b, b.mac, b.mtu, true
	k.linkUp(l)
	k.netlink(l)
	k.netlink(b)
	k.bondChanged(cardOf(l))
}

// Release takes a netdev out of its bond; it ends up down, with its own MAC.
func (k *Kernel) Release(netdev string) error {
	return k.scenario("releasing", netdev, func() error {
		l := k.links.byName[netdev]
		if l == nil {
			return refuse(syscall.ENODEV)
		}
		if l.master != nil {
			k.release(l)
		}
		return nil
	})
}

func (k *Kernel) release(l *link) {
	b := l.master
	b.bond.members = slices.DeleteFunc(b.bond.members, func(m *link) bool { return m == l })
	l.master, l.mac, l.mtu, l.up, l.linked = nil, l.permanent, 1500, false, false
	k.netlink(l)
	k.netlink(b)
	k.bondChanged(cardOf(l))
}

// DeleteBond releases the members and deletes the bond.
func (k *Kernel) DeleteBond(name string) error {
	return k.scenario("deleting bond", name, func() error {
		b := k.links.byName[name]
		if b == nil || b.bond == nil {
			return refuse(syscall.ENODEV)
		}
		for _, m := range slices.Clone(b.bond.members) {
			k.release(m)
		}
		k.removeLink(b)
		return nil
	})
}

// LAG returns the state of the LAG of the card that a PF belongs to: "active",
// "disabled", or "broken" when only a driver restart helps.
func (k *Kernel) LAG(pf string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	fn := k.functions[pf]
	if fn == nil || fn.card == nil {
		return "disabled"
	}
	return fn.card.lag.state()
}

func (l lag) state() string {
	switch {
	case l.broken:
		return "broken"
	case l.active:
		return "active"
	default:
		return "disabled"
	}
}

// bondChanged looks at a card's LAG again, later, as mlx5's work queue does.
func (k *Kernel) bondChanged(c *card) {
	if c == nil || c.driver != "mlx5_core" {
		return
	}
	k.later(k.opts.Delays.LAG, func() { k.updateLAG(c) })
}

// updateLAG is mlx5_do_bond in drivers/net/ethernet/mellanox/mlx5/core/lag/lag.c.
func (k *Kernel) updateLAG(c *card) {
	kind, wanted := k.wantedLAG(c)
	if c.lag.active && (!wanted || kind != c.lag.kind) {
		k.stopLAG(c)
	}
	if !wanted || c.lag.active || c.lag.broken {
		return
	}
	if slices.ContainsFunc(c.ports, bound) {
		k.printk(c.ports[0], "Failed to activate VF LAG\nMake sure all VFs are unbound prior to VF LAG activation or deactivation")
		return
	}
	c.lag = lag{active: true, kind: kind}
	k.printk(c.ports[0], "lag map: port 1:1 port 2:2")
	k.printk(c.ports[0], "shared_fdb:%d mode:%s", map[bool]int{true: 1}[kind == "switchdev"], kind)
}

// wantedLAG tells whether the bonds ask for a LAG over a card's ports.
func (k *Kernel) wantedLAG(c *card) (kind string, wanted bool) {
	var b *link
	vfs, switchdev := 0, 0
	for _, fn := range c.ports {
		if fn.netdev == nil || fn.netdev.master == nil || fn.netdev.master.bond == nil {
			return "", false
		}
		if b != nil && b != fn.netdev.master {
			return "", false
		}
		b = fn.netdev.master
		vfs += fn.pf.numVFs
		if fn.pf.mode == modeSwitchdev {
			switchdev++
		}
	}
	if b == nil || len(c.ports) != 2 || len(b.bond.members) != 2 {
		return "", false
	}
	if _, ok := offloadable(b.bond.Mode); !ok {
		k.printk(c.ports[0], "Can't activate LAG offload, TX type isn't supported")
		return "", false
	}
	switch {
	case switchdev == 2:
		return "switchdev", true
	case switchdev == 0 && vfs == 0:
		return "roce", true
	default:
		return "", false
	}
}

// stopLAG is mlx5_disable_lag.
func (k *Kernel) stopLAG(c *card) {
	if !c.lag.active || c.lag.broken {
		return
	}
	if slices.ContainsFunc(c.ports, bound) {
		k.forbid(c.ports[0].address + ": taking the LAG down while VFs are bound")
		k.printk(c.ports[0], "Failed to deactivate VF LAG; driver restart required\nMake sure all VFs are unbound prior to VF LAG activation or deactivation")
		c.lag.broken = true
		return
	}
	c.lag = lag{}
}

// active is the member that an active-backup bond uses.
func (k *Kernel) activeMember(b *bond) *link {
	if b.Mode != "active-backup" {
		return nil
	}
	for _, m := range b.members {
		if k.carrier(m) {
			return m
		}
	}
	return nil
}

// names of the members, as in the bonding attributes.
func (b *bond) names() string {
	var names []string
	for _, m := range b.members {
		names = append(names, m.name)
	}
	return strings.Join(names, " ")
}

// scenario runs a change that is made behind the daemon's back.
func (k *Kernel) scenario(what, object string, f func() error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return fmt.Errorf("%s on %s: the machine is off", what, object)
	}
	c := call{words: what, device: object}
	return c.fail(f())
}
