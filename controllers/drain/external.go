package drain

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// external asks another drainer, and believes its answer only about the plan that
// it was asked for: before it is asked for another one, it has to be idle again.
// Slots are its own business.
func (f Facts) external() Step {
	e, asked := f.External, f.Recorded.PlanHash == f.Plan.Hash && f.askedReason()
	if !asked && e.Current != "" && e.Current != sriovv1.ExternalDrainIdle {
		s := Step{Record: f.Recorded, Act: f.releaseIfHeld(), Request: f.requestIdle()}
		s.Record.Status, s.Record.Reason = metav1.ConditionFalse, sriovv1.ReasonExternalDrain
		s.Record.Message = "the other drainer is still at an earlier plan"
		return s
	}
	want := sriovv1.ExternalDrainRequired
	if f.Plan.wholeNode() {
		want = sriovv1.ExternalRebootRequired
	}
	s := Step{Act: f.releaseIfHeld()}
	if !e.asks(want) {
		s.Request = want
	}
	if asked && e.asks(want) && e.Current == sriovv1.ExternalDrainComplete {
		s.Record = f.record(metav1.ConditionTrue, sriovv1.ReasonDrained, "the other drainer says that the node is drained")
		return s
	}
	s.Record = f.record(metav1.ConditionFalse, sriovv1.ReasonExternalDrain, "the other drainer is asked for "+want+" and has not said "+sriovv1.ExternalDrainComplete+" yet")
	return s
}

func (f Facts) askedReason() bool {
	return f.Recorded.Reason == sriovv1.ReasonExternalDrain || f.Recorded.Reason == sriovv1.ReasonDrained
}

// requestIdle takes back what the other drainer was asked for, if anything.
func (f Facts) requestIdle() string {
	if f.External.idle() || f.External.asks("") || f.External.asks(sriovv1.ExternalDrainIdle) {
		return ""
	}
	return sriovv1.ExternalDrainIdle
}
