package manager_test

import (
	"encoding/json"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/api/ssa"
	"github.com/sriov-offload/sriov-offload-operator/controllers/deviceplugin"
)

var _ = Describe("The device plugin configuration", func() {
	// resources reads the configuration as the plugin does.
	resources := func(g Gomega, cm *corev1.ConfigMap) []any {
		g.Expect(cm).NotTo(BeNil())
		var file map[string]any
		g.Expect(json.Unmarshal([]byte(cm.Data[deviceplugin.ConfigKey]), &file)).To(Succeed())
		list, ok := file["resourceList"].([]any)
		g.Expect(ok).To(BeTrue())
		return list
	}

	It("offers the VFs of the spec, in a ConfigMap that goes with the node state", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.create(ctx, guidePolicy())
		k.node(ctx, "cx", nil)
		k.report(ctx, "cx", connectX5(0), connectX5(1))
		want := map[string]any{
			"resourcePrefix": "openshift.io",
			"resourceName":   "cx_sriov_switchdev",
			"selectors":      map[string]any{"rootDevices": []any{"0000:5f:00.0#0-2", "0000:5f:00.1#0-2"}},
		}
		offered := func(g Gomega) []any { return resources(g, k.configMap(ctx, "cx")(g)) }
		Eventually(offered).Should(ConsistOf(want))
		Eventually(labels(ctx, "cx")).Should(HaveKeyWithValue(sriovv1.LabelDevicePlugin, sriovv1.DevicePluginEnabled))
		state := k.state(ctx, "cx")
		Expect(k.configMap(ctx, "cx")(Default).OwnerReferences).To(ConsistOf(And(
			HaveField("Kind", "SriovNetworkNodeState"), HaveField("Name", "cx"), HaveField("UID", state.UID),
		)))

		By("repairing it")
		update(ctx, k, &corev1.ConfigMap{}, deviceplugin.ConfigMapPrefix+"cx", func(cm *corev1.ConfigMap) {
			cm.Data[deviceplugin.ConfigKey] = "{}"
		})
		Eventually(offered).Should(ConsistOf(want))
		Expect(c.Delete(ctx, k.configMap(ctx, "cx")(Default))).To(Succeed())
		Eventually(offered).Should(ConsistOf(want))

		By("following the operator's resource prefix")
		k.create(ctx, &sriovv1.SriovOperatorConfig{
			ObjectMeta: metav1Name(sriovv1.DefaultConfigName),
			Spec:       sriovv1.SriovOperatorConfigSpec{ResourcePrefix: "mellanox.com"},
		})
		Eventually(offered).Should(ConsistOf(HaveKeyWithValue("resourcePrefix", "mellanox.com")))

		By("going when nothing is left to offer")
		Expect(c.Delete(ctx, &sriovv1.SriovNetworkNodePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: k.namespace, Name: "policy"}})).To(Succeed())
		Eventually(k.configMap(ctx, "cx")).Should(BeNil())
		Eventually(labels(ctx, "cx")).Should(HaveKeyWithValue(sriovv1.LabelDevicePlugin, sriovv1.DevicePluginDisabled))
	})

	It("comes with the label of capable nodes, unless somebody else manages that", func(ctx SpecContext) {
		const nfd = client.FieldOwner("nfd-master")
		capable := func(node, value string) {
			GinkgoHelper()
			n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node, Labels: map[string]string{sriovv1.LabelCapable: value}}}
			Expect(ssa.Apply(ctx, c, n, nfd)).To(Succeed())
		}
		k := newCluster(ctx)
		k.node(ctx, "ours", nil)
		k.node(ctx, "theirs", nil)
		capable("theirs", "false")
		for _, node := range []string{"ours", "theirs"} {
			k.report(ctx, node, connectX5(0))
			Eventually(labels(ctx, node)).Should(HaveKey(sriovv1.LabelDevicePlugin))
		}
		Eventually(labels(ctx, "ours")).Should(HaveKeyWithValue(sriovv1.LabelCapable, "true"))
		Consistently(labels(ctx, "theirs")).Should(HaveKeyWithValue(sriovv1.LabelCapable, "false"))

		Expect(k.configMap(ctx, "ours")(Default)).To(BeNil())

		By("putting ours back when it is removed")
		relabel(ctx, "ours", map[string]any{sriovv1.LabelCapable: nil})
		Eventually(labels(ctx, "ours")).Should(HaveKeyWithValue(sriovv1.LabelCapable, "true"))

		By("removing ours with the NIC")
		k.report(ctx, "ours")
		Eventually(labels(ctx, "ours")).ShouldNot(HaveKey(sriovv1.LabelCapable))

		By("setting ours when the other gives it up")
		n := &corev1.Node{ObjectMeta: metav1Name("theirs")}
		Expect(ssa.Apply(ctx, c, n, nfd)).To(Succeed())
		Eventually(labels(ctx, "theirs")).Should(HaveKeyWithValue(sriovv1.LabelCapable, "true"))
	})

	It("comes with a label that stays until there is certainly no NIC", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.node(ctx, "cx", nil)
		k.report(ctx, "cx", connectX5(0))
		Eventually(labels(ctx, "cx")).Should(And(HaveKey(sriovv1.LabelCapable), HaveKey(sriovv1.LabelDevicePlugin)))
		ours := labels(ctx, "cx")(Default)
		status := func(change func(*sriovv1.SriovNetworkNodeStateStatus)) {
			GinkgoHelper()
			s := k.state(ctx, "cx")
			change(&s.Status)
			k.publish(ctx, "cx", s.Status)
			Consistently(labels(ctx, "cx")).Should(Equal(ours))
		}
		By("not knowing how many VFs there can be")
		status(func(s *sriovv1.SriovNetworkNodeStateStatus) {
			s.Inventory, s.Interfaces[0].TotalVfs = sriovv1.InventoryPartial, 0
		})
		By("knowing only in part that there is no NIC")
		status(func(s *sriovv1.SriovNetworkNodeStateStatus) { s.Interfaces = nil })
		By("deleting the state")
		Expect(c.Delete(ctx, k.state(ctx, "cx"))).To(Succeed())
		Consistently(labels(ctx, "cx")).Should(Equal(ours))
		By("having no inventory, as looking at the host failed")
		Eventually(func() any { return k.state(ctx, "cx") }).ShouldNot(BeNil())
		status(func(s *sriovv1.SriovNetworkNodeStateStatus) {
			s.ObservedGeneration, s.Conditions = 1, daemonConditions(1, metav1.ConditionFalse, sriovv1.ReasonObserveFailed, "no buffer space")
		})
		Expect(k.state(ctx, "cx").Spec).To(BeZero())
		By("knowing all")
		k.report(ctx, "cx")
		Eventually(labels(ctx, "cx")).Should(And(Not(HaveKey(sriovv1.LabelCapable)), HaveKey(sriovv1.LabelDevicePlugin)))
	})

	It("does not wait for the spec with the label of capable nodes", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.stop()
		k.node(ctx, "cx", nil)
		k.create(ctx, &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1Name("cx")})
		k.report(ctx, "cx", connectX5(0))
		r := &deviceplugin.Reconciler{Client: c, Recorder: events.NewFakeRecorder(1), Namespace: k.namespace}
		Expect(r.Reconcile(ctx, reconcile.Request{NamespacedName: client.ObjectKey{Name: "cx"}})).To(BeZero())
		Expect(labels(ctx, "cx")(Default)).To(Equal(map[string]string{sriovv1.LabelCapable: "true"}))
	})

	It("stays as it is, without retries, when the plugin would refuse a resource", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.create(ctx, guidePolicy())
		k.node(ctx, "cx", nil)
		k.report(ctx, "cx", connectX5(0), connectX5(1))
		Eventually(k.configMap(ctx, "cx")).ShouldNot(BeNil())
		k.idle()
		k.stop() // or it would repair the spec
		before := k.configMap(ctx, "cx")(Default)
		update(ctx, k, &sriovv1.SriovNetworkNodeState{}, "cx", func(s *sriovv1.SriovNetworkNodeState) {
			s.Spec.Interfaces[0].VfGroups[0].ResourceName = "no/resource"
		})
		recorder := events.NewFakeRecorder(1)
		r := &deviceplugin.Reconciler{Client: c, Recorder: recorder, Namespace: k.namespace}
		Expect(r.Reconcile(ctx, reconcile.Request{NamespacedName: client.ObjectKey{Name: "cx"}})).To(BeZero())
		Expect(recorder.Events).To(Receive(And(ContainSubstring("Warning"), ContainSubstring("no/resource"))))
		Expect(k.configMap(ctx, "cx")(Default)).To(Equal(before))
	})

	It("gives its labels up when the node is no longer managed", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.node(ctx, "cx", nil)
		k.report(ctx, "cx", connectX5(0))
		Eventually(labels(ctx, "cx")).Should(HaveKey(sriovv1.LabelDevicePlugin))
		relabel(ctx, "cx", map[string]any{"kubernetes.io/os": "windows"})
		Eventually(func() map[string]string { return k.state(ctx, "cx").Annotations }).Should(HaveKey(sriovv1.AnnotationKeepUntil))
		Expect(c.Delete(ctx, k.state(ctx, "cx"))).To(Succeed())
		Eventually(labels(ctx, "cx")).Should(And(Not(HaveKey(sriovv1.LabelDevicePlugin)), Not(HaveKey(sriovv1.LabelCapable))))
	})
})
