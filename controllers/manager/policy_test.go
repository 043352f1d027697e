package manager_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/policy"
)

var _ = Describe("The status of a policy", func() {
	yes, no := metav1.ConditionTrue, metav1.ConditionFalse

	It("follows its nodes from waiting to ready, and says why one does not match", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.create(ctx, guidePolicy())
		Eventually(k.policyStatus(ctx, "policy")).Should(And(
			haveCondition(sriovv1.ConditionReady, no, sriovv1.ReasonNoNodeSelected),
			haveCondition(sriovv1.ConditionReconciling, yes, sriovv1.ReasonNoNodeSelected),
			haveCondition(sriovv1.ConditionStalled, no, sriovv1.ReasonNoNodeSelected),
			haveCondition(sriovv1.ConditionConflicted, no, sriovv1.ReasonNoConflict),
			HaveField("Unmatched", ConsistOf(HaveField("Field", "nodeSelector"))),
		))

		k.node(ctx, "cx-a", nil)
		k.node(ctx, "cx-b", nil)
		k.node(ctx, "igb", nil)
		k.report(ctx, "cx-a", connectX5(0), connectX5(1))
		k.report(ctx, "cx-b", connectX5(0), connectX5(1))
		k.report(ctx, "igb", i82576())
		Eventually(k.policyStatus(ctx, "policy")).Should(And(
			haveCondition(sriovv1.ConditionReady, no, sriovv1.ReasonNodesPending),
			haveCondition(sriovv1.ConditionReconciling, yes, sriovv1.ReasonNodesPending),
			haveMessage(sriovv1.ConditionReady, ContainSubstring("waiting for cx-a, cx-b")),
			HaveField("MatchedNodes", 2), HaveField("ReadyNodes", 0),
			HaveField("Unmatched", ConsistOf(And(
				HaveField("Field", "nicSelector.pfNames"), HaveField("Message", ContainSubstring("enp2s0f0")),
			))),
		))

		k.answer(ctx, "cx-a", sriovv1.ReasonConverged, "")
		Eventually(k.policyStatus(ctx, "policy")).Should(HaveField("ReadyNodes", 1))
		k.answer(ctx, "cx-b", sriovv1.ReasonBlocked, "SR-IOV is off in the BIOS")
		Eventually(k.policyStatus(ctx, "policy")).Should(And(
			haveCondition(sriovv1.ConditionReady, no, sriovv1.ReasonNodesStalled),
			haveCondition(sriovv1.ConditionReconciling, no, sriovv1.ReasonNodesStalled),
			haveCondition(sriovv1.ConditionStalled, yes, sriovv1.ReasonNodesStalled),
			haveMessage(sriovv1.ConditionStalled, ContainSubstring("cx-b: SR-IOV is off in the BIOS")),
		))
		k.answer(ctx, "cx-b", sriovv1.ReasonConverged, "")
		Eventually(k.policyStatus(ctx, "policy")).Should(And(
			haveCondition(sriovv1.ConditionReady, yes, sriovv1.ReasonAllNodesReady),
			haveCondition(sriovv1.ConditionReconciling, no, sriovv1.ReasonAllNodesReady),
			haveCondition(sriovv1.ConditionStalled, no, sriovv1.ReasonAllNodesReady),
			haveMessage(sriovv1.ConditionReady, And(ContainSubstring("2 of 2"), ContainSubstring("igb"))),
			HaveField("MatchedNodes", 2), HaveField("ReadyNodes", 2),
		))

		By("not counting a node as ready for a spec that its daemon has not seen")
		update(ctx, k, &sriovv1.SriovNetworkNodePolicy{}, "policy", func(p *sriovv1.SriovNetworkNodePolicy) { p.Spec.NumVfs = 4 })
		Eventually(k.policyStatus(ctx, "policy")).Should(HaveField("ReadyNodes", 0))
	})

	It("names the nearest miss when no NIC matches", func(ctx SpecContext) {
		k := newCluster(ctx)
		p := guidePolicy()
		p.Spec.NicSelector = sriovv1.NicSelector{Vendor: "15b3"}
		k.create(ctx, p)
		k.node(ctx, "igb", nil)
		k.report(ctx, "igb", i82576())
		Eventually(k.policyStatus(ctx, "policy")).Should(And(
			haveCondition(sriovv1.ConditionReady, no, sriovv1.ReasonNoMatchingNIC),
			haveCondition(sriovv1.ConditionStalled, yes, sriovv1.ReasonNoMatchingNIC),
			HaveField("MatchedNodes", 0),
			HaveField("Unmatched", ConsistOf(And(
				HaveField("Field", "nicSelector.vendor"),
				HaveField("Message", And(ContainSubstring("15b3"), ContainSubstring("8086"), ContainSubstring("igb"))),
			))),
		))
	})

	It("says that the NICs of its nodes are not known yet", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.create(ctx, legacyPolicy("everywhere", 2, "ens41f0np0", nil))
		k.node(ctx, "silent", nil)
		Eventually(k.policyStatus(ctx, "everywhere")).Should(And(
			haveCondition(sriovv1.ConditionReconciling, yes, sriovv1.ReasonNodesPending),
			haveMessage(sriovv1.ConditionReady, ContainSubstring("NICs of silent are not known yet")),
			HaveField("Unmatched", BeEmpty()),
		))
	})

	It("reports a conflict on the loser only", func(ctx SpecContext) {
		k := newCluster(ctx)
		strong, weak := guidePolicy(), guidePolicy()
		strong.Name, weak.Name = "strong", "weak"
		strong.Spec.Priority, weak.Spec.Priority = ptr(10), ptr(20)
		weak.Spec.ResourceName = "other"
		k.create(ctx, strong, weak)
		k.node(ctx, "cx", nil)
		k.report(ctx, "cx", connectX5(0), connectX5(1))
		Eventually(k.policyStatus(ctx, "weak")).Should(And(
			haveCondition(sriovv1.ConditionConflicted, yes, sriovv1.ReasonConflict),
			haveCondition(sriovv1.ConditionReady, no, sriovv1.ReasonConflict),
			haveCondition(sriovv1.ConditionStalled, yes, sriovv1.ReasonConflict),
			HaveField("Conflicts", And(HaveLen(2), HaveEach(And(HaveField("Node", "cx"), HaveField("Winner", "strong"))))),
			HaveField("MatchedNodes", 1),
		))
		Expect(k.computed(ctx, "cx").Spec.Interfaces).To(HaveEach(HaveField("VfGroups", ConsistOf(HaveField("PolicyName", "strong")))))
		k.answer(ctx, "cx", sriovv1.ReasonConverged, "")
		Eventually(k.policyStatus(ctx, "strong")).Should(And(
			haveCondition(sriovv1.ConditionConflicted, no, sriovv1.ReasonNoConflict),
			haveCondition(sriovv1.ConditionReady, yes, sriovv1.ReasonAllNodesReady),
			HaveField("Conflicts", BeEmpty()),
		))

		By("clearing it with its cause")
		Expect(c.Delete(ctx, strong)).To(Succeed())
		Eventually(k.policyStatus(ctx, "weak")).Should(And(
			haveCondition(sriovv1.ConditionConflicted, no, sriovv1.ReasonNoConflict),
			HaveField("Conflicts", BeEmpty()),
		))
		Eventually(k.spec(ctx, "cx")).Should(HaveField("Interfaces", HaveEach(HaveField("VfGroups", ConsistOf(HaveField("PolicyName", "weak"))))))
	})

	It("of one that is wrong leaves the others alone", func(ctx SpecContext) {
		k := newCluster(ctx)
		right := legacyPolicy("right", 2, "ens41f1np1", nil)
		wrong := legacyPolicy("wrong", 2, "ens41f0np0", nil)
		wrong.Spec.EswitchMode = sriovv1.EswitchModeSwitchdev
		// A bond needs two ports, which only a merge with an inventory can check.
		wrong.Spec.Bond = &sriovv1.BondSpec{Name: "bond1", Mode: "active-backup"}
		k.create(ctx, wrong, right)
		k.node(ctx, "cx", nil)
		k.report(ctx, "cx", connectX5(0), connectX5(1))
		Eventually(k.policyStatus(ctx, "wrong")).Should(And(
			haveCondition(sriovv1.ConditionReady, no, sriovv1.ReasonInvalid),
			haveCondition(sriovv1.ConditionStalled, yes, sriovv1.ReasonInvalid),
			haveCondition(sriovv1.ConditionConflicted, yes, sriovv1.ReasonInvalid),
		))
		Eventually(k.spec(ctx, "cx")).Should(HaveField("Interfaces", ContainElement(HaveField("Name", "ens41f1np1"))))
		k.answer(ctx, "cx", sriovv1.ReasonConverged, "")
		Eventually(k.policyStatus(ctx, "right")).Should(haveCondition(sriovv1.ConditionReady, yes, sriovv1.ReasonAllNodesReady))
	})

	It("says that a policy has no effect by itself", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.create(ctx, legacyPolicy("default", 2, "ens41f0np0", nil), legacyPolicy("none", 0, "ens41f0np0", nil))
		k.node(ctx, "cx", nil)
		k.report(ctx, "cx", connectX5(0))
		for _, name := range []string{"default", "none"} {
			Eventually(k.policyStatus(ctx, name)).Should(And(
				haveCondition(sriovv1.ConditionReady, yes, sriovv1.ReasonIgnored),
				HaveField("MatchedNodes", 0),
			))
		}
		Expect(k.computed(ctx, "cx").Spec.Interfaces).To(BeEmpty())
	})

	It("leaves policies of other namespaces alone", func(ctx SpecContext) {
		k, other := newCluster(ctx), newCluster(ctx)
		other.stop()
		other.create(ctx, legacyPolicy("elsewhere", 2, "ens41f0np0", nil))
		k.node(ctx, "cx", nil)
		k.report(ctx, "cx", connectX5(0))
		Expect(k.computed(ctx, "cx").Spec.Interfaces).To(BeEmpty())
		p := &sriovv1.SriovNetworkNodePolicy{}
		Expect(c.Get(ctx, client.ObjectKey{Namespace: other.namespace, Name: "elsewhere"}, p)).To(Succeed())
		Expect(p.Status).To(BeZero())
	})

	It("names a selected node that does not run the daemon", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.node(ctx, "windows", map[string]string{"kubernetes.io/os": "windows", "role": "sriov"})
		k.create(ctx, legacyPolicy("policy", 2, "ens41f0np0", map[string]string{"role": "sriov"}))
		Eventually(k.policyStatus(ctx, "policy")).Should(HaveField("Unmatched", ConsistOf(
			HaveField("Message", ContainSubstring("the daemon does not run there")),
		)))
	})

	It("is owned by one field manager", func(ctx SpecContext) {
		k := newCluster(ctx)
		k.create(ctx, guidePolicy())
		Eventually(k.policyStatus(ctx, "policy")).ShouldNot(BeZero())
		p := &sriovv1.SriovNetworkNodePolicy{}
		Expect(c.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: "policy"}, p)).To(Succeed())
		Expect(p.ManagedFields).To(ContainElement(And(
			HaveField("Manager", string(policy.FieldOwner)), HaveField("Operation", metav1.ManagedFieldsOperationApply), HaveField("Subresource", "status"),
		)))
	})
})

func ptr[T any](v T) *T { return &v }

func metav1Name(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }
