package network

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// outcome is what came of a network. The first that is set decides.
type outcome struct {
	// invalid says why the network cannot be used as written; empty if it can.
	invalid string
	// definitionUnknown: the cluster has no NetworkAttachmentDefinitions.
	definitionUnknown bool
	// namespaceMissing says what is wrong with the target namespace; empty if nothing is.
	namespaceMissing string
	// checks of an OffloadNetwork.
	checks []sriovv1.NetworkCheck
	// definition is NAMESPACE/NAME of what is in place.
	definition string
}

// verdict is the state of a network in one word, from which all conditions follow.
type verdict struct {
	reason, message string
	// Exactly one of these is true.
	ready, reconciling, stalled bool
}

func (o *outcome) verdict() verdict {
	failed, pending := withResult(o.checks, sriovv1.CheckFailed), withResult(o.checks, sriovv1.CheckPending)
	switch {
	case o.invalid != "":
		return verdict{reason: sriovv1.ReasonInvalid, message: o.invalid, stalled: true}
	case o.definitionUnknown:
		return verdict{reason: sriovv1.ReasonDefinitionUnknown, stalled: true,
			message: "the cluster has no NetworkAttachmentDefinitions; install Multus, this network is picked up then"}
	case o.namespaceMissing != "":
		return verdict{reason: sriovv1.ReasonNamespaceNotFound, message: o.namespaceMissing, reconciling: true}
	case len(failed) > 0:
		return verdict{reason: sriovv1.ReasonChecksFailed, message: o.describe("failed", failed), stalled: true}
	case len(pending) > 0:
		return verdict{reason: sriovv1.ReasonChecksPending, message: o.describe("pending", pending), reconciling: true}
	}
	return verdict{reason: sriovv1.ReasonAttached, message: "NetworkAttachmentDefinition " + o.definition + " is in place", ready: true}
}

func withResult(checks []sriovv1.NetworkCheck, result sriovv1.CheckResult) []sriovv1.NetworkCheck {
	var out []sriovv1.NetworkCheck
	for _, c := range checks {
		if c.Result == result {
			out = append(out, c)
		}
	}
	return out
}

// describe names the checks, each with its remedy.
func (o *outcome) describe(result string, checks []sriovv1.NetworkCheck) string {
	parts := make([]string, 0, len(checks))
	for _, c := range checks {
		text := c.Name + ": " + c.Message
		if c.Remedy != "" {
			text += "; " + c.Remedy
		}
		parts = append(parts, text)
	}
	return fmt.Sprintf("%d of %d checks %s: %s", len(checks), len(o.checks), result, strings.Join(parts, " | "))
}

// status is the part of the status that all kinds have: Ready, Reconciling and
// Stalled, always all of them. Transition times of conditions whose status stays
// are kept.
func (o *outcome) status(before sriovv1.NetworkStatus, generation int64) sriovv1.NetworkStatus {
	v := o.verdict()
	v.message = sriovv1.Clip(v.message, sriovv1.MaxMessageLength)
	s := sriovv1.NetworkStatus{ObservedGeneration: generation}
	for _, c := range []metav1.Condition{
		{Type: sriovv1.ConditionReady, Status: is(v.ready), Reason: v.reason, Message: v.message},
		{Type: sriovv1.ConditionReconciling, Status: is(v.reconciling), Reason: v.reason, Message: only(v.reconciling, v.message)},
		{Type: sriovv1.ConditionStalled, Status: is(v.stalled), Reason: v.reason, Message: only(v.stalled, v.message)},
	} {
		c.ObservedGeneration = generation
		if old := meta.FindStatusCondition(before.Conditions, c.Type); old != nil {
			s.Conditions = append(s.Conditions, *old)
		}
		meta.SetStatusCondition(&s.Conditions, c)
	}
	return s
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
