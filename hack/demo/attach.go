package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/manager"
	"github.com/sriov-offload/sriov-offload-operator/test/controlplane"
	"github.com/sriov-offload/sriov-offload-operator/test/fleet"
)

// attachment is the second half of a story: a network for the VFs of the policy,
// and a pod that gets one of them.
type attachment struct {
	// network is a file with an OffloadNetwork, the first of the file.
	network string
	// cni stands for the CNI, which does not run on simulated nodes.
	cni standIn
}

// namespaceOfPods is where the demo's pod is; it has opted in to the pod helper.
const namespaceOfPods = "demo"

// controlPlane is what a scenario needs of it.
func (s *scenario) controlPlane() controlplane.Options {
	if s.attach == nil {
		return controlplane.Options{}
	}
	return controlplane.Options{Webhooks: []string{"config/webhook/manifests.yaml"}}
}

// prepare installs the CNI's and Multus' part of the cluster, and says where the
// API server looks for webhooks.
func (a *attachment) prepare(ctx context.Context, cp *controlplane.ControlPlane) (*fleet.Serving, error) {
	say("installing what stands for Multus and " + a.cni.name)
	if err := cp.InstallCRDs(append([]string{"test/data/multus"}, a.cni.definitions...)...); err != nil {
		return nil, err
	}
	c, err := newClient(cp)
	if err != nil {
		return nil, err
	}
	objects := append(a.cni.objects(), daemonSet("kube-multus-ds", corev1.Container{Name: "kube-multus"}),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespaceOfPods, Labels: map[string]string{sriovv1.LabelInjectResources: "true"}}},
		// Nothing makes service accounts here.
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespaceOfPods, Name: "default"}},
	)
	for _, o := range objects {
		if err := c.Create(ctx, o); err != nil {
			return nil, fmt.Errorf("creating %T %s: %w", o, o.GetName(), err)
		}
	}
	host, port, certs := cp.WebhookServing()
	return &fleet.Serving{Host: host, Port: port, CertDir: certs}, nil
}

func newClient(cp *controlplane.ControlPlane) (client.Client, error) {
	scheme, err := manager.NewScheme()
	if err != nil {
		return nil, err
	}
	c, err := client.New(cp.Config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connecting to the control plane: %w", err)
	}
	return c, nil
}

// show applies the network, waits until it is ready, and creates a pod.
func (a *attachment) show(ctx context.Context, cp *controlplane.ControlPlane, f *fleet.Fleet) error {
	c, err := newClient(cp)
	if err != nil {
		return err
	}
	n, err := loadNetwork(a.network)
	if err != nil {
		return err
	}
	say("applying the network: " + a.network)
	if err := c.Create(ctx, n); err != nil {
		return fmt.Errorf("applying the network: %w", err)
	}
	err = wait(ctx, f, "network "+n.Name, func(ctx context.Context) error { return a.attached(ctx, c, n) })
	if err != nil {
		return err
	}
	if err := printYAML("status of the network", n.Status); err != nil {
		return err
	}
	if err := a.printMade(ctx, c, n); err != nil {
		return err
	}
	return admitPod(ctx, c, f, n)
}

// attached says what the network waits for, nil if it is ready.
func (a *attachment) attached(ctx context.Context, c client.Client, n *sriovv1.OffloadNetwork) error {
	if err := c.Get(ctx, client.ObjectKeyFromObject(n), n); err != nil {
		return err
	}
	if err := a.cni.work(ctx, c, n); err != nil {
		return err
	}
	ready := readyCondition(n.Status.Conditions)
	if ready.Status != metav1.ConditionTrue || n.Status.ObservedGeneration != n.Generation {
		return fmt.Errorf("%s: %s", ready.Reason, ready.Message)
	}
	return nil
}

// printMade shows the objects that were made for the network.
func (a *attachment) printMade(ctx context.Context, c client.Client, n *sriovv1.OffloadNetwork) error {
	nad := &nadv1.NetworkAttachmentDefinition{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: n.TargetNamespace(), Name: n.Name}, nad); err != nil {
		return err
	}
	title := "NetworkAttachmentDefinition " + nad.Namespace + "/" + nad.Name
	if err := printYAML(title, map[string]any{"annotations": nad.Annotations, "spec": nad.Spec}); err != nil {
		return err
	}
	subnets, err := boundSubnets(ctx, c, n)
	if err != nil {
		return err
	}
	for i := range subnets {
		if err := printYAML("Subnet "+subnets[i].GetName(), map[string]any{"spec": subnets[i].Object["spec"]}); err != nil {
			return err
		}
	}
	return nil
}

// admitPod creates a pod with nothing but the annotations that the network's
// status gives: the pod helper adds the device.
func admitPod(ctx context.Context, c client.Client, f *fleet.Fleet, n *sriovv1.OffloadNetwork) error {
	if n.Status.PodTemplate == nil {
		return errors.New("the network does not say what a pod needs")
	}
	say("creating a pod with the annotations of status.podTemplate, in a namespace with the label " + sriovv1.LabelInjectResources)
	// The webhook is served a moment after the manager has started, and pods are
	// let through until then.
	err := wait(ctx, f, "the pod helper", func(ctx context.Context) error {
		return injected(ctx, c, newPod(n), client.DryRunAll)
	})
	if err != nil {
		return err
	}
	pod := newPod(n)
	if err := injected(ctx, c, pod); err != nil {
		return fmt.Errorf("creating the pod: %w", err)
	}
	return printYAML("pod "+pod.Name+" as it was admitted", map[string]any{
		"annotations": pod.Annotations, "resources": pod.Spec.Containers[0].Resources,
	})
}

func newPod(n *sriovv1.OffloadNetwork) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespaceOfPods, Name: "offloaded", Annotations: n.Status.PodTemplate.Annotations},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "example.com/app"}}},
	}
}

// injected creates a pod and fails if the pod does not ask for a device then.
func injected(ctx context.Context, c client.Client, pod *corev1.Pod, options ...client.CreateOption) error {
	if err := c.Create(ctx, pod, options...); err != nil {
		return err
	}
	if len(pod.Spec.Containers[0].Resources.Limits) == 0 {
		return errors.New("it was not asked, or found no device to add")
	}
	return nil
}

// wait asks until there is no error, and fails with the last one.
func wait(parent context.Context, f *fleet.Fleet, what string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(parent, patience)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	var last error
	for {
		if err := f.Err(); err != nil {
			return err
		}
		err := ask(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-parent.Done():
			return errors.New("interrupted")
		case <-ctx.Done():
			return fmt.Errorf("%s: not ready after %s: %w", what, patience, cmp.Or(last, err))
		case <-ticker.C:
		}
	}
}

func loadNetwork(name string) (*sriovv1.OffloadNetwork, error) {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return nil, err
	}
	file, err := os.Open(filepath.Join(root, name))
	if err != nil {
		return nil, fmt.Errorf("reading the network: %w", err)
	}
	n := &sriovv1.OffloadNetwork{}
	err = yaml.NewYAMLOrJSONDecoder(file, 4096).Decode(n)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("reading the network %s: %w", name, err)
	}
	return n, nil
}
