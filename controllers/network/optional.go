package network

import (
	"context"
	"fmt"
	"sync"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// optionalKind is a kind that the cluster may or may not have.
type optionalKind struct {
	crd  string
	kind schema.GroupVersionKind
}

// optionalKindList are the kinds of others that networks become.
var optionalKindList = []optionalKind{
	{crdDefinitions, DefinitionKind},
	{crdSubnets, subnetKind},
	{crdVlans, vlanKind},
	{crdProviderNetworks, providerNetworkKind},
}

// object returns an empty object of the kind to watch or read into.
func (k optionalKind) object() client.Object {
	if k.kind == DefinitionKind {
		return &nadv1.NetworkAttachmentDefinition{}
	}
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(k.kind)
	return u
}

// optionalKinds is what all Reconcilers share about kinds that may be missing.
type optionalKinds struct {
	cluster cluster.Cluster
	mu      sync.Mutex
	indexed bool
}

// indexOwner finds NetworkAttachmentDefinitions by the network that they belong to.
const indexOwner = "owner"

// prepare makes sure that a kind is served and, before anybody reads it, indexed.
func (o *optionalKinds) prepare(ctx context.Context, k optionalKind) error {
	if _, err := o.cluster.GetRESTMapper().RESTMapping(k.kind.GroupKind(), k.kind.Version); err != nil {
		return fmt.Errorf("looking for %s: %w", k.crd, err)
	}
	if k.kind != DefinitionKind {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.indexed {
		return nil
	}
	byOwner := func(obj client.Object) []string {
		if owner := obj.GetAnnotations()[sriovv1.AnnotationNetworkOwner]; owner != "" {
			return []string{owner}
		}
		return nil
	}
	if err := o.cluster.GetFieldIndexer().IndexField(ctx, &nadv1.NetworkAttachmentDefinition{}, indexOwner, byOwner); err != nil {
		return fmt.Errorf("indexing NetworkAttachmentDefinitions by owner: %w", err)
	}
	o.indexed = true
	return nil
}

// newCRD returns an empty definition to watch or to read into: only names matter.
func newCRD() *metav1.PartialObjectMetadata {
	crd := &metav1.PartialObjectMetadata{}
	crd.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	return crd
}

// knownKinds are the names of the optional definitions that the cluster has. The
// objects of each are watched from the time when it is first seen: a watch of a
// kind that does not exist would keep the manager from starting.
func (r *Reconciler) knownKinds(ctx context.Context) (map[string]bool, error) {
	known := map[string]bool{}
	for _, k := range optionalKindList {
		err := r.Client.Get(ctx, client.ObjectKey{Name: k.crd}, newCRD(), client.UnsafeDisableDeepCopy)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("getting CustomResourceDefinition %s: %w", k.crd, err)
		}
		if err != nil {
			continue
		}
		if err := r.watchOptional(ctx, k); meta.IsNoMatchError(err) {
			return nil, err // defined, not served yet
		} else if err != nil {
			return nil, err
		}
		known[k.crd] = true
	}
	return known, nil
}

// watchOptional begins to watch the objects of a kind, once.
func (r *Reconciler) watchOptional(ctx context.Context, k optionalKind) error {
	if k.kind != DefinitionKind && !r.isOffload() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watching[k.crd] {
		return nil
	}
	if err := r.kinds.prepare(ctx, k); err != nil {
		return err
	}
	if err := r.controller.Watch(r.optionalSource(k)); err != nil {
		return fmt.Errorf("watching %s: %w", k.crd, err)
	}
	if r.watching == nil {
		r.watching = map[string]bool{}
	}
	r.watching[k.crd] = true
	return nil
}

func (r *Reconciler) isOffload() bool {
	_, is := r.New().(*sriovv1.OffloadNetwork)
	return is
}
