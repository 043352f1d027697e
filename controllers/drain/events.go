package drain

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// maxNote is what the API server takes as the note of an event.
const maxNote = 1024

// action of every event of this package.
const action = "DrainNode"

// record tells it on the node, whose cordon it explains, and on its state.
func record(r events.EventRecorder, node client.Object, state *sriovv1.SriovNetworkNodeState, kind, reason, note string) {
	note = sriovv1.Clip(note, maxNote-1)
	if node != nil {
		r.Eventf(node, state, kind, reason, action, "%s", note)
	}
	r.Eventf(state, node, kind, reason, action, "%s", note)
}

// recordStarted tells that a node got a slot and was cordoned.
func recordStarted(r events.EventRecorder, node *corev1.Node, state *sriovv1.SriovNetworkNodeState, plan *Plan) {
	record(r, node, state, corev1.EventTypeNormal, "DrainStarted", "cordoned for plan "+plan.Hash+" ("+string(plan.Disruption)+")")
}

// recordGivenBack tells that a node takes pods again, or would if nobody else had cordoned it.
func recordGivenBack(r events.EventRecorder, node *corev1.Node, state *sriovv1.SriovNetworkNodeState, reason string) {
	note := "the drain has ended (" + reason + "): the node takes pods again"
	if node.Spec.Unschedulable {
		note = "the drain has ended (" + reason + "): the node stays cordoned, as it was before"
	}
	record(r, node, state, corev1.EventTypeNormal, "DrainEnded", note)
}

// recordChange tells what a person may want to know of a new record: that the
// node is drained, or what keeps it from being drained.
func recordChange(r events.EventRecorder, node *corev1.Node, state *sriovv1.SriovNetworkNodeState, before, now Record) {
	if before.Reason == now.Reason && (before.Message == now.Message || now.Reason != sriovv1.ReasonDrainBlocked) {
		return
	}
	switch now.Reason {
	case sriovv1.ReasonDrained, sriovv1.ReasonDrainDisabled, sriovv1.ReasonWaitingForApproval, sriovv1.ReasonExternalDrain:
		record(r, node, state, corev1.EventTypeNormal, now.Reason, now.Message)
	case sriovv1.ReasonDrainBlocked, sriovv1.ReasonDeadlineExceeded, sriovv1.ReasonPoolsOverlap:
		record(r, node, state, corev1.EventTypeWarning, now.Reason, now.Message)
	}
}

// changed tells whether a record says something that the present one does not.
func changed(before, now Record) bool {
	return now.Status != metav1.ConditionStatus("") && !before.equal(now)
}
