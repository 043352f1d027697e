package simhost

import (
	"slices"
	"syscall"
)

// pods is what the kubelet knows.
type pods struct {
	owners map[string]string
	err    error
}

// AssignOption refines how a pod gets a VF.
type AssignOption int

// KeepNetdev leaves the VF's netdev in the host's network namespace, as it is for
// a pod with hostNetwork, and until the CNI has moved it.
const KeepNetdev AssignOption = iota

// AssignVF gives a VF to a pod ("namespace/name"): the kubelet's pod resources
// name it, and its netdev, if it has one, moves into the pod's network namespace.
func (k *Kernel) AssignVF(vf, pod string, options ...AssignOption) error {
	return k.scenario("assigning to pod "+pod, vf, func() error {
		fn := k.functions[vf]
		if fn == nil || fn.parent == nil {
			return refuse(syscall.ENODEV)
		}
		if k.pods.owners[vf] != "" {
			return refuse(syscall.EBUSY)
		}
		k.pods.owners[vf] = pod
		if l := fn.netdev; l != nil && !slices.Contains(options, KeepNetdev) {
			k.unlist(l)
			l.pod, l.up = pod, true
		}
		return nil
	})
}

// ReleaseVF ends the pod that holds a VF: its netdev, if there still is one,
// comes back into the host's network namespace, down and under a new ifindex.
func (k *Kernel) ReleaseVF(vf string) error {
	return k.scenario("releasing from its pod", vf, func() error {
		if k.pods.owners[vf] == "" {
			return refuse(syscall.ENODEV)
		}
		delete(k.pods.owners, vf)
		fn := k.functions[vf]
		if fn == nil || fn.netdev == nil || fn.netdev.pod == "" {
			return nil
		}
		fn.netdev.pod, fn.netdev.up = "", false
		k.addLink(fn.netdev)
		return nil
	})
}

// PodsUnavailable lets the kubelet's pod resources fail with err; nil makes
// them work again.
func (k *Kernel) PodsUnavailable(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pods.err = err
}

// SetNodeNetwork says why the node's own network depends on a netdev, e.g.
// "carries the default route"; empty ends it. It survives a reboot.
func (k *Kernel) SetNodeNetwork(netdev, why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.nodeNetwork, netdev)
	if why != "" {
		k.nodeNetwork[netdev] = why
	}
	if l := k.links.byName[netdev]; l != nil {
		k.netlink(l)
	}
}

// RenameLink gives a netdev another name, as udev and CNIs do.
func (k *Kernel) RenameLink(from, to string) error {
	return k.scenario("renaming to "+to, from, func() error {
		l := k.links.byName[from]
		switch {
		case l == nil:
			return refuse(syscall.ENODEV)
		case from == to:
			return nil
		case k.links.byName[to] != nil:
			return refuse(syscall.EEXIST)
		}
		delete(k.links.byName, from)
		l.name = to
		k.links.byName[to] = l
		if why := k.nodeNetwork[from]; why != "" {
			delete(k.nodeNetwork, from)
			k.nodeNetwork[to] = why
		}
		k.netlink(l)
		k.ovsChanged()
		return nil
	})
}

// AddAltName gives a netdev one more name.
func (k *Kernel) AddAltName(netdev, name string) error {
	return k.scenario("adding alternative name "+name, netdev, func() error {
		l := k.links.byName[netdev]
		if l == nil {
			return refuse(syscall.ENODEV)
		}
		l.altNames = append(l.altNames, name)
		k.netlink(l)
		return nil
	})
}

// SetParam sets a devlink runtime parameter of a PF, with the driver's rules.
func (k *Kernel) SetParam(pf, name, value string) error {
	return k.scenario("setting "+name+" to "+value, pf, func() error {
		fn, err := k.devlinkInstance("pci", pf)
		if err != nil {
			return err
		}
		return k.setParam(fn, name, value)
	})
}

// Unplug takes a PF and its VFs off the PCI bus; a reboot finds it again.
func (k *Kernel) Unplug(pf string) error {
	return k.scenario("unplugging", pf, func() error {
		fn := k.functions[pf]
		if fn == nil || fn.pf == nil {
			return refuse(syscall.ENODEV)
		}
		k.detach(fn)
		delete(k.functions, pf)
		fn.card.ports = slices.DeleteFunc(fn.card.ports, func(p *function) bool { return p == fn })
		k.uevent("remove", fn)
		return nil
	})
}
