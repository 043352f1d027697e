package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/nodes"
)

const (
	// workers is how many networks of a kind are reconciled at a time.
	workers = 4
	// settle is how long changes of what OffloadNetworks only look at are
	// collected before their checks are made again.
	settle = 250 * time.Millisecond
	// indexNamespace finds networks by the namespace of their NetworkAttachmentDefinition.
	indexNamespace = "targetNamespace"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// NewCluster returns the view of the whole cluster that networks need: they, and
// what they become, may be in any namespace, while the manager's own cache is
// restricted to the operator's.
func NewCluster(mgr ctrl.Manager) (cluster.Cluster, error) {
	c, err := cluster.New(mgr.GetConfig(), func(o *cluster.Options) {
		o.Scheme = mgr.GetScheme()
		o.Logger = mgr.GetLogger()
		o.Cache = cacheOptions()
		o.Client = client.Options{Cache: &client.CacheOptions{Unstructured: true}}
	})
	if err != nil {
		return nil, fmt.Errorf("creating the view of the cluster: %w", err)
	}
	if err := mgr.Add(c); err != nil {
		return nil, fmt.Errorf("adding the view of the cluster: %w", err)
	}
	return c, nil
}

// SetupWithManager registers a Reconciler for every kind of network.
func SetupWithManager(ctx context.Context, mgr ctrl.Manager, whole cluster.Cluster, namespace string) error {
	kinds := &optionalKinds{cluster: whole}
	add := func(name string, newNetwork func() sriovv1.Network, newList func() client.ObjectList) error {
		r := &Reconciler{
			Client: whole.GetClient(), Operator: mgr.GetClient(), Recorder: mgr.GetEventRecorder("sriov-offload-operator"), Namespace: namespace,
			New: newNetwork, NewList: newList, cluster: whole, kinds: kinds, kubeOVN: &kubeOVNWritten{},
		}
		return r.setup(ctx, mgr, name)
	}
	return errors.Join(
		add("sriovnetwork", func() sriovv1.Network { return &sriovv1.SriovNetwork{} }, func() client.ObjectList { return &sriovv1.SriovNetworkList{} }),
		add("sriovibnetwork", func() sriovv1.Network { return &sriovv1.SriovIBNetwork{} }, func() client.ObjectList { return &sriovv1.SriovIBNetworkList{} }),
		add("ovsnetwork", func() sriovv1.Network { return &sriovv1.OVSNetwork{} }, func() client.ObjectList { return &sriovv1.OVSNetworkList{} }),
		add("offloadnetwork", func() sriovv1.Network { return &sriovv1.OffloadNetwork{} }, func() client.ObjectList { return &sriovv1.OffloadNetworkList{} }),
	)
}

func (r *Reconciler) setup(ctx context.Context, mgr ctrl.Manager, name string) error {
	byNamespace := func(obj client.Object) []string {
		if n, is := obj.(sriovv1.Network); is {
			return []string{n.TargetNamespace()}
		}
		return nil
	}
	if err := r.cluster.GetFieldIndexer().IndexField(ctx, r.New(), indexNamespace, byNamespace); err != nil {
		return fmt.Errorf("indexing %s by namespace: %w", name, err)
	}
	every := handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, _ client.Object) []reconcile.Request { return r.list(ctx) })
	whole := r.cluster.GetCache()
	b := ctrl.NewControllerManagedBy(mgr).
		Named(name).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		WatchesRawSource(kind(whole, r.New(), &handler.EnqueueRequestForObject{}, predicate.GenerationChangedPredicate{})).
		WatchesRawSource(kind(whole, newNamespace(), handler.EnqueueRequestsFromMapFunc(r.inNamespace), namespaceChanged())).
		WatchesRawSource(kind(whole, newCRD(), every, isOptional())).
		Watches(&sriovv1.SriovOperatorConfig{}, every, builder.WithPredicates(predicate.GenerationChangedPredicate{}))
	if r.isOffload() {
		later := r.everyLater()
		b = b.
			WatchesRawSource(kind(whole, &appsv1.DaemonSet{}, later, predicate.GenerationChangedPredicate{})).
			WatchesRawSource(kind(whole, &appsv1.Deployment{}, later, predicate.GenerationChangedPredicate{})).
			Watches(&sriovv1.SriovNetworkNodePolicy{}, later, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
			Watches(&sriovv1.SriovNetworkNodeState{}, later, builder.WithPredicates(offerChanged())).
			Watches(nodes.New(), later, builder.WithPredicates(tunnelChanged()))
	}
	c, err := b.Build(r)
	if err != nil {
		return fmt.Errorf("setting up the controller of %s: %w", name, err)
	}
	r.controller = c
	return nil
}

func kind(c cache.Cache, obj client.Object, h handler.EventHandler, predicates ...predicate.Predicate) source.Source {
	return source.Kind(c, obj, h, predicates...)
}

// optionalSource watches the objects of a kind that others define.
func (r *Reconciler) optionalSource(k optionalKind) source.Source {
	if k.kind == DefinitionKind {
		return kind(r.cluster.GetCache(), k.object(), r.definitionHandler(), definitionChanged())
	}
	return kind(r.cluster.GetCache(), k.object(), r.kubeOVNHandler(k), kubeOVNChanged())
}

func request(obj client.Object) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKeyFromObject(obj)}
}

// list enqueues the networks of the kind that the options select.
func (r *Reconciler) list(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	list := r.NewList()
	if err := r.Client.List(ctx, list, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		// Reading a started cache fails only while the manager stops.
		log.FromContext(ctx).Error(err, "cannot tell which networks are concerned")
		return nil
	}
	var requests []reconcile.Request
	each(list, func(n client.Object) { requests = append(requests, request(n)) })
	return requests
}

func each(list client.ObjectList, do func(client.Object)) {
	switch l := list.(type) {
	case *sriovv1.SriovNetworkList:
		for i := range l.Items {
			do(&l.Items[i])
		}
	case *sriovv1.SriovIBNetworkList:
		for i := range l.Items {
			do(&l.Items[i])
		}
	case *sriovv1.OVSNetworkList:
		for i := range l.Items {
			do(&l.Items[i])
		}
	case *sriovv1.OffloadNetworkList:
		for i := range l.Items {
			do(&l.Items[i])
		}
	}
}

func (r *Reconciler) inNamespace(ctx context.Context, ns client.Object) []reconcile.Request {
	return r.list(ctx, client.MatchingFields{indexNamespace: ns.GetName()})
}

// everyLater enqueues all networks when what they look at has settled.
func (r *Reconciler) everyLater() handler.EventHandler {
	enqueue := func(ctx context.Context, q queue) {
		for _, req := range r.list(ctx) {
			q.AddAfter(req, settle)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, _ event.CreateEvent, q queue) { enqueue(ctx, q) },
		UpdateFunc: func(ctx context.Context, _ event.UpdateEvent, q queue) { enqueue(ctx, q) },
		DeleteFunc: func(ctx context.Context, _ event.DeleteEvent, q queue) { enqueue(ctx, q) },
	}
}

// definitionHandler enqueues the network that a NetworkAttachmentDefinition
// belongs to and, when one goes, those that could have its place.
func (r *Reconciler) definitionHandler() handler.EventHandler {
	owner := func(obj client.Object, q queue) {
		kind, namespace, name, ok := parseOwnerRef(obj.GetAnnotations()[sriovv1.AnnotationNetworkOwner])
		if ok && kind == KindOf(r.New()) {
			q.Add(reconcile.Request{NamespacedName: client.ObjectKey{Namespace: namespace, Name: name}})
		}
	}
	candidates := func(ctx context.Context, obj client.Object, q queue) {
		for _, req := range r.list(ctx, client.MatchingFields{indexNamespace: obj.GetNamespace()}) {
			if req.Name == obj.GetName() {
				q.Add(req)
			}
		}
	}
	return handler.Funcs{
		// One that came is our own write, or part of the initial list, in which its
		// network is too; or somebody else's, whom nobody waits for.
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			owner(e.ObjectOld, q)
			candidates(ctx, e.ObjectNew, q)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			r.definitions.Forget(client.ObjectKeyFromObject(e.Object))
			owner(e.Object, q)
			candidates(ctx, e.Object, q)
		},
	}
}

// kubeOVNHandler enqueues all networks: which of them is concerned by a Subnet,
// Vlan or ProviderNetwork, only their reconciles can tell.
func (r *Reconciler) kubeOVNHandler(k optionalKind) handler.EventHandler {
	later := r.everyLater()
	return handler.Funcs{
		CreateFunc: later.Create,
		UpdateFunc: later.Update,
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			r.kubeOVN.of(k.kind).Forget(client.ObjectKeyFromObject(e.Object))
			later.Delete(ctx, e, q)
		},
	}
}

// isOptional passes the definitions of optional kinds as they come and go.
func isOptional() predicate.Predicate {
	optional := func(obj client.Object) bool {
		return slices.ContainsFunc(optionalKindList, func(k optionalKind) bool { return k.crd == obj.GetName() })
	}
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return optional(e.Object) },
		UpdateFunc: func(event.UpdateEvent) bool { return false },
		DeleteFunc: func(e event.DeleteEvent) bool { return optional(e.Object) },
	}
}

// namespaceChanged passes namespaces that come, that go and that begin to go.
func namespaceChanged() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			return e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
		},
	}
}

// tunnelChanged passes nodes whose tunnel interface of Kube-OVN changed.
func tunnelChanged() predicate.Predicate {
	tunnel := func(obj client.Object) string { return obj.GetAnnotations()[annotationTunnelInterface] }
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return tunnel(e.Object) != "" },
		UpdateFunc: func(e event.UpdateEvent) bool { return tunnel(e.ObjectOld) != tunnel(e.ObjectNew) },
		DeleteFunc: func(e event.DeleteEvent) bool { return tunnel(e.Object) != "" },
	}
}
