package simhost

import (
	"fmt"
	"slices"
	"syscall"
)

// lag is the state of a card's link aggregation in hardware.
type lag struct {
	active bool
	// kind is "switchdev" for VF-LAG and "roce" otherwise.
	kind string
	// broken: the LAG could not be taken down because VFs were bound; only a
	// driver restart helps.
	broken bool
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

// offloadsBonds tells whether the driver makes a LAG of a bond.
func (c *card) offloadsBonds() bool { return c != nil && c.driver == "mlx5_core" }

// bondChanged looks at a card's LAG again, later, as mlx5's work queue does.
func (k *Kernel) bondChanged(c *card) {
	if !c.offloadsBonds() {
		return
	}
	k.later(k.opts.Delays.LAG, func() { k.updateLAG(c) })
}

// updateLAG is mlx5_do_bond in drivers/net/ethernet/mellanox/mlx5/core/lag/lag.c.
func (k *Kernel) updateLAG(c *card) {
	kind, obstacle, wanted := wantedLAG(c)
	if obstacle != "" {
		k.printk(c.ports[0], "Can't activate LAG offload, %s", obstacle)
	}
	if c.lag.active && (!wanted || kind != c.lag.kind) {
		k.stopLAG(c)
	}
	if !wanted || c.lag.active && !c.lag.broken {
		return
	}
	// After a LAG that could not be taken down, the firmware makes no other.
	if c.lag.broken || slices.ContainsFunc(c.ports, bound) {
		k.printk(c.ports[0], "Failed to activate VF LAG\nMake sure all VFs are unbound prior to VF LAG activation or deactivation")
		return
	}
	c.lag = lag{active: true, kind: kind}
	k.printk(c.ports[0], "lag map: port 1:1 port 2:2")
	k.printk(c.ports[0], "shared_fdb:%d mode:%s", map[bool]int{true: 1}[kind == "switchdev"], kind)
}

// wantedLAG tells whether the bonds ask for a LAG over a card's ports, and what
// of the bond or the ports stands in its way (mlx5_handle_changeupper_event).
func wantedLAG(c *card) (kind, obstacle string, wanted bool) {
	var b *link
	vfs, switchdev := 0, 0
	for _, fn := range c.ports {
		if fn.netdev == nil || fn.netdev.master == nil || fn.netdev.master.bond == nil {
			return "", "", false
		}
		if b != nil && b != fn.netdev.master {
			return "", "", false
		}
		b = fn.netdev.master
		vfs += fn.pf.numVFs
		if fn.pf.mode == modeSwitchdev {
			switchdev++
		}
	}
	if b == nil || len(c.ports) != 2 || len(b.bond.members) != 2 {
		return "", "", false
	}
	if _, ok := offloadable(b.bond.Mode); !ok {
		return "", "TX type isn't supported", false
	}
	switch {
	case switchdev == 2 && c.lagVFs > 0 && slices.ContainsFunc(c.ports, func(fn *function) bool { return fn.pf.numVFs > c.lagVFs }):
		return "", fmt.Sprintf("PF is configured with more than %d VFs", c.lagVFs), false
	case switchdev == 2:
		return "switchdev", "", true
	case switchdev == 0 && vfs == 0:
		return "roce", "", true
	default:
		return "", "", false
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

// noteEarly remembers that a VF is bound of a NIC that is to have a VF-LAG and has
// none: the VF keeps it away for good. It is a mistake of callers who want the LAG.
func (k *Kernel) noteEarly(fn *function) {
	if fn.parent == nil || !k.counted || !fn.card.offloadsBonds() {
		return
	}
	kind, _, wanted := wantedLAG(fn.card)
	if wanted && kind == modeSwitchdev && (!fn.card.lag.active || fn.card.lag.broken) {
		k.early = append(k.early, fn.address)
	}
}

// EarlyBinds returns, once, the VFs that counted callers have bound while the bond
// over the ports of their NIC was not offloaded yet.
func (k *Kernel) EarlyBinds() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := k.early
	k.early = nil
	return out
}

// debugMlx5 is the LAG state of drivers/net/ethernet/mellanox/mlx5/core/lag/debugfs.c.
func (k *Kernel) debugMlx5() *node {
	if k.opts.NoDebugfs {
		return nil
	}
	return dynamic(func() []string {
		var out []string
		for a, fn := range k.functions {
			if fn.pf != nil && fn.driver == "mlx5_core" {
				out = append(out, a)
			}
		}
		return out
	}, func(address string) *node {
		fn := k.functions[address]
		if fn == nil || fn.pf == nil || fn.driver != "mlx5_core" || len(fn.card.ports) != 2 {
			return nil
		}
		return folder(entry{"lag", func() *node { return lagFolder(fn.card.lag) }})
	})
}

// lagFolder: after a LAG that could not be taken down, the driver believes that
// there is none (mlx5_deactivate_lag).
func lagFolder(l lag) *node {
	active := l.active && !l.broken
	state := "disabled"
	if active {
		state = "active"
	}
	// the other files are EINVAL while there is no LAG
	only := func(value string) func() *node {
		return func() *node {
			if !active {
				return unreadable(syscall.EINVAL)
			}
			return text(value)
		}
	}
	return folder(
		entry{"state", func() *node { return text(state) }},
		entry{"type", only(l.kind)},
		entry{"port_sel_mode", only("queue_affinity")},
	)
}
