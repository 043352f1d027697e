package main

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// standIn is a CNI as far as the API server knows it: its objects are there,
// configured for offload, and nothing of it runs.
type standIn struct {
	name string
	// definitions are files relative to the module root.
	definitions []string
	objects     func() []client.Object
	// work does what the CNI's controller would do for the network. Doing it again
	// changes nothing.
	work func(context.Context, client.Client, *sriovv1.OffloadNetwork) error
}

// kubeOVN is installed with HW_OFFLOAD=true, ENABLE_LB=false and IFACE=iface.
func kubeOVN(iface string) standIn {
	return standIn{
		name:        "Kube-OVN",
		definitions: []string{"test/data/kube-ovn/v1.16.2.yaml"},
		objects: func() []client.Object {
			return []client.Object{
				daemonSet("kube-ovn-cni", corev1.Container{Name: "cni-server", Args: []string{"--iface=" + iface}}),
				daemonSet("ovs-ovn", corev1.Container{Name: "openvswitch", Env: []corev1.EnvVar{{Name: "HW_OFFLOAD", Value: "true"}}}),
				deployment("kube-ovn-controller", corev1.Container{Name: "kube-ovn-controller", Args: []string{"--enable-lb=false"}}),
				defaultSubnet(),
			}
		},
		work: takeSubnetsIntoUse,
	}
}

// antrea is installed with --hw-offload.
func antrea() standIn {
	return standIn{
		name: "Antrea",
		objects: func() []client.Object {
			return []client.Object{daemonSet("antrea-agent", corev1.Container{Name: "antrea-ovs", Command: []string{"start_ovs", "--hw-offload"}})}
		},
		work: func(context.Context, client.Client, *sriovv1.OffloadNetwork) error { return nil },
	}
}

var subnetKind = schema.GroupVersionKind{Group: "kubeovn.io", Version: "v1", Kind: "Subnet"}

// defaultSubnet is the one that Kube-OVN makes by itself.
func defaultSubnet() client.Object {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"protocol": "IPv4", "provider": "ovn", "cidrBlock": "10.16.0.0/16", "gateway": "10.16.0.1",
	}}}
	u.SetGroupVersionKind(subnetKind)
	u.SetName("ovn-default")
	return u
}

// boundSubnets are the Subnets with the provider of the network; none without
// Kube-OVN.
func boundSubnets(ctx context.Context, c client.Client, n *sriovv1.OffloadNetwork) ([]unstructured.Unstructured, error) {
	if n.Spec.KubeOVN == nil {
		return nil, nil
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(subnetKind)
	if err := c.List(ctx, list); err != nil {
		return nil, fmt.Errorf("listing Subnets: %w", err)
	}
	var bound []unstructured.Unstructured
	for _, s := range list.Items {
		if p, _, _ := unstructured.NestedString(s.Object, "spec", "provider"); p == n.Name+"."+n.TargetNamespace()+".ovn" {
			bound = append(bound, s)
		}
	}
	return bound, nil
}

// takeSubnetsIntoUse does what kube-ovn-controller does with new Subnets.
func takeSubnetsIntoUse(ctx context.Context, c client.Client, n *sriovv1.OffloadNetwork) error {
	bound, err := boundSubnets(ctx, c, n)
	if err != nil {
		return err
	}
	for i := range bound {
		s := &bound[i]
		if _, used := s.Object["status"]; used {
			continue
		}
		s.Object["status"] = map[string]any{"conditions": []any{
			map[string]any{"type": "Ready", "status": "True", "reason": "ResetLogicalSwitchAclSuccess"},
		}}
		if err := c.Status().Update(ctx, s); err != nil {
			return fmt.Errorf("taking Subnet %s into use: %w", s.GetName(), err)
		}
	}
	return nil
}

func daemonSet(name string, c corev1.Container) client.Object {
	selector, template := podsOf(name, c)
	return &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name},
		Spec:       appsv1.DaemonSetSpec{Selector: selector, Template: template},
	}
}

func deployment(name string, c corev1.Container) client.Object {
	selector, template := podsOf(name, c)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name},
		Spec:       appsv1.DeploymentSpec{Selector: selector, Template: template},
	}
}

func podsOf(name string, c corev1.Container) (*metav1.LabelSelector, corev1.PodTemplateSpec) {
	labels := map[string]string{"app": name}
	c.Image = "example.com/" + name
	return &metav1.LabelSelector{MatchLabels: labels}, corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{c}},
	}
}
