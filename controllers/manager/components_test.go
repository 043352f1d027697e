package manager_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/components"
	"github.com/sriov-offload/sriov-offload-operator/controllers/manager"
)

var _ = Describe("What the operator deploys", func() {
	It("needs no settings, follows them, and is not written again when nothing changed", func(ctx SpecContext) {
		k := newCluster(ctx, func(o *manager.Options) {
			o.Images = components.Images{Operator: "operator:1", DevicePlugin: "plugin:1"}
		})
		get := func(name string) func(Gomega) *appsv1.DaemonSet {
			return func(g Gomega) *appsv1.DaemonSet {
				d := &appsv1.DaemonSet{}
				g.Expect(c.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: name}, d)).To(Succeed())
				return d
			}
		}
		generation := HaveField("Generation", BeEquivalentTo(1))
		Eventually(get("sriov-network-config-daemon")).WithTimeout(2 * time.Minute).Should(generation)
		Eventually(get("sriov-device-plugin")).WithTimeout(2 * time.Minute).Should(generation)

		By("restarting the manager, as an upgrade to the same version does")
		k.idle()
		k.stop()
		k.requests.Reset()
		k.start(ctx)
		k.idle()
		Expect(k.requests.Writes()).To(BeEmpty())

		By("changing and taking away a setting of the daemon")
		k.create(ctx, &sriovv1.SriovOperatorConfig{ObjectMeta: metav1Name("default"), Spec: sriovv1.SriovOperatorConfigSpec{
			ConfigDaemonEnvVars: map[string]string{"A": "1"}, FeatureGates: map[string]bool{"tomorrow": true},
		}})
		Eventually(get("sriov-network-config-daemon")).WithTimeout(2 * time.Minute).Should(HaveField("Generation", BeEquivalentTo(2)))
		config := &sriovv1.SriovOperatorConfig{}
		Eventually(func(g Gomega) {
			g.Expect(c.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: "default"}, config)).To(Succeed())
			reconciling := meta.FindStatusCondition(config.Status.Conditions, sriovv1.ConditionReconciling)
			g.Expect(reconciling).NotTo(BeNil())
			g.Expect(reconciling.Message).To(ContainSubstring("ignored: tomorrow"))
		}).WithTimeout(2 * time.Minute).Should(Succeed())
		Expect(c.Delete(ctx, config)).To(Succeed())
		Eventually(get("sriov-network-config-daemon")).WithTimeout(2 * time.Minute).Should(HaveField("Generation", BeEquivalentTo(3)))
		Expect(get("sriov-device-plugin")(NewGomega(Fail))).To(generation, "the plugin was restarted for a setting of the daemon")

		By("undoing what somebody else changed")
		update(ctx, k, &appsv1.DaemonSet{}, "sriov-device-plugin", func(d *appsv1.DaemonSet) {
			d.Spec.Template.Spec.Containers[0].Image = "another"
		})
		Eventually(get("sriov-device-plugin")).WithTimeout(2 * time.Minute).Should(HaveField("Generation", BeEquivalentTo(3)))

		By("deleting the operator: what runs on nodes stays")
		k.stop()
		Expect(get("sriov-network-config-daemon")(NewGomega(Fail)).DeletionTimestamp).To(BeNil())
	})
})
