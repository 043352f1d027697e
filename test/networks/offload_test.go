package networks_test

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/api/ssa"
	"github.com/sriov-offload/sriov-offload-operator/controllers/network"
)

// kubeOVN reads an object of Kube-OVN; nil if there is none.
func kubeOVN(ctx context.Context, kind, name string) func(Gomega) *unstructured.Unstructured {
	return func(g Gomega) *unstructured.Unstructured {
		u := newKubeOVN(kind, name, nil)
		err := c.Get(ctx, client.ObjectKey{Name: name}, u)
		if apierrors.IsNotFound(err) {
			return nil
		}
		g.Expect(err).NotTo(HaveOccurred())
		return u
	}
}

func newKubeOVN(kind, name string, spec map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	if spec != nil {
		u.Object["spec"] = spec
	}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: "kubeovn.io", Version: "v1", Kind: kind})
	u.SetName(name)
	return u
}

func haveSpec(want map[string]any) types.GomegaMatcher {
	return WithTransform(func(u *unstructured.Unstructured) any {
		if u == nil {
			return nil
		}
		return u.Object["spec"]
	}, BeEquivalentTo(want))
}

// takeIntoUse does what kube-ovn-controller does with a Subnet.
func takeIntoUse(ctx context.Context, name, condition string) {
	GinkgoHelper()
	Eventually(kubeOVN(ctx, "Subnet", name)).ShouldNot(BeNil())
	update(ctx, newKubeOVN("Subnet", name, nil), func(u *unstructured.Unstructured) {
		spec := u.Object["spec"].(map[string]any)
		excluded, _ := spec["excludeIps"].([]any)
		spec["excludeIps"], spec["gatewayType"] = append(excluded, spec["gateway"]), "distributed"
	})
	Eventually(func(g Gomega) {
		u := kubeOVN(ctx, "Subnet", name)(g)
		g.Expect(u).NotTo(BeNil())
		u.Object["status"] = map[string]any{"conditions": []any{
			map[string]any{"type": condition, "status": "True", "reason": "Because", "message": "said Kube-OVN"},
		}}
		g.Expect(c.Status().Update(ctx, u)).To(Succeed())
	}).Should(Succeed())
}

// daemonSet is one of the CNI's, as far as the API server demands it.
func daemonSet(name string, container corev1.Container) *appsv1.DaemonSet {
	return &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name},
		Spec:       appsv1.DaemonSetSpec{Selector: selector(name), Template: template(name, container)},
	}
}

func selector(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
}

func template(name string, container corev1.Container) corev1.PodTemplateSpec {
	container.Image = "example.com/image"
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{container}},
	}
}

// offer makes a node whose PF provides a resource, ready.
func offer(ctx context.Context, node, pf, resource string) {
	GinkgoHelper()
	create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}})
	state := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: node}}
	read := func(g Gomega) string {
		g.Expect(client.IgnoreNotFound(c.Get(ctx, client.ObjectKeyFromObject(state), state))).To(Succeed())
		return state.Spec.ComputedFrom
	}
	Eventually(func(g Gomega) { read(g); g.Expect(state.UID).NotTo(BeEmpty()) }).Should(Succeed())
	report := func(reason string, status metav1.ConditionStatus) {
		s := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: node}}
		s.Status = sriovv1.SriovNetworkNodeStateStatus{
			ObservedGeneration: state.Generation, Inventory: sriovv1.InventoryComplete,
			Interfaces: []sriovv1.InterfaceStatus{{
				Name: pf, PCIAddress: "0000:5f:00.0", Driver: "mlx5_core", Vendor: "15b3", DeviceID: "1017", TotalVfs: 8, MTU: 1500,
				LinkType: sriovv1.LinkTypeEthernet, EswitchMode: sriovv1.EswitchModeLegacy,
			}},
		}
		meta.SetStatusCondition(&s.Status.Conditions, metav1.Condition{
			Type: sriovv1.ConditionReady, Status: status, Reason: reason, ObservedGeneration: state.Generation,
		})
		Expect(ssa.ApplyStatus(ctx, c, s, "daemon")).To(Succeed())
	}
	report(sriovv1.ReasonNotComputed, metav1.ConditionFalse)
	prefix, name, _ := strings.Cut(resource, "/")
	create(ctx, &sriovv1.SriovNetworkNodePolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: "policy-" + node},
		Spec: sriovv1.SriovNetworkNodePolicySpec{
			ResourcePrefix: prefix, ResourceName: name, NumVfs: 4, EswitchMode: sriovv1.EswitchModeSwitchdev,
			NodeSelector: map[string]string{}, NicSelector: sriovv1.NicSelector{PfNames: []string{pf}},
		},
	})
	Eventually(func(g Gomega) []sriovv1.Interface { read(g); return state.Spec.Interfaces }).Should(HaveLen(1))
	report(sriovv1.ReasonConverged, metav1.ConditionTrue)
}

// check is a function for Eventually: the result of a check, and its message and remedy.
func check(ctx context.Context, n *sriovv1.OffloadNetwork, name string) func(Gomega) string {
	return func(g Gomega) string {
		g.Expect(c.Get(ctx, client.ObjectKeyFromObject(n), n)).To(Succeed())
		for _, found := range n.Status.Checks {
			if found.Name == name {
				return fmt.Sprintf("%s: %s; %s", found.Result, found.Message, found.Remedy)
			}
		}
		return ""
	}
}

func offloadSpecs() {
	Describe("An OffloadNetwork", func() {
		BeforeAll(func(ctx SpecContext) {
			Expect(cp.InstallCRDs("test/data/multus", "test/data/kube-ovn/v1.16.2.yaml")).To(Succeed())
			namespace(ctx, "pods")
		})

		overlay := func() *sriovv1.OffloadNetwork {
			return &sriovv1.OffloadNetwork{
				ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: "sriov"},
				Spec: sriovv1.OffloadNetworkSpec{
					CNI: "kube-ovn", NetworkNamespace: "pods", ResourcePrefix: "mellanox.com", ResourceName: "cx5",
				},
			}
		}
		underlay := func(name, cidr, gateway string) *sriovv1.OffloadNetwork {
			id := 20
			n := overlay()
			n.Name = name
			n.Spec.KubeOVN = &sriovv1.KubeOVNNetwork{Mode: "underlay", Subnet: &sriovv1.KubeOVNSubnet{
				CIDRBlock: cidr, Gateway: gateway, ExcludeIPs: []string{"10.10.204.1..10.10.204.100"}, VlanID: &id, DefaultInterface: "bond1",
			}}
			return n
		}

		It("of Kube-OVN says, check by check, what is missing, and is ready in the end", func(ctx SpecContext) {
			n := overlay()
			create(ctx, n)
			Eventually(ready(ctx, n)).Should(haveReason(metav1.ConditionFalse, sriovv1.ReasonChecksFailed, "CNI: there is no DaemonSet kube-ovn-cni; install Kube-OVN"))
			Expect(n.Status.PodTemplate.Annotations).To(Equal(map[string]string{
				"v1.multus-cni.io/default-network":            "pods/sriov",
				"sriov.pods.ovn.kubernetes.io/logical_switch": "ovn-default",
			}))
			Expect(n.Status.PodTemplate.Resources.Limits).To(Equal(map[string]string{"mellanox.com/cx5": "1"}))

			By("Kube-OVN coming, configured for something else")
			cni := daemonSet("kube-ovn-cni", corev1.Container{Name: "cni-server", Args: []string{"--iface=eth0"}})
			ovs := daemonSet("ovs-ovn", corev1.Container{Name: "openvswitch", Env: []corev1.EnvVar{{Name: "HW_OFFLOAD", Value: "false"}}})
			controller := &appsv1.Deployment{
				ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-ovn-controller"},
				Spec:       appsv1.DeploymentSpec{Selector: selector("c"), Template: template("c", corev1.Container{Name: "kube-ovn-controller", Args: []string{"--enable-lb=true"}})},
			}
			create(ctx, cni, ovs, controller, daemonSet("kube-multus-ds", corev1.Container{Name: "kube-multus"}))
			offer(ctx, "node1", "ens1f0np0", "mellanox.com/cx5")
			Eventually(check(ctx, n, network.CheckResource)).Should(Equal("Passed: mellanox.com/cx5 of switchdev VFs: 1 of 1 node ready; "))
			Eventually(check(ctx, n, network.CheckMultus)).Should(HavePrefix("Passed"))
			Eventually(check(ctx, n, network.CheckCNI)).Should(HavePrefix("Passed"))
			Eventually(check(ctx, n, network.CheckHardwareOffload)).Should(And(HavePrefix("Failed"), ContainSubstring("HW_OFFLOAD=false"), ContainSubstring("HW_OFFLOAD=true")))
			Eventually(check(ctx, n, network.CheckLoadBalancer)).Should(And(HavePrefix("Failed"), ContainSubstring("ENABLE_LB=false")))
			Eventually(check(ctx, n, network.CheckTunnelInterface)).Should(And(HavePrefix("Failed"), ContainSubstring("ens1f0np0")))
			Eventually(check(ctx, n, network.CheckLogicalSwitch)).Should(And(HavePrefix("Pending"), ContainSubstring("ovn-default")))

			By("being put right")
			update(ctx, cni, func(d *appsv1.DaemonSet) { d.Spec.Template.Spec.Containers[0].Args = []string{"--iface=ens1f0np0"} })
			update(ctx, ovs, func(d *appsv1.DaemonSet) { d.Spec.Template.Spec.Containers[0].Env[0].Value = "true" })
			update(ctx, controller, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Args = []string{"--enable-lb=false"} })
			create(ctx, newKubeOVN("Subnet", "ovn-default", map[string]any{"provider": "ovn", "cidrBlock": "10.16.0.0/16"}))
			Eventually(ready(ctx, n)).Should(haveReason(metav1.ConditionFalse, sriovv1.ReasonChecksPending, "Subnet sriov-"+operator))
			subnet := n.Status.Checks[6]
			Expect(subnet.Name).To(Equal(network.CheckSubnet))
			bound := bindingSubnet(ctx, "sriov.pods.ovn")
			takeIntoUse(ctx, bound, "Ready")
			Eventually(ready(ctx, n)).Should(attached)

			By("staying quiet: what Kube-OVN added to the Subnet is not fought over")
			idle()
			requests.Reset()
			Consistently(requests.Writes).Should(BeEmpty())

			By("restoring the Subnet")
			Expect(c.Delete(ctx, newKubeOVN("Subnet", bound, nil))).To(Succeed())
			Eventually(kubeOVN(ctx, "Subnet", bound)).ShouldNot(BeNil())

			By("Kube-OVN refusing it")
			takeIntoUse(ctx, bound, "Error")
			Eventually(check(ctx, n, network.CheckSubnet)).Should(And(HavePrefix("Failed"), ContainSubstring("said Kube-OVN")))

			By("a node saying another tunnel interface")
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node1"}}
			update(ctx, node, func(n *corev1.Node) { n.Annotations = map[string]string{"ovn.kubernetes.io/tunnel_interface": "eth7"} })
			Eventually(check(ctx, n, network.CheckTunnelInterface)).Should(And(HavePrefix("Failed"), ContainSubstring("eth7")))

			By("changing nothing of the CNI's own")
			for name := range requests.Writes() {
				Expect(name).NotTo(Or(ContainSubstring("daemonsets"), ContainSubstring("deployments")))
			}
			By("going")
			remove(ctx, n)
			Eventually(kubeOVN(ctx, "Subnet", bound)).Should(BeNil())
			Eventually(definition(ctx, "pods", "sriov")).Should(BeNil())
		})

		It("of the underlay makes the provider network, the VLAN and the Subnet, shared with others of the interface", func(ctx SpecContext) {
			a, b := underlay("a", "10.10.204.0/24", "10.10.204.254"), underlay("b", "10.10.205.0/24", "10.10.205.254")
			create(ctx, a, b)
			Eventually(kubeOVN(ctx, "ProviderNetwork", "bond1")).Should(haveSpec(map[string]any{"defaultInterface": "bond1"}))
			Eventually(kubeOVN(ctx, "Vlan", "bond1-vlan20")).Should(haveSpec(map[string]any{"id": int64(20), "provider": "bond1"}))
			nameOf := bindingSubnet(ctx, "a.pods.ovn")
			Expect(kubeOVN(ctx, "Subnet", nameOf)(Default)).To(haveSpec(map[string]any{
				"protocol": "IPv4", "provider": "a.pods.ovn", "vlan": "bond1-vlan20", "cidrBlock": "10.10.204.0/24", "gateway": "10.10.204.254",
				"excludeIps": []any{"10.10.204.1..10.10.204.100"},
			}))
			Eventually(ready(ctx, a)).ShouldNot(BeZero())
			Expect(a.Status.PodTemplate.Annotations).To(Equal(map[string]string{
				"k8s.v1.cni.cncf.io/networks":             `[{"name":"a","namespace":"pods","default-route":["10.10.204.254"]}]`,
				"a.pods.ovn.kubernetes.io/logical_switch": nameOf,
			}))
			Eventually(check(ctx, a, network.CheckSubnet)).Should(HavePrefix("Pending"))
			bindingSubnet(ctx, "b.pods.ovn")

			By("the first of them going")
			remove(ctx, a)
			Eventually(kubeOVN(ctx, "Subnet", nameOf)).Should(BeNil())
			Consistently(kubeOVN(ctx, "Vlan", "bond1-vlan20")).ShouldNot(BeNil())
			By("the other moving to another VLAN")
			update(ctx, b, func(n *sriovv1.OffloadNetwork) { *n.Spec.KubeOVN.Subnet.VlanID = 21 })
			Eventually(kubeOVN(ctx, "Vlan", "bond1-vlan20")).Should(BeNil())
			Expect(kubeOVN(ctx, "Vlan", "bond1-vlan21")(Default)).NotTo(BeNil())
			By("going too")
			remove(ctx, b)
			for kind, name := range map[string]string{"Vlan": "bond1-vlan21", "ProviderNetwork": "bond1"} {
				Eventually(kubeOVN(ctx, kind, name)).Should(BeNil())
			}
		})

		It("of the underlay uses what others have made, and leaves it alone", func(ctx SpecContext) {
			create(ctx,
				newKubeOVN("ProviderNetwork", "offload", map[string]any{"defaultInterface": "bond1"}),
				newKubeOVN("Vlan", "vlan20", map[string]any{"id": int64(20), "provider": "offload"}),
			)
			n := underlay("c", "10.10.204.0/24", "10.10.204.254")
			create(ctx, n)
			name := bindingSubnet(ctx, "c.pods.ovn")
			Expect(kubeOVN(ctx, "Subnet", name)(Default).Object["spec"]).To(HaveKeyWithValue("vlan", "vlan20"))
			remove(ctx, n)
			Eventually(kubeOVN(ctx, "Subnet", name)).Should(BeNil())
			Expect(kubeOVN(ctx, "ProviderNetwork", "offload")(Default)).NotTo(BeNil())
			Expect(kubeOVN(ctx, "Vlan", "vlan20")(Default)).NotTo(BeNil())
			Expect(kubeOVN(ctx, "ProviderNetwork", "bond1")(Default)).To(BeNil())

			By("a ProviderNetwork of another interface having the name")
			taken := newKubeOVN("ProviderNetwork", "eth5", map[string]any{"defaultInterface": "eth6"})
			create(ctx, taken)
			other := underlay("d", "10.10.206.0/24", "10.10.206.254")
			other.Spec.KubeOVN.Subnet.DefaultInterface = "eth5"
			create(ctx, other)
			Eventually(check(ctx, other, network.CheckSubnet)).Should(And(HavePrefix("Failed"), ContainSubstring("ProviderNetwork eth5")))
			Expect(kubeOVN(ctx, "ProviderNetwork", "eth5")(Default)).To(haveSpec(map[string]any{"defaultInterface": "eth6"}))
		})

		It("of Antrea looks at the DaemonSet of Antrea", func(ctx SpecContext) {
			n := overlay()
			n.Name, n.Spec.CNI = "antrea", "antrea"
			create(ctx, n)
			Eventually(check(ctx, n, network.CheckCNI)).Should(And(HavePrefix("Failed"), ContainSubstring("install Antrea")))
			agent := daemonSet("antrea-agent", corev1.Container{Name: "antrea-ovs", Command: []string{"start_ovs"}})
			create(ctx, agent, daemonSet("kube-multus-ds", corev1.Container{Name: "kube-multus"}))
			Eventually(check(ctx, n, network.CheckHardwareOffload)).Should(And(HavePrefix("Failed"), ContainSubstring("ovs.hwOffload=true")))
			update(ctx, agent, func(d *appsv1.DaemonSet) { d.Spec.Template.Spec.Containers[0].Args = []string{"--hw-offload"} })
			Eventually(check(ctx, n, network.CheckHardwareOffload)).Should(HavePrefix("Passed"))
			Eventually(ready(ctx, n)).Should(haveReason(metav1.ConditionFalse, sriovv1.ReasonChecksPending, "apply a SriovNetworkNodePolicy with resourceName: cx5"))
			offer(ctx, "node2", "enp3s0f0", "mellanox.com/cx5")
			Eventually(ready(ctx, n)).Should(attached)
			Expect(kubeOVN(ctx, "Subnet", "sriov-"+operator+"-antrea")(Default)).To(BeNil())
			Expect(n.Status.Checks).To(HaveLen(4))
		})
	})
}

// bindingSubnet is the name of the one Subnet with a provider.
func bindingSubnet(ctx context.Context, provider string) string {
	GinkgoHelper()
	var name string
	Eventually(func(g Gomega) {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(schema.GroupVersionKind{Group: "kubeovn.io", Version: "v1", Kind: "Subnet"})
		g.Expect(c.List(ctx, list)).To(Succeed())
		found := 0
		for _, s := range list.Items {
			if p, _, _ := unstructured.NestedString(s.Object, "spec", "provider"); p == provider {
				name = s.GetName()
				found++
			}
		}
		g.Expect(found).To(Equal(1))
	}).Should(Succeed())
	return name
}
