package networks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

func sriovNetwork(name, networkNamespace string) *sriovv1.SriovNetwork {
	return &sriovv1.SriovNetwork{
		ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: name},
		Spec:       sriovv1.SriovNetworkSpec{ResourceName: "intelnics", NetworkNamespace: networkNamespace},
	}
}

// ready is a function for Eventually: the Ready condition about the network as it is now.
func ready(ctx context.Context, n sriovv1.Network) func(Gomega) metav1.Condition {
	return func(g Gomega) metav1.Condition {
		g.Expect(c.Get(ctx, client.ObjectKeyFromObject(n), n)).To(Succeed())
		s := n.NetworkStatusOf()
		g.Expect(s.ObservedGeneration).To(Equal(n.GetGeneration()))
		for _, condition := range s.Conditions {
			if condition.Type == sriovv1.ConditionReady {
				return condition
			}
		}
		return metav1.Condition{}
	}
}

func haveReason(status metav1.ConditionStatus, reason string, message ...any) types.GomegaMatcher {
	m := And(HaveField("Status", status), HaveField("Reason", reason))
	if len(message) > 0 {
		m = And(m, HaveField("Message", ContainSubstring("%s", message...)))
	}
	return m
}

var attached = haveReason(metav1.ConditionTrue, sriovv1.ReasonAttached)

// key reads a key of a configuration.
func config(nad *nadv1.NetworkAttachmentDefinition) map[string]any {
	GinkgoHelper()
	var m map[string]any
	Expect(json.Unmarshal([]byte(nad.Spec.Config), &m)).To(Succeed())
	return m
}

func definitionSpecs() {
	Describe("A network", func() {
		It("waits for Multus", func(ctx SpecContext) {
			early := sriovNetwork("early", "")
			offload := &sriovv1.OffloadNetwork{
				ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: "early-offload"},
				Spec:       sriovv1.OffloadNetworkSpec{CNI: "kube-ovn", ResourceName: "cx"},
			}
			create(ctx, early, offload)
			Eventually(ready(ctx, early)).Should(haveReason(metav1.ConditionFalse, sriovv1.ReasonDefinitionUnknown, "Multus"))
			Eventually(ready(ctx, offload)).Should(haveReason(metav1.ConditionFalse, sriovv1.ReasonDefinitionUnknown, "Multus"))
			Expect(offload.Status.Checks).To(ContainElement(And(
				HaveField("Name", "CNI"), HaveField("Result", sriovv1.CheckFailed), HaveField("Remedy", "install Kube-OVN"),
			)))

			By("being deleted without it")
			remove(ctx, offload)

			By("picking it up")
			Expect(cp.InstallCRDs("test/data/multus")).To(Succeed())
			Eventually(ready(ctx, early)).Should(attached)
			Expect(definition(ctx, operator, "early")(Default)).NotTo(BeNil())
		})

		It("becomes a definition that follows it", func(ctx SpecContext) {
			n := sriovNetwork("net", "")
			create(ctx, n)
			Eventually(ready(ctx, n)).Should(attached)
			nad := definition(ctx, operator, "net")(Default)
			Expect(nad.Annotations).To(And(
				HaveKeyWithValue(sriovv1.AnnotationResourceName, "openshift.io/intelnics"),
				HaveKeyWithValue(sriovv1.AnnotationNetworkOwner, "SriovNetwork.sriovnetwork.openshift.io/sriov-offload-operator/net"),
			))
			Expect(nad.OwnerReferences).To(ConsistOf(And(HaveField("Kind", "SriovNetwork"), HaveField("UID", n.UID))))
			Expect(n.Finalizers).To(BeEmpty())

			update(ctx, n, func(n *sriovv1.SriovNetwork) { n.Spec.Vlan, n.Spec.IPAM = 7, `{"type": "dhcp"}` })
			Eventually(definition(ctx, operator, "net")).Should(WithTransform(config, And(
				HaveKeyWithValue("vlan", 7.0), HaveKeyWithValue("ipam", map[string]any{"type": "dhcp"}),
			)))

			By("following the operator's resource prefix")
			settings := &sriovv1.SriovOperatorConfig{
				ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: sriovv1.DefaultConfigName},
				Spec:       sriovv1.SriovOperatorConfigSpec{ResourcePrefix: "intel.com"},
			}
			create(ctx, settings)
			resource := HaveField("Annotations", HaveKeyWithValue(sriovv1.AnnotationResourceName, "intel.com/intelnics"))
			Eventually(definition(ctx, operator, "net")).Should(resource)
			remove(ctx, settings)
			Eventually(definition(ctx, operator, "net")).ShouldNot(resource)
		})

		It("restores its definition at once", func(ctx SpecContext) {
			n := sriovNetwork("back", "")
			create(ctx, n)
			Eventually(ready(ctx, n)).Should(attached)
			before := definition(ctx, operator, "back")(Default)

			// Nothing looks again by itself for hours: what comes back at all comes
			// back because of the event. The time is reported, not asserted.
			Expect(c.Delete(ctx, before.DeepCopy())).To(Succeed())
			deleted := time.Now()
			Eventually(definition(ctx, operator, "back")).Should(And(Not(BeNil()), HaveField("UID", Not(Equal(before.UID)))))
			AddReportEntry("a deleted definition is back", fmt.Sprint(time.Since(deleted).Round(time.Millisecond)), ReportEntryVisibilityAlways)

			By("somebody else changing it")
			nad := definition(ctx, operator, "back")(Default)
			update(ctx, nad, func(nad *nadv1.NetworkAttachmentDefinition) { nad.Spec.Config = "{}" })
			Eventually(definition(ctx, operator, "back")).Should(HaveField("Spec", before.Spec))
			By("somebody else taking its owner away")
			update(ctx, nad, func(nad *nadv1.NetworkAttachmentDefinition) { nad.Annotations = nil })
			Eventually(definition(ctx, operator, "back")).Should(HaveField("Annotations", before.Annotations))
			By("somebody else adding to it")
			update(ctx, nad, func(nad *nadv1.NetworkAttachmentDefinition) { nad.Annotations["note"] = "theirs" })
			Consistently(definition(ctx, operator, "back")).Should(HaveField("Annotations", HaveKeyWithValue("note", "theirs")))
		})

		It("leaves the definition of another owner alone, until that one is gone", func(ctx SpecContext) {
			theirs := &nadv1.NetworkAttachmentDefinition{
				ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: "taken", Annotations: map[string]string{
					sriovv1.AnnotationNetworkOwner: "OVSNetwork.sriovnetwork.openshift.io/elsewhere/taken",
				}},
				Spec: nadv1.NetworkAttachmentDefinitionSpec{Config: `{"type": "theirs"}`},
			}
			create(ctx, theirs)
			n := sriovNetwork("taken", "")
			create(ctx, n)
			Eventually(ready(ctx, n)).Should(haveReason(metav1.ConditionFalse, sriovv1.ReasonInvalid, "elsewhere/taken"))
			Consistently(definition(ctx, operator, "taken")).Should(And(HaveField("UID", theirs.UID), HaveField("Spec", theirs.Spec), HaveField("Annotations", HaveLen(1))))
			Expect(c.Delete(ctx, theirs)).To(Succeed())
			Eventually(ready(ctx, n)).Should(attached)

			By("the owner being another controller")
			yes := true
			managed := &nadv1.NetworkAttachmentDefinition{ObjectMeta: metav1.ObjectMeta{
				Namespace: operator, Name: "managed",
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "11111111-1111-1111-1111-111111111111", Controller: &yes}},
			}}
			create(ctx, managed)
			other := sriovNetwork("managed", "")
			create(ctx, other)
			Eventually(ready(ctx, other)).Should(haveReason(metav1.ConditionFalse, sriovv1.ReasonInvalid, "ConfigMap x"))
		})

		It("adopts a definition of nobody", func(ctx SpecContext) {
			nobodys := &nadv1.NetworkAttachmentDefinition{
				ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: "adopted", Labels: map[string]string{"kept": "yes"}},
				Spec:       nadv1.NetworkAttachmentDefinitionSpec{Config: `{"type": "old"}`},
			}
			create(ctx, nobodys)
			n := sriovNetwork("adopted", "")
			create(ctx, n)
			Eventually(ready(ctx, n)).Should(attached)
			nad := definition(ctx, operator, "adopted")(Default)
			Expect(nad.UID).To(Equal(nobodys.UID))
			Expect(nad.Labels).To(HaveKey("kept"))
			Expect(config(nad)).To(HaveKeyWithValue("type", "sriov"))
			Expect(nad.OwnerReferences).To(HaveLen(1))
		})

		It("waits for its namespace, and moves", func(ctx SpecContext) {
			n := sriovNetwork("moving", "blue")
			create(ctx, n)
			Eventually(ready(ctx, n)).Should(haveReason(metav1.ConditionFalse, sriovv1.ReasonNamespaceNotFound, "blue"))
			namespace(ctx, "blue")
			Eventually(ready(ctx, n)).Should(attached)
			Expect(definition(ctx, "blue", "moving")(Default)).NotTo(BeNil())
			Expect(n.Finalizers).To(ConsistOf(sriovv1.NetworkFinalizer))

			By("to a namespace that does not exist: the present one stays until then")
			update(ctx, n, func(n *sriovv1.SriovNetwork) { n.Spec.NetworkNamespace = "green" })
			Eventually(ready(ctx, n)).Should(haveReason(metav1.ConditionFalse, sriovv1.ReasonNamespaceNotFound, "green"))
			Expect(definition(ctx, "blue", "moving")(Default)).NotTo(BeNil())
			namespace(ctx, "green")
			Eventually(ready(ctx, n)).Should(attached)
			Eventually(definition(ctx, "blue", "moving")).Should(BeNil())
			Expect(definition(ctx, "green", "moving")(Default).OwnerReferences).To(BeEmpty())

			By("to its own namespace, where the finalizer goes")
			update(ctx, n, func(n *sriovv1.SriovNetwork) { n.Spec.NetworkNamespace = "" })
			Eventually(ready(ctx, n)).Should(attached)
			Eventually(definition(ctx, "green", "moving")).Should(BeNil())
			Eventually(func() []string {
				Expect(c.Get(ctx, client.ObjectKeyFromObject(n), n)).To(Succeed())
				return n.Finalizers
			}).Should(BeEmpty())
		})

		It("takes its definition with it from another namespace", func(ctx SpecContext) {
			namespace(ctx, "red")
			n := sriovNetwork("leaving", "red")
			create(ctx, n)
			Eventually(ready(ctx, n)).Should(attached)
			remove(ctx, n)
			Eventually(definition(ctx, "red", "leaving")).Should(BeNil())
		})

		It("may attach pods of another namespace only from the operator's", func(ctx SpecContext) {
			namespace(ctx, "team-a")
			n := sriovNetwork("tenant", operator)
			n.Namespace = "team-a"
			create(ctx, n)
			Eventually(ready(ctx, n)).Should(haveReason(metav1.ConditionFalse, sriovv1.ReasonInvalid, operator))
			Consistently(definition(ctx, operator, "tenant")).Should(BeNil())
			update(ctx, n, func(n *sriovv1.SriovNetwork) { n.Spec.NetworkNamespace = "" })
			Eventually(ready(ctx, n)).Should(attached)
			Expect(definition(ctx, "team-a", "tenant")(Default)).NotTo(BeNil())
		})

		It("says what is wrong with its JSON once, and changes nothing", func(ctx SpecContext) {
			n := sriovNetwork("broken", "")
			create(ctx, n)
			Eventually(ready(ctx, n)).Should(attached)
			before := definition(ctx, operator, "broken")(Default)
			idle()
			requests.Reset()
			reconciled := reconciles("sriovnetwork")
			update(ctx, n, func(n *sriovv1.SriovNetwork) { n.Spec.IPAM = `{"type": "dhcp"` })
			Eventually(ready(ctx, n)).Should(haveReason(metav1.ConditionFalse, sriovv1.ReasonInvalid, "spec.ipam"))
			Expect(n.Status.Conditions).To(ContainElement(And(HaveField("Type", sriovv1.ConditionStalled), HaveField("Status", metav1.ConditionTrue))))
			idle()
			Expect(definition(ctx, operator, "broken")(Default)).To(Equal(before))
			Expect(reconciles("sriovnetwork") - reconciled).To(BeNumerically("<=", 2))
			Expect(requests.Writes()).To(Equal(map[string]int{"patch sriovnetworks/status": 1, "create events": 1}))
		})

		It("is of any kind", func(ctx SpecContext) {
			meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: operator, Name: name} }
			ib := &sriovv1.SriovIBNetwork{ObjectMeta: meta("ib"), Spec: sriovv1.SriovIBNetworkSpec{ResourceName: "r"}}
			ovs := &sriovv1.OVSNetwork{ObjectMeta: meta("ovs"), Spec: sriovv1.OVSNetworkSpec{ResourceName: "r"}}
			create(ctx, ib, ovs)
			Eventually(ready(ctx, ib)).Should(attached)
			Eventually(ready(ctx, ovs)).Should(attached)
			Expect(config(definition(ctx, operator, "ib")(Default))).To(HaveKeyWithValue("type", "ib-sriov"))
			Expect(config(definition(ctx, operator, "ovs")(Default))).To(HaveKeyWithValue("type", "ovs"))
		})

		It("costs one write of the definition and one of the status, a thousand times", func(ctx SpecContext) {
			const many = 1000
			namespace(ctx, "many")
			idle()
			requests.Reset()
			began := time.Now()
			for i := range many {
				n := sriovNetwork(fmt.Sprintf("net%04d", i), "")
				n.Namespace = "many"
				Expect(c.Create(ctx, n)).To(Succeed())
			}
			created := time.Since(began)
			DeferCleanup(func(ctx SpecContext) {
				Expect(c.DeleteAllOf(ctx, &sriovv1.SriovNetwork{}, client.InNamespace("many"))).To(Succeed())
				Expect(c.DeleteAllOf(ctx, &nadv1.NetworkAttachmentDefinition{}, client.InNamespace("many"))).To(Succeed())
			})
			Eventually(func(g Gomega) int {
				list := &sriovv1.SriovNetworkList{}
				g.Expect(c.List(ctx, list, client.InNamespace("many"))).To(Succeed())
				done := 0
				for i := range list.Items {
					for _, condition := range list.Items[i].Status.Conditions {
						if condition.Type == sriovv1.ConditionReady && condition.Status == metav1.ConditionTrue {
							done++
						}
					}
				}
				return done
			}).WithTimeout(10 * time.Minute).WithPolling(100 * time.Millisecond).Should(Equal(many))
			all := time.Since(began)
			idle()
			AddReportEntry("1,000 networks", fmt.Sprintf("created in %s, all ready after %s; writes %v", created.Round(time.Millisecond), all.Round(time.Millisecond), requests.Writes()))
			Expect(requests.Writes()).To(Equal(map[string]int{
				"create network-attachment-definitions": many, "patch sriovnetworks/status": many,
			}))
		}, SpecTimeout(15*time.Minute))

		It("survives the namespace of its definition", func(ctx SpecContext) {
			namespace(ctx, "doomed")
			n := sriovNetwork("left", "doomed")
			create(ctx, n)
			Eventually(ready(ctx, n)).Should(attached)
			// The API server of tests has nobody who empties a namespace: it stays Terminating.
			Expect(c.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "doomed"}})).To(Succeed())
			Eventually(ready(ctx, n)).Should(haveReason(metav1.ConditionFalse, sriovv1.ReasonNamespaceNotFound, "being deleted"))
		})
	})
}
