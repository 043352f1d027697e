package simhost

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

type ovsDoor struct{ *handle }

const ovsName = "Open vSwitch"

// notRunning is what connecting to the socket of a database server that does not
// run leads to.
func (o *ovs) notRunning() error {
	if o.server {
		return nil
	}
	return fmt.Errorf("%w: connecting to var/run/openvswitch/db.sock: %w", host.ErrOVSNotRunning, syscall.ECONNREFUSED)
}

// Bridges implements host.OVS.
func (d ovsDoor) Bridges(ctx context.Context) ([]host.OVSBridge, error) {
	c := call{kind: "ovs.Bridges", object: "all", words: "listing bridges", device: ovsName}
	return run(ctx, d.handle, c, func() ([]host.OVSBridge, error) {
		if err := d.k.ovs.notRunning(); err != nil {
			return nil, err
		}
		var out []host.OVSBridge
		for _, b := range d.k.ovs.ordered() {
			out = append(out, b.state())
		}
		return out, nil
	})
}

// EnsureBridge implements host.OVS.
func (d ovsDoor) EnsureBridge(ctx context.Context, want host.OVSWant) error {
	c := call{
		kind: "ovs.EnsureBridge", object: want.Name, value: want.Uplink.Name, write: true,
		words: fmt.Sprintf("setting up bridge %s with uplink %s", want.Name, want.Uplink.Name), device: ovsName, takes: d.k.opts.Delays.OVS,
	}
	return d.transact(ctx, c, func(o *ovs) error { return o.ensure(want) }, func(o *ovs) error {
		_, p := o.port(want.Uplink.Name)
		switch {
		case p == nil:
			return nil
		case p.iface.OFPort == nil:
			return refusedUplink(fmt.Sprintf("ovs-vswitchd made no bridge %s of datapath type %q; its log says why", want.Name, want.DatapathType))
		case p.iface.Error != "":
			return refusedUplink(p.iface.Error)
		}
		return nil
	})
}

func refusedUplink(text string) error { return fmt.Errorf("%w: %s", host.ErrOVSUplink, text) }

// RemoveBridge implements host.OVS.
func (d ovsDoor) RemoveBridge(ctx context.Context, name, owner string) error {
	c := call{
		kind: "ovs.RemoveBridge", object: name, value: owner, write: true,
		words: "removing bridge " + name, device: ovsName, takes: d.k.opts.Delays.OVS,
	}
	return d.transact(ctx, c, func(o *ovs) error { return o.remove(name, owner) }, func(*ovs) error { return nil })
}

// transact changes the database and waits for ovs-vswitchd, for as long as the
// caller likes.
func (d ovsDoor) transact(ctx context.Context, c call, change, then func(*ovs) error) error {
	taken, err := run(ctx, d.handle, c, func() (bool, error) {
		o := d.k.ovs
		if err := o.notRunning(); err != nil {
			return false, err
		}
		if err := change(o); err != nil {
			return false, err
		}
		if !o.vswitchd {
			return false, nil
		}
		d.k.reconfigureOVS()
		return true, then(o)
	})
	if he, ok := errors.AsType[*host.Error](err); ok && errors.Is(err, host.ErrOVSUplink) {
		he.Text = he.Err.Error()
	}
	if err != nil || taken {
		return err
	}
	<-ctx.Done()
	return c.fail(fmt.Errorf("%w: %w", host.ErrOVSNotTaken, context.Cause(ctx)))
}

// StopOVS ends the database server and ovs-vswitchd, or ovs-vswitchd alone. The
// datapath is the kernel's and stays.
func (k *Kernel) StopOVS(vswitchdOnly bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ovs.vswitchd = false
	k.ovs.server = k.ovs.server && vswitchdOnly
}

// StartOVS starts what StopOVS ended.
func (k *Kernel) StartOVS() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ovs.server, k.ovs.vswitchd = true, true
	k.reconfigureOVS()
}

// AddOVSBridge makes a bridge of somebody else's, as ovs-vsctl add-br does.
func (k *Kernel) AddOVSBridge(name string) error {
	return k.scenario("adding bridge", name, func() error {
		if k.ovs.bridges[name] != nil {
			return refuse(syscall.EEXIST)
		}
		k.ovs.bridges[name] = &ovsBridge{name: name}
		k.reconfigureOVS()
		return nil
	})
}

// RemoveOVSBridge removes a bridge with all its ports, whosever it is.
func (k *Kernel) RemoveOVSBridge(name string) error {
	return k.scenario("removing bridge", name, func() error {
		delete(k.ovs.bridges, name)
		k.reconfigureOVS()
		return nil
	})
}

// AddOVSPort adds a port to a bridge, as ovs-vsctl add-port does.
func (k *Kernel) AddOVSPort(bridge, port string) error {
	return k.scenario("adding port "+port, bridge, func() error {
		b := k.ovs.bridges[bridge]
		if b == nil {
			return refuse(syscall.ENOENT)
		}
		if at, _ := k.ovs.port(port); at != nil {
			return refusal{errno: syscall.EEXIST, text: "the port is on bridge " + at.name}
		}
		p := &ovsPort{name: port}
		p.iface.Name = port
		b.ports = append(b.ports, p)
		k.reconfigureOVS()
		return nil
	})
}

// RemoveOVSPort removes a port from its bridge, as ovs-vsctl del-port does.
func (k *Kernel) RemoveOVSPort(port string) error {
	return k.scenario("removing port", port, func() error {
		b, _ := k.ovs.port(port)
		if b == nil {
			return refuse(syscall.ENOENT)
		}
		kept := b.ports[:0]
		for _, p := range b.ports {
			if p.name != port {
				kept = append(kept, p)
			}
		}
		b.ports = kept
		k.reconfigureOVS()
		return nil
	})
}

// SetOVSColumn sets a key of a map column, named as host.OVSWant.Keys names them:
// "bridge/external_ids". An empty value takes the key away.
func (k *Kernel) SetOVSColumn(bridge, column, key, value string) error {
	return k.scenario("setting "+column, bridge, func() error {
		b := k.ovs.bridges[bridge]
		if b == nil {
			return refuse(syscall.ENOENT)
		}
		entries := map[string]*map[string]string{"bridge/external_ids": &b.externalIDs, "bridge/other_config": &b.otherConfig}
		for _, p := range b.ports {
			if p.externalIDs[host.OVSOwner] != "" {
				entries["uplink/options"], entries["uplink/external_ids"] = &p.iface.Options, &p.iface.ExternalIDs
				entries["uplink/other_config"] = &p.iface.OtherConfig
			}
		}
		at := entries[column]
		if at == nil {
			return errors.New("there is no such column")
		}
		changed := maps.Clone(*at)
		if changed == nil {
			changed = map[string]string{}
		}
		changed[key] = value
		if value == "" {
			delete(changed, key)
		}
		*at = changed
		return nil
	})
}

// dumpOVS writes the database down; the numbers of ports depend on how it came about.
func (k *Kernel) dumpOVS(b *strings.Builder) {
	for _, bridge := range k.ovs.ordered() {
		fmt.Fprintf(b, "ovs bridge %s datapath %q fail mode %q external_ids %v other_config %v\n",
			bridge.name, bridge.datapathType, bridge.failMode, bridge.externalIDs, bridge.otherConfig)
		for _, p := range bridge.state().Ports {
			i := p.Interfaces[0]
			mtu := 0
			if i.MTURequest != nil {
				mtu = *i.MTURequest
			}
			fmt.Fprintf(b, "  port %s owner %q type %q options %v external_ids %v other_config %v mtu_request %d error %q\n",
				p.Name, p.Owner, i.Type, i.Options, i.ExternalIDs, i.OtherConfig, mtu, i.Error)
		}
	}
}
