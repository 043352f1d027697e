package drain

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Fate is what becomes of a pod on a node that is being drained.
type Fate int

const (
	// Undecided is for the next filter to decide; a pod that none decides about is evicted.
	Undecided Fate = iota
	// Stay where it is: it does not matter for the plan.
	Stay
	// Evict it, if its PodDisruptionBudget lets it go.
	Evict
	// Delete it, whatever a PodDisruptionBudget says.
	Delete
	// Await its end, which has begun.
	Await
	// Obstruct the drain: it does not leave by itself, and we do not touch it.
	Obstruct
)

// PodFate is a pod with its fate, and why where it obstructs.
type PodFate struct {
	Pod  *corev1.Pod
	Fate Fate
	Why  string
}

// Case is what the fate of a node's pods depends on.
type Case struct {
	Now  time.Time
	Node string
	Plan *Plan
	// Alone tells that the cluster has no other node.
	Alone bool
	// Force and Overdue: what the pool wants, and whether the deadline is over.
	Force, Overdue bool
	// Self is the pod in which this runs.
	Self types.NamespacedName
}

// whole tells whether every pod has to leave. In a cluster of one node they would
// have nowhere to go: budgets would never be met, and nothing be gained.
func (c Case) whole() bool { return c.Plan.wholeNode() && !c.Alone }

// Judge decides about each pod, in the order given. The pods that a daemon names
// are not trusted: only a pod that is bound to its node is touched.
func Judge(c Case, pods []corev1.Pod) []PodFate {
	fates := make([]PodFate, 0, len(pods))
	for i := range pods {
		fates = append(fates, c.judge(&pods[i]))
	}
	return fates
}

func (c Case) judge(pod *corev1.Pod) PodFate {
	for _, f := range filters() {
		if fate, why := f.decide(c, pod); fate != Undecided {
			return PodFate{Pod: pod, Fate: fate, Why: why}
		}
	}
	if c.Force && c.Overdue {
		return PodFate{Pod: pod, Fate: Delete}
	}
	return PodFate{Pod: pod, Fate: Evict}
}

// filter decides about some pods and leaves the others to those after it.
type filter struct {
	name   string
	decide func(Case, *corev1.Pod) (Fate, string)
}

// filters in their order.
func filters() []filter {
	return []filter{
		{"on another node", onAnotherNode},
		{"not concerned by the plan", notConcerned},
		{"finished", finished},
		{"this manager", thisManager},
		{"ending", ending},
		{"static", static},
		{"of a DaemonSet", ofDaemonSet},
		{"of nobody", ofNobody},
	}
}

func onAnotherNode(c Case, pod *corev1.Pod) (Fate, string) {
	if pod.Spec.NodeName != c.Node {
		return Stay, ""
	}
	return Undecided, ""
}

func notConcerned(c Case, pod *corev1.Pod) (Fate, string) {
	if !c.whole() && !c.Plan.affects(pod) {
		return Stay, ""
	}
	return Undecided, ""
}

// finished pods hold nothing any more.
func finished(_ Case, pod *corev1.Pod) (Fate, string) {
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return Stay, ""
	}
	return Undecided, ""
}

// thisManager must not send itself away: were there no other node that takes it, it
// would wait for an uncordon that only it does. Across a reboot it is bound to its node.
func thisManager(c Case, pod *corev1.Pod) (Fate, string) {
	if pod.Namespace == c.Self.Namespace && pod.Name == c.Self.Name {
		return Stay, ""
	}
	return Undecided, ""
}

// patience is how much longer than its grace period a pod may take to end before
// it is named.
const patience = time.Minute

func ending(c Case, pod *corev1.Pod) (Fate, string) {
	switch t := pod.DeletionTimestamp; {
	case t == nil:
		return Undecided, ""
	case c.Now.After(t.Add(patience)): // the timestamp is the end of the grace period
		return Obstruct, "it does not end though its grace period is over: see its finalizers, its containers and the node's kubelet"
	}
	return Await, ""
}

func static(c Case, pod *corev1.Pod) (Fate, string) {
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; !mirror {
		return Undecided, ""
	}
	if c.Plan.affects(pod) {
		return Obstruct, "it holds an affected VF and is a static pod, which only its manifest on the node can end"
	}
	return Stay, ""
}

// ofDaemonSet: its controller would not put it elsewhere, so that it leaves only for
// the VF that it holds. It is back when the node takes pods again.
func ofDaemonSet(c Case, pod *corev1.Pod) (Fate, string) {
	if owner := metav1.GetControllerOf(pod); owner == nil || owner.Kind != "DaemonSet" {
		return Undecided, ""
	}
	if c.Plan.affects(pod) {
		return Delete, ""
	}
	return Stay, ""
}

func ofNobody(c Case, pod *corev1.Pod) (Fate, string) {
	if metav1.GetControllerOf(pod) != nil || c.Force {
		return Undecided, ""
	}
	return Obstruct, "it has no controller that would create it again: delete it, or set spec.drain.force of the pool"
}
