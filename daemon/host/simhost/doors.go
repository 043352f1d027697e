package simhost

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

type nothing = struct{}

type devlinkDoor struct{ *handle }

// Eswitch implements host.Devlink.
func (d devlinkDoor) Eswitch(ctx context.Context, h host.DevlinkHandle) (host.Eswitch, error) {
	c := call{kind: "devlink.Eswitch", object: h.String(), words: "reading the eswitch mode", device: h.Device, lock: h.Device}
	return run(ctx, d.handle, c, func() (host.Eswitch, error) {
		fn, err := d.k.devlinkInstance(h.Bus, h.Device)
		if err != nil {
			return host.Eswitch{}, err
		}
		if fn.pf == nil || !fn.card.eswitch {
			return host.Eswitch{}, refuse(syscall.EOPNOTSUPP)
		}
		return host.Eswitch{Mode: fn.pf.mode, InlineMode: fn.pf.inline, EncapMode: fn.card.encap}, nil
	})
}

// SetEswitchMode implements host.Devlink.
func (d devlinkDoor) SetEswitchMode(ctx context.Context, h host.DevlinkHandle, mode string) error {
	c := call{
		kind: "devlink.SetEswitchMode", object: h.String(), value: mode, write: true,
		words: "setting eswitch mode " + mode, device: h.Device, lock: h.Device, takes: d.k.opts.Delays.Eswitch,
	}
	_, err := run(ctx, d.handle, c, func() (nothing, error) {
		fn, err := d.k.devlinkInstance(h.Bus, h.Device)
		if err != nil {
			d.k.forbid(h.Device + ": setting the eswitch mode of a device without devlink")
			return nothing{}, err
		}
		return nothing{}, d.k.setMode(fn, mode)
	})
	return err
}

// SetInlineMode implements host.Devlink.
func (d devlinkDoor) SetInlineMode(ctx context.Context, h host.DevlinkHandle, mode string) error {
	c := call{
		kind: "devlink.SetInlineMode", object: h.String(), value: mode, write: true,
		words: "setting inline mode " + mode, device: h.Device, lock: h.Device,
	}
	_, err := run(ctx, d.handle, c, func() (nothing, error) {
		fn, err := d.k.devlinkInstance(h.Bus, h.Device)
		if err != nil {
			return nothing{}, err
		}
		return nothing{}, d.k.setInline(fn, mode)
	})
	return err
}

// SetParam implements host.Devlink.
func (d devlinkDoor) SetParam(ctx context.Context, h host.DevlinkHandle, name, value string) error {
	c := call{
		kind: "devlink.SetParam", object: h.String() + "/" + name, value: value, write: true,
		words: "setting parameter " + name + " to " + value, device: h.Device, lock: h.Device,
	}
	_, err := run(ctx, d.handle, c, func() (nothing, error) {
		fn, err := d.k.devlinkInstance(h.Bus, h.Device)
		if err != nil {
			return nothing{}, err
		}
		return nothing{}, d.k.setParam(fn, name, value)
	})
	return err
}

// Info implements host.Devlink.
func (d devlinkDoor) Info(ctx context.Context, h host.DevlinkHandle) (host.DevlinkInfo, error) {
	c := call{kind: "devlink.Info", object: h.String(), words: "reading the device information", device: h.Device, lock: h.Device}
	return run(ctx, d.handle, c, func() (host.DevlinkInfo, error) {
		fn, err := d.k.devlinkInstance(h.Bus, h.Device)
		if err != nil {
			return host.DevlinkInfo{}, err
		}
		versions := map[string]string{fn.card.firmwareVersion: fn.card.firmware}
		switch fn.card.firmwareVersion {
		case "fw.version":
			versions["fw"] = fn.card.firmware
		case "fw.app":
			versions["fw.mgmt"] = "22.09.0-3"
		}
		fixed := map[string]string{}
		if fn.card.psid != "" {
			fixed["fw.psid"] = fn.card.psid
		}
		if fn.card.board != "" {
			fixed["board.id"] = fn.card.board
		}
		return host.DevlinkInfo{
			Driver:       fn.driver,
			SerialNumber: "MT" + strings.ReplaceAll(fn.card.macs[0], ":", ""),
			Fixed:        fixed,
			Running:      versions,
			Stored:       maps.Clone(versions),
		}, nil
	})
}

// Param implements host.Devlink.
func (d devlinkDoor) Param(ctx context.Context, h host.DevlinkHandle, name string) (string, error) {
	c := call{kind: "devlink.Param", object: h.String() + "/" + name, words: "reading parameter " + name, device: h.Device, lock: h.Device}
	return run(ctx, d.handle, c, func() (string, error) {
		fn, err := d.k.devlinkInstance(h.Bus, h.Device)
		if err != nil {
			return "", err
		}
		if name != paramSteering || fn.pf == nil || fn.pf.steering == "" || fn.card.compatSteering {
			return "", refuse(syscall.EINVAL)
		}
		return fn.pf.steering, nil
	})
}

// PermanentParam implements host.Devlink.
func (d devlinkDoor) PermanentParam(ctx context.Context, h host.DevlinkHandle, name string) (int, error) {
	c := call{kind: "devlink.PermanentParam", object: h.String() + "/" + name, words: "reading parameter " + name, device: h.Device, lock: h.Device}
	return run(ctx, d.handle, c, func() (int, error) {
		fn, err := d.k.devlinkInstance(h.Bus, h.Device)
		if err != nil {
			return 0, err
		}
		return d.k.permanentParam(fn, name)
	})
}

// Ports implements host.Devlink.
func (d devlinkDoor) Ports(ctx context.Context) ([]host.DevlinkPort, error) {
	c := call{kind: "devlink.Ports", object: "all", words: "listing ports", device: "devlink", lock: allLocks}
	return run(ctx, d.handle, c, func() ([]host.DevlinkPort, error) {
		var out []host.DevlinkPort
		for _, card := range d.k.cards {
			for _, fn := range card.ports {
				if card.devlink && fn.driver == fn.native {
					out = append(out, portsOf(fn)...)
				}
			}
		}
		return out, nil
	})
}

// portsOf lists a PF's devlink ports and those of its VFs' own instances;
// indexes as in mlx5_esw_vport_to_devlink_port_index.
func portsOf(fn *function) []host.DevlinkPort {
	h, base := host.DevlinkOf(fn.address), uint32(fn.pf.port)<<16
	uplink := host.DevlinkPort{Handle: h, Index: base | 0xffff, Flavour: "physical"}
	out := []host.DevlinkPort{withNetdev(uplink, fn.netdev)}
	for _, l := range fn.physical {
		if l.role == rolePort {
			out = append(out, withNetdev(host.DevlinkPort{Handle: h, Index: base | uint32(l.port), Flavour: "physical"}, l))
		}
	}
	for _, l := range fn.others {
		if !fn.card.representorPorts {
			break
		}
		pf, vf := fn.pf.port, l.vf
		p := host.DevlinkPort{Handle: h, Index: base | uint32(vf+1), Flavour: "pcivf", PFNumber: &pf, VFNumber: &vf}
		out = append(out, withNetdev(p, l))
	}
	for _, vf := range fn.pf.vfs {
		if vf.driver == vf.native {
			p := host.DevlinkPort{Handle: host.DevlinkOf(vf.address), Index: 1, Flavour: "virtual"}
			out = append(out, withNetdev(p, vf.netdev))
		}
	}
	return out
}

func withNetdev(p host.DevlinkPort, l *link) host.DevlinkPort {
	if l != nil && l.pod == "" {
		p.NetdevIndex, p.NetdevName = l.index, l.name
	}
	return p
}

type linksDoor struct{ *handle }

// List implements host.Links.
func (d linksDoor) List(ctx context.Context) ([]host.Link, error) {
	c := call{kind: "links.List", object: "all", words: "listing links", device: "rtnetlink"}
	return run(ctx, d.handle, c, func() ([]host.Link, error) {
		out := make([]host.Link, 0, len(d.k.links.ordered))
		for _, l := range d.k.links.ordered {
			out = append(out, d.k.describe(l))
		}
		return out, nil
	})
}

func (k *Kernel) describe(l *link) host.Link {
	out := host.Link{
		Index: l.index, Name: l.name, AltNames: append([]string(nil), l.altNames...),
		MAC: l.mac, MTU: l.mtu, Up: l.up, Carrier: k.carrier(l),
		SwitchID: switchID(l), PortName: portName(l), ParentDevice: l.parent,
	}
	if l.fn != nil {
		out.ParentDevice = l.fn.address
		out.Infiniband = l.fn.class == classIB
	}
	if l.master != nil {
		out.MasterIndex = l.master.index
	}
	if l.datapath != nil {
		out.MasterIndex = l.datapath.index
	}
	out.Kind = l.kind
	if l.bond != nil {
		out.Kind, out.BondMode = "bond", l.bond.Mode
		if m := k.activeMember(l.bond); m != nil {
			out.BondActive = m.index
		}
	}
	return out
}

// VFs implements host.Links.
func (d linksDoor) VFs(ctx context.Context, index int) ([]host.LinkVF, error) {
	c := d.call("links.VFs", index, "listing VFs")
	return run(ctx, d.handle, c, func() ([]host.LinkVF, error) {
		l := d.k.links.byIndex[index]
		if l == nil {
			return nil, refuse(syscall.ENODEV)
		}
		if l.role != rolePF {
			return nil, nil
		}
		out := make([]host.LinkVF, 0, l.fn.pf.numVFs)
		for i := range l.fn.pf.numVFs {
			vf := host.LinkVF{Index: i, MAC: reportedVFMAC(l.fn, i)}
			if l.fn.class == classIB && !l.fn.card.silentGUIDs {
				vf.GUID, vf.NodeGUID, vf.ReportsGUID = l.fn.pf.guids[i], l.fn.pf.guids[i], true
			}
			out = append(out, vf)
		}
		return out, nil
	})
}

// NodeNetwork implements host.Links.
func (d linksDoor) NodeNetwork(ctx context.Context) (map[int]string, error) {
	c := call{kind: "links.NodeNetwork", object: "all", words: "listing routes and addresses", device: "rtnetlink"}
	return run(ctx, d.handle, c, func() (map[int]string, error) {
		out := map[int]string{}
		for _, l := range d.k.links.ordered {
			if why := d.k.nodeNetworkOf(l); why != "" && !d.k.systemd.noNetwork {
				out[l.index] = why
			}
		}
		return out, nil
	})
}

// SetUp implements host.Links.
func (d linksDoor) SetUp(ctx context.Context, index int, up bool) error {
	state := "down"
	if up {
		state = "up"
	}
	c := d.change("links.SetUp", index, state, "setting "+state)
	return d.onLink(ctx, c, index, func(l *link) error {
		d.k.setUp(l, up)
		return nil
	})
}

// SetMTU implements host.Links.
func (d linksDoor) SetMTU(ctx context.Context, index, mtu int) error {
	c := d.change("links.SetMTU", index, fmt.Sprint(mtu), fmt.Sprintf("setting MTU %d", mtu))
	return d.onLink(ctx, c, index, func(l *link) error { return d.k.setMTU(l, mtu) })
}

// SetVFMAC implements host.Links.
func (d linksDoor) SetVFMAC(ctx context.Context, index, vf int, mac string) error {
	value := fmt.Sprintf("%d %s", vf, mac)
	c := d.change("links.SetVFMAC", index, value, fmt.Sprintf("setting MAC %s on VF %d", mac, vf))
	return d.onLink(ctx, c, index, func(l *link) error { return d.k.setVFMAC(l, vf, mac) })
}

func (d linksDoor) onLink(ctx context.Context, c call, index int, f func(*link) error) error {
	_, err := run(ctx, d.handle, c, func() (nothing, error) {
		l := d.k.links.byIndex[index]
		if l == nil {
			return nothing{}, refuse(syscall.ENODEV)
		}
		return nothing{}, f(l)
	})
	return err
}

func (d linksDoor) call(kind string, index int, words string) call {
	d.k.mu.Lock()
	defer d.k.mu.Unlock()
	name := fmt.Sprintf("ifindex %d", index)
	if l := d.k.links.byIndex[index]; l != nil {
		name = l.name
	}
	return call{kind: kind, object: name, words: words, device: name}
}

func (d linksDoor) change(kind string, index int, value, words string) call {
	c := d.call(kind, index, words)
	c.write, c.value = true, value
	return c
}

type ethtoolDoor struct{ *handle }

// FirmwareVersion implements host.Ethtool.
func (d ethtoolDoor) FirmwareVersion(ctx context.Context, netdev string) (string, error) {
	c := call{kind: "ethtool.FirmwareVersion", object: netdev, words: "reading the firmware version", device: netdev}
	return run(ctx, d.handle, c, func() (string, error) {
		l := d.k.links.byName[netdev]
		if l == nil {
			return "", refuse(syscall.ENODEV)
		}
		return l.firmwareVersion(), nil
	})
}

// Feature implements host.Ethtool.
func (d ethtoolDoor) Feature(ctx context.Context, netdev, feature string) (host.Feature, error) {
	c := call{kind: "ethtool.Feature", object: netdev + "/" + feature, words: "reading feature " + feature, device: netdev}
	return run(ctx, d.handle, c, func() (host.Feature, error) {
		l, err := d.k.featured(netdev, feature)
		if err != nil {
			return host.Feature{}, err
		}
		return host.Feature{On: l.offload, Fixed: !l.canOffload()}, nil
	})
}

// SetFeature implements host.Ethtool. The kernel itself accepts a change of a
// fixed feature and ignores it (ETHTOOL_SFEATURES); the door says so.
func (d ethtoolDoor) SetFeature(ctx context.Context, netdev, feature string, on bool) error {
	c := call{
		kind: "ethtool.SetFeature", object: netdev + "/" + feature, value: fmt.Sprint(on), write: true,
		words: fmt.Sprintf("setting feature %s to %t", feature, on), device: netdev,
	}
	_, err := run(ctx, d.handle, c, func() (nothing, error) {
		l, err := d.k.featured(netdev, feature)
		if err != nil {
			return nothing{}, err
		}
		if l.offload == on {
			return nothing{}, nil
		}
		if !l.canOffload() {
			d.k.forbid(fmt.Sprintf("%s: setting %s, which is fixed", netdev, feature))
			return nothing{}, refuse(syscall.EOPNOTSUPP)
		}
		l.offload = on
		d.k.netlink(l)
		return nothing{}, nil
	})
	return err
}

// featured returns the netdev if it knows the feature.
func (k *Kernel) featured(netdev, feature string) (*link, error) {
	l := k.links.byName[netdev]
	if l == nil {
		return nil, refuse(syscall.ENODEV)
	}
	if feature != host.FeatureHWTCOffload {
		return nil, refuse(syscall.ENOENT)
	}
	return l, nil
}

func (l *link) canOffload() bool {
	return l.fn != nil && l.fn.card != nil && l.fn.card.offload && !l.fn.card.infiniband
}

type podsDoor struct{ *handle }

// DeviceOwners implements host.Pods.
func (d podsDoor) DeviceOwners(ctx context.Context) (map[string]string, error) {
	c := call{kind: "pods.DeviceOwners", object: "all", words: "listing pod resources", device: "kubelet"}
	return run(ctx, d.handle, c, func() (map[string]string, error) {
		if d.k.pods.err != nil {
			return nil, d.k.pods.err
		}
		if d.k.systemd.noKubelet {
			return nil, refuse(syscall.ECONNREFUSED)
		}
		return maps.Clone(d.k.pods.owners), nil
	})
}

type logDoor struct{ *handle }

// Recent implements host.Log.
func (d logDoor) Recent(ctx context.Context, device string, most int) ([]string, error) {
	c := call{kind: "log.Recent", object: device, words: "reading the kernel log", device: device}
	return run(ctx, d.handle, c, func() ([]string, error) {
		var out []string
		for i := len(d.k.log) - 1; i >= 0 && len(out) < most; i-- {
			if strings.Contains(d.k.log[i], device) {
				out = append(out, d.k.log[i])
			}
		}
		for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
			out[i], out[j] = out[j], out[i]
		}
		return out, nil
	})
}
