package network

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/api/ssa"
)

// attachOffload makes what else an OffloadNetwork needs, and looks at everything
// that others have to provide.
func (r *Reconciler) attachOffload(ctx context.Context, n *sriovv1.OffloadNetwork, d Defaults, crds map[string]bool, f *found) error {
	var err error
	if f.podTemplate, err = PodTemplate(n, d); err != nil {
		return err
	}
	facts, err := r.gather(ctx, n, d, crds)
	if err != nil {
		return err
	}
	if f.invalid == "" && n.Spec.CNI == cniKubeOVN && hasAllKinds(crds, kubeOVNKinds(n)) {
		objects, err := kubeOVNObjects(n, facts.kubeOVN)
		if err != nil {
			f.invalid, err = asInvalid(err)
			return err
		}
		if facts.foreign, err = r.writeKubeOVN(ctx, n, objects, facts.kubeOVN); err != nil {
			return err
		}
	}
	if err := r.pruneKubeOVN(ctx, n, facts.kubeOVN); err != nil {
		return err
	}
	f.checks = checks(n, facts)
	return nil
}

// writeKubeOVN creates and changes objects of Kube-OVN. It stops at one that is
// not ours and says so: what comes after it would refer to it.
func (r *Reconciler) writeKubeOVN(ctx context.Context, n *sriovv1.OffloadNetwork, objects []*unstructured.Unstructured, seen kubeOVNObserved) (foreign string, err error) {
	for _, desired := range objects {
		observed := find(seen.of(desired.GroupVersionKind()), desired.GetName())
		if observed != nil && !isOurs(observed) {
			return fmt.Sprintf("%s %s exists and was not made by this operator; it was left alone", desired.GetKind(), desired.GetName()), nil
		}
		if observed != nil && desired.GetKind() == subnetKind.Kind {
			if owner := foreignOwner(observed, n); owner != "" {
				return fmt.Sprintf("%s %s belongs to %s; it was left alone", desired.GetKind(), desired.GetName(), owner), nil
			}
		}
		if err := r.writeObject(ctx, observed, desired); err != nil {
			return "", err
		}
	}
	return "", nil
}

func (r *Reconciler) writeObject(ctx context.Context, observed, desired *unstructured.Unstructured) error {
	written := r.kubeOVN.of(desired.GroupVersionKind())
	key := client.ObjectKeyFromObject(desired)
	if observed != nil && sameObject(observed, desired) {
		return nil
	}
	if observed != nil {
		desired.SetUID(observed.GetUID())
		if err := ssa.Apply(ctx, r.Client, desired, FieldOwner); err != nil {
			written.Forget(key)
			return err
		}
	} else if err := r.Client.Create(ctx, desired, FieldOwner); err != nil {
		if apierrors.IsAlreadyExists(err) {
			return apierrors.NewConflict(schema.GroupResource{Group: kubeOVNVersion.Group, Resource: desired.GetKind()}, key.Name, err)
		}
		return fmt.Errorf("creating %s %s: %w", desired.GetKind(), key.Name, err)
	}
	written.Wrote(desired)
	log.FromContext(ctx).Info("wrote an object of Kube-OVN", "kind", desired.GetKind(), "object", key.Name)
	return nil
}

// sameObject tells whether everything that we write is there. Kube-OVN adds to
// it: defaults, and the gateway to the excluded addresses.
func sameObject(observed, desired *unstructured.Unstructured) bool {
	have, _, _ := unstructured.NestedMap(observed.Object, "spec")
	want, _, _ := unstructured.NestedMap(desired.Object, "spec")
	for field, value := range want {
		if field == "excludeIps" {
			if !includes(have[field], value) {
				return false
			}
		} else if !equality.Semantic.DeepEqual(have[field], value) {
			return false
		}
	}
	return observed.GetAnnotations()[sriovv1.AnnotationNetworkOwner] == desired.GetAnnotations()[sriovv1.AnnotationNetworkOwner]
}

func includes(have, want any) bool {
	list, _ := have.([]any)
	wanted, _ := want.([]any)
	return !slices.ContainsFunc(wanted, func(w any) bool { return !slices.Contains(list, w) })
}

// observeKubeOVN reads the objects of Kube-OVN, as new as they are known.
func (r *Reconciler) observeKubeOVN(ctx context.Context, crds map[string]bool) (kubeOVNObserved, error) {
	var seen kubeOVNObserved
	for _, k := range optionalKindList {
		if k.kind == DefinitionKind || !crds[k.crd] {
			continue
		}
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(k.kind)
		if err := r.Client.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return seen, fmt.Errorf("listing %s: %w", k.crd, err)
		}
		*seen.list(k.kind) = r.newest(k.kind, list.Items)
	}
	return seen, nil
}

// newest replaces cached objects by what was written of them. One that is not in
// the cache yet is found when it is created again.
func (r *Reconciler) newest(kind schema.GroupVersionKind, cached []unstructured.Unstructured) []unstructured.Unstructured {
	written := r.kubeOVN.of(kind)
	out := make([]unstructured.Unstructured, 0, len(cached))
	for i := range cached {
		o, _ := written.Of(client.ObjectKeyFromObject(&cached[i]), &cached[i], true)
		out = append(out, *o)
	}
	return out
}

// removeKubeOVN deletes what was made for a network that goes.
func (r *Reconciler) removeKubeOVN(ctx context.Context, n *sriovv1.OffloadNetwork, crds map[string]bool) error {
	seen, err := r.observeKubeOVN(ctx, crds)
	if err != nil {
		return err
	}
	return r.pruneKubeOVN(ctx, n, seen)
}

// pruneKubeOVN deletes what is ours and what no network needs any more.
func (r *Reconciler) pruneKubeOVN(ctx context.Context, n *sriovv1.OffloadNetwork, seen kubeOVNObserved) error {
	networks := &sriovv1.OffloadNetworkList{}
	if err := r.Client.List(ctx, networks, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing OffloadNetworks: %w", err)
	}
	for _, o := range unneeded(n, networks.Items, seen) {
		uid := o.GetUID()
		err := r.Client.Delete(ctx, o.DeepCopy(), client.Preconditions{UID: &uid})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("deleting %s %s: %w", o.GetKind(), o.GetName(), err)
		}
		r.kubeOVN.of(o.GroupVersionKind()).Forget(client.ObjectKeyFromObject(o))
		log.FromContext(ctx).Info("deleted an object of Kube-OVN", "kind", o.GetKind(), "object", o.GetName())
	}
	return nil
}

func (w *kubeOVNWritten) of(kind schema.GroupVersionKind) *ssa.Latest[*unstructured.Unstructured] {
	switch kind {
	case vlanKind:
		return &w.vlans
	case providerNetworkKind:
		return &w.providerNetworks
	}
	return &w.subnets
}
