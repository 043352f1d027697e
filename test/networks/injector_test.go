package networks_test

import (
	"context"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

func podHelperSpecs() {
	Describe("The pod helper", func() {
		const ns = "helped"
		BeforeAll(func(ctx SpecContext) {
			Expect(cp.InstallCRDs("test/data/multus")).To(Succeed())
			Expect(c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
				Name: ns, Labels: map[string]string{sriovv1.LabelInjectResources: "true"},
			}})).To(Succeed())
			namespace(ctx, "unhelped")
			for _, in := range []string{ns, "unhelped", "kube-system"} {
				create(ctx, &nadv1.NetworkAttachmentDefinition{ObjectMeta: metav1.ObjectMeta{
					Namespace: in, Name: "vf", Annotations: map[string]string{sriovv1.AnnotationResourceName: "example.com/" + in},
				}})
			}
			create(ctx, &nadv1.NetworkAttachmentDefinition{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "no-vf"}})
			// The API server of tests has no controller that makes service accounts.
			for _, in := range []string{ns, "unhelped"} {
				Expect(c.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: in, Name: "default"}})).To(Succeed())
			}
			// The webhook is served a moment after the manager has started.
			Eventually(func(g Gomega) {
				p := pod(ns, map[string]string{networks: "vf"})
				g.Expect(c.Create(ctx, p, client.DryRunAll)).To(Succeed())
				g.Expect(p.Spec.Containers[0].Resources.Limits).NotTo(BeEmpty())
			}).Should(Succeed())
		})

		DescribeTable("gives the first container what the annotations ask for",
			func(ctx SpecContext, namespace string, annotations map[string]string, change func(*corev1.Pod), want corev1.ResourceList) {
				p := pod(namespace, annotations)
				if change != nil {
					change(p)
				}
				second := p.Spec.Containers[1].DeepCopy()
				// A server-side dry run goes through admission and stores nothing.
				Expect(c.Create(ctx, p, client.DryRunAll)).To(Succeed())
				Expect(devices(p.Spec.Containers[0].Resources.Limits)).To(Equal(devices(want)))
				Expect(devices(p.Spec.Containers[0].Resources.Requests)).To(Equal(devices(want)))
				Expect(p.Spec.Containers[1].Resources).To(Equal(second.Resources))
			},
			Entry("one network", ns, map[string]string{networks: "vf"}, nil, amount("example.com/helped", "1")),
			Entry("the same network twice, with names of interfaces", ns, map[string]string{networks: "vf@net1, helped/vf@net2"}, nil, amount("example.com/helped", "2")),
			Entry("networks as JSON", ns, map[string]string{networks: `[{"name": "vf"}, {"name": "vf", "namespace": "unhelped"}, {"name": "no-vf"}]`}, nil,
				both(amount("example.com/helped", "1"), amount("example.com/unhelped", "1"))),
			Entry("a default network without a namespace is Multus' own", ns, map[string]string{defaultNetwork: "vf"}, nil, amount("example.com/kube-system", "1")),
			Entry("a default network and another one", ns, map[string]string{defaultNetwork: "helped/vf", networks: "vf"}, nil, amount("example.com/helped", "2")),
			Entry("a network without a resource", ns, map[string]string{networks: "no-vf"}, nil, nil),
			Entry("a network that does not exist", ns, map[string]string{networks: "absent,vf"}, nil, amount("example.com/helped", "1")),
			Entry("an annotation that nobody can read", ns, map[string]string{networks: `[{"name"`}, nil, nil),
			Entry("a namespace that did not opt in", "unhelped", map[string]string{networks: "vf"}, nil, nil),
			Entry("no annotation", ns, nil, nil, nil),
			Entry("the network of the host", ns, map[string]string{networks: "vf"}, func(p *corev1.Pod) { p.Spec.HostNetwork = true }, nil),
			Entry("a person has asked already", ns, map[string]string{networks: "vf"}, func(p *corev1.Pod) {
				p.Spec.Containers[1].Resources.Limits = amount("example.com/helped", "1")
				p.Spec.Containers[1].Resources.Requests = amount("example.com/helped", "1")
			}, nil),
			Entry("a person has asked for too few", ns, map[string]string{networks: "vf,vf,vf"}, func(p *corev1.Pod) {
				p.Spec.Containers[0].Resources.Limits = amount("example.com/helped", "1")
			}, amount("example.com/helped", "3")),
		)

		It("leaves nothing behind after a dry run, and is for good otherwise", func(ctx SpecContext) {
			p := pod(ns, map[string]string{networks: "vf"})
			Expect(c.Create(ctx, p, client.DryRunAll)).To(Succeed())
			Expect(client.IgnoreNotFound(c.Get(ctx, client.ObjectKeyFromObject(p), p))).To(Succeed())
			real := pod(ns, map[string]string{networks: "vf"})
			Expect(c.Create(ctx, real)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) { Expect(c.Delete(ctx, real, client.GracePeriodSeconds(0))).To(Succeed()) })
			Expect(devices(real.Spec.Containers[0].Resources.Requests)).To(HaveKeyWithValue("example.com/helped", int64(1)))
		})

		It("is not in the way when it cannot be reached", func(ctx SpecContext) {
			breakWebhook(ctx)
			p := pod(ns, map[string]string{networks: "vf"})
			Expect(c.Create(ctx, p, client.DryRunAll)).To(Succeed())
			Expect(p.Spec.Containers[0].Resources.Limits).To(BeEmpty())
		})
	})
}

const (
	networks       = "k8s.v1.cni.cncf.io/networks"
	defaultNetwork = "v1.multus-cni.io/default-network"
)

func pod(namespace string, annotations map[string]string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p", Annotations: annotations},
		Spec: corev1.PodSpec{Containers: []corev1.Container{
			{Name: "first", Image: "example.com/image"}, {Name: "second", Image: "example.com/image"},
		}},
	}
}

func amount(name, n string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceName(name): resource.MustParse(n)}
}

func both(a, b corev1.ResourceList) corev1.ResourceList {
	for name, n := range b {
		a[name] = n
	}
	return a
}

// devices are amounts by name, without their forms.
func devices(list corev1.ResourceList) map[string]int64 {
	out := map[string]int64{}
	for name, n := range list {
		out[string(name)] = n.Value()
	}
	return out
}

// breakWebhook points the webhook to where nobody listens, until the spec ends.
func breakWebhook(ctx context.Context) {
	GinkgoHelper()
	w := webhookConfiguration()
	Expect(c.Get(ctx, client.ObjectKeyFromObject(w), w)).To(Succeed())
	url := *w.Webhooks[0].ClientConfig.URL
	nowhere := "https://127.0.0.1:1/inject-resources"
	w.Webhooks[0].ClientConfig.URL = &nowhere
	Expect(c.Update(ctx, w)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		w.Webhooks[0].ClientConfig.URL = &url
		Expect(c.Update(ctx, w)).To(Succeed())
	})
	// The API server follows its configuration with a delay.
	Eventually(func(g Gomega) {
		p := pod("helped", map[string]string{networks: "vf"})
		g.Expect(c.Create(ctx, p, client.DryRunAll)).To(Succeed())
		g.Expect(p.Spec.Containers[0].Resources.Limits).To(BeEmpty())
	}).Should(Succeed())
}

func webhookConfiguration() *admissionregistrationv1.MutatingWebhookConfiguration {
	return &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "sriov-offload-operator-injector"}}
}
