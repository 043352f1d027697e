package simhost

import (
	"fmt"
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

// AddBond creates a bond with all its options, down and without members.
func (k *Kernel) AddBond(name string, o BondOptions) error {
	return k.scenario("adding bond", name, func() error { return k.addBond(name, o) })
}

// SetBondMode changes the mode, which the kernel allows only while the bond
// has no members and is down.
func (k *Kernel) SetBondMode(name, mode string) error {
	return k.SetBondOptions(name, BondOptions{Mode: mode})
}

// SetBondOptions changes the options that are not empty, the MTU left out.
func (k *Kernel) SetBondOptions(name string, o BondOptions) error {
	return k.scenario("setting bond options", name, func() error {
		l := k.links.byName[name]
		if l == nil || l.bond == nil {
			return refuse(syscall.ENODEV)
		}
		return k.setBond(l, o)
	})
}

// Enslave makes a netdev a member of a bond; the netdev must be down, and the
// bond sets it up (bond_enslave).
func (k *Kernel) Enslave(bondName, netdev string) error {
	return k.scenario("enslaving "+netdev, bondName, func() error {
		b, l := k.links.byName[bondName], k.links.byName[netdev]
		if b == nil || b.bond == nil || l == nil {
			return refuse(syscall.ENODEV)
		}
		return k.setMaster(l, b)
	})
}

// Release takes a netdev out of its bond; it ends up down, with its own MAC.
func (k *Kernel) Release(netdev string) error {
	return k.scenario("releasing", netdev, func() error {
		l := k.links.byName[netdev]
		if l == nil {
			return refuse(syscall.ENODEV)
		}
		return k.setMaster(l, nil)
	})
}

// DeleteBond releases the members and deletes the bond.
func (k *Kernel) DeleteBond(name string) error {
	return k.scenario("deleting bond", name, func() error {
		b := k.links.byName[name]
		if b == nil || b.bond == nil {
			return refuse(syscall.ENODEV)
		}
		k.deleteBond(b)
		return nil
	})
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
