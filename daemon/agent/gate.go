package agent

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

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
	// WaitForDrain: some chains would take something from somebody and are held. Run
	// has the others.
	WaitForDrain Verdict = "WaitForDrain"
	// RebootNow: the node is drained for a reboot. Run has it, and what comes before;
	// what would be lost by it waits.
	RebootNow Verdict = "Reboot"
	// Blocked: nothing can run, and blockers say why.
	Blocked Verdict = "Blocked"
)

// Answer is what the manager said last about a disruptive plan: the condition
// Drained, and the plan that it is about. Its zero value is no answer.
type Answer struct {
	// PlanHash is status.drain.planHash.
	PlanHash string
	// Drained is the condition's status, Reason and Message are its own.
	Drained         bool
	Reason, Message string
}

// AnswerOf reads the manager's answer from a node state. The daemon writes no part
// of it.
func AnswerOf(status *sriovv1.SriovNetworkNodeStateStatus) Answer {
	c := meta.FindStatusCondition(status.Conditions, sriovv1.ConditionDrained)
	if c == nil || status.Drain == nil {
		return Answer{}
	}
	return Answer{PlanHash: status.Drain.PlanHash, Drained: c.Status == "True", Reason: c.Reason, Message: c.Message}
}

// about tells whether the answer is about this plan.
func (a *Answer) about(hash string) bool { return hash != "" && a.PlanHash == hash }

// moving tells whether somebody is moving pods away: the node is cordoned.
func (a *Answer) moving() bool {
	return a.Drained || slices.Contains([]string{sriovv1.ReasonDraining, sriovv1.ReasonDrainBlocked, sriovv1.ReasonExternalDrain}, a.Reason)
}

// Before is what came before a decision.
type Before struct {
	Answer Answer
	// Held are the fingerprints of the chains that the last decision held.
	Held []string
	// Published is the hash of the published plan: what a daemon held that ran before
	// this one.
	Published string
}

// Decision is the gate's answer.
type Decision struct {
	Verdict Verdict
	// Run is the part of the plan that may run now.
	Run plan.Plan
	// Hash identifies the held part of the plan, or the whole if nothing is held.
	Hash string
	// Held are the fingerprints of the chains that are held, or run because the
	// manager has answered; for the next decision.
	Held []string
	// Disruption and AffectedPods are of the whole plan.
	Disruption   sriovv1.Disruption
	AffectedPods []string
	// Answer is the manager's, if it is about this plan.
	Answer Answer
	// Undrained tells that chains of Run take VFs from pods, because the user wants
	// no drain.
	Undrained bool
}

// Decide tells which part of a plan may run. A chain that would take something from
// somebody is held until the manager has answered that this is gone; the chains of
// other PFs are not. One that interrupts the node's own network runs where the user
// permits that, unless it takes VFs from pods, too.
//
// A chain that was held stays so while pods are being moved away, even if its own
// have left already: what was announced as one plan is one drain.
func Decide(spec sriovv1.SriovNetworkNodeStateSpec, observed inventory.Node, p plan.Plan, before Before) Decision {
	d := Decision{Verdict: Proceed, Disruption: sriovv1.DisruptionNone}
	if spec.ComputedFrom == "" {
		d.Verdict = NotComputed
		return d
	}
	d.Disruption, d.AffectedPods = plan.Disruption(p, observed)
	d.Run.Released, d.Run.ReleasedBonds, d.Run.ReleasedBridges = p.Released, p.ReleasedBonds, p.ReleasedBridges
	loud, free := split(&spec, observed, p)
	held, rest := before.sticky(observed, loud, free)
	d.Hash = plan.HashOf(held)
	if moved := before.Answer.about(d.Hash) && before.Answer.moving(); len(loud) == 0 && !moved {
		// Nobody loses anything any more, and nobody was moved for it.
		held, rest = nil, p.Chains
	}
	d.Run.Chains = rest
	waits := d.admit(observed, held, before.Answer)
	switch {
	case d.Verdict == RebootNow:
	case waits:
		d.Verdict = WaitForDrain
	case p.Empty() && len(p.Blockers) > 0:
		d.Verdict = Blocked
	case p.Empty():
		d.Verdict = Idle
	}
	if len(held) == 0 {
		d.Hash = p.Hash()
	}
	return d
}

// split tells the chains that would take something from somebody now from those
// that may run at any time.
func split(spec *sriovv1.SriovNetworkNodeStateSpec, observed inventory.Node, p plan.Plan) (loud, free []plan.Chain) {
	for _, chain := range p.Chains {
		disruption, _ := plan.Disruption(plan.Plan{Chains: []plan.Chain{chain}}, observed)
		if disruption == sriovv1.DisruptionNone || disruption == sriovv1.DisruptionNode && permitted(spec, observed, chain) {
			free = append(free, chain)
		} else {
			loud = append(loud, chain)
		}
	}
	return loud, free
}

// sticky adds to the chains that are to be held those that were, and still take
// away what might be in use.
func (b *Before) sticky(observed inventory.Node, loud, free []plan.Chain) (held, rest []plan.Chain) {
	var before, others []plan.Chain
	var may []plan.Chain
	for _, chain := range free {
		if plan.MayDisrupt(chain, observed) != sriovv1.DisruptionNone {
			may = append(may, chain)
		}
		if slices.Contains(b.Held, plan.Fingerprint(chain)) {
			before = append(before, chain)
		} else {
			others = append(others, chain)
		}
	}
	if len(b.Held) > 0 {
		return ordered(slices.Concat(loud, before)), others
	}
	// A daemon that has just started knows only what its predecessor published.
	if all := ordered(slices.Concat(loud, may)); b.Published != "" && plan.HashOf(all) == b.Published {
		return all, slices.DeleteFunc(slices.Clone(free), func(c plan.Chain) bool {
			return plan.MayDisrupt(c, observed) != sriovv1.DisruptionNone
		})
	}
	return ordered(loud), free
}

// ordered puts chains in the order of plans.
func ordered(chains []plan.Chain) []plan.Chain {
	slices.SortStableFunc(chains, func(a, b plan.Chain) int { return strings.Compare(a.PFs[0], b.PFs[0]) })
	return chains
}

// admit moves what was held and may run now to Run, and tells whether something
// still waits. Pods that were to be moved must be gone, whatever the answer says,
// unless the user wants no drain.
func (d *Decision) admit(observed inventory.Node, held []plan.Chain, answer Answer) (waits bool) {
	for i := range held {
		d.Held = append(d.Held, plan.Fingerprint(held[i]))
		if may := plan.MayDisrupt(held[i], observed); plan.Worse(may, d.Disruption) {
			d.Disruption = may
		}
	}
	if !answer.about(d.Hash) {
		return len(held) > 0
	}
	d.Answer = answer
	if !answer.Drained {
		return len(held) > 0
	}
	var run []plan.Chain
	for _, chain := range held {
		taking := plan.TakesVFs(chain, observed)
		if taking && answer.Reason != sriovv1.ReasonDrainDisabled {
			waits = true
			continue
		}
		d.Undrained = d.Undrained || taking
		run = append(run, chain)
	}
	// What is made now would be lost by the reboot.
	if i := slices.IndexFunc(run, func(c plan.Chain) bool { return c.Reboots() }); i >= 0 {
		run, d.Verdict = run[i:i+1], RebootNow
	}
	d.Run.Chains = ordered(slices.Concat(d.Run.Chains, run))
	return waits
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

// waitingFor says what a held plan waits for.
func (d *Decision) waitingFor() string {
	what := fmt.Sprintf("the plan (disruption %s) takes VFs from running pods and is held until they are gone: %s", d.Disruption, strings.Join(d.AffectedPods, ", "))
	switch {
	case d.Disruption == sriovv1.DisruptionReboot:
		what = "the node has to be rebooted, which waits until it is drained"
	case len(d.AffectedPods) == 0 && d.Answer.moving() && !d.Answer.Drained:
		what = fmt.Sprintf("the plan (disruption %s) is held until the drain is over", d.Disruption)
	case len(d.AffectedPods) == 0:
		what = fmt.Sprintf("the plan (disruption %s) touches VFs that may be in use, and which pods hold them is not known; it is held", d.Disruption)
	}
	switch {
	case d.Answer.Drained:
		return what + "; the node is drained, and these VFs are still in use"
	case d.Answer.Reason != "" && d.Answer.Message != "":
		return fmt.Sprintf("%s (%s: %s)", what, d.Answer.Reason, d.Answer.Message)
	case d.Answer.Reason != "":
		return fmt.Sprintf("%s (%s)", what, d.Answer.Reason)
	}
	return what
}
