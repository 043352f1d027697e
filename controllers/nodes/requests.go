package nodes

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Named is the request for a node, by the node itself or by its node state, which
// has its name.
func Named(_ context.Context, obj client.Object) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: obj.GetName()}}}
}

// OfState enqueues the node of a node state. forget is told first of states that
// were deleted, as ssa.Latest has to be.
func OfState(forget func(client.ObjectKey)) handler.EventHandler {
	enqueue := handler.EnqueueRequestsFromMapFunc(Named)
	return handler.Funcs{
		CreateFunc: enqueue.Create,
		UpdateFunc: enqueue.Update,
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			forget(client.ObjectKeyFromObject(e.Object))
			enqueue.Delete(ctx, e, q)
		},
	}
}
