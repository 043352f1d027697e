package network

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

func workload(name string, c corev1.Container) appsv1.DaemonSet {
	d := appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name}}
	d.Spec.Template.Spec.Containers = []corev1.Container{c}
	return d
}

// good are facts with which every check of an overlay network passes.
func good() *facts {
	deployment := appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-ovn-controller"}}
	deployment.Spec.Template.Spec.Containers = []corev1.Container{{Args: []string{"--enable-lb=false", "--enable-lb-svc=true"}}}
	n := kubeOVNNetwork("default", "sriov")
	subnet, err := bindingSubnet(n, kubeOVNObserved{})
	if err != nil {
		panic(err)
	}
	subnet.Object["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}}
	f := &facts{
		offer: offer{resource: "mellanox.com/cx", switchdev: []string{"p"}, nodes: []string{"node1"}, ready: 1, uplinks: []string{"ens1f0np0"}},
		crds:  map[string]bool{crdDefinitions: true, crdSubnets: true, crdVlans: true, crdProviderNetworks: true},
		daemonSets: []appsv1.DaemonSet{
			workload("kube-multus-ds", corev1.Container{}),
			workload("kube-ovn-cni", corev1.Container{Args: []string{"--mirror-iface=mirror0", "--iface=ens1f0np0"}}),
			workload("ovs-ovn", corev1.Container{Env: []corev1.EnvVar{{Name: "HW_OFFLOAD", Value: "true"}}}),
			workload("antrea-agent", corev1.Container{Name: "antrea-ovs", Command: []string{"start_ovs", "--hw-offload"}}),
		},
		deployments: []appsv1.Deployment{deployment},
		tunnels:     map[string]string{},
	}
	f.kubeOVN.subnets = append(f.kubeOVN.subnets, *subnet, *newKubeOVN(subnetKind, "ovn-default", nil))
	return f
}

func TestChecks(t *testing.T) {
	overlay, under := kubeOVNNetwork("default", "sriov"), underlayNetwork("sriov", "bond1", 0)
	antrea := &sriovv1.OffloadNetwork{Spec: sriovv1.OffloadNetworkSpec{CNI: cniAntrea}}
	iface := func(v string) func(*facts) {
		return func(f *facts) { f.daemonSets[1].Spec.Template.Spec.Containers[0].Args = []string{"--iface=" + v} }
	}
	for _, test := range []struct {
		name   string
		n      *sriovv1.OffloadNetwork
		change func(*facts)
		want   string // what does not pass
	}{
		{"all good", overlay, func(*facts) {}, ""},
		{"no policy", overlay, func(f *facts) { f.offer = offer{resource: "mellanox.com/cx"} }, "Resource Pending; TunnelInterface Unknown"},
		{"legacy policy", overlay, func(f *facts) { f.offer = offer{resource: "mellanox.com/cx", legacy: []string{"p"}} }, "Resource Failed; TunnelInterface Unknown"},
		{"other prefix", overlay, func(f *facts) {
			f.offer = offer{resource: "mellanox.com/cx", others: []string{"p provides openshift.io/cx"}}
		}, "Resource Failed; TunnelInterface Unknown"},
		{"no node", overlay, func(f *facts) { f.offer.nodes = nil }, "Resource Pending"},
		{"no node ready", overlay, func(f *facts) { f.offer.ready = 0 }, "Resource Pending"},
		{"no Multus", overlay, func(f *facts) { f.crds[crdDefinitions] = false }, "Multus Failed"},
		{"Multus not to be seen", overlay, func(f *facts) { f.daemonSets = f.daemonSets[1:] }, "Multus Unknown"},
		{"no Kube-OVN", overlay, func(f *facts) { f.crds[crdSubnets], f.daemonSets, f.deployments = false, f.daemonSets[:1], nil },
			"CNI Failed; HardwareOffload Unknown; LoadBalancer Unknown; TunnelInterface Unknown; Subnet Unknown; LogicalSwitch Unknown"},
		{"old Kube-OVN without provider networks", under, func(f *facts) { f.crds[crdProviderNetworks] = false; iface("eth0")(f) }, "CNI Failed; Subnet Unknown"},
		{"offload off", overlay, func(f *facts) { f.daemonSets[2].Spec.Template.Spec.Containers[0].Env[0].Value = "false" }, "HardwareOffload Failed"},
		{"offload not set", overlay, func(f *facts) { f.daemonSets[2].Spec.Template.Spec.Containers[0].Env = nil }, "HardwareOffload Failed"},
		{"offload from elsewhere", overlay, func(f *facts) {
			f.daemonSets[2].Spec.Template.Spec.Containers[0].Env[0] = corev1.EnvVar{Name: "HW_OFFLOAD", ValueFrom: &corev1.EnvVarSource{}}
		}, "HardwareOffload Unknown"},
		{"load balancer by default", overlay, func(f *facts) {
			f.deployments[0].Spec.Template.Spec.Containers[0].Args = []string{"--enable-lb-svc=false"}
		}, "LoadBalancer Failed"},
		{"load balancer on", overlay, func(f *facts) {
			f.deployments[0].Spec.Template.Spec.Containers[0].Args = []string{"--enable-lb", "true"}
		}, "LoadBalancer Failed"},
		{"tunnel elsewhere", overlay, iface("eth0"), "TunnelInterface Failed"},
		{"tunnel by expression", overlay, iface("eth0,^ens1f[0-9]np.*"), ""},
		{"tunnel not set", overlay, iface(""), "TunnelInterface Unknown"},
		{"tunnel by a broken expression", overlay, iface("ens(") /* not the name */, "TunnelInterface Failed"},
		{"tunnel by annotation", overlay, func(f *facts) { iface("eth0")(f); f.tunnels["node1"] = "ens1f0np0" }, ""},
		{"tunnel by wrong annotation", overlay, func(f *facts) { f.tunnels["node1"] = "eth0" }, "TunnelInterface Failed"},
		{"annotation of a node without the resource", overlay, func(f *facts) { f.tunnels["node2"] = "eth0" }, ""},
		{"underlay", under, iface("eth0"), ""},
		{"underlay, tunnel on the uplink", under, func(*facts) {}, "TunnelInterface Failed"},
		{"underlay, tunnel on the bond", under, iface("bond1"), "TunnelInterface Failed"},
		{"underlay, tunnel perhaps on the bond", under, iface("bond.*"), "TunnelInterface Unknown"},
		{"underlay, tunnel by annotation on the bond", under, func(f *facts) { f.tunnels["node1"] = "bond1" }, "TunnelInterface Failed"},
		{"Subnet not in use", overlay, func(f *facts) { f.kubeOVN.subnets[0].Object["status"] = nil }, "Subnet Pending"},
		{"no Subnet", overlay, func(f *facts) { f.kubeOVN.subnets = f.kubeOVN.subnets[1:] }, "Subnet Pending"},
		{"Subnet of another", overlay, func(f *facts) { f.foreign = "Subnet x exists" }, "Subnet Failed"},
		{"Subnet refused", overlay, func(f *facts) {
			f.kubeOVN.subnets[0].Object["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Error", "status": "True", "reason": "Conflict"}}}
		}, "Subnet Failed"},
		{"no logical switch", overlay, func(f *facts) { f.kubeOVN.subnets = f.kubeOVN.subnets[:1] }, "LogicalSwitch Pending"},
		{"Antrea", antrea, func(*facts) {}, ""},
		{"Antrea without offload", antrea, func(f *facts) { f.daemonSets[3].Spec.Template.Spec.Containers[0].Command = []string{"start_ovs"} }, "HardwareOffload Failed"},
		{"no Antrea", antrea, func(f *facts) { f.daemonSets = f.daemonSets[:3] }, "CNI Failed; HardwareOffload Unknown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := good()
			test.change(f)
			var got []string
			for _, c := range checks(test.n, f) {
				if c.Result != sriovv1.CheckPassed {
					got = append(got, fmt.Sprintf("%s %s", c.Name, c.Result))
					if c.Result == sriovv1.CheckFailed && c.Remedy == "" || c.Message == "" {
						t.Errorf("a check without a remedy or message: %+v", c)
					}
				}
			}
			if diff := cmp.Diff(test.want, strings.Join(got, "; ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOffer(t *testing.T) {
	policy := func(name, prefix, mode string, vfs int) sriovv1.SriovNetworkNodePolicy {
		return sriovv1.SriovNetworkNodePolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: sriovv1.SriovNetworkNodePolicySpec{
			ResourcePrefix: prefix, ResourceName: "cx", EswitchMode: mode, NumVfs: vfs,
		}}
	}
	state := func(name, mode, prefix string, ready metav1.ConditionStatus) sriovv1.SriovNetworkNodeState {
		s := sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Name: name}}
		s.Spec.ComputedFrom = "x"
		s.Spec.Interfaces = []sriovv1.Interface{{PCIAddress: "0000:5f:00.0", Name: "old", EswitchMode: mode, VfGroups: []sriovv1.VfGroup{{ResourcePrefix: prefix, ResourceName: "cx"}}}}
		s.Status.Interfaces = []sriovv1.InterfaceStatus{{PCIAddress: "0000:5f:00.0", Name: "new"}}
		meta.SetStatusCondition(&s.Status.Conditions, metav1.Condition{Type: sriovv1.ConditionReady, Status: ready})
		return s
	}
	bonded := state("bonded", "switchdev", "", metav1.ConditionTrue)
	bonded.Spec.Bonds = []sriovv1.Bond{{BondSpec: sriovv1.BondSpec{Name: "bond1"}, Members: []string{"0000:5f:00.0"}}}
	got := offerOf("mellanox.com/cx", "mellanox.com", []sriovv1.SriovNetworkNodePolicy{
		policy("b", "", "switchdev", 4), policy("a", "mellanox.com", "switchdev", 4), policy("legacy", "", "", 4),
		policy("other", "intel.com", "switchdev", 4), policy("none", "", "switchdev", 0), policy("default", "", "switchdev", 4),
	}, []sriovv1.SriovNetworkNodeState{
		state("n2", "switchdev", "mellanox.com", metav1.ConditionFalse), state("n1", "switchdev", "", metav1.ConditionTrue), bonded,
		state("n3", "legacy", "", metav1.ConditionTrue), state("n4", "switchdev", "intel.com", metav1.ConditionTrue),
	})
	want := offer{
		resource: "mellanox.com/cx", switchdev: []string{"a", "b"}, legacy: []string{"legacy"}, others: []string{"other provides intel.com/cx"},
		nodes: []string{"bonded", "n1", "n2"}, ready: 2, uplinks: []string{"bond1", "new"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(offer{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestVerdict(t *testing.T) {
	failedCheck, pendingCheck := failed("A", "broken", "repair it"), pending("B", "not there", "")
	for _, test := range []struct {
		name   string
		o      outcome
		reason string
		holds  string
	}{
		{"ready", outcome{definition: "ns/n", checks: []sriovv1.NetworkCheck{passed("A", ""), unknown("B", "", "")}}, sriovv1.ReasonAttached, sriovv1.ConditionReady},
		{"invalid", outcome{invalid: "x", definitionUnknown: true, namespaceMissing: "y"}, sriovv1.ReasonInvalid, sriovv1.ConditionStalled},
		{"no Multus", outcome{definitionUnknown: true, checks: []sriovv1.NetworkCheck{failedCheck}}, sriovv1.ReasonDefinitionUnknown, sriovv1.ConditionStalled},
		{"no namespace", outcome{namespaceMissing: "y", checks: []sriovv1.NetworkCheck{failedCheck}}, sriovv1.ReasonNamespaceNotFound, sriovv1.ConditionReconciling},
		{"failed", outcome{checks: []sriovv1.NetworkCheck{pendingCheck, failedCheck}}, sriovv1.ReasonChecksFailed, sriovv1.ConditionStalled},
		{"pending", outcome{checks: []sriovv1.NetworkCheck{pendingCheck}}, sriovv1.ReasonChecksPending, sriovv1.ConditionReconciling},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := test.o.status(sriovv1.NetworkStatus{}, 1)
			s := test.o.status(before, 2)
			if len(s.Conditions) != 3 || s.ObservedGeneration != 2 {
				t.Fatalf("%+v", s)
			}
			for i, c := range s.Conditions {
				if c.Reason != test.reason || (c.Status == metav1.ConditionTrue) != (c.Type == test.holds) || c.ObservedGeneration != 2 {
					t.Errorf("%+v", c)
				}
				if c.LastTransitionTime != before.Conditions[i].LastTransitionTime {
					t.Errorf("%s: the time of the transition changed without one", c.Type)
				}
			}
		})
	}
}
