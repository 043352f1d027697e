package agent

import (
	"testing"
	"time"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

const secondAddress = "0000:5f:00.1"

// twoChains is a plan with something to do on each of two PFs.
func twoChains() plan.Plan {
	p := planOf(plan.SetLinkUp{PF: address})
	p.Chains = append(p.Chains, plan.Chain{PFs: []string{secondAddress}, Stages: []plan.Stage{{plan.SetLinkUp{PF: secondAddress}}}})
	return p
}

func TestRetriesHoldTheFailedPFOnly(t *testing.T) {
	var r retries
	now := time.Unix(0, 0)
	r.failed([]string{address}, 1, now, sriovv1.ReasonApplyFailed, "no")
	due := r.due(twoChains(), now)
	if len(due.Chains) != 1 || due.Chains[0].PFs[0] != secondAddress {
		t.Errorf("due at once: %v", due.Steps())
	}
	if due := r.due(twoChains(), now.Add(firstPause)); len(due.Chains) != 2 {
		t.Errorf("due after the pause: %v", due.Steps())
	}
	if reason, message := r.report(); reason != sriovv1.ReasonApplyFailed || message != "no" {
		t.Errorf("report = %s, %s", reason, message)
	}
}

func TestRetriesPauseLongerAndLonger(t *testing.T) {
	var r retries
	now := time.Unix(0, 0)
	var pauses []time.Duration
	for range 12 {
		r.failed([]string{address}, 1, now, "", "")
		pauses = append(pauses, r.next(now))
		now = now.Add(r.next(now))
	}
	for i, pause := range pauses {
		if want := min(firstPause<<i, longestPause); pause != want {
			t.Errorf("pause %d = %s, want %s", i, pause, want)
		}
	}
	r.failed([]string{address}, 2, now, "", "")
	if got := r.next(now); got != firstPause {
		t.Errorf("another generation pauses for %s", got)
	}
}

func TestRetriesForgetWhatIsSettled(t *testing.T) {
	var r retries
	now := time.Unix(0, 0)
	r.failed([]string{address, secondAddress}, 1, now, "X", "no")
	r.settled(planOf(plan.SetLinkUp{PF: address}), 1)
	if len(r.byPF) != 1 || r.byPF[address] == nil {
		t.Errorf("remembered: %v", r.byPF)
	}
	r.settled(twoChains(), 2)
	if len(r.byPF) != 0 {
		t.Errorf("remembered for another generation: %v", r.byPF)
	}
	if reason, message := r.report(); reason != "" || message != "" || r.next(now) != 0 {
		t.Errorf("report = %q, %q; next = %s", reason, message, r.next(now))
	}
}

func TestNextTurn(t *testing.T) {
	a := Agent{Resync: time.Hour}
	if got := a.nextTurn(Facts{Decision: Decision{Verdict: Idle}}); got != time.Hour {
		t.Errorf("idle: %s", got)
	}
	if got := a.nextTurn(Facts{Decision: Decision{Verdict: WaitForDrain}}); got != heldRetry {
		t.Errorf("held: %s", got)
	}
	a.retries.failed([]string{address}, 1, time.Now(), "", "")
	if got := a.nextTurn(Facts{Decision: Decision{Verdict: WaitForDrain}}); got > firstPause || got <= 0 {
		t.Errorf("failed: %s", got)
	}
}
