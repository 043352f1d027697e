package manager_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/fleet"
	"github.com/sriov-offload/sriov-offload-operator/controllers/nodestate"
)

// behind reads one node state as a cache that is behind has it, and the rest
// and all writes go to the API server.
type behind struct {
	client.Client
	state *sriovv1.SriovNetworkNodeState // nil: as the server has it
}

// Get implements client.Client.
func (b *behind) Get(ctx context.Context, key client.ObjectKey, obj client.Object, options ...client.GetOption) error {
	if s, ok := obj.(*sriovv1.SriovNetworkNodeState); ok && b.state != nil && key == client.ObjectKeyFromObject(b.state) {
		b.state.DeepCopyInto(s)
		return nil
	}
	return b.Client.Get(ctx, key, obj, options...)
}

var _ = Describe("A node state that was replaced while the cache is behind", func() {
	// replace deletes the state of the node and makes another of that name.
	replace := func(ctx context.Context, k *cluster, spec sriovv1.SriovNetworkNodeStateSpec) (before, now *sriovv1.SriovNetworkNodeState) {
		GinkgoHelper()
		before = k.state(ctx, "cx")
		Expect(c.Delete(ctx, before.DeepCopy())).To(Succeed())
		now = &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1Name("cx"), Spec: spec}
		k.create(ctx, now)
		return before, k.state(ctx, "cx")
	}
	request := reconcile.Request{NamespacedName: client.ObjectKey{Name: "cx"}}

	It("is not written with what the old one says, and then is with what it says itself", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.node(ctx, "cx", nil)
		k.report(ctx, "cx", connectX5(0), connectX5(1))
		k.computed(ctx, "cx")
		k.idle()
		k.stop()
		k.create(ctx, guidePolicy())
		reader := &behind{Client: c}
		r := &nodestate.Reconciler{Client: reader, Namespace: k.namespace, Fleet: fleet.New(), RemovalDelay: time.Hour}
		By("having written the old one")
		Expect(r.Reconcile(ctx, request)).To(BeZero())
		Expect(k.state(ctx, "cx").Spec.Interfaces).To(HaveLen(2))
		update(ctx, k, &sriovv1.SriovNetworkNodePolicy{}, "policy", func(p *sriovv1.SriovNetworkNodePolicy) { p.Spec.NumVfs = 5 })

		old, fresh := replace(ctx, k, sriovv1.SriovNetworkNodeStateSpec{})
		reader.state = old
		_, err := r.Reconcile(ctx, request)
		Expect(err).To(HaveOccurred())
		Expect(k.state(ctx, "cx")).To(Equal(fresh))

		By("catching up")
		reader.state = nil
		Expect(r.Reconcile(ctx, request)).To(BeZero())
		Expect(k.state(ctx, "cx")).To(Equal(fresh), "nothing is known of the NICs yet")
		k.report(ctx, "cx", connectX5(0), connectX5(1))
		Expect(r.Reconcile(ctx, request)).To(BeZero())
		Expect(k.state(ctx, "cx").Spec.Interfaces).To(HaveEach(HaveField("NumVfs", 5)))
	})

	It("is not remembered once the server says that it is gone", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.node(ctx, "cx", nil)
		k.report(ctx, "cx", connectX5(0))
		k.computed(ctx, "cx")
		k.idle()
		k.stop()
		k.create(ctx, legacyPolicy("p", 2, "ens41f0np0", nil))
		r := &nodestate.Reconciler{Client: c, Namespace: k.namespace, Fleet: fleet.New(), RemovalDelay: time.Hour}
		Expect(r.Reconcile(ctx, request)).To(BeZero())
		Expect(k.state(ctx, "cx").Spec.Interfaces).To(HaveLen(1))
		Expect(c.Delete(ctx, k.state(ctx, "cx"))).To(Succeed())
		update(ctx, k, &sriovv1.SriovNetworkNodePolicy{}, "p", func(p *sriovv1.SriovNetworkNodePolicy) { p.Spec.NumVfs = 3 })
		_, err := r.Reconcile(ctx, request)
		Expect(err).To(HaveOccurred())
		Expect(k.state(ctx, "cx")).To(BeNil())
		Expect(r.Reconcile(ctx, request)).To(BeZero())
		Expect(k.state(ctx, "cx")).To(HaveField("Spec", BeZero()))
	})

	It("is not deleted because the old one's time has come", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.stop()
		// There is no node of that name.
		gone := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{
			Name: "cx", Annotations: map[string]string{sriovv1.AnnotationKeepUntil: time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)},
		}}
		k.create(ctx, gone)
		old, fresh := replace(ctx, k, sriovv1.SriovNetworkNodeStateSpec{})
		reader := &behind{Client: c, state: old}
		r := &nodestate.Reconciler{Client: reader, Namespace: k.namespace, Fleet: fleet.New(), RemovalDelay: time.Hour}
		_, err := r.Reconcile(ctx, request)
		Expect(err).To(HaveOccurred())
		Expect(k.state(ctx, "cx")).To(Equal(fresh))
		reader.state = nil
		Expect(r.Reconcile(ctx, request)).To(HaveField("RequeueAfter", BeNumerically(">", time.Minute)))
	})
})
