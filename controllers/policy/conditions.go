package policy

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// verdict is the state of a policy in one word, from which all conditions follow.
type verdict struct {
	reason  string
	message string
	// At most one of these is true.
	ready, reconciling, stalled bool
}

// conditions says what became of a policy: Ready, Reconciling, Stalled and
// Conflicted, always all of them.
func conditions(f facts, generation int64) []metav1.Condition {
	v := f.verdict()
	v.message = sriovv1.Clip(v.message, sriovv1.MaxMessageLength)
	conflicted, reason, message := metav1.ConditionFalse, sriovv1.ReasonNoConflict, ""
	if f.conflictCount > 0 {
		conflicted, reason = metav1.ConditionTrue, f.conflictReason()
		message = sriovv1.Clip(f.describeConflicts(), sriovv1.MaxMessageLength)
	}
	return []metav1.Condition{
		{Type: sriovv1.ConditionReady, Status: is(v.ready), Reason: v.reason, Message: v.message, ObservedGeneration: generation},
		{Type: sriovv1.ConditionReconciling, Status: is(v.reconciling), Reason: v.reason, Message: only(v.reconciling, v.message), ObservedGeneration: generation},
		{Type: sriovv1.ConditionStalled, Status: is(v.stalled), Reason: v.reason, Message: only(v.stalled, v.message), ObservedGeneration: generation},
		{Type: sriovv1.ConditionConflicted, Status: conflicted, Reason: reason, Message: message, ObservedGeneration: generation},
	}
}

// verdict gives the first that applies: what a person has to do comes before
// what comes by itself.
func (f *facts) verdict() verdict {
	switch {
	case f.ignored != "":
		return verdict{reason: sriovv1.ReasonIgnored, message: f.ignored, ready: true}
	case f.unmerged > 0:
		return verdict{reason: sriovv1.ReasonUnknown, message: "computing what the policy means for " + count(f.unmerged, "node"), reconciling: true}
	case f.conflictCount > 0:
		return verdict{reason: f.conflictReason(), message: f.describeConflicts(), stalled: true}
	case len(f.stalled) > 0:
		return verdict{reason: sriovv1.ReasonNodesStalled, message: f.describeStalled(), stalled: true}
	case f.selected == 0:
		return verdict{reason: sriovv1.ReasonNoNodeSelected, message: "no node has the labels of nodeSelector, see status.unmatched; nodes that get them later are picked up", reconciling: true}
	case len(f.silent) > 0:
		return verdict{reason: sriovv1.ReasonNodesPending, message: fmt.Sprintf("%d of %d matched nodes are ready; the NICs of %s are not known yet", f.ready, f.matched, named(f.silent)), reconciling: true}
	case f.matched == 0:
		return verdict{reason: sriovv1.ReasonNoMatchingNIC, message: fmt.Sprintf("none of the %s selected has a NIC that nicSelector matches, see status.unmatched", count(f.selected, "node")), stalled: true}
	case len(f.waiting) > 0:
		return verdict{reason: sriovv1.ReasonNodesPending, message: fmt.Sprintf("%d of %d matched nodes are ready; waiting for %s", f.ready, f.matched, named(f.waiting)), reconciling: true}
	}
	message := fmt.Sprintf("%d of %d matched nodes are ready", f.ready, f.matched)
	if len(f.unmatched) > 0 {
		message += fmt.Sprintf("; %s selected without a NIC that matches, see status.unmatched: %s", count(len(f.unmatched), "node"), named(f.unmatched))
	}
	return verdict{reason: sriovv1.ReasonAllNodesReady, message: message, ready: true}
}

func (f *facts) conflictReason() string {
	if f.lostTo == "" {
		return sriovv1.ReasonInvalid
	}
	return sriovv1.ReasonConflict
}

func (f *facts) describeConflicts() string {
	first := f.conflicts[0]
	where := "node " + first.Node
	if first.PCIAddress != "" {
		where += ", PF " + first.PCIAddress
	}
	return fmt.Sprintf("%s; the first: %s: %s: %s", count(f.conflictCount, "conflict"), where, first.Field, first.Reason)
}

func (f *facts) describeStalled() string {
	const most = 3
	var parts []string
	for _, n := range f.stalled[:min(most, len(f.stalled))] {
		// Each has its share, so that one node cannot hide the others.
		parts = append(parts, n.name+": "+sriovv1.Clip(n.message, sriovv1.MaxMessageLength/most-300))
	}
	return fmt.Sprintf("%d of %d matched nodes are ready; %s stalled: %s", f.ready, f.matched, count(len(f.stalled), "node"), strings.Join(parts, "; "))
}

func is(b bool) metav1.ConditionStatus {
	if b {
		return metav1.ConditionTrue
	}
	return metav1.ConditionFalse
}

func only(b bool, message string) string {
	if b {
		return message
	}
	return ""
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
