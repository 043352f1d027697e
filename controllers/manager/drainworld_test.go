package manager_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/api/ssa"
)

// drained is a cluster whose daemons and kubelets are simulated: a daemon carries
// its plan out as soon as the manager lets it, a kubelet ends pods that are deleted.
type drained struct {
	*cluster
	watching client.WithWatch
	pods     string // namespace of the pods

	mu         sync.Mutex
	violations []string
	// held are the daemons that do not carry out their plans for now.
	held map[string]bool
	// evicted are the pods that began to end, by namespace/name.
	evicted map[string]bool
}

func newDrained(ctx context.Context, k *cluster) *drained {
	GinkgoHelper()
	w, err := client.NewWithWatch(config, client.Options{Scheme: c.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "pods-"}}
	Expect(c.Create(ctx, ns)).To(Succeed())
	d := &drained{cluster: k, watching: w, pods: ns.Name, held: map[string]bool{}, evicted: map[string]bool{}}
	d.follow(ctx, &sriovv1.SriovNetworkNodeStateList{}, k.namespace, d.daemon)
	d.follow(ctx, &corev1.PodList{}, d.pods, d.kubelet)
	DeferCleanup(func(ctx context.Context) {
		Expect(c.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(d.pods), client.GracePeriodSeconds(0))).To(Succeed())
		d.mu.Lock()
		defer d.mu.Unlock()
		Expect(d.violations).To(BeEmpty())
	})
	return d
}

// follow calls a function with every object and its changes, in order, until the spec ends.
func (d *drained) follow(ctx context.Context, list client.ObjectList, namespace string, see func(context.Context, watch.Event)) {
	GinkgoHelper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w, err := d.watching.Watch(ctx, list, client.InNamespace(namespace))
	Expect(err).NotTo(HaveOccurred())
	var running sync.WaitGroup
	running.Go(func() {
		for e := range w.ResultChan() {
			see(ctx, e)
		}
	})
	DeferCleanup(func() {
		w.Stop()
		cancel()
		running.Wait()
	})
}

func (d *drained) violated(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.violations = append(d.violations, fmt.Sprintf(format, args...))
}

// daemon of every node: carries the plan out when Drained is true for it, and
// checks that it may.
func (d *drained) daemon(ctx context.Context, e watch.Event) {
	s, ok := e.Object.(*sriovv1.SriovNetworkNodeState)
	if !ok || e.Type == watch.Deleted || s.Status.Plan == nil || s.Status.Drain == nil || s.Status.Drain.PlanHash != s.Status.Plan.Hash {
		return
	}
	d.mu.Lock()
	held := d.held[s.Name]
	d.mu.Unlock()
	if answer := conditionOf(s, sriovv1.ConditionDrained); held || answer == nil || answer.Status != metav1.ConditionTrue {
		return
	} else if answer.Reason == sriovv1.ReasonDrained && s.Annotations[sriovv1.AnnotationExternalDrainer] == "" {
		d.check(ctx, s)
	}
	d.propose(ctx, s.Name, nil)
}

// daemonsVFs is what the daemons say of their VFs, which is nobody else's to write.
const daemonsVFs = 4

// check what the manager claims.
func (d *drained) check(ctx context.Context, s *sriovv1.SriovNetworkNodeState) {
	node := &corev1.Node{}
	if err := c.Get(ctx, client.ObjectKey{Name: s.Name}, node); err != nil {
		return // the spec ends
	}
	if !node.Spec.Unschedulable {
		d.violated("node %s is drained and not cordoned", s.Name)
	}
	if s.Status.NumVfs != daemonsVFs {
		d.violated("node %s: the manager wrote status.numVfs %d", s.Name, s.Status.NumVfs)
	}
	for _, pod := range s.Status.Plan.AffectedPods {
		if on := d.podOn(ctx, pod); on == s.Name {
			d.violated("node %s is drained, and pod %s is there", s.Name, pod)
		}
	}
}

// podOn returns the node of a pod that is there, else nothing.
func (d *drained) podOn(ctx context.Context, name string) string {
	pod := &corev1.Pod{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: d.pods, Name: name[len(d.pods)+1:]}, pod); err != nil {
		return ""
	}
	return pod.Spec.NodeName
}

// report publishes a plan, or that there is none, as the daemon of the node.
func (d *drained) propose(ctx context.Context, node string, plan *sriovv1.PlanStatus) {
	s := &sriovv1.SriovNetworkNodeState{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.namespace, Name: node},
		Status:     sriovv1.SriovNetworkNodeStateStatus{Plan: plan, NumVfs: daemonsVFs},
	}
	if err := ssa.ApplyStatus(ctx, c, s, daemon); err != nil && ctx.Err() == nil {
		d.violated("daemon of %s: %v", node, err)
	}
}

// kubelet of every node: ends pods that are deleted, but those that are stuck.
func (d *drained) kubelet(ctx context.Context, e watch.Event) {
	pod, ok := e.Object.(*corev1.Pod)
	if !ok || pod.DeletionTimestamp == nil || e.Type == watch.Deleted {
		return
	}
	d.mu.Lock()
	d.evicted[pod.Namespace+"/"+pod.Name] = true
	d.mu.Unlock()
	if pod.Labels["stuck"] == "" {
		_ = c.Delete(ctx, pod.DeepCopy(), client.GracePeriodSeconds(0)) // it may be gone already
	}
}

// gone are the pods that began to end, in order.
func (d *drained) gone() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.evicted))
}

// pause keeps the daemon of a node from carrying plans out, until it is called again.
func (d *drained) pause(node string, held bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held[node] = held
}

// ready makes a node whose kubelet says that it is ready, and waits for its state.
func (d *drained) ready(ctx context.Context, name string, labels map[string]string) {
	GinkgoHelper()
	n := d.node(ctx, name, labels)
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	Expect(c.Status().Update(ctx, n)).To(Succeed())
	Eventually(func() any { return d.state(ctx, name) }).ShouldNot(BeNil())
}

// pod makes a pod on a node, of a ReplicaSet unless it is changed, and returns its namespace/name.
func (d *drained) pod(ctx context.Context, node, name string, change ...func(*corev1.Pod)) string {
	GinkgoHelper()
	isController := true
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: d.pods, Name: name, Labels: map[string]string{"app": name},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "rs", UID: "rs", Controller: &isController}},
		},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Image: "i"}}},
	}
	for _, f := range change {
		f(p)
	}
	Expect(c.Create(ctx, p)).To(Succeed())
	// Budgets protect pods that run and are ready.
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
	Expect(c.Status().Update(ctx, p)).To(Succeed())
	return d.pods + "/" + name
}

// budget protects the pods with a label app, and says, as the disruption controller
// would, that none of them may go.
func (d *drained) budget(ctx context.Context, name, app string) *policyv1.PodDisruptionBudget {
	GinkgoHelper()
	all := intstr.FromString("100%")
	b := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.pods, Name: name},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &all, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}},
	}
	Expect(c.Create(ctx, b)).To(Succeed())
	d.allow(ctx, b, 0)
	return b
}

func (d *drained) allow(ctx context.Context, b *policyv1.PodDisruptionBudget, allowed int32) {
	GinkgoHelper()
	b.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: b.Generation, CurrentHealthy: 1, DesiredHealthy: 1, ExpectedPods: 1, DisruptionsAllowed: allowed}
	Expect(c.Status().Update(ctx, b)).To(Succeed())
}

// plan takes VFs from pods.
func plan(hash string, disruption sriovv1.Disruption, pods ...string) *sriovv1.PlanStatus {
	return &sriovv1.PlanStatus{Hash: hash, Disruption: disruption, AffectedPods: pods}
}

func conditionOf(s *sriovv1.SriovNetworkNodeState, kind string) *metav1.Condition {
	for i := range s.Status.Conditions {
		if s.Status.Conditions[i].Type == kind {
			return &s.Status.Conditions[i]
		}
	}
	return nil
}

// answer is a function for Eventually: the reason and message of the condition Drained.
func (d *drained) answer(ctx context.Context, node string) func() string {
	return func() string {
		s := d.state(ctx, node)
		if s == nil {
			return ""
		}
		answer := conditionOf(s, sriovv1.ConditionDrained)
		if answer == nil {
			return ""
		}
		return answer.Reason + ": " + answer.Message
	}
}

// schedulable is a function for Eventually: whether a node takes pods and bears no trace of a drain.
func schedulable(ctx context.Context, name string) func(Gomega) bool {
	return func(g Gomega) bool {
		n := &corev1.Node{}
		g.Expect(c.Get(ctx, client.ObjectKey{Name: name}, n)).To(Succeed())
		_, held := n.Annotations[sriovv1.AnnotationDrain]
		_, cordoned := n.Annotations[sriovv1.AnnotationDrainCordoned]
		tainted := slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == sriovv1.TaintDrain })
		return !n.Spec.Unschedulable && !held && !cordoned && !tainted
	}
}

func cordon(ctx context.Context, name string, unschedulable bool) {
	GinkgoHelper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	patch := fmt.Appendf(nil, `{"spec":{"unschedulable":%t}}`, unschedulable)
	Expect(c.Patch(ctx, n, client.RawPatch("application/merge-patch+json", patch))).To(Succeed())
}

// eventsOn is a function for Eventually: the reasons of the events about an object.
func eventsOn(ctx context.Context, kind, name string) func(Gomega) []string {
	return func(g Gomega) []string {
		list := &eventsv1.EventList{}
		g.Expect(c.List(ctx, list)).To(Succeed())
		var reasons []string
		for _, e := range list.Items {
			if e.Regarding.Kind == kind && e.Regarding.Name == name {
				reasons = append(reasons, e.Reason)
			}
		}
		return reasons
	}
}
