package nodes

import (
	"context"
	"fmt"
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// New returns an empty node to watch or to read into.
func New() *metav1.PartialObjectMetadata {
	n := &metav1.PartialObjectMetadata{}
	n.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Node"))
	return n
}

// Get returns a node, or nil if there is none. It must not be changed.
func Get(ctx context.Context, c client.Reader, name string) (*metav1.PartialObjectMetadata, error) {
	n := New()
	if err := c.Get(ctx, types.NamespacedName{Name: name}, n, client.UnsafeDisableDeepCopy); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("getting node %s: %w", name, err)
	}
	return n, nil
}

// List returns all nodes in no particular order. They must not be changed.
func List(ctx context.Context, c client.Reader) ([]metav1.PartialObjectMetadata, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NodeList"))
	if err := c.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	return list.Items, nil
}

// capableField is how managed fields spell the label.
const capableField = `"f:` + sriovv1.LabelCapable + `"`

// AnnotationTunnelInterface tells that Kube-OVN's tunnels end on another interface
// of the node than elsewhere.
const AnnotationTunnelInterface = "ovn.kubernetes.io/tunnel_interface"

// readAnnotations are the annotations of nodes that somebody here reads.
func readAnnotations() []string {
	return []string{
		AnnotationTunnelInterface,
		sriovv1.AnnotationDrain, sriovv1.AnnotationDrainCordoned, sriovv1.AnnotationDrainRequest,
	}
}

// Transform drops what nobody here reads before a node enters the cache:
// other annotations, owner references, and managed fields other than those of the
// label network-sriov.capable; and of a whole node everything but whether pods may
// be scheduled to it and whether it is ready.
func Transform(in any) (any, error) {
	n, ok := in.(client.Object)
	if !ok {
		return in, nil
	}
	if whole, ok := n.(*corev1.Node); ok {
		strip(whole)
	}
	var annotations map[string]string
	for _, key := range readAnnotations() {
		if value, found := n.GetAnnotations()[key]; found {
			if annotations == nil {
				annotations = map[string]string{}
			}
			annotations[key] = value
		}
	}
	n.SetAnnotations(annotations)
	n.SetOwnerReferences(nil)
	n.SetFinalizers(nil)
	var kept []metav1.ManagedFieldsEntry
	for _, entry := range n.GetManagedFields() {
		if entry.FieldsV1 == nil || !strings.Contains(entry.FieldsV1.GetRawString(), capableField) {
			continue
		}
		kept = append(kept, metav1.ManagedFieldsEntry{
			Manager:   entry.Manager,
			Operation: entry.Operation,
			FieldsV1:  metav1.NewFieldsV1(`{"f:metadata":{"f:labels":{` + capableField + `:{}}}}`),
		})
	}
	n.SetManagedFields(kept)
	return n, nil
}

func strip(n *corev1.Node) {
	n.Spec = corev1.NodeSpec{Unschedulable: n.Spec.Unschedulable, Taints: n.Spec.Taints}
	var ready []corev1.NodeCondition
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			ready = []corev1.NodeCondition{{Type: c.Type, Status: c.Status}}
		}
	}
	n.Status = corev1.NodeStatus{Conditions: ready}
}

// CapableLabelOwner returns a field manager other than the given one that owns
// the label network-sriov.capable of the node, or nothing.
func CapableLabelOwner(n client.Object, other client.FieldOwner) string {
	for _, entry := range n.GetManagedFields() {
		if entry.Manager == string(other) || entry.FieldsV1 == nil {
			continue
		}
		if strings.Contains(entry.FieldsV1.GetRawString(), capableField) {
			return entry.Manager
		}
	}
	return ""
}

// LabelsChanged passes events after which a node may be selected differently:
// it came, it went, or its labels changed.
func LabelsChanged() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			return !maps.Equal(e.ObjectOld.GetLabels(), e.ObjectNew.GetLabels())
		},
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}
