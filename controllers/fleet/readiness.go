package fleet

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Readiness is what the daemon of a node says about the spec in the node state.
type Readiness struct {
	// ComputedFrom of the spec that the rest is about.
	ComputedFrom string
	Ready        bool
	Stalled      bool
	// Message of the Ready condition when it is not true.
	Message string
}

// ReadinessOf reads the readiness off a node state. A status about an older
// generation of the spec says nothing about this one.
func ReadinessOf(state *sriovv1.SriovNetworkNodeState) Readiness {
	r := Readiness{ComputedFrom: state.Spec.ComputedFrom}
	if state.Spec.ComputedFrom == "" {
		return r
	}
	ready := current(state, sriovv1.ConditionReady)
	if ready == nil {
		return r
	}
	r.Ready = ready.Status == metav1.ConditionTrue
	if !r.Ready {
		r.Message = ready.Message
	}
	if stalled := current(state, sriovv1.ConditionStalled); stalled != nil && stalled.Status == metav1.ConditionTrue {
		r.Stalled = true
		r.Message = stalled.Message
	}
	return r
}

func current(state *sriovv1.SriovNetworkNodeState, conditionType string) *metav1.Condition {
	if state.Status.ObservedGeneration != state.Generation {
		return nil
	}
	c := meta.FindStatusCondition(state.Status.Conditions, conditionType)
	if c == nil || c.ObservedGeneration != 0 && c.ObservedGeneration != state.Generation {
		return nil
	}
	return c
}

// Reported tells whether the daemon of the node has published an inventory,
// be it without a single PF.
func Reported(state *sriovv1.SriovNetworkNodeState) bool {
	return state.Status.ObservedGeneration > 0 || len(state.Status.Conditions) > 0 || len(state.Status.Interfaces) > 0
}
