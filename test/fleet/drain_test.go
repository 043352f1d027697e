package fleet_test

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/agent"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

// A daemon alone, in a namespace that the manager does not look at: the test gives
// the manager's answers.
var _ = Describe("A daemon with a disruptive plan", Ordered, func() {
	const apart, name, vf = "drained-by-hand", "drained", "0000:5f:00.2"
	var kernel *simhost.Kernel

	get := func(ctx context.Context) sriovv1.SriovNetworkNodeState {
		GinkgoHelper()
		var s sriovv1.SriovNetworkNodeState
		Expect(running.Client.Get(ctx, client.ObjectKey{Namespace: apart, Name: name}, &s)).To(Succeed())
		return s
	}
	answer := func(ctx context.Context, hash, status, reason string) {
		GinkgoHelper()
		s := get(ctx)
		// Not the typed object: it would be the manager's answer to more than that.
		u := &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{
			"drain": map[string]any{"planHash": hash},
			"conditions": []any{map[string]any{
				"type": sriovv1.ConditionDrained, "status": status, "reason": reason, "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
			}},
		}}}
		u.SetGroupVersionKind(sriovv1.GroupVersion.WithKind("SriovNetworkNodeState"))
		u.SetNamespace(s.Namespace)
		u.SetName(s.Name)
		data, err := u.MarshalJSON()
		Expect(err).NotTo(HaveOccurred())
		Expect(running.Client.Status().Patch(ctx, &s, client.RawPatch(types.ApplyPatchType, data), client.FieldOwner("manager"), client.ForceOwnership)).To(Succeed())
	}
	want := func(ctx context.Context, vfs int) {
		GinkgoHelper()
		// The daemon writes the status meanwhile.
		Eventually(func(ctx context.Context) error {
			s := get(ctx)
			s.Spec.ComputedFrom = fmt.Sprint(vfs)
			s.Spec.Interfaces = []sriovv1.Interface{{PCIAddress: "0000:5f:00.0", Name: "ens41f0np0", NumVfs: vfs}}
			return running.Client.Update(ctx, &s)
		}).WithContext(ctx).Should(Succeed())
	}
	numVfs := func(ctx context.Context) int { return get(ctx).Status.NumVfs }

	BeforeAll(func(ctx context.Context) {
		kernel = simhost.New(simhost.Options{NICs: []simhost.NIC{guideNIC()}})
		DeferCleanup(kernel.Close)
		Expect(running.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: apart}})).To(Succeed())
		Expect(running.Client.Create(ctx, &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: apart, Name: name}})).To(Succeed())
		life, end := context.WithCancel(context.WithoutCancel(ctx))
		ended := make(chan error, 1)
		go func() {
			ended <- agent.Run(life, agent.Options{
				Config: options.Config, Node: name, Namespace: apart, Host: kernel.Host(), Store: kernel.Store(),
				MetricsBindAddress: "0", ProbeBindAddress: "0",
			})
		}()
		DeferCleanup(func() {
			end()
			Eventually(ended).Should(Receive(BeNil()))
		})
	})

	It("goes on when it is drained, at once, and never writes the answer", func(ctx context.Context) {
		want(ctx, 2)
		Eventually(numVfs).WithContext(ctx).Should(Equal(2))
		Expect(kernel.AssignVF(vf, "shop/web")).To(Succeed())
		want(ctx, 3)
		Eventually(get).WithContext(ctx).Should(HaveField("Status.Plan.AffectedPods", ConsistOf("shop/web")))
		hash := get(ctx).Status.Plan.Hash

		By("another plan's answer means nothing")
		answer(ctx, "other", "True", sriovv1.ReasonDrained)
		Consistently(numVfs, "500ms").WithContext(ctx).Should(Equal(2))

		By("the hash stays when the pod has left while pods are moved away")
		answer(ctx, hash, "False", sriovv1.ReasonDraining)
		Eventually(func(ctx context.Context) string { return readyOf(get(ctx)).Message }).WithContext(ctx).Should(ContainSubstring(sriovv1.ReasonDraining))
		Expect(kernel.ReleaseVF(vf)).To(Succeed())
		Eventually(get).WithContext(ctx).Should(HaveField("Status.Plan.AffectedPods", BeEmpty()))
		Consistently(get, "500ms").WithContext(ctx).Should(And(HaveField("Status.Plan.Hash", hash), HaveField("Status.NumVfs", 2)))

		By("the answer wakes it, and stays")
		answer(ctx, hash, "True", sriovv1.ReasonDrained)
		Eventually(numVfs, "20s").WithContext(ctx).Should(Equal(3))
		Eventually(func(ctx context.Context) string { return readyOf(get(ctx)).Reason }).WithContext(ctx).Should(Equal(sriovv1.ReasonConverged))
		s := get(ctx)
		Expect(s.Status.Plan).To(BeNil())
		Expect(s.Status.Drain).To(Equal(&sriovv1.DrainStatus{PlanHash: hash}))
		Expect(s.Status.Conditions).To(ContainElement(And(HaveField("Type", sriovv1.ConditionDrained), HaveField("Reason", sriovv1.ReasonDrained))))
		for _, m := range s.ManagedFields {
			if m.Manager == "sriov-offload-daemon" {
				Expect(string(m.FieldsV1.GetRawBytes())).NotTo(Or(ContainSubstring("f:drain"), ContainSubstring("Drained")))
			}
		}
	})
})
