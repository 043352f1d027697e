package manager_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

var _ = Describe("A spec that the API server refuses", func() {
	It("is said in the status of the policy, until it is taken", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.node(ctx, "refused", nil)
		k.report(ctx, "refused", connectX5(0), connectX5(1))
		k.computed(ctx, "refused")

		By("letting the API server refuse every node state with a PF")
		name := "no-pfs-in-" + k.namespace
		deny := admissionv1.Deny
		rules := &admissionv1.ValidatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: admissionv1.ValidatingAdmissionPolicySpec{
				MatchConstraints: &admissionv1.MatchResources{
					NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": k.namespace}},
					ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
						Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
						Rule:       admissionv1.Rule{APIGroups: []string{sriovv1.Group}, APIVersions: []string{"*"}, Resources: []string{"sriovnetworknodestates"}},
					}}},
				},
				Validations: []admissionv1.Validation{{Expression: "!has(object.spec.interfaces)", Message: "no PFs today"}},
			},
		}
		binding := &admissionv1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: name, ValidationActions: []admissionv1.ValidationAction{deny}},
		}
		for _, o := range []client.Object{rules, binding} {
			Expect(c.Create(ctx, o)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(c.Delete(ctx, o))).To(Succeed()) })
		}
		probe := &sriovv1.SriovNetworkNodeState{
			ObjectMeta: metav1.ObjectMeta{Namespace: k.namespace, Name: "probe"},
			Spec:       sriovv1.SriovNetworkNodeStateSpec{Interfaces: []sriovv1.Interface{{PCIAddress: "0000:5f:00.0"}}},
		}
		Eventually(func() error { return c.Create(ctx, probe.DeepCopy(), client.DryRunAll) }).
			WithTimeout(time.Minute).Should(MatchError(ContainSubstring("no PFs today")))

		k.create(ctx, guidePolicy())
		Eventually(k.policyStatus(ctx, "policy")).Should(And(
			haveCondition(sriovv1.ConditionReady, metav1.ConditionFalse, sriovv1.ReasonNodesStalled),
			haveMessage(sriovv1.ConditionReady, And(ContainSubstring("refused: the API server refuses the spec"), ContainSubstring("no PFs today"))),
			HaveField("MatchedNodes", 1),
		))

		By("taking it again")
		Expect(c.Delete(ctx, binding)).To(Succeed())
		Eventually(k.spec(ctx, "refused")).WithTimeout(time.Minute).Should(HaveField("Interfaces", Not(BeEmpty())))
		Eventually(k.policyStatus(ctx, "policy")).Should(haveCondition(sriovv1.ConditionReady, metav1.ConditionFalse, sriovv1.ReasonNodesPending))
	})
})
