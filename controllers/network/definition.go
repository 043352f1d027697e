package network

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/api/ssa"
)

// attachDefinition writes the NetworkAttachmentDefinition, and removes the one
// in the namespace where the network was before.
func (r *Reconciler) attachDefinition(ctx context.Context, n sriovv1.Network, nad *nadv1.NetworkAttachmentDefinition, crds map[string]bool, o *outcome) error {
	if !crds[crdDefinitions] {
		o.definitionUnknown = true
		return nil
	}
	var err error
	if o.namespaceMissing, err = r.namespaceMissing(ctx, nad.Namespace); err != nil || o.namespaceMissing != "" {
		return err
	}
	err = r.writeDefinition(ctx, n, nad)
	switch {
	case isNamespaceGone(err):
		o.namespaceMissing = missing(nad.Namespace)
		return nil
	case apierrors.IsInvalid(err):
		o.invalid = "the API server refuses the NetworkAttachmentDefinition: " + err.Error()
		return nil
	case err != nil:
		o.invalid, err = asInvalid(err)
		return err
	}
	return r.removeDefinitions(ctx, n, client.ObjectKeyFromObject(nad))
}

func missing(namespace string) string {
	return "namespace " + namespace + " does not exist; this network is picked up when it does"
}

// namespaceMissing says why nothing can be made in a namespace; empty if something can.
func (r *Reconciler) namespaceMissing(ctx context.Context, name string) (string, error) {
	ns := newNamespace()
	err := r.Client.Get(ctx, client.ObjectKey{Name: name}, ns, client.UnsafeDisableDeepCopy)
	switch {
	case apierrors.IsNotFound(err):
		return missing(name), nil
	case err != nil:
		return "", fmt.Errorf("getting namespace %s: %w", name, err)
	case !ns.DeletionTimestamp.IsZero():
		return "namespace " + name + " is being deleted", nil
	}
	return "", nil
}

// isNamespaceGone recognises what the API server says when the namespace went,
// or began to go, after we looked.
func isNamespaceGone(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

func newNamespace() *metav1.PartialObjectMetadata {
	ns := &metav1.PartialObjectMetadata{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return ns
}

// writeDefinition creates or changes the NetworkAttachmentDefinition. One that
// somebody else owns is an *InvalidError; one that nobody owns is adopted.
func (r *Reconciler) writeDefinition(ctx context.Context, n sriovv1.Network, desired *nadv1.NetworkAttachmentDefinition) error {
	key := client.ObjectKeyFromObject(desired)
	cached := &nadv1.NetworkAttachmentDefinition{}
	err := r.Client.Get(ctx, key, cached, client.UnsafeDisableDeepCopy)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("getting NetworkAttachmentDefinition %s: %w", key, err)
	}
	observed, exists := r.definitions.Of(key, cached, err == nil)
	if exists {
		if owner := foreignOwner(observed, n); owner != "" {
			return invalid("metadata.name", "NetworkAttachmentDefinition %s exists and belongs to %s; it was left alone, rename this network or remove that object", key, owner)
		}
		if sameDefinition(observed, desired) {
			return nil
		}
		// With the uid, one that was deleted meanwhile is not created again here.
		desired.UID = observed.UID
		if err := ssa.Apply(ctx, r.Client, desired, FieldOwner); err != nil {
			r.definitions.Forget(key)
			return err
		}
	} else if err := r.Client.Create(ctx, desired, FieldOwner); err != nil {
		// Not by apply: that would take over what somebody else just created.
		if apierrors.IsAlreadyExists(err) {
			return apierrors.NewConflict(nadv1.Resource("network-attachment-definitions"), key.Name, err)
		}
		return err
	}
	r.definitions.Wrote(desired)
	log.FromContext(ctx).Info("wrote the NetworkAttachmentDefinition", "definition", key)
	return nil
}

// foreignOwner names the owner of an object that is not the network; empty if
// the object is the network's, or nobody's.
func foreignOwner(observed client.Object, n sriovv1.Network) string {
	if owner := observed.GetAnnotations()[sriovv1.AnnotationNetworkOwner]; owner != "" {
		if owner == OwnerRef(n) {
			return ""
		}
		return owner
	}
	for _, o := range observed.GetOwnerReferences() {
		if o.UID != n.GetUID() {
			return o.Kind + " " + cmp.Or(o.Name, string(o.UID))
		}
	}
	return ""
}

// sameDefinition tells whether everything that we write is there; others may add to it.
func sameDefinition(observed, desired *nadv1.NetworkAttachmentDefinition) bool {
	if observed.Spec.Config != desired.Spec.Config {
		return false
	}
	for key, value := range desired.Annotations {
		if observed.Annotations[key] != value {
			return false
		}
	}
	for _, owner := range desired.OwnerReferences {
		same := func(o metav1.OwnerReference) bool { return o.UID == owner.UID }
		if !slices.ContainsFunc(observed.OwnerReferences, same) {
			return false
		}
	}
	return true
}

// removeDefinitions deletes every NetworkAttachmentDefinition of the network
// other than the one to keep.
func (r *Reconciler) removeDefinitions(ctx context.Context, n sriovv1.Network, keep client.ObjectKey) error {
	list := &nadv1.NetworkAttachmentDefinitionList{}
	if err := r.Client.List(ctx, list, client.MatchingFields{indexOwner: OwnerRef(n)}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing the NetworkAttachmentDefinitions of %s: %w", OwnerRef(n), err)
	}
	for i := range list.Items {
		nad := &list.Items[i]
		key := client.ObjectKeyFromObject(nad)
		if key == keep || !nad.DeletionTimestamp.IsZero() {
			continue
		}
		err := r.Client.Delete(ctx, nad.DeepCopy(), client.Preconditions{UID: &nad.UID})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("deleting NetworkAttachmentDefinition %s: %w", key, err)
		}
		log.FromContext(ctx).Info("deleted the NetworkAttachmentDefinition", "definition", key)
	}
	return nil
}
