package simhost

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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

// setMode is the eswitch_mode_set of the PF's driver.
func (k *Kernel) setMode(fn *function, mode string) error {
	if fn.pf == nil || !fn.card.eswitch || fn.card.rules.fixed {
		k.forbid(fn.address + ": setting the mode of a device without eswitch")
		return refuse(syscall.EOPNOTSUPP)
	}
	if mode != modeLegacy && mode != modeSwitchdev {
		k.forbid(fmt.Sprintf("%s: setting eswitch mode %q", fn.address, mode))
		return refuse(syscall.EINVAL)
	}
	r := fn.card.rules
	if mode == fn.pf.mode {
		if r.sameRefused {
			k.forbid(fn.address + ": setting the eswitch mode that is in force")
			k.printk(fn, "%s: already in %s eswitch mode", fn.netdev.name, mode)
			return refuse(syscall.EINVAL)
		}
		return nil
	}
	k.guardPods(fn, "changing the eswitch mode")
	k.guardNodeNetwork(fn, "changing the eswitch mode")
	if err := k.checkVFs(fn, mode); err != nil {
		return err
	}
	// mlx5_lag_disable_change
	k.stopLAG(fn.card)
	k.changeMode(fn, mode)
	return nil
}

// checkVFs refuses a change of the mode for the VFs that are there, or are not.
func (k *Kernel) checkVFs(fn *function, mode string) error {
	r, vfs := fn.card.rules, fn.pf.numVFs
	forbid := func(what string) {
		if !r.trial {
			k.forbid(fn.address + ": " + what)
		}
	}
	switch {
	case fn.driver == "mlx5_core" && offloadsFlows(fn):
		forbid("changing the eswitch mode while Open vSwitch offloads to it")
		return refusal{errno: syscall.EBUSY, text: fn.driver + ": Can't change mode, E-Switch is busy"}
	case r.unbound && bound(fn):
		forbid("changing the eswitch mode while VFs are bound")
		return refusal{errno: syscall.EBUSY, text: fn.driver + ": Can't change mode, E-Switch is busy"}
	case r.noVFs && vfs > 0:
		forbid("changing the eswitch mode while there are VFs")
		text := "Changing eswitch mode is allowed only if there is no VFs created"
		k.printk(fn, "%s", text)
		return refusal{errno: syscall.EOPNOTSUPP, text: fn.driver + ": " + text}
	case r.needsVFs && vfs == 0 && mode == modeSwitchdev:
		if r.sameRefused {
			k.printk(fn, "%s: Enable VFs before setting switchdev mode", fn.netdev.name)
			return refuse(syscall.EPERM)
		}
		return refusal{errno: syscall.EINVAL, text: fn.driver + ": Can't set offloads mode, SRIOV legacy not enabled"}
	}
	return nil
}

func (k *Kernel) changeMode(fn *function, mode string) {
	p := fn.pf
	p.mode = mode
	clear(p.admin)
	k.dropRepresentors(fn)
	if l := fn.netdev; l != nil && fn.card.rules.down {
		l.up, l.linked, l.offload = false, false, false
		k.netlink(l)
	}
	k.wantRepresentors(fn)
	k.bondChanged(fn.card)
}

// setInline is mlx5_devlink_eswitch_inline_mode_set.
func (k *Kernel) setInline(fn *function, mode string) error {
	if fn.pf == nil || !fn.card.eswitch || fn.card.inline == "" {
		k.forbid(fn.address + ": setting the inline mode of a device that has none")
		return refuse(syscall.EOPNOTSUPP)
	}
	if !slices.Contains([]string{inlineNone, "link", "network", "transport"}, mode) {
		return refuse(syscall.EINVAL)
	}
	if !fn.card.inlineSettable {
		if mode == inlineNone {
			return nil
		}
		k.forbid(fn.address + ": setting an inline mode that cannot be set")
		return refusal{errno: syscall.EOPNOTSUPP, text: fn.driver + ": Inline mode can't be set"}
	}
	if bound(fn) {
		k.forbid(fn.address + ": setting the inline mode while VFs are bound")
		return refusal{errno: syscall.EINVAL, text: fn.driver + ": Failed to set min inline on vport"}
	}
	fn.pf.inline = mode
	return nil
}

const inlineNone = "none"

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

// setParam is the setter of a runtime parameter.
func (k *Kernel) setParam(fn *function, name, value string) error {
	if name != paramSteering || fn.pf == nil || len(fn.card.steering) == 0 || fn.card.compatSteering {
		return refuse(syscall.EINVAL)
	}
	return k.setSteering(fn, value)
}

// setSteering is mlx5_fs_mode_validate and the setter behind it.
func (k *Kernel) setSteering(fn *function, value string) error {
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

// compatDevlink is what MLNX_OFED has below the netdev of a PF. A file cannot
// carry an extended acknowledgement: the driver's words go to the kernel log.
func (k *Kernel) compatDevlink(l *link) *node {
	if l.role != rolePF || !l.fn.card.compatSteering || l.fn.pf.steering == "" {
		return nil
	}
	fn := l.fn
	steering := text(fn.pf.steering)
	steering.write = func(data string) error {
		err := k.setSteering(fn, strings.TrimSpace(data))
		if r, ok := errors.AsType[refusal](err); ok {
			k.printk(fn, "%s", strings.TrimPrefix(r.text, fn.driver+": "))
			return refuse(r.errno)
		}
		return err
	}
	return folder(entry{"devlink", func() *node {
		return folder(
			entry{"mode", func() *node { return text(fn.pf.mode) }},
			entry{"steering_mode", func() *node { return steering }},
		)
	}})
}

func steeringWords(value string) string {
	if value == "hmfs" {
		return "Hardware"
	}
	return "Software"
}
