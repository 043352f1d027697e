package fleet_test

import (
	"context"
	"slices"
	"sync"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/test/controlplane"
	"github.com/sriov-offload/sriov-offload-operator/test/fleet"
)

// lonely is a fleet of one node with a control plane of its own, so that its
// node and state can go and come without anybody noticing.
type lonely struct {
	fleet  *fleet.Fleet
	kernel *simhost.Kernel

	mu      sync.Mutex
	reasons []string // of Ready, in order of appearance
	empty   int      // how many computed specs were without interfaces
}

const lonelyNode = "lonely"

var _ = Describe("What is not known", Ordered, func() {
	var (
		l      lonely
		writes int
		before string
	)

	BeforeAll(func(ctx context.Context) {
		cp, err := controlplane.Start(ctx, controlplane.Options{})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(cp.Stop)
		l.kernel = simhost.New(simhost.Options{NICs: []simhost.NIC{guideNIC()}})
		DeferCleanup(l.kernel.Close)
		l.fleet, err = fleet.Start(context.WithoutCancel(ctx), fleet.Options{
			Config: cp.Config, Namespace: namespace, RemovalDelay: 500 * time.Millisecond,
			Nodes: []fleet.Node{{Name: lonelyNode, Kernel: l.kernel}},
		})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { Expect(l.fleet.Stop()).To(Succeed()) })
		Eventually(l.state).WithContext(ctx).Should(HaveField("Spec.ComputedFrom", Not(BeEmpty())))
		Expect(l.fleet.Client.Create(ctx, guidePolicy())).To(Succeed())
	})

	BeforeEach(func(ctx context.Context) {
		l.converges(ctx)
		l.settles()
		writes, before = l.kernel.Ops().Writes, l.kernel.Dump()
		l.watch(ctx)
	})

	AfterEach(func(ctx context.Context) {
		l.converges(ctx)
		l.settles()
		Expect(l.kernel.Ops().Writes).To(Equal(writes), "the kernel was written to")
		Expect(l.kernel.Dump()).To(Equal(before))
		Expect(l.emptySpecs()).To(BeZero(), "a computed spec had no interfaces")
	})

	It("is nothing about VFs when the node state is deleted", func(ctx context.Context) {
		s := l.state(ctx)
		Expect(l.fleet.Client.Delete(ctx, &s)).To(Succeed())
		Eventually(l.state).WithContext(ctx).Should(And(HaveField("UID", Not(Equal(s.UID))), HaveField("Spec.Interfaces", HaveLen(2))))
	})

	It("is nothing about VFs when the first look after that fails", func(ctx context.Context) {
		l.kernel.Fail(simhost.Fault{Op: "links.List*", Errno: syscall.ENOBUFS})
		s := l.state(ctx)
		Expect(l.fleet.Client.Delete(ctx, &s)).To(Succeed())
		Eventually(l.reasonsSeen).Should(ContainElement(sriovv1.ReasonObserveFailed))
		Eventually(l.state).WithContext(ctx).Should(And(HaveField("UID", Not(Equal(s.UID))), HaveField("Spec.Interfaces", HaveLen(2))))
	})

	It("is nothing about VFs when the node leaves and comes back", func(ctx context.Context) {
		Expect(l.fleet.Client.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: lonelyNode}})).To(Succeed())
		Eventually(func() bool {
			err := l.fleet.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: lonelyNode}, &sriovv1.SriovNetworkNodeState{})
			return apierrors.IsNotFound(err)
		}).Should(BeTrue())
		Expect(l.fleet.Client.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: lonelyNode}})).To(Succeed())
		Eventually(l.state).WithContext(ctx).Should(HaveField("Spec.Interfaces", HaveLen(2)))
		Eventually(l.labels).WithContext(ctx).Should(HaveKeyWithValue(sriovv1.LabelCapable, "true"))
	})

	It("is how many VFs there can be, while sriov_totalvfs cannot be read", func(ctx context.Context) {
		l.unreadable(ctx, "*/sriov_totalvfs", "total")
		By("even if somebody removes the label")
		l.unlabel(ctx)
		Eventually(l.labels).WithContext(ctx).Should(HaveKeyWithValue(sriovv1.LabelCapable, "true"))
		Consistently(l.labels).WithContext(ctx).WithTimeout(2 * time.Second).Should(HaveKeyWithValue(sriovv1.LabelCapable, "true"))
		Expect(l.state(ctx).Spec.Interfaces).To(HaveLen(2))
		l.readable(ctx, "total")
	})

	It("is whether the vendor is the right one, while that cannot be read", func(ctx context.Context) {
		p := l.policy(ctx)
		p.Spec.NicSelector = sriovv1.NicSelector{Vendor: "15b3"}
		Expect(l.fleet.Client.Update(ctx, &p)).To(Succeed())
		l.converges(ctx)
		spec := l.state(ctx).Spec
		l.unreadable(ctx, "*/0000:5f:00.0/vendor", "vendor")
		Eventually(l.policy).WithContext(ctx).Should(HaveField("Status.Unmatched", ContainElement(And(
			HaveField("Field", "nicSelector.vendor"),
			HaveField("Message", "the vendor of 0000:5f:00.0 on node lonely is not known, so its VFs stay as they are until it is"),
		))))
		Expect(l.policy(ctx).Status.MatchedNodes).To(Equal(1))
		Expect(l.state(ctx).Spec.Interfaces).To(Equal(spec.Interfaces))
		By("not even when the policy changes what it offers")
		p = l.policy(ctx)
		p.Spec.ResourceName = "renamed"
		Expect(l.fleet.Client.Update(ctx, &p)).To(Succeed())
		Eventually(l.state).WithContext(ctx).Should(HaveField("Spec.Interfaces", ConsistOf(
			Equal(spec.Interfaces[0]),
			HaveField("VfGroups", ConsistOf(HaveField("ResourceName", "renamed"))),
		)))
		l.readable(ctx, "vendor")
		Eventually(l.state).WithContext(ctx).Should(HaveField("Spec.Interfaces", HaveEach(
			HaveField("VfGroups", ConsistOf(HaveField("ResourceName", "renamed"))))))
	})
})

// unreadable makes files unreadable and waits until the daemon noticed.
func (l *lonely) unreadable(ctx context.Context, files, event string) {
	GinkgoHelper()
	l.kernel.Fail(simhost.Fault{Op: "fs.ReadFile " + files, Times: -1, Errno: syscall.EIO})
	Expect(l.kernel.AddAltName("ens41f0np0", event+"0")).To(Succeed())
	Eventually(l.state).WithContext(ctx).Should(HaveField("Status.Inventory", sriovv1.InventoryPartial))
}

func (l *lonely) readable(ctx context.Context, event string) {
	GinkgoHelper()
	l.kernel.ClearFaults()
	Expect(l.kernel.AddAltName("ens41f0np0", event+"1")).To(Succeed())
	Eventually(l.state).WithContext(ctx).Should(HaveField("Status.Inventory", sriovv1.InventoryComplete))
}

// state is the node's; empty if there is none.
func (l *lonely) state(ctx context.Context) sriovv1.SriovNetworkNodeState {
	GinkgoHelper()
	var s sriovv1.SriovNetworkNodeState
	err := l.fleet.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: lonelyNode}, &s)
	Expect(client.IgnoreNotFound(err)).To(Succeed())
	return s
}

func (l *lonely) policy(ctx context.Context) sriovv1.SriovNetworkNodePolicy {
	GinkgoHelper()
	p := guidePolicy()
	Expect(l.fleet.Client.Get(ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
	return *p
}

func (l *lonely) labels(ctx context.Context) map[string]string {
	GinkgoHelper()
	var n corev1.Node
	Expect(l.fleet.Client.Get(ctx, client.ObjectKey{Name: lonelyNode}, &n)).To(Succeed())
	return n.Labels
}

func (l *lonely) unlabel(ctx context.Context) {
	GinkgoHelper()
	patch := `{"metadata":{"labels":{"` + sriovv1.LabelCapable + `":null}}}`
	Expect(l.fleet.Client.Patch(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: lonelyNode}},
		client.RawPatch("application/merge-patch+json", []byte(patch)))).To(Succeed())
}

// converges waits until both ports have their VFs and all are ready.
func (l *lonely) converges(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(l.fleet.Err()).NotTo(HaveOccurred())
		s, p := l.state(ctx), l.policy(ctx)
		g.Expect(s.Spec.Interfaces).To(HaveLen(2))
		g.Expect(s.Status.NumVfs).To(Equal(6))
		ready := func(generation int64) types.GomegaMatcher {
			return HaveValue(And(HaveField("Status", metav1.ConditionTrue), HaveField("ObservedGeneration", generation)))
		}
		g.Expect(meta.FindStatusCondition(s.Status.Conditions, sriovv1.ConditionReady)).To(ready(s.Generation))
		g.Expect(meta.FindStatusCondition(p.Status.Conditions, sriovv1.ConditionReady)).To(ready(p.Generation))
	}).Should(Succeed())
}

// settles waits until nobody has looked at the kernel for a while.
func (l *lonely) settles() {
	GinkgoHelper()
	last, since := l.kernel.Ops().Total(), time.Now()
	Eventually(func() time.Duration {
		if now := l.kernel.Ops().Total(); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since)
	}).Should(BeNumerically(">=", 500*time.Millisecond))
}

// watch follows the node's state until the spec ends.
func (l *lonely) watch(ctx context.Context) {
	GinkgoHelper()
	l.mu.Lock()
	l.reasons, l.empty = nil, 0
	l.mu.Unlock()
	w, err := l.fleet.Client.Watch(context.WithoutCancel(ctx), &sriovv1.SriovNetworkNodeStateList{}, client.InNamespace(namespace))
	Expect(err).NotTo(HaveOccurred())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range w.ResultChan() {
			if s, ok := e.Object.(*sriovv1.SriovNetworkNodeState); ok {
				l.take(s)
			}
		}
	}()
	DeferCleanup(func() {
		w.Stop()
		<-done
	})
}

func (l *lonely) take(s *sriovv1.SriovNetworkNodeState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.Spec.ComputedFrom != "" && len(s.Spec.Interfaces) == 0 {
		l.empty++
	}
	if ready := meta.FindStatusCondition(s.Status.Conditions, sriovv1.ConditionReady); ready != nil {
		l.reasons = append(l.reasons, ready.Reason)
	}
}

func (l *lonely) reasonsSeen() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.reasons)
}

func (l *lonely) emptySpecs() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.empty
}
