package drain

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Act is what is done to a node once the record is written.
type Act int

const (
	// Nothing is done; whoever waits is told by an event or by RequeueAfter.
	Nothing Act = iota
	// Release the slot: uncordon the node if we cordoned it.
	Release
	// Drain the node, which holds a slot.
	Drain
)

// Step is what comes next for a node: Record is written first, if it says
// something new, and only then the rest happens.
type Step struct {
	Record Record
	Act    Act
	// Request is said to another drainer; empty to say nothing new.
	Request string
	// RequeueAfter is when to look again without an event; 0 for never.
	RequeueAfter time.Duration
}

// Next is the state machine of one node:
//
//	no plan ─> WaitingForApproval ─> WaitingForSlot ─> Draining <─> DrainBlocked ─> DrainComplete ─> no plan
//	                                      ^                │
//	                                      └─ DrainDeadlineExceeded (given back, later again)
//
// Wherever it is, the end of the plan leads to DrainNotNeeded and to the release
// of the node. Another plan starts over, and keeps the slot if it may have it.
// Everything that it goes by is on the objects.
func Next(f Facts) Step {
	switch {
	case f.Plan == nil:
		return f.notNeeded()
	case f.committed():
		return Step{Record: f.Recorded, Act: Drain}
	case f.Disabled:
		return f.released(metav1.ConditionTrue, sriovv1.ReasonDrainDisabled, "SriovOperatorConfig.spec.disableDrain is set: the plan runs without moving pods away")
	case len(f.Pools) > 1:
		return f.released(metav1.ConditionFalse, sriovv1.ReasonPoolsOverlap, fmt.Sprintf(
			"the node is in pools %s, which may not agree on how many nodes are drained at once: make their nodeSelectors exclude each other", strings.Join(f.Pools, ", ")))
	case f.Settings.Manual && f.Approved != f.Plan.Hash:
		return f.released(metav1.ConditionFalse, sriovv1.ReasonWaitingForApproval, f.approvalMessage())
	case f.External.Use:
		return f.external()
	case f.retriesLater():
		s := f.released(metav1.ConditionFalse, sriovv1.ReasonDeadlineExceeded, f.Recorded.Message)
		s.RequeueAfter = f.Recorded.RetryTime.Sub(f.Now)
		return s
	case !f.Hold.Held:
		return f.released(metav1.ConditionFalse, sriovv1.ReasonWaitingForSlot, f.slotMessage())
	default:
		return f.draining()
	}
}

// WaitsForSlot tells whether the node may have the next free slot of its pool.
func (f Facts) WaitsForSlot() bool {
	return f.Plan != nil && !f.Hold.Held && Next(f).Record.Reason == sriovv1.ReasonWaitingForSlot
}

// committed tells that the daemon may be carrying the plan out just now. Whatever
// else changes, the node is not given back before the plan has an end.
func (f Facts) committed() bool {
	r := f.Recorded
	return f.Hold.Held && r.Status == metav1.ConditionTrue && r.Reason == sriovv1.ReasonDrained && r.PlanHash == f.Plan.Hash
}

// retriesLater tells that a drain for this plan took too long, and is not to be
// tried again yet. An administrator's patience has its limits too.
func (f Facts) retriesLater() bool {
	r := f.Recorded
	return r.PlanHash == f.Plan.Hash && r.Reason == sriovv1.ReasonDeadlineExceeded && f.Now.Before(r.RetryTime)
}

// notNeeded says so on node states that ever had a drain; others get no condition.
func (f Facts) notNeeded() Step {
	s := Step{Act: f.releaseIfHeld(), Request: f.requestIdle()}
	if f.Recorded != (Record{}) {
		s.Record = Record{Status: metav1.ConditionFalse, Reason: sriovv1.ReasonDrainNotNeeded, Message: "there is no disruptive plan"}
	}
	return s
}

// record is about the present plan. Since when the node waits outlives a change of
// the plan: it would go to the end of the queue with each.
func (f Facts) record(status metav1.ConditionStatus, reason, message string) Record {
	r := Record{
		Status: status, Reason: reason, Message: message, PlanHash: f.Plan.Hash,
		WaitingSince: f.Recorded.WaitingSince,
	}
	if r.WaitingSince.IsZero() {
		r.WaitingSince = f.Now
	}
	if f.Recorded.PlanHash == f.Plan.Hash {
		r.Failures, r.RetryTime = f.Recorded.Failures, f.Recorded.RetryTime
	}
	return r
}

// released is a step of a node that must not hold a slot.
func (f Facts) released(status metav1.ConditionStatus, reason, message string) Step {
	return Step{Record: f.record(status, reason, message), Act: f.releaseIfHeld(), Request: f.requestIdle()}
}

func (f Facts) releaseIfHeld() Act {
	if f.Hold.Held || f.Hold.Cordoned {
		return Release
	}
	return Nothing
}

// draining starts the clock of the drain when it begins for this plan.
func (f Facts) draining() Step {
	r := f.record(metav1.ConditionFalse, sriovv1.ReasonDraining, f.drainingMessage())
	r.StartTime = f.startTime()
	return Step{Record: r, Act: Drain}
}

// underWay tells that the drain for this plan began, so that pods may be evicted for it.
func (f Facts) underWay() bool {
	r := f.Recorded
	return r.PlanHash == f.Plan.Hash && !r.StartTime.IsZero() && (r.Reason == sriovv1.ReasonDraining || r.Reason == sriovv1.ReasonDrainBlocked)
}

// startTime of the drain. Pods that come back after a drain was complete are a new one.
func (f Facts) startTime() time.Time {
	if f.underWay() {
		return f.Recorded.StartTime
	}
	return f.Now
}

func (f Facts) approvalMessage() string {
	return fmt.Sprintf("plan %s (%s) waits for approval: see status.plan, then kubectl annotate --overwrite -n %s sriovnetworknodestate %s %s=%s",
		f.Plan.Hash, f.Plan.Disruption, f.Namespace, f.Node, sriovv1.AnnotationApprovedPlan, f.Plan.Hash)
}

func (f Facts) slotMessage() string {
	if f.Settings.Pool == "" {
		return "nodes in no pool are drained one at a time, and another one is unavailable"
	}
	return fmt.Sprintf("pool %s has no slot left (maxUnavailable %s): kubectl describe -n %s sriovnetworkpoolconfig %s shows which nodes have them",
		f.Settings.Pool, f.Settings.MaxUnavailable, f.Namespace, f.Settings.Pool)
}

func (f Facts) drainingMessage() string {
	if f.Plan.wholeNode() {
		return "the node is cordoned, and its pods are leaving"
	}
	return "the node is cordoned, and the pods that hold affected VFs are leaving"
}

// delays before a drain that took too long is tried again: each time twice as
// long, within an hour.
const (
	// DefaultRetryDelay is the first of them.
	DefaultRetryDelay = 5 * time.Minute
	maxRetryDelay     = time.Hour
)

// retryDelay after so many failures.
func retryDelay(first time.Duration, failures int32) time.Duration {
	delay := first
	for i := int32(1); i < failures && delay < maxRetryDelay; i++ {
		delay *= 2
	}
	return max(first, min(delay, maxRetryDelay))
}
