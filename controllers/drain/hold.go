package drain

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Hold is what a node says about its drain.
type Hold struct {
	// Held tells that the node has a slot of its pool.
	Held bool
	// Cordoned tells that we cordoned it.
	Cordoned bool
	// Unschedulable tells that somebody did.
	Unschedulable bool
	// Ready tells that its kubelet says so; a node whose kubelet never said anything is not.
	Ready bool
}

// HoldOf reads it.
func HoldOf(node *corev1.Node) Hold {
	_, held := node.Annotations[sriovv1.AnnotationDrain]
	_, cordoned := node.Annotations[sriovv1.AnnotationDrainCordoned]
	ready := slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
	return Hold{Held: held, Cordoned: cordoned, Unschedulable: node.Spec.Unschedulable, Ready: ready}
}

// unavailable tells whether the node takes no pods for a reason that is not ours.
func (h Hold) unavailable() bool {
	return !h.Ready || h.Unschedulable && !h.Cordoned
}

// take makes the node hold a slot for a plan, and keeps new pods away. What an
// administrator had cordoned is not noted as ours. Doing it again repairs what
// somebody undid.
func take(node *corev1.Node, plan string) {
	if node.Annotations == nil {
		node.Annotations = map[string]string{}
	}
	node.Annotations[sriovv1.AnnotationDrain] = plan
	if !node.Spec.Unschedulable {
		node.Spec.Unschedulable = true
		node.Annotations[sriovv1.AnnotationDrainCordoned] = "true"
	}
	if !slices.ContainsFunc(node.Spec.Taints, ours) {
		node.Spec.Taints = append(slices.Clone(node.Spec.Taints), corev1.Taint{Key: sriovv1.TaintDrain, Effect: corev1.TaintEffectNoSchedule})
	}
}

// giveBack undoes what take did.
func giveBack(node *corev1.Node) {
	if _, cordoned := node.Annotations[sriovv1.AnnotationDrainCordoned]; cordoned {
		node.Spec.Unschedulable = false
	}
	delete(node.Annotations, sriovv1.AnnotationDrain)
	delete(node.Annotations, sriovv1.AnnotationDrainCordoned)
	node.Spec.Taints = slices.DeleteFunc(slices.Clone(node.Spec.Taints), ours)
}

func ours(t corev1.Taint) bool { return t.Key == sriovv1.TaintDrain }
