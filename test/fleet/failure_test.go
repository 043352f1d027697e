package fleet_test

import (
	"context"
	"net/http"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

var _ = Describe("A kernel that refuses, on a node of its own", Ordered, func() {
	const setMode = "devlink.SetEswitchMode"
	kernel := func() *simhost.Kernel { return kernels["node4"] }

	BeforeAll(func(ctx context.Context) {
		Eventually(allReported).WithContext(ctx).Should(BeEmpty())
		DeferCleanup(func(ctx context.Context) {
			kernel().ClearFaults()
			p := &sriovv1.SriovNetworkNodePolicy{ObjectMeta: metav1.ObjectMeta{Name: "refused", Namespace: namespace}}
			Expect(client.IgnoreNotFound(running.Client.Delete(ctx, p))).To(Succeed())
			Eventually(notReady).WithContext(ctx).Should(BeEmpty())
		})
	})

	It("publishes the plan before it touches anything", func(ctx context.Context) {
		kernel().Fail(simhost.Fault{Op: "fs.WriteFile*", Times: 1, Delay: time.Second})
		kernel().Fail(simhost.Fault{Op: "ethtool.SetFeature*", Times: 1, Delay: time.Second})
		kernel().Fail(simhost.Fault{Op: "devlink.SetEswitchMode pci/0000:5f:00.0*", Times: -1, Errno: syscall.EOPNOTSUPP, Text: "not today"})
		p := guidePolicy()
		p.Name, p.Spec.NodeSelector = "refused", map[string]string{"example.com/refused": "yes"}
		Expect(running.Client.Create(ctx, p)).To(Succeed())
		relabel(ctx, "node4", "example.com/refused", "yes")
		Eventually(func() sriovv1.SriovNetworkNodeState { return state(ctx, "node4") }).Should(And(
			HaveField("Status.Plan.Steps", Not(BeEmpty())),
			WithTransform(readyOf, HaveField("Reason", sriovv1.ReasonApplying)),
			HaveField("Status.NumVfs", BeZero()),
		))
	})

	It("says in words what was refused, and does not keep the other port from it", func(ctx context.Context) {
		Eventually(func() sriovv1.SriovNetworkNodeState { return state(ctx, "node4") }).Should(And(
			WithTransform(readyOf, And(
				HaveField("Reason", sriovv1.ReasonApplyFailed),
				HaveField("Message", And(ContainSubstring("0000:5f:00.0"), ContainSubstring("not today"))))),
			HaveField("Status.SyncStatus", sriovv1.SyncFailed),
			WithTransform(func(s sriovv1.SriovNetworkNodeState) string { return s.Status.Interfaces[1].EswitchMode }, Equal("switchdev")),
		))
	})

	It("tries again less and less often, although its own steps cause events", func(ctx context.Context) {
		requests["node4"].Reset()
		tries := kernel().Ops().ByKind[setMode]
		// Tries after 1, 2, 4 and 8 s fall into 8 s at most three times or four.
		Consistently(func(g Gomega) {
			g.Expect(kernel().Ops().ByKind[setMode] - tries).To(BeNumerically("<=", 4))
			g.Expect(requests["node4"].Writes()["patch sriovnetworknodestates/status"]).To(BeNumerically("<=", 12))
		}).WithTimeout(8 * time.Second).WithPolling(200 * time.Millisecond).Should(Succeed())
		Expect(kernel().Ops().ByKind[setMode]).To(BeNumerically(">", tries))
	})

	It("goes on by itself when the kernel does", func(ctx context.Context) {
		kernel().ClearFaults()
		Eventually(notReady).WithContext(ctx).Should(BeEmpty())
		Expect(state(ctx, "node4").Status.NumVfs).To(Equal(6))
	})

	It("leaves conditions of other writers alone, and does not write again because of them", func(ctx context.Context) {
		data := []byte(`{"apiVersion":"sriovnetwork.openshift.io/v1","kind":"SriovNetworkNodeState","status":{"conditions":[` +
			`{"type":"Drained","status":"True","reason":"Done","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`)
		s := state(ctx, "node4")
		patch := client.RawPatch(types.ApplyPatchType, data)
		Expect(running.Client.Status().Patch(ctx, &s, patch, client.FieldOwner("drainer"))).To(Succeed())
		quietFor(time.Second)
		requests["node4"].Reset()
		// An event on the host makes the daemon look.
		reads := kernel().Ops().Reads
		Expect(kernel().AddAltName("ens41f0np0", "uplink0")).To(Succeed())
		Eventually(func() []string { return state(ctx, "node4").Status.Interfaces[0].AltNames }).Should(ContainElement("uplink0"))
		Expect(kernel().Ops().Reads).To(BeNumerically(">", reads))
		quietFor(time.Second)
		// One for the name, one for the generation that the manager computes from it.
		Expect(requests["node4"].Writes()).To(Equal(map[string]int{"patch sriovnetworknodestates/status": 2}))
		Expect(state(ctx, "node4").Status.Conditions).To(ContainElement(HaveField("Type", "Drained")))
	})

	It("answers probes", func(ctx context.Context) {
		for _, path := range []string{"/healthz", "/readyz"} {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+probeAddress+path, http.NoBody)
			Expect(err).NotTo(HaveOccurred())
			Eventually(func(g Gomega) {
				resp, err := http.DefaultClient.Do(req)
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(resp.Body.Close()).To(Succeed())
				g.Expect(resp.StatusCode).To(Equal(http.StatusOK))
			}).Should(Succeed())
		}
	})
})
