package agent

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// twoPFs are PFs whose VFs pods hold, as named, and a plan that removes them all.
func twoPFs(pods ...string) (inventory.Node, plan.Plan) {
	var observed inventory.Node
	var p plan.Plan
	for i, pod := range pods {
		pf := node().PFs[0]
		pf.PCIAddress = []string{address, "0000:5f:00.1", "0000:60:00.0"}[i]
		pf.VFs[0].Pod = pod
		if pod == "" {
			pf.VFs[0].Netdev = &inventory.Netdev{Name: "eth9"}
		}
		observed.PFs = append(observed.PFs, pf)
		p.Chains = append(p.Chains, plan.Chain{PFs: []string{pf.PCIAddress}, Stages: []plan.Stage{{plan.RemoveVFs{PF: pf.PCIAddress, Count: 2}}}})
	}
	return observed, p
}

func rebooting() plan.Chain {
	return plan.Chain{PFs: []string{"machine"}, Stages: []plan.Stage{
		{plan.SetKernelArguments{Tool: "grubby", Add: []string{"intel_iommu=on"}}}, {plan.Reboot{Reasons: []plan.Reason{{Key: "argument intel_iommu=on", Text: "the IOMMU is off"}}}},
	}}
}

// runs names the PFs of the chains that may run.
func runs(d Decision) string {
	var out []string
	for _, c := range d.Run.Chains {
		out = append(out, c.PFs...)
	}
	return strings.Join(out, " ")
}

// What the gate makes of the manager's answers, one after the other.
func TestGateFollowsTheAnswer(t *testing.T) {
	const second, third = "0000:5f:00.1", "0000:60:00.0"
	observed, p := twoPFs("shop/a", "shop/b", "")
	first := Decide(spec(), observed, p, Before{})
	if first.Verdict != WaitForDrain || runs(first) != third || len(first.Held) != 2 {
		t.Fatalf("at first: %+v", first)
	}
	halfway, _ := twoPFs("", "shop/b", "")
	gone, _ := twoPFs("", "", "")
	left := plan.Plan{Chains: p.Chains[:2]}
	reboot := plan.Plan{Chains: slices.Concat(p.Chains[:2], []plan.Chain{rebooting()})}
	rebootHash := Decide(spec(), observed, reboot, Before{}).Hash
	answer := func(hash, reason string, drained bool) Answer {
		return Answer{PlanHash: hash, Reason: reason, Drained: drained}
	}
	for name, c := range map[string]struct {
		observed inventory.Node
		plan     plan.Plan
		before   Before
		verdict  Verdict
		runs     string
		hash     string
	}{
		"waits while pods are moved":                 {observed, left, Before{Answer: answer(first.Hash, sriovv1.ReasonDraining, false), Held: first.Held}, WaitForDrain, "", first.Hash},
		"the hash stays when one pod has left":       {halfway, left, Before{Answer: answer(first.Hash, sriovv1.ReasonDraining, false), Held: first.Held}, WaitForDrain, "", first.Hash},
		"and when all have, until the drain is over": {gone, left, Before{Answer: answer(first.Hash, sriovv1.ReasonDrainBlocked, false), Held: first.Held}, WaitForDrain, "", first.Hash},
		"also for a daemon that has just started":    {gone, left, Before{Answer: answer(first.Hash, sriovv1.ReasonDraining, false), Published: first.Hash}, WaitForDrain, "", first.Hash},
		"drained":                                  {gone, left, Before{Answer: answer(first.Hash, sriovv1.ReasonDrained, true), Held: first.Held}, Proceed, address + " " + second, first.Hash},
		"drained, after a restart":                 {gone, left, Before{Answer: answer(first.Hash, sriovv1.ReasonDrained, true), Published: first.Hash}, Proceed, address + " " + second, first.Hash},
		"drained, and a pod is there":              {halfway, left, Before{Answer: answer(first.Hash, sriovv1.ReasonDrained, true), Held: first.Held}, WaitForDrain, address, first.Hash},
		"drained, of another plan":                 {observed, left, Before{Answer: answer("other", sriovv1.ReasonDrained, true), Held: first.Held}, WaitForDrain, "", first.Hash},
		"nobody drains, and nobody loses anything": {gone, left, Before{Answer: answer(first.Hash, sriovv1.ReasonWaitingForSlot, false), Held: first.Held}, Proceed, address + " " + second, left.Hash()},
		"without a drain":                          {observed, left, Before{Answer: answer(first.Hash, sriovv1.ReasonDrainDisabled, true), Held: first.Held}, Proceed, address + " " + second, first.Hash},
		"a reboot is not for another plan's drain": {gone, plan.Plan{Chains: []plan.Chain{rebooting()}}, Before{Answer: answer("other", sriovv1.ReasonDrained, true)},
			WaitForDrain, "", plan.HashOf([]plan.Chain{rebooting()})},
		"a reboot waits": {observed, reboot, Before{Answer: answer(rebootHash, sriovv1.ReasonDraining, false)}, WaitForDrain, "", rebootHash},
		"a reboot is all that is done then": {gone, reboot, Before{Answer: answer(rebootHash, sriovv1.ReasonDrained, true),
			Held: Decide(spec(), observed, reboot, Before{}).Held}, RebootNow, "machine", rebootHash},
	} {
		got := Decide(spec(), c.observed, c.plan, c.before)
		if got.Verdict != c.verdict || runs(got) != c.runs || got.Hash != c.hash {
			t.Errorf("%s: %s, runs %q, hash %s (of the plan %s)", name, got.Verdict, runs(got), got.Hash, c.hash)
		}
	}
	undrained := Decide(spec(), observed, left, Before{Answer: answer(first.Hash, sriovv1.ReasonDrainDisabled, true)})
	said := applyingMessage(&Facts{Decision: undrained})
	if !undrained.Undrained || !strings.Contains(said, "draining is disabled") || !strings.Contains(said, "shop/a, shop/b") {
		t.Errorf("without a drain: %q", said)
	}
	if got := Decide(spec(), observed, reboot, Before{}); got.Disruption != sriovv1.DisruptionReboot {
		t.Errorf("a reboot is disruption %s", got.Disruption)
	}
}

// A held plan of disruption Node runs once the node is drained.
func TestGateNode(t *testing.T) {
	observed, p := twoPFs("")
	observed.PFs[0].NodeNetwork = "carries the default route"
	held := Decide(spec(), observed, p, Before{})
	if held.Verdict != WaitForDrain || held.Disruption != sriovv1.DisruptionNode {
		t.Fatalf("at first: %+v", held)
	}
	got := Decide(spec(), observed, p, Before{Answer: Answer{PlanHash: held.Hash, Drained: true, Reason: sriovv1.ReasonDrained}, Held: held.Held})
	if got.Verdict != Proceed || runs(got) != address {
		t.Errorf("drained: %+v", got)
	}
}

// The answer is read, and never written.
func TestAnswer(t *testing.T) {
	status := sriovv1.SriovNetworkNodeStateStatus{
		Drain:      &sriovv1.DrainStatus{PlanHash: "abc"},
		Conditions: []metav1.Condition{{Type: sriovv1.ConditionDrained, Status: metav1.ConditionTrue, Reason: sriovv1.ReasonDrained, Message: "done"}},
	}
	if got := AnswerOf(&status); got != (Answer{PlanHash: "abc", Drained: true, Reason: sriovv1.ReasonDrained, Message: "done"}) {
		t.Errorf("AnswerOf: %+v", got)
	}
	observed := node()
	out := Report(status, Facts{Spec: spec(), Observed: &observed, Decision: Decision{Verdict: Idle}}, metav1.Now())
	if out.Drain != nil || slices.ContainsFunc(out.Conditions, func(c metav1.Condition) bool { return c.Type == sriovv1.ConditionDrained }) {
		t.Errorf("the report holds the answer: %+v", out)
	}
	again := ownStatus(out)
	answered := again
	answered.Drain, answered.Conditions = status.Drain, append(slices.Clone(again.Conditions), status.Conditions...)
	if diff := cmp.Diff(again, ownStatus(answered)); diff != "" {
		t.Errorf("an answer makes the status another one:\n%s", diff)
	}
	status.Drain = nil
	if got := AnswerOf(&status); got != (Answer{}) {
		t.Errorf("without a plan: %+v", got)
	}
}
