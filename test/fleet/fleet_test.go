package fleet_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/test/controlplane"
	"github.com/sriov-offload/sriov-offload-operator/test/fleet"
)

var connectX = []string{"node1", "node2"}

var _ = Describe("The guide's policy on two ConnectX-5 nodes and an igb node", Ordered, func() {
	var untouched string

	BeforeAll(func(ctx context.Context) {
		Eventually(allReported).WithContext(ctx).Should(BeEmpty())
		untouched = kernels["node3"].Dump()
		Expect(running.Client.Create(ctx, guidePolicy())).To(Succeed())
		Eventually(notReady).WithContext(ctx).Should(BeEmpty())
	})

	It("gives both ConnectX nodes the spec of the guide", func(ctx context.Context) {
		var want sriovv1.SriovNetworkNodeStateSpec
		data, err := os.ReadFile(filepath.Join("testdata", "guide-spec.yaml"))
		Expect(err).NotTo(HaveOccurred())
		Expect(yaml.UnmarshalStrict(data, &want)).To(Succeed())
		for _, name := range connectX {
			got := state(ctx, name).Spec
			Expect(got.ComputedFrom).NotTo(BeEmpty())
			got.ComputedFrom = ""
			Expect(cmp.Diff(want, got)).To(BeEmpty())
		}
	})

	It("reports the VFs of the guide, with representors and conditions", func(ctx context.Context) {
		for _, name := range connectX {
			s := state(ctx, name)
			Expect(s.Status.Interfaces).To(HaveLen(2))
			Expect(s.Status.NumVfs).To(Equal(6))
			for i, pf := range []string{"ens41f0np0", "ens41f1np1"} {
				nic := s.Status.Interfaces[i]
				Expect(nic.Name).To(Equal(pf))
				Expect(nic.TotalVfs).To(Equal(3))
				Expect(nic.NumVfs).To(Equal(3))
				Expect(nic.EswitchMode).To(Equal("switchdev"))
				Expect(nic.HWTCOffload).To(HaveValue(BeTrue()))
				Expect(nic.VFs).To(HaveLen(3))
				for j, vf := range nic.VFs {
					Expect(vf.PCIAddress).To(Equal(fmt.Sprintf("0000:5f:00.%d", 2+3*i+j)))
					Expect(vf.Vendor).To(Equal("15b3"))
					Expect(vf.DeviceID).To(Equal("1018"))
					Expect(vf.Driver).To(Equal("mlx5_core"))
					Expect(vf.RepresentorName).NotTo(BeEmpty())
					Expect(vf.Name).NotTo(BeEmpty())
				}
			}
			Expect(meta.IsStatusConditionTrue(s.Status.Conditions, sriovv1.ConditionReady)).To(BeTrue())
			Expect(meta.IsStatusConditionTrue(s.Status.Conditions, sriovv1.ConditionOffloadReady)).To(BeTrue())
			Expect(s.Status.SyncStatus).To(Equal(sriovv1.SyncSucceeded))
			Expect(s.Status.Plan).To(BeNil())
			Expect(kernels[name].Forbidden()).To(BeEmpty())
		}
	})

	It("leaves the igb node alone and says why on the policy", func(ctx context.Context) {
		Expect(kernels["node3"].Dump()).To(Equal(untouched))
		Expect(state(ctx, "node3").Spec.Interfaces).To(BeEmpty())
		p := policy(ctx)
		Expect(p.Status.MatchedNodes).To(Equal(2))
		Expect(p.Status.ReadyNodes).To(Equal(2))
		Expect(p.Status.Unmatched).To(ContainElement(And(
			HaveField("Field", "nicSelector.pfNames"), HaveField("Message", ContainSubstring("node3")))))
	})

	It("renders the device plugin's configuration for exactly these VFs", func(ctx context.Context) {
		var cm corev1.ConfigMap
		Eventually(func() error {
			return running.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "device-plugin-config-node1"}, &cm)
		}).Should(Succeed())
		var config struct {
			ResourceList []struct {
				ResourcePrefix, ResourceName string
				Selectors                    struct{ RootDevices []string }
			}
		}
		Expect(json.Unmarshal([]byte(cm.Data["config.json"]), &config)).To(Succeed())
		Expect(config.ResourceList).To(HaveLen(1))
		Expect(config.ResourceList[0].ResourceName).To(Equal("cx_sriov_switchdev"))
		Expect(config.ResourceList[0].Selectors.RootDevices).To(Equal([]string{"0000:5f:00.0#0-2", "0000:5f:00.1#0-2"}))
	})

	It("repairs VFs that were removed behind our back within 2 s", func(ctx context.Context) {
		before := kernels["node1"].Dump()
		admin := kernels["node1"].Admin()
		Expect(admin.FS.WriteFile(ctx, "sys/bus/pci/devices/0000:5f:00.0/sriov_numvfs", []byte("0"))).To(Succeed())
		Eventually(kernels["node1"].Dump).WithTimeout(2 * time.Second).Should(Equal(before))
		Eventually(notReady).WithContext(ctx).Should(BeEmpty())
	})

	It("holds a change that would take VFs from a pod, and goes on when the pod is gone", func(ctx context.Context) {
		const vf = "0000:5f:00.2"
		Expect(kernels["node1"].AssignVF(vf, "shop/cart-0")).To(Succeed())
		setNumVfs(ctx, 2)
		Eventually(func() sriovv1.SriovNetworkNodeState { return state(ctx, "node1") }).Should(And(
			HaveField("Status.Plan.Disruption", sriovv1.DisruptionVFPods),
			HaveField("Status.Plan.AffectedPods", Equal([]string{"shop/cart-0"})),
			WithTransform(readyOf, And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", sriovv1.ReasonDrainRequired))),
			// The other port has no pod on it: it is not held.
			WithTransform(func(s sriovv1.SriovNetworkNodeState) int { return s.Status.Interfaces[1].NumVfs }, Equal(2)),
		))
		Expect(kernels["node1"].Forbidden()).To(BeEmpty())
		Expect(kernels["node1"].ReleaseVF(vf)).To(Succeed())
		Eventually(notReady).WithContext(ctx).Should(BeEmpty())
		setNumVfs(ctx, 3)
		Eventually(notReady).WithContext(ctx).Should(BeEmpty())
	})

	It("concerns one node only when one node's label changes", func(ctx context.Context) {
		quiet(ctx)
		var node corev1.Node
		Expect(running.Client.Get(ctx, client.ObjectKey{Name: "node2"}, &node)).To(Succeed())
		// A label that no policy asks for changes nothing at all.
		relabel(ctx, "node2", "example.com/rack", "7")
		Consistently(writes).WithTimeout(time.Second).Should(BeEmpty())
		ops := map[string]int{}
		for name, k := range kernels {
			ops[name] = k.Ops().Total()
		}
		// One that the policy asks for concerns this node's daemon and objects.
		p := policy(ctx)
		p.Spec.NodeSelector["example.com/rack"] = "7"
		Expect(running.Client.Update(ctx, &p)).To(Succeed())
		Eventually(func() int { return policy(ctx).Status.MatchedNodes }).Should(Equal(1))
		Eventually(func() int { return len(state(ctx, "node1").Spec.Interfaces) }).Should(BeZero())
		Eventually(notReady).WithContext(ctx).Should(BeEmpty())
		quiet(ctx)
		for name, k := range kernels {
			ops[name] = k.Ops().Total()
		}
		relabel(ctx, "node1", "example.com/rack", "7")
		Eventually(func() int { return policy(ctx).Status.ReadyNodes }).Should(Equal(2))
		Expect(kernels["node1"].Ops().Total()).To(BeNumerically(">", ops["node1"]))
		Expect(kernels["node2"].Ops().Total()).To(Equal(ops["node2"]))
		Expect(kernels["node3"].Ops().Total()).To(Equal(ops["node3"]))
		Expect(requests["node2"].All()).To(BeEmpty())
		Expect(requests["node3"].All()).To(BeEmpty())
		Expect(writes()).To(HaveKeyWithValue("manager: patch sriovnetworknodestates", 1))
	})

	It("is silent for an idle minute: no API write, no look at a host", func(ctx context.Context) {
		quiet(ctx)
		ops := totalOps()
		Consistently(func(g Gomega) {
			g.Expect(writes()).To(BeEmpty())
			g.Expect(totalOps()).To(Equal(ops))
		}).WithTimeout(time.Minute).WithPolling(500 * time.Millisecond).Should(Succeed())
	})

	It("writes nothing when all components are restarted", func(ctx context.Context) {
		Expect(running.Stop()).To(Succeed())
		resetRequests()
		before := totalOps()
		var err error
		running, err = fleet.Start(context.WithoutCancel(ctx), options)
		Expect(err).NotTo(HaveOccurred())
		for name, k := range kernels {
			Eventually(func() int { return k.Ops().Reads }).Should(BeNumerically(">", before[name].Reads), name)
		}
		quietFor(2 * time.Second)
		Expect(writes()).To(BeEmpty())
		for name, k := range kernels {
			Expect(k.Ops().Writes).To(Equal(before[name].Writes), name)
		}
	})

	It("gives the NICs back as they were found when the policy is deleted", func(ctx context.Context) {
		p := policy(ctx)
		Expect(running.Client.Delete(ctx, &p)).To(Succeed())
		for _, name := range connectX {
			Eventually(func() int { return state(ctx, name).Status.Interfaces[0].NumVfs }).Should(BeZero())
			Eventually(func() string { return state(ctx, name).Status.Interfaces[1].EswitchMode }).Should(Equal("legacy"))
		}
		Eventually(notReady).WithContext(ctx).Should(BeEmpty())
	})
})

// guidePolicy reads the sample that is the policy of the Kube-OVN guide.
func guidePolicy() *sriovv1.SriovNetworkNodePolicy {
	GinkgoHelper()
	root, err := controlplane.ModuleRoot()
	Expect(err).NotTo(HaveOccurred())
	data, err := os.ReadFile(filepath.Join(root, "config", "samples", "sriovnetwork_v1_sriovnetworknodepolicy_kube-ovn.yaml"))
	Expect(err).NotTo(HaveOccurred())
	p := &sriovv1.SriovNetworkNodePolicy{}
	Expect(yaml.UnmarshalStrict(data, p)).To(Succeed())
	return p
}

func policy(ctx context.Context) sriovv1.SriovNetworkNodePolicy {
	GinkgoHelper()
	var p sriovv1.SriovNetworkNodePolicy
	Expect(running.Client.Get(ctx, client.ObjectKeyFromObject(guidePolicy()), &p)).To(Succeed())
	return p
}

func state(ctx context.Context, name string) sriovv1.SriovNetworkNodeState {
	GinkgoHelper()
	var s sriovv1.SriovNetworkNodeState
	Expect(running.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &s)).To(Succeed())
	return s
}

func setNumVfs(ctx context.Context, n int) {
	GinkgoHelper()
	p := policy(ctx)
	p.Spec.NumVfs = n
	Expect(running.Client.Update(ctx, &p)).To(Succeed())
}

func relabel(ctx context.Context, name, key, value string) {
	GinkgoHelper()
	var node corev1.Node
	Expect(running.Client.Get(ctx, client.ObjectKey{Name: name}, &node)).To(Succeed())
	base := node.DeepCopy()
	if node.Labels == nil {
		node.Labels = map[string]string{}
	}
	node.Labels[key] = value
	Expect(running.Client.Patch(ctx, &node, client.MergeFrom(base))).To(Succeed())
}

func readyOf(s sriovv1.SriovNetworkNodeState) metav1.Condition {
	for _, c := range s.Status.Conditions {
		if c.Type == sriovv1.ConditionReady {
			return c
		}
	}
	return metav1.Condition{}
}

// allReported lists the nodes whose daemon has not reported yet.
func allReported(ctx context.Context) []string {
	var missing []string
	for name := range kernels {
		var s sriovv1.SriovNetworkNodeState
		err := running.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &s)
		if err != nil || len(s.Status.Interfaces) == 0 || s.Spec.ComputedFrom == "" {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}

// notReady lists, with the reason, what has not converged on its newest spec.
func notReady(ctx context.Context) []string {
	var out []string
	if err := running.Err(); err != nil {
		out = append(out, err.Error())
	}
	var policies sriovv1.SriovNetworkNodePolicyList
	var states sriovv1.SriovNetworkNodeStateList
	if err := running.Client.List(ctx, &policies, client.InNamespace(namespace)); err != nil {
		return append(out, err.Error())
	}
	if err := running.Client.List(ctx, &states, client.InNamespace(namespace)); err != nil {
		return append(out, err.Error())
	}
	add := func(name string, generation, observed int64, conditions []metav1.Condition) {
		ready := meta.FindStatusCondition(conditions, sriovv1.ConditionReady)
		if ready == nil || ready.Status != metav1.ConditionTrue || generation != observed {
			text := name
			if ready != nil {
				text += ": " + ready.Reason + ": " + ready.Message
			}
			out = append(out, text)
		}
	}
	for i := range policies.Items {
		p := &policies.Items[i]
		add(p.Name, p.Generation, p.Status.ObservedGeneration, p.Status.Conditions)
	}
	for i := range states.Items {
		s := &states.Items[i]
		add(s.Name, s.Generation, s.Status.ObservedGeneration, s.Status.Conditions)
	}
	return out
}
