package simhost

import (
	"fmt"
	"slices"
	"syscall"
)

// devlinkInstance returns the function of a devlink handle; ENODEV when it has
// no instance.
func (k *Kernel) devlinkInstance(bus, device string) (*function, error) {
	fn := k.functions[device]
	if bus != "pci" || fn == nil || fn.card == nil || !fn.card.devlink || fn.driver != fn.native {
		return nil, refuse(syscall.ENODEV)
	}
	return fn, nil
}

// setMode is mlx5_devlink_eswitch_mode_set.
func (k *Kernel) setMode(fn *function, mode string) error {
	if fn.pf == nil || !fn.card.eswitch {
		k.forbid(fn.address + ": setting the mode of a device without eswitch")
		return refuse(syscall.EOPNOTSUPP)
	}
	if mode != modeLegacy && mode != modeSwitchdev {
		k.forbid(fmt.Sprintf("%s: setting eswitch mode %q", fn.address, mode))
		return refuse(syscall.EINVAL)
	}
	if mode == fn.pf.mode {
		return nil
	}
	k.guardPods(fn, "changing the eswitch mode")
	k.guardNodeNetwork(fn, "changing the eswitch mode")
	if bound(fn) {
		k.forbid(fn.address + ": changing the eswitch mode while VFs are bound")
		return refusal{errno: syscall.EBUSY, text: fn.driver + ": Can't change mode, E-Switch is busy"}
	}
	// mlx5_lag_disable_change
	k.stopLAG(fn.card)
	k.changeMode(fn, mode)
	return nil
}

func (k *Kernel) changeMode(fn *function, mode string) {
	p := fn.pf
	p.mode = mode
	clear(p.admin)
	k.dropRepresentors(fn)
	if l := fn.netdev; l != nil {
		l.up, l.linked, l.offload = false, false, false
		k.netlink(l)
	}
	k.wantRepresentors(fn)
	k.bondChanged(fn.card)
}

// bound tells whether any VF of a PF has a driver.
func bound(pf *function) bool {
	return slices.ContainsFunc(pf.pf.vfs, func(vf *function) bool { return vf.driver != "" })
}

// wantRepresentors makes a representor for every VF, in switchdev mode.
func (k *Kernel) wantRepresentors(fn *function) {
	p := fn.pf
	if p.mode != modeSwitchdev || len(p.vfs) == 0 {
		return
	}
	generation := p.generation
	k.later(k.opts.Delays.Representor, func() {
		if p.generation != generation || p.mode != modeSwitchdev {
			return
		}
		for _, vf := range p.vfs {
			if p.reps[vf.index] == nil {
				k.addRepresentor(fn, vf.index)
			}
		}
	})
}

func (k *Kernel) addRepresentor(fn *function, index int) {
	c := fn.card
	l := &link{
		name: fmt.Sprintf("%sr%d", baseName(c.names[fn.pf.port]), index),
		mac:  fn.pf.vf(index).at.mac("0a:5e"), mtu: 1500, role: roleRepresentor, fn: fn, vf: index,
		offload: c.offload && !c.plainRepresentors,
	}
	fn.pf.reps[index] = l
	fn.others = append(fn.others, l)
	k.addLink(l)
}

func (k *Kernel) dropRepresentors(fn *function) {
	for _, l := range fn.others {
		k.removeLink(l)
	}
	fn.others = nil
	clear(fn.pf.reps)
}

const paramSteering = "flow_steering_mode"

// setParam is mlx5_fs_mode_validate and the setter behind it.
func (k *Kernel) setParam(fn *function, name, value string) error {
	if name != paramSteering || fn.pf == nil || len(fn.card.steering) == 0 {
		return refuse(syscall.EINVAL)
	}
	if !slices.Contains(fn.card.steering, value) {
		if value == "smfs" || value == "hmfs" {
			return refusal{errno: syscall.EOPNOTSUPP, text: fn.driver + ": " + steeringWords(value) + " managed steering is not supported by current device"}
		}
		return refusal{errno: syscall.EINVAL, text: fn.driver + `: Bad parameter: supported values are ["dmfs", "smfs", "hmfs"]`}
	}
	if fn.pf.mode == modeSwitchdev {
		k.forbid(fn.address + ": changing the steering mode in switchdev mode")
		return refusal{errno: syscall.EOPNOTSUPP, text: fn.driver + ": Changing fs mode is not supported when eswitch offloads enabled."}
	}
	fn.pf.steering = value
	return nil
}

func steeringWords(value string) string {
	if value == "hmfs" {
		return "Hardware"
	}
	return "Software"
}
