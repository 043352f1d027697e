package agent

import (
	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// Verdict is what the gate says of a plan.
type Verdict string

// Verdicts.
const (
	// NotComputed: the spec means nothing yet; only observe.
	NotComputed Verdict = "NotComputed"
	// Idle: nothing is to be done.
	Idle Verdict = "Idle"
	// Proceed: the whole plan may run.
	Proceed Verdict = "Proceed"
	// WaitForDrain: some chains would take VFs from pods and are held. Run has
	// the others.
	WaitForDrain Verdict = "WaitForDrain"
	// Blocked: nothing can run, and blockers say why.
	Blocked Verdict = "Blocked"
)

// Decision is the gate's answer.
type Decision struct {
	Verdict Verdict
	// Run is the part of the plan that may run now.
	Run plan.Plan
	// Disruption and AffectedPods are of the whole plan.
	Disruption   sriovv1.Disruption
	AffectedPods []string
}

// Decide tells which part of a plan may run. A chain that would take VFs from
// pods is held; the chains of other PFs are not. One that interrupts the node's own
// network runs where the user permits that, unless it takes VFs from pods, too.
func Decide(spec sriovv1.SriovNetworkNodeStateSpec, observed inventory.Node, p plan.Plan) Decision {
	d := Decision{Verdict: Proceed, Disruption: sriovv1.DisruptionNone}
	if spec.ComputedFrom == "" {
		d.Verdict = NotComputed
		return d
	}
	d.Disruption, d.AffectedPods = plan.Disruption(p, observed)
	d.Run.Released, d.Run.ReleasedBonds, d.Run.ReleasedBridges = p.Released, p.ReleasedBonds, p.ReleasedBridges
	held := false
	for _, chain := range p.Chains {
		disruption, _ := plan.Disruption(plan.Plan{Chains: []plan.Chain{chain}}, observed)
		if disruption == sriovv1.DisruptionNone || disruption == sriovv1.DisruptionNode && permitted(&spec, observed, chain) {
			d.Run.Chains = append(d.Run.Chains, chain)
		} else {
			held = true
		}
	}
	switch {
	case held:
		d.Verdict = WaitForDrain
	case p.Empty() && len(p.Blockers) > 0:
		d.Verdict = Blocked
	case p.Empty():
		d.Verdict = Idle
	}
	return d
}

// permitted tells whether the user lets a chain interrupt the node's own network,
// and nobody else loses something by it.
func permitted(spec *sriovv1.SriovNetworkNodeStateSpec, observed inventory.Node, chain plan.Chain) bool {
	for _, address := range chain.PFs {
		pf := observed.PF(address)
		if pf != nil && pf.NodeNetwork != "" && !plan.Allowed(spec, address) {
			return false
		}
	}
	return !plan.TakesVFs(chain, observed)
}
