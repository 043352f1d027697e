package manager_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/manager"
)

// quiet is longer than any controller waits before it sends something.
const quiet = 700 * time.Millisecond

// idle waits until the manager has sent nothing for a while.
func (k *cluster) idle() {
	GinkgoHelper()
	last, since := k.requests.All(), time.Now()
	Eventually(func() time.Duration {
		if now := k.requests.All(); fmt.Sprint(now) != fmt.Sprint(last) {
			last, since = now, time.Now()
		}
		return time.Since(since)
	}).WithTimeout(30 * time.Second).Should(BeNumerically(">=", quiet))
}

var _ = Describe("A fleet", func() {
	It("costs no request when nothing happens, and none when the manager restarts", func(ctx SpecContext) {
		k := newCluster(ctx, func(o *manager.Options) { o.LeaderElection = true })
		k.create(ctx, guidePolicy(), legacyPolicy("legacy", 2, "enp2s0f0", nil), legacyPolicy("nowhere", 2, "absent", nil))
		k.create(ctx, &sriovv1.SriovNetworkPoolConfig{ObjectMeta: metav1Name("pool")})
		for i := range 4 {
			name := fmt.Sprintf("cx%d", i)
			k.node(ctx, name, nil)
			k.report(ctx, name, connectX5(0), connectX5(1), i82576())
		}
		for i := range 4 {
			Eventually(k.spec(ctx, fmt.Sprintf("cx%d", i))).Should(HaveField("Interfaces", HaveLen(3)))
			k.answer(ctx, fmt.Sprintf("cx%d", i), sriovv1.ReasonConverged, "")
		}
		for _, policy := range []string{"policy", "legacy"} {
			Eventually(k.policyStatus(ctx, policy)).Should(HaveField("ReadyNodes", 4))
		}
		k.idle()

		By("being idle")
		k.requests.Reset()
		Consistently(k.requests.All).WithTimeout(3 * time.Second).Should(BeEmpty())
		Expect(k.requests.Leases()).NotTo(BeEmpty())

		By("restarting")
		k.stop()
		k.requests.Reset()
		before := reconciles("policy")
		k.start(ctx)
		Eventually(func() float64 { return reconciles("policy") - before }).Should(BeNumerically(">=", 3))
		k.idle()
		// Leader election records an event that says who leads.
		Expect(k.requests.Writes()).To(Equal(map[string]int{"create events": 1}))

		By("taking note of progress of the daemons that changes nothing")
		k.requests.Reset()
		k.answer(ctx, "cx0", sriovv1.ReasonConverged, "still")
		Consistently(k.requests.Writes).Should(BeEmpty())
	})

	It("of 200 nodes and 20 policies costs one spec write per node and few per policy", func(ctx SpecContext) {
		const nodes, policies = 200, 20
		k := newCluster(ctx)
		inventory := []sriovv1.InterfaceStatus{connectX5(0), connectX5(1), i82576()}
		for i := range policies {
			p := guidePolicy()
			p.Name = fmt.Sprintf("policy%02d", i)
			p.Spec.NodeSelector = map[string]string{"group": fmt.Sprint(i % 10)}
			p.Spec.ResourceName = fmt.Sprintf("resource_%d", i)
			p.Spec.NicSelector.PfNames = []string{[]string{"ens41f0np0", "ens41f1np1"}[i/10]}
			k.create(ctx, p)
		}
		name := func(i int) string { return fmt.Sprintf("node%03d", i) }
		for i := range nodes {
			k.node(ctx, name(i), map[string]string{"group": fmt.Sprint(i % 10)})
		}
		Eventually(func() int { return k.requests.Writes()["patch sriovnetworknodestates"] }).WithTimeout(30 * time.Second).Should(Equal(nodes))
		k.idle()
		k.requests.Reset()

		By("reporting")
		for i := range nodes {
			k.report(ctx, name(i), inventory...)
		}
		for i := range nodes {
			Eventually(k.spec(ctx, name(i))).Should(HaveField("Interfaces", HaveLen(2)))
		}
		k.idle()
		writes := k.requests.Writes()
		Expect(writes).To(HaveKeyWithValue("patch sriovnetworknodestates", nodes))
		Expect(writes).To(HaveKeyWithValue("patch configmaps", nodes))
		// The label of capable nodes does not wait for the spec, that of the device plugin does.
		Expect(writes).To(HaveKeyWithValue("patch nodes", And(BeNumerically(">=", nodes), BeNumerically("<=", 2*nodes))))
		Expect(writes).To(HaveLen(4))

		By("becoming ready")
		k.requests.Reset()
		reconciled := reconciles("policy")
		for i := range nodes {
			k.answer(ctx, name(i), sriovv1.ReasonConverged, "")
		}
		for i := range policies {
			Eventually(k.policyStatus(ctx, fmt.Sprintf("policy%02d", i))).Should(And(
				HaveField("MatchedNodes", nodes/10), HaveField("ReadyNodes", nodes/10),
			))
		}
		k.idle()
		writes = k.requests.Writes()
		Expect(writes).To(HaveLen(1))
		// 400 changes of readiness (each node is in two policies) come in much fewer computations.
		Expect(writes["patch sriovnetworknodepolicies/status"]).To(BeNumerically("<", 2*nodes))
		Expect(reconciles("policy") - reconciled).To(BeNumerically("<", 2*nodes))
	})
})
