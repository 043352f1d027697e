package agent

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/boot"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// keepBoot prepares the next boot with what the turn left in force. It disrupts
// nobody and is no part of the plan. A spec that was not computed yet says nothing
// about the boot either.
func (a *Agent) keepBoot(ctx context.Context, facts *Facts) {
	if facts.Observed == nil || facts.Spec.ComputedFrom == "" {
		return
	}
	in := plan.Input{Spec: facts.Spec, Observed: *facts.Observed, Owned: facts.Owned, Drivers: a.Drivers}
	status := a.Boot.Keep(ctx, a.ledger, in, facts.Plan)
	if ctx.Err() != nil {
		return
	}
	a.boot, facts.Boot = status, status
}

// setBootReady adds the condition of the boot. While the daemon has not looked, the
// one of before stays.
func setBootReady(conditions *[]metav1.Condition, status boot.Status, generation int64, now metav1.Time) {
	before := meta.FindStatusCondition(*conditions, sriovv1.ConditionBootReady)
	switch {
	case status.Reason == "" && before != nil:
		return
	case status.Reason == "":
		status.Reason, status.Message = sriovv1.ReasonUnknown, "the daemon has not looked yet whether the node is prepared for its next boot"
	}
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: sriovv1.ConditionBootReady, Status: conditionStatus(status.Ready), Reason: status.Reason,
		Message: sriovv1.Clip(status.Message, sriovv1.MaxMessageLength), ObservedGeneration: generation, LastTransitionTime: now,
	})
}
