package manager_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/fleet"
	"github.com/sriov-offload/sriov-offload-operator/controllers/manager"
	"github.com/sriov-offload/sriov-offload-operator/controllers/nodestate"
)

var _ = Describe("Node states", func() {
	It("turn the policy of the guide into the spec of the guide", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.node(ctx, "cx5", map[string]string{"kubernetes.io/os": "linux"})
		k.node(ctx, "igb", nil)
		k.create(ctx, guidePolicy())

		By("observing only as long as the daemon has not reported")
		Eventually(func() any { return k.state(ctx, "cx5") }).ShouldNot(BeNil())
		Consistently(k.spec(ctx, "cx5")).Should(BeZero())

		By("computing once it has")
		k.report(ctx, "cx5", connectX5(0), connectX5(1))
		k.report(ctx, "igb", i82576())
		port := func(address, name string) sriovv1.Interface {
			return sriovv1.Interface{
				PCIAddress: address, Name: name, NumVfs: 3, EswitchMode: sriovv1.EswitchModeSwitchdev,
				VfGroups: []sriovv1.VfGroup{{
					ResourceName: "cx_sriov_switchdev", PolicyName: "policy", VfRange: sriovv1.VFRange{First: 0, Last: 2},
					DeviceType: sriovv1.DeviceTypeNetdevice,
				}},
			}
		}
		Eventually(k.spec(ctx, "cx5")).Should(HaveField("Interfaces", Equal([]sriovv1.Interface{
			port("0000:5f:00.0", "ens41f0np0"), port("0000:5f:00.1", "ens41f1np1"),
		})))
		Expect(k.computed(ctx, "igb").Spec.Interfaces).To(BeEmpty())

		By("following the policy")
		update(ctx, k, &sriovv1.SriovNetworkNodePolicy{}, "policy", func(p *sriovv1.SriovNetworkNodePolicy) { p.Spec.NumVfs = 5 })
		Eventually(k.spec(ctx, "cx5")).Should(HaveField("Interfaces", HaveEach(HaveField("NumVfs", 5))))
		before := k.state(ctx, "cx5").Spec.ComputedFrom
		Expect(c.Delete(ctx, &sriovv1.SriovNetworkNodePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: k.namespace, Name: "policy"}})).To(Succeed())
		Eventually(k.spec(ctx, "cx5")).Should(And(
			HaveField("Interfaces", BeEmpty()),
			HaveField("ComputedFrom", And(Not(BeEmpty()), Not(Equal(before)))),
		))
	})

	It("are computed for a node without any NIC too", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.node(ctx, "bare", nil)
		k.report(ctx, "bare")
		Expect(k.computed(ctx, "bare").Spec.Interfaces).To(BeEmpty())
		Consistently(labels(ctx, "bare")).ShouldNot(HaveKey(sriovv1.LabelCapable))
	})

	It("exist where the daemon runs", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.node(ctx, "linux", map[string]string{"kubernetes.io/os": "linux"})
		k.node(ctx, "windows", map[string]string{"kubernetes.io/os": "windows"})
		Eventually(func() any { return k.state(ctx, "linux") }).ShouldNot(BeNil())
		Consistently(func() any { return k.state(ctx, "windows") }).Should(BeNil())

		By("following configDaemonNodeSelector")
		k.node(ctx, "chosen", map[string]string{"role": "chosen"})
		k.create(ctx, &sriovv1.SriovOperatorConfig{
			ObjectMeta: metav1.ObjectMeta{Name: sriovv1.DefaultConfigName},
			Spec:       sriovv1.SriovOperatorConfigSpec{ConfigDaemonNodeSelector: map[string]string{"role": "chosen"}},
		})
		Eventually(func() any { return k.state(ctx, "chosen") }).ShouldNot(BeNil())
		Eventually(func() map[string]string { return k.state(ctx, "linux").Annotations }).Should(HaveKey(sriovv1.AnnotationKeepUntil))
	})

	It("are repaired when somebody changes the spec", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.node(ctx, "cx5", nil)
		k.create(ctx, guidePolicy())
		k.report(ctx, "cx5", connectX5(0), connectX5(1))
		Eventually(k.spec(ctx, "cx5")).Should(HaveField("Interfaces", HaveLen(2)))
		want := k.state(ctx, "cx5").Spec

		By("changing a value")
		update(ctx, k, &sriovv1.SriovNetworkNodeState{}, "cx5", func(s *sriovv1.SriovNetworkNodeState) { s.Spec.Interfaces[0].NumVfs = 1 })
		Eventually(k.spec(ctx, "cx5")).Should(Equal(want))

		By("adding and removing interfaces, and setting what was not set")
		update(ctx, k, &sriovv1.SriovNetworkNodeState{}, "cx5", func(s *sriovv1.SriovNetworkNodeState) {
			s.Spec.Interfaces[1].MTU = 9000
			s.Spec.Interfaces[0] = sriovv1.Interface{PCIAddress: "0000:ff:00.0", NumVfs: 64}
			s.Spec.System.RdmaMode = "exclusive"
		})
		Eventually(k.spec(ctx, "cx5")).Should(Equal(want))

		By("deleting the state")
		Expect(c.Delete(ctx, k.state(ctx, "cx5"))).To(Succeed())
		k.report(ctx, "cx5", connectX5(0), connectX5(1))
		Eventually(k.spec(ctx, "cx5")).Should(Equal(want))

		By("wiping the status, which makes the inventory unknown and not empty")
		s := k.state(ctx, "cx5")
		s.Status = sriovv1.SriovNetworkNodeStateStatus{}
		Expect(c.Status().Update(ctx, s)).To(Succeed())
		Consistently(k.spec(ctx, "cx5")).Should(Equal(want))
	})

	It("do not depend on when the manager writes its own label", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.create(ctx, guidePolicy())
		cx := k.node(ctx, "cx", nil)
		k.report(ctx, "cx", connectX5(0), connectX5(1))
		Eventually(k.spec(ctx, "cx")).Should(HaveField("Interfaces", HaveLen(2)))
		k.answer(ctx, "cx", sriovv1.ReasonConverged, "")
		Eventually(k.policyStatus(ctx, "policy")).Should(HaveField("ReadyNodes", 1))
		k.idle()
		want := k.state(ctx, "cx")
		k.stop()
		By("merging before it is there")
		Expect(c.Delete(ctx, cx)).To(Succeed())
		k.node(ctx, "cx", nil)
		r := &nodestate.Reconciler{Client: c, Namespace: k.namespace, Fleet: fleet.New(), RemovalDelay: time.Hour}
		Expect(r.Reconcile(ctx, reconcile.Request{NamespacedName: client.ObjectKey{Name: "cx"}})).To(BeZero())
		Expect(k.state(ctx, "cx")).To(Equal(want))
		By("respecting a value that the node has")
		relabel(ctx, "cx", map[string]any{sriovv1.LabelCapable: "false"})
		Expect(r.Reconcile(ctx, reconcile.Request{NamespacedName: client.ObjectKey{Name: "cx"}})).To(BeZero())
		Expect(k.state(ctx, "cx").Spec.Interfaces).To(BeEmpty())
	})

	It("change on the node only whose labels change", func(ctx SpecContext) {
		k := newCluster(ctx)
		names := []string{"n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7"}
		k.create(ctx, legacyPolicy("by-role", 4, "ens41f0np0", map[string]string{"role": "worker"}))
		for _, name := range names {
			k.node(ctx, name, nil)
			k.report(ctx, name, connectX5(0))
		}
		for _, name := range names {
			k.computed(ctx, name)
			Eventually(labels(ctx, name)).Should(HaveKey(sriovv1.LabelDevicePlugin))
		}
		k.idle()
		k.requests.Reset()
		nodestates, plugins := reconciles("nodestate"), reconciles("deviceplugin")

		relabel(ctx, "n3", map[string]any{"role": "worker"})
		Eventually(k.spec(ctx, "n3")).Should(HaveField("Interfaces", HaveLen(1)))
		Eventually(labels(ctx, "n3")).Should(HaveKeyWithValue(sriovv1.LabelDevicePlugin, sriovv1.DevicePluginEnabled))
		Eventually(k.policyStatus(ctx, "by-role")).Should(HaveField("MatchedNodes", 1))
		k.idle()

		// One for each label change (the user's and ours), one for the spec that we wrote.
		Expect(reconciles("nodestate") - nodestates).To(BeNumerically("<=", 3))
		Expect(reconciles("deviceplugin") - plugins).To(BeNumerically("<=", 3))
		Expect(k.requests.Writes()).To(Equal(map[string]int{
			"patch sriovnetworknodestates":          1,
			"patch configmaps":                      1,
			"patch nodes":                           1,
			"patch sriovnetworknodepolicies/status": k.requests.Writes()["patch sriovnetworknodepolicies/status"],
		}))
		Expect(k.requests.Writes()["patch sriovnetworknodepolicies/status"]).To(BeNumerically("<=", 2))
	})

	It("are kept for a while when their node leaves", func(ctx SpecContext) {
		k := newCluster(ctx)
		leaver := k.node(ctx, "leaver", nil)
		k.create(ctx, guidePolicy())
		k.report(ctx, "leaver", connectX5(0), connectX5(1))
		Eventually(k.spec(ctx, "leaver")).Should(HaveField("Interfaces", HaveLen(2)))
		want := k.state(ctx, "leaver")

		Expect(c.Delete(ctx, leaver)).To(Succeed())
		Eventually(func() map[string]string { return k.state(ctx, "leaver").Annotations }).Should(HaveKey(sriovv1.AnnotationKeepUntil))
		until, err := time.Parse(time.RFC3339, k.state(ctx, "leaver").Annotations[sriovv1.AnnotationKeepUntil])
		Expect(err).NotTo(HaveOccurred())
		Expect(until).To(BeTemporally("~", time.Now().Add(time.Hour), time.Minute))
		Expect(k.state(ctx, "leaver").Spec).To(Equal(want.Spec))
		Eventually(k.policyStatus(ctx, "policy")).Should(HaveField("MatchedNodes", 0))

		By("not starting the delay again when the manager restarts")
		k.stop()
		k.start(ctx)
		Consistently(func() string { return k.state(ctx, "leaver").Annotations[sriovv1.AnnotationKeepUntil] }).
			Should(Equal(until.Format(time.RFC3339Nano)))

		By("coming back")
		k.node(ctx, "leaver", map[string]string{sriovv1.LabelCapable: "true"})
		Eventually(func() map[string]string { return k.state(ctx, "leaver").Annotations }).ShouldNot(HaveKey(sriovv1.AnnotationKeepUntil))
		Consistently(func() any { return k.state(ctx, "leaver") }).Should(HaveField("UID", want.UID))
		Eventually(k.spec(ctx, "leaver")).Should(Equal(want.Spec))
	})

	It("go once their node has been gone for long enough", func(ctx SpecContext) {
		k := newCluster(ctx, func(o *manager.Options) { o.RemovalDelay = 500 * time.Millisecond })
		leaver := k.node(ctx, "leaver", nil)
		k.report(ctx, "leaver", connectX5(0))
		k.computed(ctx, "leaver")
		Expect(c.Delete(ctx, leaver)).To(Succeed())
		Eventually(func() any { return k.state(ctx, "leaver") }).Should(BeNil())
	})

	It("take the RDMA mode of their pool, unless they are in two", func(ctx SpecContext) {
		k := newCluster(ctx)
		pool := func(name, mode string, nodes *metav1.LabelSelector) *sriovv1.SriovNetworkPoolConfig {
			return &sriovv1.SriovNetworkPoolConfig{
				ObjectMeta: metav1.ObjectMeta{Name: name},
				Spec:       sriovv1.SriovNetworkPoolConfigSpec{NodeSelector: nodes, RdmaMode: mode},
			}
		}
		status := func(name string) func(Gomega) sriovv1.SriovNetworkPoolConfigStatus {
			return func(g Gomega) sriovv1.SriovNetworkPoolConfigStatus {
				p := &sriovv1.SriovNetworkPoolConfig{}
				g.Expect(c.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: name}, p)).To(Succeed())
				return p.Status
			}
		}
		k.node(ctx, "a", map[string]string{"pool": "a"})
		k.node(ctx, "b", map[string]string{"pool": "b"})
		k.report(ctx, "a", connectX5(0))
		k.report(ctx, "b", connectX5(0))
		k.create(ctx, pool("only-a", "exclusive", &metav1.LabelSelector{MatchLabels: map[string]string{"pool": "a"}}))
		Eventually(k.spec(ctx, "a")).Should(HaveField("System.RdmaMode", "exclusive"))
		Expect(k.computed(ctx, "b").Spec.System.RdmaMode).To(BeEmpty())
		Eventually(status("only-a")).Should(haveCondition(sriovv1.ConditionReady, metav1.ConditionTrue, sriovv1.ReasonAccepted))

		By("keeping the mode of a node that a second pool claims")
		k.create(ctx, pool("everything", "shared", nil))
		for _, name := range []string{"only-a", "everything"} {
			Eventually(status(name)).Should(And(
				haveCondition(sriovv1.ConditionReady, metav1.ConditionFalse, sriovv1.ReasonPoolsOverlap),
				haveCondition(sriovv1.ConditionStalled, metav1.ConditionTrue, sriovv1.ReasonPoolsOverlap),
				haveMessage(sriovv1.ConditionStalled, ContainSubstring("node a is also in pool")),
			))
		}
		Eventually(k.spec(ctx, "b")).Should(HaveField("System.RdmaMode", "shared"))
		Consistently(k.spec(ctx, "a")).Should(HaveField("System.RdmaMode", "exclusive"))

		By("taking the other's once only that one is left")
		relabel(ctx, "a", map[string]any{"pool": nil})
		Eventually(k.spec(ctx, "a")).Should(HaveField("System.RdmaMode", "shared"))
		Eventually(status("everything")).Should(haveCondition(sriovv1.ConditionReady, metav1.ConditionTrue, sriovv1.ReasonAccepted))
		Eventually(status("only-a")).Should(haveCondition(sriovv1.ConditionReady, metav1.ConditionTrue, sriovv1.ReasonAccepted))
	})

	It("says which configuration mode the operator asks for", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.node(ctx, "a", nil)
		k.report(ctx, "a", connectX5(0))
		Expect(k.computed(ctx, "a").Spec.System.ConfigurationMode).To(BeEmpty())
		k.create(ctx, &sriovv1.SriovOperatorConfig{
			ObjectMeta: metav1.ObjectMeta{Name: sriovv1.DefaultConfigName},
			Spec:       sriovv1.SriovOperatorConfigSpec{ConfigurationMode: sriovv1.ConfigurationSystemd},
		})
		Eventually(k.spec(ctx, "a")).Should(HaveField("System.ConfigurationMode", sriovv1.ConfigurationSystemd))
	})

	It("do not bring back a node that goes while its labels are written", func(ctx SpecContext) {
		k := newCluster(ctx)
		for range 5 {
			n := k.node(ctx, "fleeting", nil)
			k.report(ctx, "fleeting", connectX5(0))
			Expect(c.Delete(ctx, n)).To(Succeed())
		}
		k.idle()
		nodes := &corev1.NodeList{}
		Expect(c.List(ctx, nodes)).To(Succeed())
		Expect(nodes.Items).To(BeEmpty())
	})
})
