package deviceplugin

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/fleet"
	"github.com/sriov-offload/sriov-offload-operator/controllers/nodes"
)

// workers is how many nodes are reconciled at a time.
const workers = 4

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	byName := handler.EnqueueRequestsFromMapFunc(nodes.Named)
	return ctrl.NewControllerManagedBy(mgr).
		Named("deviceplugin").
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Watches(&sriovv1.SriovNetworkNodeState{}, byName, builder.WithPredicates(stateChanged())).
		Watches(&corev1.ConfigMap{}, r.configMapHandler()).
		Watches(nodes.New(), byName, builder.WithPredicates(predicate.Or(nodes.LabelsChanged(), labelOwnerChanged()))).
		Watches(&sriovv1.SriovOperatorConfig{}, handler.EnqueueRequestsFromMapFunc(r.everyState), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
}

func request(node string) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Name: node}}
}

// stateChanged passes events after which the configuration or the labels may
// have to be written: not those of the daemon's progress.
func stateChanged() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok := e.ObjectOld.(*sriovv1.SriovNetworkNodeState)
			now, ok2 := e.ObjectNew.(*sriovv1.SriovNetworkNodeState)
			if !ok || !ok2 {
				return false
			}
			return before.Generation != now.Generation ||
				before.Status.Inventory != now.Status.Inventory ||
				fleet.Capable(before) != fleet.Capable(now) ||
				!slices.EqualFunc(before.Status.Interfaces, now.Status.Interfaces, sameFacts)
		},
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// sameFacts compares what Render reads of a PF.
func sameFacts(a, b sriovv1.InterfaceStatus) bool {
	return a.PCIAddress == b.PCIAddress && a.NetFilter == b.NetFilter
}

// labelOwnerChanged passes updates after which another field manager owns the
// label network-sriov.capable, or no longer does.
func labelOwnerChanged() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false },
		DeleteFunc: func(event.DeleteEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			return nodes.CapableLabelOwner(e.ObjectOld, FieldOwner) != nodes.CapableLabelOwner(e.ObjectNew, FieldOwner)
		},
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// configMapHandler enqueues the node of a ConfigMap.
func (r *Reconciler) configMapHandler() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	enqueue := func(obj client.Object, q queue) {
		if node, ours := strings.CutPrefix(obj.GetName(), ConfigMapPrefix); ours {
			q.Add(request(node))
		}
	}
	return handler.Funcs{
		// A ConfigMap that came is either our own write or part of the initial
		// list, in which its node's state is too. If it is left over from a
		// state without resources, that state's reconcile removes it.
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			if !sameContent(e.ObjectOld, e.ObjectNew) {
				enqueue(e.ObjectNew, q)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			r.configMaps.Forget(client.ObjectKeyFromObject(e.Object))
			enqueue(e.Object, q)
		},
	}
}

func sameContent(a, b client.Object) bool {
	before, ok := a.(*corev1.ConfigMap)
	now, ok2 := b.(*corev1.ConfigMap)
	return ok && ok2 && before.Data[ConfigKey] == now.Data[ConfigKey] &&
		before.Annotations[sriovv1.AnnotationStateGeneration] == now.Annotations[sriovv1.AnnotationStateGeneration] &&
		len(before.OwnerReferences) == len(now.OwnerReferences)
}

func (r *Reconciler) everyState(ctx context.Context, _ client.Object) []reconcile.Request {
	states := &sriovv1.SriovNetworkNodeStateList{}
	if err := r.Client.List(ctx, states, client.InNamespace(r.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		// Reading a started cache fails only while the manager stops.
		log.FromContext(ctx).Error(err, "cannot tell which nodes are concerned")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(states.Items))
	for i := range states.Items {
		requests = append(requests, request(states.Items[i].Name))
	}
	return requests
}
