package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// Input is everything that a plan depends on.
type Input struct {
	Spec     sriovv1.SriovNetworkNodeStateSpec
	Observed inventory.Node
	Owned    ledger.Record
	Drivers  driver.Table
	// Unbound: VFs are made without drivers, whatever the NIC; to bind them is a
	// later stage. For a machine whose network is not up yet.
	Unbound bool
}

// Plan is the ordered difference between desired and observed.
type Plan struct {
	// Chains are independent of each other and may run at the same time.
	Chains []Chain
	// Blockers are differences that cannot be acted on, ordered by PF.
	Blockers []Blocker
	// Warnings are what may go wrong though nothing stops it, ordered by PF.
	Warnings []Blocker
	// Waiting are VFs that are left as they are until their users are gone, ordered
	// by PF. They are neither steps nor blockers, but the PF is not as wanted yet.
	Waiting []Waiting
	// Released are PFs that are back in their first state, that somebody else
	// manages from now on, or of which nothing is ours since the machine booted or
	// got another NIC: the ledger may forget them.
	Released []string
	// ReleasedBonds are bonds that are gone, or that somebody else manages from now
	// on: the ledger may forget them.
	ReleasedBonds []string
	// ReleasedBridges are PFs of which the ledger may forget the bridge: none of ours
	// is there any more.
	ReleasedBridges []string
	// Outlived are PFs of which something else is wanted than what cost the node a
	// connection: the ledger may forget that it did.
	Outlived []string
	// Answered are reasons for reboots, by key, that are none any more: the ledger may
	// forget the reboots.
	Answered []string
	// Unneeded are PFs whose needs of a reboot the ledger may forget.
	Unneeded []string
}

// Waiting are VFs of one PF that have a user, and whose MTU or MAC is not what is
// wanted or cannot be seen.
type Waiting struct {
	PF string
	// VFs by index, ordered.
	VFs []int
}

// String says it in the words of the steps: "0000:3b:00.0: VFs 0-2 wait for their users".
func (w Waiting) String() string {
	if len(w.VFs) == 1 {
		return fmt.Sprintf("%s: %s waits for its user", w.PF, vfsText(w.VFs))
	}
	return fmt.Sprintf("%s: %s wait for their users", w.PF, vfsText(w.VFs))
}

// Chain is the work on one PF, on PFs that depend on each other, or on the node as
// a whole (see OfNode). A failing step ends its chain and no other.
type Chain struct {
	PFs    []string
	Stages []Stage
	Parts  Parts
	// Wants identify what is wanted of each of the PFs, in their order.
	Wants []string
}

// Stage holds steps that may run at the same time; stages run one after the other.
type Stage []Step

// Blocker is a difference on a PF that cannot be acted on.
type Blocker struct {
	// PF is empty when the blocker concerns the node as a whole.
	PF string
	sriovv1.Blocker
}

// Step is one effect. Its concrete types are in steps.go; String is the short
// text that users see, e.g. "0000:3b:00.0: create 3 VFs".
type Step interface {
	fmt.Stringer
	// Kind is the name of the step's type, e.g. "CreateVFs".
	Kind() string
	// Device is the PCI address of the PF that the step works on; empty when it works
	// on the node as a whole.
	Device() string
	// touches tells what the step may take away from its users.
	touches() touched
}

// Structural tells whether the chain changes the number of VFs or the eswitch
// mode of a PF.
func (c *Chain) Structural(pf string) bool {
	return c.has(pf, func(s Step) bool {
		switch s.(type) {
		case RemoveVFs, CreateVFs, SetEswitchMode, ReloadDriver:
			return true
		}
		return false
	})
}

// Removes tells whether the chain removes the VFs of a PF.
func (c *Chain) Removes(pf string) bool {
	return c.has(pf, func(s Step) bool { _, ok := s.(RemoveVFs); return ok })
}

// Trial returns the order that the chain tries on a PF whose driver is not known;
// empty if it tries none.
func (c *Chain) Trial(pf string) driver.Order {
	var order driver.Order
	c.has(pf, func(s Step) bool {
		mode, ok := s.(SetEswitchMode)
		if ok && mode.Trial != "" {
			order = mode.Trial
		}
		return order != ""
	})
	return order
}

func (c *Chain) has(pf string, is func(Step) bool) bool {
	for _, stage := range c.Stages {
		for _, s := range stage {
			if s.Device() == pf && is(s) {
				return true
			}
		}
	}
	return false
}

// Steps returns all steps, chain by chain, in order.
func (p *Plan) Steps() []Step {
	var steps []Step
	for _, c := range p.Chains {
		for _, s := range c.Stages {
			steps = append(steps, s...)
		}
	}
	return steps
}

// Empty tells that nothing is to be done.
func (p *Plan) Empty() bool { return len(p.Chains) == 0 }

// Hash identifies the plan by its steps; empty for an empty plan.
func (p *Plan) Hash() string {
	if p.Empty() {
		return ""
	}
	h := sha256.New()
	for _, s := range p.Steps() {
		_, _ = fmt.Fprintln(h, s.String())
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// BlockersOf returns the blockers of one PF.
func (p *Plan) BlockersOf(pf string) []sriovv1.Blocker { return of(p.Blockers, pf) }

// WarningsOf returns the warnings of one PF.
func (p *Plan) WarningsOf(pf string) []sriovv1.Blocker { return of(p.Warnings, pf) }

func of(all []Blocker, pf string) []sriovv1.Blocker {
	var out []sriovv1.Blocker
	for _, b := range all {
		if b.PF == pf {
			out = append(out, b.Blocker)
		}
	}
	return slices.Clip(out)
}
