package changes

import (
	"slices"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// Change is a change of what is wanted, or of what is found, on a machine that is
// as Before says.
type Change struct {
	// What changes, in words of a policy.
	What          string
	Before, After []sriovv1.Interface
	// Found changes the machine; nil changes nothing.
	Found func(*inventory.Node)
	// Owned is what the ledger holds.
	Owned ledger.PF
}

// Effect is what a change leads to on the first port.
type Effect struct {
	// Steps are kinds of steps, in order, each once.
	Steps []string
	// VFs touched, by index.
	VFs []int
	// Waiting are VFs that are left as they are until their users are gone.
	Waiting    []int
	Disruption sriovv1.Disruption
	// Pods that lose their VF for a while, or for good.
	Pods []string
	// Blockers are codes.
	Blockers []string
}

// Machine is the machine before a change of the spec, and after one of its own.
func (c *Change) Machine() inventory.Node {
	node := converged(c.Before...)
	if c.Found != nil {
		c.Found(&node)
	}
	return node
}

// Effect computes the plan for the change.
func (c *Change) Effect() Effect { return c.effect(c.Machine(), c.After) }

// Settled computes the plan for a machine that is as it is wanted: it holds nothing.
func (c *Change) Settled() Effect { return c.effect(converged(c.Before...), c.Before) }

func (c *Change) effect(node inventory.Node, want []sriovv1.Interface) Effect {
	p := plan.Compute(plan.Input{
		Spec:     sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "x", Interfaces: want},
		Observed: node, Drivers: driver.Default(),
		Owned: ledger.Record{PFs: map[string]ledger.PF{PF: c.Owned}},
	})
	var e Effect
	for _, s := range p.Steps() {
		// Files on the host follow what is done to PFs, and take nothing from anybody.
		switch s.(type) {
		case plan.PutHostFile, plan.RemoveHostFile:
			continue
		}
		if !slices.Contains(e.Steps, s.Kind()) {
			e.Steps = append(e.Steps, s.Kind())
		}
	}
	e.VFs = p.TouchedVFs(node.PF(PF))
	e.Disruption, e.Pods = plan.Disruption(p, node)
	for _, w := range p.Waiting {
		e.Waiting = append(e.Waiting, w.VFs...)
	}
	for _, b := range p.Blockers {
		e.Blockers = append(e.Blockers, b.Code)
	}
	return e
}
