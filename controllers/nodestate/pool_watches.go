package nodestate

import (
	"context"
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/nodes"
)

// settle is how long changes of many nodes are collected before a pool's
// conditions are computed again.
const settle = 250 * time.Millisecond

// SetupWithManager registers the reconciler.
func (r *PoolReconciler) SetupWithManager(mgr ctrl.Manager) error {
	all := handler.EnqueueRequestsFromMapFunc(r.everyPool)
	return ctrl.NewControllerManagedBy(mgr).
		Named("pool").
		Watches(&sriovv1.SriovNetworkPoolConfig{}, all, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&sriovv1.SriovOperatorConfig{}, all, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(nodes.New(), r.nodeHandler(), builder.WithPredicates(nodes.LabelsChanged())).
		Complete(r)
}

// everyPool is right for a change of one pool too: it changes which nodes
// others have to share.
func (r *PoolReconciler) everyPool(ctx context.Context, _ client.Object) []reconcile.Request {
	pools := r.listPools(ctx)
	requests := make([]reconcile.Request, 0, len(pools))
	for i := range pools {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&pools[i])})
	}
	return requests
}

// nodeHandler enqueues the pools of a node that is, or was, in more than one.
func (r *PoolReconciler) nodeHandler() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	enqueue := func(ctx context.Context, q queue, node client.Object) {
		of := poolsOf(node.GetLabels(), r.listPools(ctx))
		if len(of) < 2 {
			return
		}
		for _, pool := range of {
			q.AddAfter(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(pool)}, settle)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { enqueue(ctx, q, e.Object) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			enqueue(ctx, q, e.ObjectOld)
			enqueue(ctx, q, e.ObjectNew)
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { enqueue(ctx, q, e.Object) },
	}
}

func (r *PoolReconciler) listPools(ctx context.Context) []sriovv1.SriovNetworkPoolConfig {
	pools := &sriovv1.SriovNetworkPoolConfigList{}
	if err := r.Client.List(ctx, pools, client.InNamespace(r.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		// Reading a started cache fails only while the manager stops.
		log.FromContext(ctx).Error(err, "cannot tell which pools are concerned")
		return nil
	}
	return pools.Items
}
