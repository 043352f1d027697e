package await

import (
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Decide returns the file for the plugin, or in words what is to be waited for.
// state and config are nil when they do not exist. Exactly one result is empty.
//
// A status or a ConfigMap of another generation is about another spec, and says
// nothing about this one. A node that failed is waited for too: a plugin that
// offers VFs in the wrong mode is worse than one that offers none.
func Decide(state *sriovv1.SriovNetworkNodeState, config *corev1.ConfigMap) (file, wait string) {
	switch {
	case state == nil:
		return "", "the node has no node state"
	case state.Spec.ComputedFrom == "":
		return "", "the spec of the node state is not computed yet"
	}
	if wait := applied(state); wait != "" {
		return "", wait
	}
	if config == nil {
		return "", fmt.Sprintf("there is no ConfigMap %s%s", sriovv1.DevicePluginConfigPrefix, state.Name)
	}
	ours := func(o metav1.OwnerReference) bool { return o.UID == state.UID }
	if !slices.ContainsFunc(config.OwnerReferences, ours) {
		return "", fmt.Sprintf("ConfigMap %s belongs to an earlier node state", config.Name)
	}
	generation := config.Annotations[sriovv1.AnnotationStateGeneration]
	if generation != strconv.FormatInt(state.Generation, 10) {
		return "", fmt.Sprintf("ConfigMap %s is of generation %q, the node state of %d", config.Name, generation, state.Generation)
	}
	if file = config.Data[sriovv1.DevicePluginConfigKey]; file == "" {
		return "", fmt.Sprintf("ConfigMap %s has no %s", config.Name, sriovv1.DevicePluginConfigKey)
	}
	return file, ""
}

// applied is empty when the daemon read back what the spec asks for, else what is missing.
func applied(state *sriovv1.SriovNetworkNodeState) string {
	if state.Status.ObservedGeneration != state.Generation {
		return fmt.Sprintf("the daemon has seen generation %d of the node state, now is %d", state.Status.ObservedGeneration, state.Generation)
	}
	ready := meta.FindStatusCondition(state.Status.Conditions, sriovv1.ConditionReady)
	switch {
	case ready == nil || ready.ObservedGeneration != state.Generation:
		return fmt.Sprintf("the daemon has not said yet whether generation %d of the node state is in force", state.Generation)
	case ready.Status != metav1.ConditionTrue:
		return fmt.Sprintf("the node is not ready: %s: %s", ready.Reason, ready.Message)
	}
	return ""
}
