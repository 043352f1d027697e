package manager_test

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/drain"
	"github.com/sriov-offload/sriov-offload-operator/controllers/manager"
)

// drainPool is a pool of the nodes with the label pool=NAME.
func drainPool(name string, change ...func(*sriovv1.SriovNetworkPoolConfigSpec)) *sriovv1.SriovNetworkPoolConfig {
	p := &sriovv1.SriovNetworkPoolConfig{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       sriovv1.SriovNetworkPoolConfigSpec{NodeSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"pool": name}}},
	}
	for _, f := range change {
		f(&p.Spec)
	}
	return p
}

func deadline(seconds int32, force bool) func(*sriovv1.SriovNetworkPoolConfigSpec) {
	return func(s *sriovv1.SriovNetworkPoolConfigSpec) {
		s.Drain = sriovv1.DrainSettings{DeadlineSeconds: &seconds, Force: force}
	}
}

func ofDaemonSet(p *corev1.Pod) { p.OwnerReferences[0].Kind = "DaemonSet" }
func ofNobody(p *corev1.Pod)    { p.OwnerReferences = nil }
func static(p *corev1.Pod) {
	p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "hash"}
	p.OwnerReferences[0] = metav1.OwnerReference{APIVersion: "v1", Kind: "Node", Name: p.Spec.NodeName, UID: "n", Controller: p.OwnerReferences[0].Controller}
}

var _ = Describe("A drain", func() {
	pooled := func(name string) map[string]string { return map[string]string{"pool": name} }

	It("moves away exactly the pods that the plan affects, and uncordons the node afterwards", func(ctx SpecContext) {
		d := newDrained(ctx, newCluster(ctx))
		d.ready(ctx, "n1", nil)
		d.ready(ctx, "n2", nil)
		web := d.pod(ctx, "n1", "web")
		agent := d.pod(ctx, "n1", "agent", ofDaemonSet)
		d.pod(ctx, "n1", "other")
		elsewhere := d.pod(ctx, "n2", "elsewhere")
		d.pod(ctx, "n1", "manifest", static)
		// What a daemon says about pods of other nodes is not believed.
		d.propose(ctx, "n1", plan("h1", sriovv1.DisruptionVFPods, web, agent, elsewhere))
		Eventually(d.answer(ctx, "n1")).Should(HavePrefix(sriovv1.ReasonDrainNotNeeded))
		Eventually(schedulable(ctx, "n1")).Should(BeTrue())
		Expect(d.gone()).To(Equal([]string{agent, web}))
		Expect(d.state(ctx, "n1").Status.Drain).To(BeNil())
		Eventually(eventsOn(ctx, "Node", "n1")).Should(ContainElements("DrainStarted", sriovv1.ReasonDrained, "DrainEnded"))
		Eventually(eventsOn(ctx, "SriovNetworkNodeState", "n1")).Should(ContainElements("DrainStarted", sriovv1.ReasonDrained, "DrainEnded"))
	})

	It("for a reboot moves all pods away but those that would not leave, and not the manager itself", func(ctx SpecContext) {
		d := newDrained(ctx, newCluster(ctx))
		d.ready(ctx, "n1", nil)
		d.ready(ctx, "n2", nil)
		all := []string{d.pod(ctx, "n1", "a"), d.pod(ctx, "n1", "b"), d.pod(ctx, "n1", "vf-agent", ofDaemonSet)}
		d.pod(ctx, "n1", "agent", ofDaemonSet)
		d.pod(ctx, "n1", "manifest", static)
		d.pod(ctx, "n2", "elsewhere")
		d.propose(ctx, "n1", plan("h1", sriovv1.DisruptionReboot, all[2]))
		Eventually(d.answer(ctx, "n1")).Should(HavePrefix(sriovv1.ReasonDrainNotNeeded))
		Expect(d.gone()).To(Equal(all))
	})

	It("of the only node moves away what loses a VF, and does not wait for what has nowhere to go", func(ctx SpecContext) {
		d := newDrained(ctx, newCluster(ctx))
		d.ready(ctx, "only", nil)
		web := d.pod(ctx, "only", "web")
		d.pod(ctx, "only", "other")
		d.budget(ctx, "other", "other")
		d.propose(ctx, "only", plan("h1", sriovv1.DisruptionReboot, web))
		Eventually(d.answer(ctx, "only")).Should(HavePrefix(sriovv1.ReasonDrainNotNeeded))
		Eventually(schedulable(ctx, "only")).Should(BeTrue())
		Expect(d.gone()).To(Equal([]string{web}))
	})

	It("names the pod and the budget that block it, soon, and does not stop other pools", func(ctx SpecContext) {
		d := newDrained(ctx, newCluster(ctx))
		d.create(ctx, drainPool("a"), drainPool("b"))
		d.ready(ctx, "a1", pooled("a"))
		d.ready(ctx, "b1", pooled("b"))
		db := d.pod(ctx, "a1", "db")
		budget := d.budget(ctx, "db-budget", "db")
		d.propose(ctx, "a1", plan("h1", sriovv1.DisruptionVFPods, db))
		began := time.Now()
		Eventually(d.answer(ctx, "a1")).WithTimeout(time.Minute).Should(And(
			HavePrefix(sriovv1.ReasonDrainBlocked), ContainSubstring("pod "+db), ContainSubstring("PodDisruptionBudget "+d.pods+"/db-budget"),
		))
		// A quiet machine shows less than 5 s; a busy one proves nothing.
		AddReportEntry("blocking budget named after", time.Since(began))
		Eventually(eventsOn(ctx, "Node", "a1")).Should(ContainElement(sriovv1.ReasonDrainBlocked))

		web := d.pod(ctx, "b1", "web")
		d.propose(ctx, "b1", plan("h2", sriovv1.DisruptionVFPods, web))
		Eventually(d.answer(ctx, "b1")).Should(HavePrefix(sriovv1.ReasonDrainNotNeeded))
		Expect(d.gone()).To(Equal([]string{web}))

		By("letting it go")
		d.allow(ctx, budget, 1)
		Eventually(d.answer(ctx, "a1")).WithTimeout(time.Minute).Should(HavePrefix(sriovv1.ReasonDrainNotNeeded))
		Eventually(schedulable(ctx, "a1")).Should(BeTrue())
	})

	It("names pods that do not leave by themselves", func(ctx SpecContext) {
		d := newDrained(ctx, newCluster(ctx))
		d.create(ctx, drainPool("a"))
		d.ready(ctx, "a1", pooled("a"))
		bare := d.pod(ctx, "a1", "bare", ofNobody)
		mirror := d.pod(ctx, "a1", "mirror", static)
		d.propose(ctx, "a1", plan("h1", sriovv1.DisruptionVFPods, bare, mirror))
		Eventually(d.answer(ctx, "a1")).Should(And(HavePrefix(sriovv1.ReasonDrainBlocked),
			ContainSubstring("pod "+bare+": it has no controller"), ContainSubstring("pod "+mirror+": it holds an affected VF and is a static pod")))
		Expect(d.gone()).To(BeEmpty())

		By("forcing, which moves the bare pod away and cannot move the static one")
		update(ctx, d.cluster, &sriovv1.SriovNetworkPoolConfig{}, "a", func(p *sriovv1.SriovNetworkPoolConfig) { p.Spec.Drain.Force = true })
		Eventually(d.gone).WithTimeout(time.Minute).Should(Equal([]string{bare}))
		Eventually(d.answer(ctx, "a1")).WithTimeout(time.Minute).Should(And(ContainSubstring("mirror"), Not(ContainSubstring("bare"))))
		d.propose(ctx, "a1", nil)
		Eventually(schedulable(ctx, "a1")).Should(BeTrue())
	})

	It("gives the node back after the deadline, lets others go first, and tries again", func(ctx SpecContext) {
		d := newDrained(ctx, newCluster(ctx, func(o *manager.Options) { o.DrainRetryDelay = 4 * time.Second }))
		one := intstr.FromInt32(1)
		d.create(ctx, drainPool("a", deadline(10, false), func(s *sriovv1.SriovNetworkPoolConfigSpec) { s.MaxUnavailable = &one }))
		d.ready(ctx, "a1", pooled("a"))
		d.ready(ctx, "a2", pooled("a"))
		db, web := d.pod(ctx, "a1", "db"), d.pod(ctx, "a2", "web")
		budget := d.budget(ctx, "db-budget", "db")
		d.propose(ctx, "a1", plan("h1", sriovv1.DisruptionVFPods, db))
		Eventually(d.answer(ctx, "a1")).Should(HavePrefix(sriovv1.ReasonDrainBlocked))
		d.propose(ctx, "a2", plan("h1", sriovv1.DisruptionVFPods, web))
		Eventually(d.answer(ctx, "a2")).Should(HavePrefix(sriovv1.ReasonWaitingForSlot))
		Eventually(d.answer(ctx, "a1")).WithTimeout(time.Minute).Should(And(
			HavePrefix(sriovv1.ReasonDeadlineExceeded), ContainSubstring("given back"), ContainSubstring("db-budget")))
		Eventually(d.answer(ctx, "a2")).WithTimeout(time.Minute).Should(HavePrefix(sriovv1.ReasonDrainNotNeeded))
		Eventually(func() int32 {
			if drain := d.state(ctx, "a1").Status.Drain; drain != nil {
				return drain.Failures
			}
			return 0
		}).WithTimeout(2 * time.Minute).Should(BeNumerically(">=", 2))
		d.allow(ctx, budget, 1)
		Eventually(d.answer(ctx, "a1")).WithTimeout(2 * time.Minute).Should(HavePrefix(sriovv1.ReasonDrainNotNeeded))
		Eventually(schedulable(ctx, "a1")).Should(BeTrue())
	})

	It("with force deletes after the deadline what a budget protects", func(ctx SpecContext) {
		d := newDrained(ctx, newCluster(ctx))
		d.create(ctx, drainPool("a", deadline(3, true)))
		d.ready(ctx, "a1", pooled("a"))
		db := d.pod(ctx, "a1", "db")
		d.budget(ctx, "db-budget", "db")
		d.propose(ctx, "a1", plan("h1", sriovv1.DisruptionVFPods, db))
		Eventually(d.answer(ctx, "a1")).Should(HavePrefix(sriovv1.ReasonDrainBlocked))
		Expect(d.gone()).To(BeEmpty())
		Eventually(d.answer(ctx, "a1")).WithTimeout(time.Minute).Should(HavePrefix(sriovv1.ReasonDrainNotNeeded))
		Expect(d.gone()).To(Equal([]string{db}))
	})

	It("waits for approval of this very plan where the pool wants it", func(ctx SpecContext) {
		d := newDrained(ctx, newCluster(ctx))
		d.create(ctx, drainPool("a", func(s *sriovv1.SriovNetworkPoolConfigSpec) { s.Approval = sriovv1.ApprovalManual }))
		d.ready(ctx, "a1", pooled("a"))
		web := d.pod(ctx, "a1", "web")
		d.propose(ctx, "a1", plan("h1", sriovv1.DisruptionVFPods, web))
		Eventually(d.answer(ctx, "a1")).Should(And(HavePrefix(sriovv1.ReasonWaitingForApproval), ContainSubstring(
			fmt.Sprintf("kubectl annotate --overwrite -n %s sriovnetworknodestate a1 %s=h1", d.namespace, sriovv1.AnnotationApprovedPlan))))
		d.approve(ctx, "a1", "another")
		Consistently(schedulable(ctx, "a1")).Should(BeTrue())
		d.approve(ctx, "a1", "h1")
		Eventually(d.answer(ctx, "a1")).Should(HavePrefix(sriovv1.ReasonDrainNotNeeded))
		Expect(d.gone()).To(Equal([]string{web}))

		By("asking again for another plan")
		d.propose(ctx, "a1", plan("h2", sriovv1.DisruptionVFPods))
		Eventually(d.answer(ctx, "a1")).Should(HavePrefix(sriovv1.ReasonWaitingForApproval))
	})

	It("goes on with a plan that changed, or ends with it", func(ctx SpecContext) {
		d := newDrained(ctx, newCluster(ctx))
		d.create(ctx, drainPool("a"))
		d.ready(ctx, "a1", pooled("a"))
		db, web := d.pod(ctx, "a1", "db"), d.pod(ctx, "a1", "web")
		d.budget(ctx, "db-budget", "db")
		d.propose(ctx, "a1", plan("h1", sriovv1.DisruptionVFPods, db))
		Eventually(d.answer(ctx, "a1")).Should(HavePrefix(sriovv1.ReasonDrainBlocked))
		d.pause("a1", true)
		d.propose(ctx, "a1", plan("h2", sriovv1.DisruptionVFPods, web))
		Eventually(func() string { return d.drainedFor(ctx, "a1") }).WithTimeout(time.Minute).Should(Equal("h2"))
		Expect(d.gone()).To(Equal([]string{web}))
		Expect(schedulable(ctx, "a1")(Default)).To(BeFalse())

		By("not uncordoning before the answer is taken back")
		d.propose(ctx, "a1", nil)
		Eventually(schedulable(ctx, "a1")).Should(BeTrue())
		Expect(d.drainedFor(ctx, "a1")).To(BeEmpty())

		By("ending a drain whose plan is gone")
		d.propose(ctx, "a1", plan("h1", sriovv1.DisruptionVFPods, db))
		Eventually(d.answer(ctx, "a1")).Should(HavePrefix(sriovv1.ReasonDrainBlocked))
		d.propose(ctx, "a1", nil)
		Eventually(schedulable(ctx, "a1")).Should(BeTrue())
		Expect(d.gone()).To(Equal([]string{web}))
	})

	It("leaves a node cordoned that an administrator had cordoned", func(ctx SpecContext) {
		d := newDrained(ctx, newCluster(ctx))
		d.ready(ctx, "n1", nil)
		cordon(ctx, "n1", true)
		web := d.pod(ctx, "n1", "web")
		d.propose(ctx, "n1", plan("h1", sriovv1.DisruptionVFPods, web))
		Eventually(d.answer(ctx, "n1")).Should(HavePrefix(sriovv1.ReasonDrainNotNeeded))
		Eventually(eventsOn(ctx, "Node", "n1")).Should(ContainElement("DrainEnded"))
		n := &corev1.Node{}
		Expect(c.Get(ctx, client.ObjectKey{Name: "n1"}, n)).To(Succeed())
		Expect(n.Spec.Unschedulable).To(BeTrue())
		cordon(ctx, "n1", false)
		Expect(schedulable(ctx, "n1")(Default)).To(BeTrue())
	})

	It("is not made where the settings say so, nor on a node in two pools", func(ctx SpecContext) {
		d := newDrained(ctx, newCluster(ctx))
		d.create(ctx, drainPool("a"), &sriovv1.SriovNetworkPoolConfig{
			ObjectMeta: metav1.ObjectMeta{Name: "b"},
			Spec:       sriovv1.SriovNetworkPoolConfigSpec{NodeSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"pool": "a"}}},
		})
		d.ready(ctx, "a1", pooled("a"))
		web := d.pod(ctx, "a1", "web")
		d.propose(ctx, "a1", plan("h1", sriovv1.DisruptionVFPods, web))
		Eventually(d.answer(ctx, "a1")).Should(And(HavePrefix(sriovv1.ReasonPoolsOverlap), ContainSubstring("a, b")))
		Consistently(schedulable(ctx, "a1")).Should(BeTrue())
		d.pause("a1", true)
		d.create(ctx, &sriovv1.SriovOperatorConfig{
			ObjectMeta: metav1.ObjectMeta{Name: sriovv1.DefaultConfigName}, Spec: sriovv1.SriovOperatorConfigSpec{DisableDrain: true},
		})
		Eventually(d.answer(ctx, "a1")).Should(HavePrefix(sriovv1.ReasonDrainDisabled))
		Expect(d.drainedFor(ctx, "a1")).To(Equal("h1"))
		Expect(schedulable(ctx, "a1")(Default)).To(BeTrue())
		Expect(d.gone()).To(BeEmpty())
	})

	It("is another drainer's where a node state says so", func(ctx SpecContext) {
		d := newDrained(ctx, newCluster(ctx))
		d.ready(ctx, "n1", nil)
		web := d.pod(ctx, "n1", "web")
		d.annotate(ctx, "n1", sriovv1.AnnotationExternalDrainer, "true")
		asked := func() string {
			n := &corev1.Node{}
			Expect(c.Get(ctx, client.ObjectKey{Name: "n1"}, n)).To(Succeed())
			return n.Annotations[sriovv1.AnnotationDrainRequest]
		}
		desired := func() string { return d.state(ctx, "n1").Annotations[sriovv1.AnnotationDrainDesired] }
		d.propose(ctx, "n1", plan("h1", sriovv1.DisruptionReboot, web))
		Eventually(asked).Should(Equal(sriovv1.ExternalRebootRequired))
		Expect(desired()).To(Equal(sriovv1.ExternalRebootRequired))
		Eventually(d.answer(ctx, "n1")).Should(HavePrefix(sriovv1.ReasonExternalDrain))
		d.annotate(ctx, "n1", sriovv1.AnnotationDrainCurrent, sriovv1.ExternalDraining)
		Consistently(d.answer(ctx, "n1")).Should(HavePrefix(sriovv1.ReasonExternalDrain))
		d.annotate(ctx, "n1", sriovv1.AnnotationDrainCurrent, sriovv1.ExternalDrainComplete)
		Eventually(asked).Should(Equal(sriovv1.ExternalDrainIdle))
		Eventually(desired).Should(Equal(sriovv1.ExternalDrainIdle))
		Expect(d.gone()).To(BeEmpty())
		Expect(schedulable(ctx, "n1")(Default)).To(BeTrue())

		By("not believing an answer about an earlier plan")
		d.propose(ctx, "n1", plan("h2", sriovv1.DisruptionVFPods, web))
		Eventually(d.answer(ctx, "n1")).Should(ContainSubstring("earlier plan"))
		Consistently(asked).Should(Equal(sriovv1.ExternalDrainIdle))
		d.annotate(ctx, "n1", sriovv1.AnnotationDrainCurrent, sriovv1.ExternalDrainIdle)
		Eventually(asked).Should(Equal(sriovv1.ExternalDrainRequired))
	})

	It("is taken back when the operator is uninstalled", func(ctx SpecContext) {
		d := newDrained(ctx, newCluster(ctx))
		d.create(ctx, drainPool("a"))
		d.ready(ctx, "a1", pooled("a"))
		d.ready(ctx, "a2", pooled("a"))
		cordon(ctx, "a2", true)
		db := d.pod(ctx, "a1", "db")
		d.budget(ctx, "db-budget", "db")
		d.propose(ctx, "a1", plan("h1", sriovv1.DisruptionVFPods, db))
		Eventually(d.answer(ctx, "a1")).Should(HavePrefix(sriovv1.ReasonDrainBlocked))
		pool := &sriovv1.SriovNetworkPoolConfig{}
		Eventually(func(g Gomega) *sriovv1.PoolDrainStatus {
			g.Expect(c.Get(ctx, client.ObjectKey{Namespace: d.namespace, Name: "a"}, pool)).To(Succeed())
			return pool.Status.Drain
		}).Should(HaveValue(Equal(sriovv1.PoolDrainStatus{Nodes: 2, MaxUnavailable: 2, Unavailable: 2, Draining: 1, DrainingNodes: []string{"a1"}})))
		Expect(pool.Status).To(haveCondition(sriovv1.ConditionReady, metav1.ConditionTrue, sriovv1.ReasonAccepted))
		d.stop()
		given, err := drain.GiveBack(ctx, c)
		Expect(err).NotTo(HaveOccurred())
		Expect(given).To(Equal(1))
		Expect(schedulable(ctx, "a1")(Default)).To(BeTrue())
		Expect(schedulable(ctx, "a2")(Default)).To(BeFalse())
	})
})

// approve sets the annotation that a person sets.
func (d *drained) approve(ctx context.Context, node, hash string) {
	GinkgoHelper()
	d.annotate(ctx, node, sriovv1.AnnotationApprovedPlan, hash)
}

func (d *drained) annotate(ctx context.Context, node, key, value string) {
	GinkgoHelper()
	s := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: d.namespace, Name: node}}
	patch := mustJSON(map[string]any{"metadata": map[string]any{"annotations": map[string]any{key: value}}})
	Expect(c.Patch(ctx, s, client.RawPatch("application/merge-patch+json", patch))).To(Succeed())
}

// drainedFor is the hash of the plan for which Drained is true.
func (d *drained) drainedFor(ctx context.Context, node string) string {
	GinkgoHelper()
	s := d.state(ctx, node)
	if answer := conditionOf(s, sriovv1.ConditionDrained); answer == nil || answer.Status != metav1.ConditionTrue {
		return ""
	}
	return s.Status.Drain.PlanHash
}
