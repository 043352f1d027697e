package simhost

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// ovs is the Open vSwitch of the machine. Its database, conf.db, is on disk and
// survives reboots; what ovs-vswitchd knows of interfaces does not.
type ovs struct {
	bridges map[string]*ovsBridge
	// server and vswitchd tell that the two daemons run.
	server, vswitchd bool
	// busy: ovs-vswitchd is at work, and its own links are no news to it.
	busy bool
}

func newOVS(installed bool) *ovs {
	return &ovs{bridges: map[string]*ovsBridge{}, server: installed, vswitchd: installed}
}

// restart starts both daemons at boot; what they knew of interfaces is gone.
func (o *ovs) restart(installed bool) {
	o.server, o.vswitchd = installed, installed
	for _, b := range o.bridges {
		for _, p := range b.ports {
			p.iface.OFPort, p.iface.Error = nil, ""
		}
	}
}

// ovsBridge, ovsPort and ovsInterface are rows of the tables of these names.
type ovsBridge struct {
	name, datapathType, failMode string
	externalIDs, otherConfig     map[string]string
	ports                        []*ovsPort
}

type ovsPort struct {
	name        string
	externalIDs map[string]string
	iface       ovsInterface
}

type ovsInterface struct {
	host.OVSInterface
}

// openvswitch is the kind of the links of Open vSwitch, and ovsSystem the one
// that is the master of all ports of the kernel's datapath.
const (
	openvswitch = "openvswitch"
	ovsSystem   = "ovs-system"
)

// Datapath types that ovs-vswitchd knows; it creates no bridge of another one.
const (
	datapathSystem = "system"
	datapathNetdev = "netdev"
)

// port returns a port by name and its bridge; nil if there is none.
func (o *ovs) port(name string) (*ovsBridge, *ovsPort) {
	for _, b := range o.ordered() {
		for _, p := range b.ports {
			if p.name == name {
				return b, p
			}
		}
	}
	return nil, nil
}

func (o *ovs) ordered() []*ovsBridge {
	return slices.SortedFunc(maps.Values(o.bridges), func(a, b *ovsBridge) int { return cmp.Compare(a.name, b.name) })
}

// state is a bridge as the door shows it.
func (b *ovsBridge) state() host.OVSBridge {
	out := host.OVSBridge{
		Name: b.name, DatapathType: b.datapathType, FailMode: b.failMode, OtherConfig: maps.Clone(b.otherConfig),
	}
	out.ExternalIDs, out.Owner, out.Set = host.Unmark(b.externalIDs)
	for _, p := range b.ports {
		_, owner, _ := host.Unmark(p.externalIDs)
		i := p.iface.OVSInterface
		i.Options, i.ExternalIDs, i.OtherConfig = maps.Clone(i.Options), maps.Clone(i.ExternalIDs), maps.Clone(i.OtherConfig)
		out.Ports = append(out.Ports, host.OVSPort{Name: p.name, Owner: owner, Interfaces: []host.OVSInterface{i}})
	}
	slices.SortFunc(out.Ports, func(a, b host.OVSPort) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// ensure changes the database as one transaction does: all of it, or nothing.
func (o *ovs) ensure(want host.OVSWant) error {
	b := o.bridges[want.Name]
	_, owner, _ := host.Unmark(bridgeIDs(b))
	if b != nil && owner != want.Owner {
		return refusal{errno: syscall.EEXIST, text: "bridge " + want.Name + " is not ours"}
	}
	if at, _ := o.port(want.Uplink.Name); at != nil && at != b {
		return refusal{errno: syscall.EBUSY, text: fmt.Sprintf("%s is a port of bridge %s", want.Uplink.Name, at.name)}
	}
	if b == nil {
		b = &ovsBridge{name: want.Name}
		o.bridges[want.Name] = b
	}
	rest, _, set := host.Unmark(b.externalIDs)
	b.datapathType, b.failMode = want.DatapathType, want.FailMode
	b.externalIDs = want.Column("bridge/external_ids", want.ExternalIDs, rest, set)
	maps.Copy(b.externalIDs, want.Marks())
	b.otherConfig = want.Column("bridge/other_config", want.OtherConfig, b.otherConfig, set)
	var uplink *ovsPort
	b.ports = slices.DeleteFunc(b.ports, func(p *ovsPort) bool {
		if p.name == want.Uplink.Name {
			uplink = p
			return false
		}
		return p.externalIDs[host.OVSOwner] == want.Owner
	})
	if uplink == nil {
		uplink = &ovsPort{name: want.Uplink.Name}
		uplink.iface.Name = want.Uplink.Name
		b.ports = append(b.ports, uplink)
	}
	if uplink.externalIDs == nil {
		uplink.externalIDs = map[string]string{}
	}
	uplink.externalIDs[host.OVSOwner] = want.Owner
	i := &uplink.iface
	i.Type, i.MTURequest = want.Uplink.Type, want.Uplink.MTURequest
	i.Options = want.Column("uplink/options", want.Uplink.Options, i.Options, set)
	i.ExternalIDs = want.Column("uplink/external_ids", want.Uplink.ExternalIDs, i.ExternalIDs, set)
	i.OtherConfig = want.Column("uplink/other_config", want.Uplink.OtherConfig, i.OtherConfig, set)
	return nil
}

func bridgeIDs(b *ovsBridge) map[string]string {
	if b == nil {
		return nil
	}
	return b.externalIDs
}

// remove is the transaction that removes a bridge.
func (o *ovs) remove(name, owner string) error {
	b := o.bridges[name]
	if b == nil {
		return nil
	}
	if b.externalIDs[host.OVSOwner] != owner {
		return refusal{errno: syscall.EPERM, text: "bridge " + name + " is not ours"}
	}
	for _, p := range b.ports {
		if p.externalIDs[host.OVSOwner] != owner {
			return refusal{errno: syscall.EBUSY, text: fmt.Sprintf("bridge %s has port %s besides the uplink", name, p.name)}
		}
	}
	delete(o.bridges, name)
	return nil
}

// ovsChanged lets ovs-vswitchd look at the netdevs again after a change of them, as
// its if-notifier does (vswitchd/bridge.c, bridge_run).
func (k *Kernel) ovsChanged() {
	if k.ovs == nil || k.ovs.busy || len(k.ovs.bridges) == 0 {
		return
	}
	k.later(k.opts.Delays.OVS, k.reconfigureOVS)
}

// reconfigureOVS is bridge_reconfigure in vswitchd/bridge.c: what the database
// wants comes about, and what it does not want goes.
func (k *Kernel) reconfigureOVS() {
	if !k.ovs.vswitchd || !k.ovs.server {
		return
	}
	k.ovs.busy = true
	defer func() { k.ovs.busy = false }()
	wanted := map[*link]bool{}
	internal := map[string]bool{}
	for _, b := range k.ovs.ordered() {
		switch cmp.Or(b.datapathType, datapathSystem) {
		case datapathSystem:
			internal[ovsSystem], internal[b.name] = true, true
		case datapathNetdev:
			internal[b.name] = true
		default:
			// ofproto_create fails, and the bridge's interfaces are not looked at.
			for _, p := range b.ports {
				p.iface.OFPort = nil
			}
			continue
		}
		k.ovsLinks(internal)
		for _, p := range b.ports {
			if l := k.attachPort(b, p); l != nil {
				wanted[l] = true
			}
		}
	}
	for _, l := range slices.Clone(k.links.ordered) {
		if l.datapath != nil && !wanted[l] {
			k.guardUplink(l, "detaching from Open vSwitch")
			l.datapath = nil
			k.netlink(l)
		}
	}
	for _, l := range slices.Clone(k.links.ordered) {
		if l.kind == openvswitch && !internal[l.name] {
			k.removeLink(l)
		}
	}
}

// ovsLinks makes the links of bridges.
func (k *Kernel) ovsLinks(names map[string]bool) {
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if k.links.byName[name] == nil {
			k.addLink(&link{name: name, mac: "0e:05:00:00:00:00", mtu: 1500, role: roleOther, kind: openvswitch})
		}
	}
}

// attachPort is iface_do_create in vswitchd/bridge.c, and returns the netdev that
// is a port now.
func (k *Kernel) attachPort(b *ovsBridge, p *ovsPort) *link {
	i := &p.iface
	fail := func(format string, args ...any) *link {
		none := -1
		i.Error, i.OFPort = fmt.Sprintf(format, args...), &none
		return nil
	}
	l := k.links.byName[p.name]
	switch {
	case i.Type != "" && i.Type != datapathSystem:
		return fail("could not open network device %s (Address family not supported by protocol)", p.name)
	case l == nil:
		return fail("could not open network device %s (No such device)", p.name)
	// netdev_master_upper_dev_link, in ovs_netdev_link of net/openvswitch/vport-netdev.c.
	case l.master != nil:
		return fail("could not add network device %s to ofproto (Device or resource busy)", p.name)
	case l.fn != nil && l.fn.class == classIB:
		return fail("could not add network device %s to ofproto (Invalid argument)", p.name)
	}
	i.Error = ""
	if i.OFPort == nil || *i.OFPort < 0 {
		i.OFPort = b.freePort()
	}
	if i.MTURequest != nil {
		// iface_set_netdev_mtu logs what it cannot do.
		_ = k.setMTU(l, *i.MTURequest)
	}
	if master := k.links.byName[ovsSystem]; cmp.Or(b.datapathType, datapathSystem) == datapathSystem && l.datapath != master {
		k.guardUplink(l, "attaching to Open vSwitch")
		l.datapath = master
		k.netlink(l)
	}
	return l
}

// guardUplink forbids what interrupts the node's own network.
func (k *Kernel) guardUplink(l *link, what string) {
	if l.fn != nil && l.role == rolePF {
		k.guardNodeNetwork(l.fn, what)
	}
}

// freePort is the lowest OpenFlow port number that nobody has.
func (b *ovsBridge) freePort() *int {
	for n := 1; ; n++ {
		if !slices.ContainsFunc(b.ports, func(p *ovsPort) bool { return p.iface.OFPort != nil && *p.iface.OFPort == n }) {
			return &n
		}
	}
}

// offloadsFlows tells whether Open vSwitch has flows in the eswitch of a PF: each
// one keeps its mode (mlx5_esw_get in mlx5e_tc_add_fdb_flow).
func offloadsFlows(fn *function) bool {
	return fn.netdev != nil && fn.netdev.datapath != nil && fn.pf.mode == modeSwitchdev && fn.netdev.offload
}
