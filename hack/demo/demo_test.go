package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/test/controlplane"
)

// TestNetworkScenarios runs the scenarios with a network to their end, and looks
// at what the API server holds then: the definition, the Subnet, and a pod that
// asks for the device that nothing but its annotations said.
func TestNetworkScenarios(t *testing.T) {
	setLogger()
	for _, test := range []struct {
		scenario    string
		definition  client.ObjectKey
		config      string
		annotations map[string]string
		// subnets that are bound to the network.
		subnets int
	}{
		{
			scenario:   "kube-ovn",
			definition: client.ObjectKey{Namespace: "default", Name: "sriov"},
			config: `{"cniVersion":"0.3.1","name":"kube-ovn","plugins":[` +
				`{"type":"kube-ovn","server_socket":"/run/openvswitch/kube-ovn-daemon.sock","provider":"sriov.default.ovn"},` +
				`{"type":"portmap","capabilities":{"portMappings":true}}]}`,
			annotations: map[string]string{
				"v1.multus-cni.io/default-network":               "default/sriov",
				"sriov.default.ovn.kubernetes.io/logical_switch": "ovn-default",
			},
			subnets: 1,
		},
		{
			scenario:   "antrea",
			definition: client.ObjectKey{Namespace: "kube-system", Name: "default"},
			config: `{"cniVersion":"0.3.1","name":"antrea","plugins":[{"type":"antrea","ipam":{"type":"host-local"}},` +
				`{"type":"portmap","capabilities":{"portMappings":true}},{"type":"bandwidth","capabilities":{"bandwidth":true}}]}`,
			annotations: map[string]string{"v1.multus-cni.io/default-network": "kube-system/default"},
		},
	} {
		t.Run(test.scenario, func(t *testing.T) {
			c := play(t, test.scenario)
			const resource = "mellanox.com/cx5_sriov_switchdev"

			nad := &nadv1.NetworkAttachmentDefinition{}
			get(t, c, test.definition, nad)
			if nad.Spec.Config != test.config || nad.Annotations[sriovv1.AnnotationResourceName] != resource {
				t.Errorf("the definition has %s, resource %q", nad.Spec.Config, nad.Annotations[sriovv1.AnnotationResourceName])
			}

			pod := &corev1.Pod{}
			get(t, c, client.ObjectKey{Namespace: namespaceOfPods, Name: "offloaded"}, pod)
			if diff := cmp.Diff(test.annotations, pod.Annotations); diff != "" {
				t.Errorf("annotations of the pod (-want +got):\n%s", diff)
			}
			resources := pod.Spec.Containers[0].Resources
			for what, list := range map[string]corev1.ResourceList{"requests": resources.Requests, "limits": resources.Limits} {
				if n := list[resource]; n.Value() != 1 || len(list) != 1 {
					t.Errorf("%s of the pod are %v", what, list)
				}
			}

			if test.subnets == 0 {
				return
			}
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(subnetKind)
			if err := c.List(t.Context(), list); err != nil {
				t.Fatal(err)
			}
			bound := 0
			for _, s := range list.Items {
				if p, _, _ := unstructured.NestedString(s.Object, "spec", "provider"); p == "sriov.default.ovn" {
					bound++
				}
			}
			if bound != test.subnets {
				t.Errorf("%d Subnets are bound to the network, of %d", bound, len(list.Items))
			}
		})
	}
}

// play runs a scenario on a control plane of its own, which it leaves running
// until the test ends.
func play(t *testing.T, name string) client.Client {
	t.Helper()
	scene, err := scenarioNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	cp, err := controlplane.Start(t.Context(), scene.controlPlane())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := scene.runOn(t.Context(), cp); err != nil {
		t.Fatal(err)
	}
	c, err := newClient(cp)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func get(t *testing.T, c client.Client, key client.ObjectKey, into client.Object) {
	t.Helper()
	if err := c.Get(t.Context(), key, into); err != nil {
		t.Fatal(err)
	}
}
