package fleet

import (
	"maps"
	"slices"

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

// Reported tells whether the daemon of the node has published an inventory, be
// it without a single PF. A status may have anything else and still say nothing
// about NICs: that looking at the host failed is a report too. Interfaces count
// by themselves, for the sake of states that another implementation wrote.
func Reported(state *sriovv1.SriovNetworkNodeState) bool {
	return state.Status.Inventory != "" || len(state.Status.Interfaces) > 0
}

// Capable tells whether a reported PF can have VFs: by its sriov_totalvfs, or,
// should that not be known, because it has some. What was given VFs could have
// them, so that is believed until the inventory is complete.
func Capable(state *sriovv1.SriovNetworkNodeState) bool {
	capable := func(i sriovv1.InterfaceStatus) bool { return i.TotalVfs > 0 || i.NumVfs > 0 || len(i.VFs) > 0 }
	return Reported(state) && (slices.ContainsFunc(state.Status.Interfaces, capable) ||
		state.Status.Inventory == sriovv1.InventoryPartial && len(state.Spec.Interfaces) > 0)
}

// Labels are the labels by which a node is selected: its own, and the label
// network-sriov.capable as soon as a capable PF is reported. Whether the manager
// has written that label to the node yet must not decide about VFs. A value that
// the node has counts. own is not changed.
func Labels(own map[string]string, state *sriovv1.SriovNetworkNodeState) map[string]string {
	if state == nil || !Capable(state) {
		return own
	}
	return withCapable(own)
}

func withCapable(own map[string]string) map[string]string {
	if _, found := own[sriovv1.LabelCapable]; found {
		return own
	}
	all := make(map[string]string, len(own)+1)
	maps.Copy(all, own)
	all[sriovv1.LabelCapable] = "true"
	return all
}
