package policy

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/fleet"
	"github.com/sriov-offload/sriov-offload-operator/controllers/nodes"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("policy").
		Watches(&sriovv1.SriovNetworkNodePolicy{}, &handler.EnqueueRequestForObject{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&sriovv1.SriovNetworkNodeState{}, r.readinessHandler()).
		Watches(&sriovv1.SriovOperatorConfig{}, handler.EnqueueRequestsFromMapFunc(r.everyPolicy), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(nodes.New(), r.nodeHandler(), builder.WithPredicates(nodes.LabelsChanged())).
		WatchesRawSource(source.Func(r.followFleet)).
		Complete(r)
}

// followFleet enqueues policies about which something changed in the fleet.
func (r *Reconciler) followFleet(_ context.Context, q queue) error {
	r.Fleet.Subscribe(func(policies []string) {
		for _, name := range policies {
			q.AddAfter(r.request(name), settle)
		}
	})
	return nil
}

func (r *Reconciler) request(policy string) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Namespace: r.Namespace, Name: policy}}
}

// readinessHandler hands the readiness of nodes to the fleet, which knows what
// it means for which policy.
func (r *Reconciler) readinessHandler() handler.EventHandler {
	observe := func(obj client.Object) {
		if state, ok := obj.(*sriovv1.SriovNetworkNodeState); ok {
			r.Fleet.Observe(state)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, _ queue) { observe(e.Object) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, _ queue) { observe(e.ObjectNew) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, _ queue) { r.Fleet.Unobserve(e.Object.GetName()) },
	}
}

// nodeHandler enqueues the policies that select a node. The fleet does so for
// nodes that run the daemon; a selected node that does not is worth saying too.
func (r *Reconciler) nodeHandler() handler.EventHandler {
	enqueue := func(ctx context.Context, node client.Object, q queue) {
		policies := r.listPolicies(ctx)
		for i := range policies {
			if fleet.Selects(&policies[i], node.GetLabels()) {
				q.AddAfter(r.request(policies[i].Name), settle)
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { enqueue(ctx, e.Object, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			enqueue(ctx, e.ObjectOld, q)
			enqueue(ctx, e.ObjectNew, q)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { enqueue(ctx, e.Object, q) },
	}
}

func (r *Reconciler) everyPolicy(ctx context.Context, _ client.Object) []reconcile.Request {
	policies := r.listPolicies(ctx)
	requests := make([]reconcile.Request, 0, len(policies))
	for i := range policies {
		requests = append(requests, r.request(policies[i].Name))
	}
	return requests
}

func (r *Reconciler) listPolicies(ctx context.Context) []sriovv1.SriovNetworkNodePolicy {
	policies := &sriovv1.SriovNetworkNodePolicyList{}
	if err := r.Client.List(ctx, policies, client.InNamespace(r.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		// Reading a started cache fails only while the manager stops.
		log.FromContext(ctx).Error(err, "cannot tell which policies are concerned")
		return nil
	}
	return policies.Items
}
