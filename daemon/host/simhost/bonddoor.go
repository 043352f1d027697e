package simhost

import (
	"context"
	"fmt"
	"slices"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// Values of bond options, and the kernel's defaults (bond_options.c).
var (
	bondHashPolicies = []string{"layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"}
	bondLACPRates    = []string{"slow", "fast"}
)

const (
	modeLACP         = "802.3ad"
	modeActiveBackup = "active-backup"
	// defaultMiimon is what a mode that needs link monitoring turns on.
	defaultMiimon = 100
	// partnerMAC is the switch's, when it speaks LACP.
	partnerMAC = "00:1c:73:00:00:01"
	noMAC      = "00:00:00:00:00:00"
)

// addBond is bond_newlink: rtnl_newlink has looked at the name.
func (k *Kernel) addBond(name string, o BondOptions) error {
	if k.links.byName[name] != nil {
		return refuse(syscall.EEXIST)
	}
	if k.opts.NoBonding {
		return refusal{errno: syscall.EOPNOTSUPP, text: "Unknown device type"}
	}
	if name == "" || len(name) > 15 {
		return refuse(syscall.EINVAL)
	}
	l := &link{name: name, mac: "0e:b0:00:00:00:00", mtu: 1500, role: roleBond}
	l.bond = &bond{BondOptions: BondOptions{Mode: bondModes[0].name, XmitHashPolicy: bondHashPolicies[0], LACPRate: bondLACPRates[0]}}
	if err := k.changeBond(l, o); err != nil {
		return err
	}
	if o.MTU != 0 {
		l.mtu = o.MTU
	}
	k.addLink(l)
	return nil
}

// setBond is bond_changelink of a bond that is there.
func (k *Kernel) setBond(l *link, o BondOptions) error {
	err := k.changeBond(l, o)
	k.netlink(l)
	k.bondMembersChanged(l)
	return err
}

// changeBond sets options one after the other, as bond_changelink does; those set
// before a refusal stay. The conditions are those of bond_opt_check_deps.
func (k *Kernel) changeBond(l *link, o BondOptions) error {
	b := l.bond
	if o.Mode != "" {
		known, _ := offloadable(o.Mode)
		switch {
		case !known:
			return refuse(syscall.EINVAL)
		case len(b.members) > 0:
			return refuse(syscall.ENOTEMPTY)
		case l.up:
			return refuse(syscall.EBUSY)
		}
		b.Mode = o.Mode
		// bond_option_mode_set: these modes cannot use ARP monitoring.
		if slices.Contains([]string{modeLACP, "balance-tlb", "balance-alb"}, o.Mode) && b.MiimonMilliseconds == 0 {
			b.MiimonMilliseconds = defaultMiimon
		}
	}
	if o.MiimonMilliseconds > 0 {
		b.MiimonMilliseconds = o.MiimonMilliseconds
	}
	if o.XmitHashPolicy != "" {
		if !slices.Contains(bondHashPolicies, o.XmitHashPolicy) {
			return refuse(syscall.EINVAL)
		}
		b.XmitHashPolicy = o.XmitHashPolicy
	}
	if o.LACPRate != "" {
		switch {
		case !slices.Contains(bondLACPRates, o.LACPRate):
			return refuse(syscall.EINVAL)
		case b.Mode != modeLACP:
			return refuse(syscall.EACCES)
		case l.up:
			return refuse(syscall.EBUSY)
		}
		b.LACPRate = o.LACPRate
	}
	return nil
}

// setMaster is do_set_master in net/core/rtnetlink.c with bond_enslave and
// bond_release of drivers/net/bonding/bond_main.c; b is nil for none.
func (k *Kernel) setMaster(l, b *link) error {
	if l.master == b {
		return nil
	}
	// Open vSwitch has no ndo_del_slave.
	if l.datapath != nil {
		return refuse(syscall.EOPNOTSUPP)
	}
	if l.master != nil {
		k.guardBond(l, "taking out of its bond")
		k.release(l)
	}
	switch {
	case b == nil:
		return nil
	case b.bond == nil:
		return refuse(syscall.EOPNOTSUPP)
	case l.bond != nil:
		return refusal{errno: syscall.EPERM, text: "Cannot enslave bond to itself."}
	case l.up:
		k.forbid(l.name + ": enslaving a device that is up")
		return refusal{errno: syscall.EPERM, text: "Device can not be enslaved while up"}
	case l.fn != nil && l.fn.card != nil && (b.mtu < l.fn.card.minMTU || b.mtu > l.fn.card.maxMTU):
		return refuse(syscall.EINVAL)
	}
	k.guardBond(l, "putting into a bond")
	k.enslave(b, l)
	return nil
}

// guardBond forbids what changes the members of a bond under VFs, and under the
// node's own network.
func (k *Kernel) guardBond(l *link, what string) {
	if l.role != rolePF {
		return
	}
	k.guardNodeNetwork(l.fn, what)
	if l.fn.card.offloadsBonds() && slices.ContainsFunc(l.fn.card.ports, bound) {
		k.forbid(fmt.Sprintf("%s: %s while VFs of the NIC are bound", l.fn.address, what))
	}
}

func (k *Kernel) enslave(b, l *link) {
	if len(b.bond.members) == 0 {
		b.mac = l.mac
	}
	b.bond.members = append(b.bond.members, l)
	l.ownMTU = l.mtu
	l.master, l.mac, l.mtu, l.up = b, b.mac, b.mtu, true
	k.linkUp(l)
	k.netlink(l)
	k.netlink(b)
	k.bondMembersChanged(b)
	k.bondChanged(cardOf(l))
}

// release gives a member its MTU and MAC back and leaves it down.
func (k *Kernel) release(l *link) {
	b := l.master
	b.bond.members = slices.DeleteFunc(b.bond.members, func(m *link) bool { return m == l })
	l.master, l.mac, l.mtu, l.up, l.linked = nil, l.permanent, l.ownMTU, false, false
	k.netlink(l)
	k.netlink(b)
	k.bondMembersChanged(b)
	k.bondChanged(cardOf(l))
}

// bondMembersChanged lets the NICs of all members look at their LAG again.
func (k *Kernel) bondMembersChanged(b *link) {
	var seen []*card
	for _, m := range b.bond.members {
		if c := cardOf(m); c != nil && !slices.Contains(seen, c) {
			seen = append(seen, c)
			k.bondChanged(c)
		}
	}
}

func (k *Kernel) deleteBond(b *link) {
	for _, m := range slices.Clone(b.bond.members) {
		k.guardBond(m, "deleting its bond")
		k.release(m)
	}
	k.removeLink(b)
}

// active tells whether a member carries traffic.
func (k *Kernel) active(b *bond, m *link) bool {
	if b.Mode == modeActiveBackup {
		return k.activeMember(b) == m
	}
	return k.carrier(m)
}

// lacp is the active aggregator: the ports that have a link, with or without a
// switch that answers.
func (k *Kernel) lacp(b *bond) *host.LACP {
	if b.Mode != modeLACP || len(b.members) == 0 {
		return nil
	}
	out := &host.LACP{Aggregator: 1, PartnerMAC: noMAC}
	for _, m := range b.members {
		if k.carrier(m) {
			out.Ports++
		}
	}
	if k.opts.NoLACPPartner {
		out.Ports = min(out.Ports, 1)
	} else if out.Ports > 0 {
		out.PartnerMAC = partnerMAC
	}
	return out
}

type bondsDoor struct{ *handle }

// List implements host.Bonds.
func (d bondsDoor) List(ctx context.Context) ([]host.Bond, error) {
	c := call{kind: "bonds.List", object: "all", words: "listing bonds", device: "rtnetlink"}
	return run(ctx, d.handle, c, func() ([]host.Bond, error) {
		out := []host.Bond{}
		for _, l := range d.k.links.ordered {
			if l.bond != nil {
				out = append(out, d.k.describeBond(l))
			}
		}
		return out, nil
	})
}

func (k *Kernel) describeBond(l *link) host.Bond {
	b := l.bond
	out := host.Bond{
		Index: l.index, Name: l.name, MTU: l.mtu, Up: l.up, Carrier: k.carrier(l),
		BondOptions: host.BondOptions{
			Mode: b.Mode, MiimonMilliseconds: b.MiimonMilliseconds, XmitHashPolicy: b.XmitHashPolicy, LACPRate: b.LACPRate,
		},
		LACP: k.lacp(b),
	}
	for i, m := range b.members {
		member := host.BondMember{Index: m.index, Name: m.name, Active: k.active(b, m), Linked: k.carrier(m)}
		if b.Mode == modeLACP {
			member.Aggregator = 1
			if k.opts.NoLACPPartner {
				member.Aggregator = i + 1
			}
		}
		out.Members = append(out.Members, member)
	}
	slices.SortFunc(out.Members, func(a, b host.BondMember) int { return a.Index - b.Index })
	return out
}

// Create implements host.Bonds.
func (d bondsDoor) Create(ctx context.Context, name string, o host.BondOptions) error {
	c := call{kind: "bonds.Create", object: name, value: o.Mode, write: true, words: "creating a bond of mode " + o.Mode, device: name}
	_, err := run(ctx, d.handle, c, func() (nothing, error) { return nothing{}, d.k.addBond(name, optionsOf(o)) })
	return err
}

func optionsOf(o host.BondOptions) BondOptions {
	return BondOptions{Mode: o.Mode, MiimonMilliseconds: o.MiimonMilliseconds, XmitHashPolicy: o.XmitHashPolicy, LACPRate: o.LACPRate}
}

// SetOptions implements host.Bonds.
func (d bondsDoor) SetOptions(ctx context.Context, index int, o host.BondOptions) error {
	c := linksDoor(d).change("bonds.SetOptions", index, fmt.Sprintf("%s %d %s %s", o.Mode, o.MiimonMilliseconds, o.XmitHashPolicy, o.LACPRate), "setting bond options")
	return d.onBond(ctx, c, index, func(l *link) error { return d.k.setBond(l, optionsOf(o)) })
}

// SetMaster implements host.Bonds.
func (d bondsDoor) SetMaster(ctx context.Context, member, bond int) error {
	words, value := "taking the link out of its bond", ""
	if bond != 0 {
		value = linksDoor(d).call("", bond, "").object
		words = "making the link a member of " + value
	}
	c := linksDoor(d).change("bonds.SetMaster", member, value, words)
	return linksDoor(d).onLink(ctx, c, member, func(l *link) error {
		b := d.k.links.byIndex[bond]
		if bond != 0 && b == nil {
			return refuse(syscall.EINVAL)
		}
		return d.k.setMaster(l, b)
	})
}

// Delete implements host.Bonds: rtnl_dellink, which refuses what is not virtual.
func (d bondsDoor) Delete(ctx context.Context, index int) error {
	c := linksDoor(d).change("bonds.Delete", index, "", "deleting the bond")
	return d.onBond(ctx, c, index, func(l *link) error {
		d.k.deleteBond(l)
		return nil
	})
}

// onBond refuses a link that is no bond: as hardware does, it has no rtnl_link_ops.
func (d bondsDoor) onBond(ctx context.Context, c call, index int, f func(*link) error) error {
	return linksDoor(d).onLink(ctx, c, index, func(l *link) error {
		if l.bond == nil {
			return refuse(syscall.EOPNOTSUPP)
		}
		return f(l)
	})
}
