package components

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Conditions says whether the settings are in force: Ready, Reconciling and
// Stalled, always all of them. deployed are the DaemonSets as observed.
func Conditions(config *sriovv1.SriovOperatorConfig, deployed []*appsv1.DaemonSet) []metav1.Condition {
	ready, reconciling, stalled := metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionFalse
	reason, message := sriovv1.ReasonDeployed, "the settings are in force"
	if config.Name != sriovv1.DefaultConfigName {
		ready, stalled = metav1.ConditionFalse, metav1.ConditionTrue
		reason, message = sriovv1.ReasonNotDefault, "only the SriovOperatorConfig named "+sriovv1.DefaultConfigName+" is read: rename or delete this one"
	} else if missing := incomplete(deployed); len(missing) > 0 {
		ready, reconciling = metav1.ConditionFalse, metav1.ConditionTrue
		reason, message = sriovv1.ReasonRollingOut, strings.Join(missing, "; ")
	}
	// No release has a feature gate, so none is known.
	if gates := slices.Sorted(maps.Keys(config.Spec.FeatureGates)); len(gates) > 0 {
		message += "; unknown feature gates, ignored: " + strings.Join(gates, ", ")
	}
	condition := func(kind string, status metav1.ConditionStatus) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: config.Generation}
	}
	return []metav1.Condition{
		condition(sriovv1.ConditionReady, ready),
		condition(sriovv1.ConditionReconciling, reconciling),
		condition(sriovv1.ConditionStalled, stalled),
	}
}

// incomplete says of each DaemonSet that does not run everywhere as it should how far it is.
func incomplete(deployed []*appsv1.DaemonSet) []string {
	var missing []string
	for _, d := range deployed {
		want := d.Status.DesiredNumberScheduled
		switch {
		case d.Status.ObservedGeneration != d.Generation:
			missing = append(missing, fmt.Sprintf("DaemonSet %s was just written", d.Name))
		case d.Status.UpdatedNumberScheduled != want || d.Status.NumberAvailable != want:
			missing = append(missing, fmt.Sprintf("DaemonSet %s: of %d nodes, %d have the present version and %d run",
				d.Name, want, d.Status.UpdatedNumberScheduled, d.Status.NumberAvailable))
		}
	}
	return missing
}
