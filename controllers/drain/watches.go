package drain

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/events"
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

	"github.com/sriov-offload/sriov-offload-operator/controllers/nodes"
)

// workers is how many nodes are worked on at a time. None of them blocks, so that
// it only has to hide the API server's latency.
const workers = 8

// Options of SetupWithManager.
type Options struct {
	// Namespace of the operator.
	Namespace string
	// RetryDelay is how long a node waits after its first drain that took too long;
	// 0 means DefaultRetryDelay.
	RetryDelay time.Duration
	// Self is the pod in which the manager runs; empty outside a cluster.
	Self     types.NamespacedName
	Recorder events.EventRecorder
}

// SetupWithManager registers the reconcilers of nodes and of slots.
func SetupWithManager(mgr ctrl.Manager, o Options) error {
	pods, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("connecting for evictions: %w", err)
	}
	if o.RetryDelay == 0 {
		o.RetryDelay = DefaultRetryDelay
	}
	memory := &Memory{}
	drains := &Reconciler{
		Client: mgr.GetClient(), Recorder: o.Recorder, Pods: pods,
		Namespace: o.Namespace, RetryDelay: o.RetryDelay, Now: time.Now, Self: o.Self, Memory: memory,
	}
	if err := drains.setup(mgr); err != nil {
		return err
	}
	slots := &Slots{
		Client: mgr.GetClient(), Recorder: o.Recorder, Namespace: o.Namespace, RetryDelay: o.RetryDelay, Now: time.Now, Memory: memory,
	}
	return slots.setup(mgr)
}

func (r *Reconciler) setup(mgr ctrl.Manager) error {
	waiting := handler.EnqueueRequestsFromMapFunc(r.waiting)
	return ctrl.NewControllerManagedBy(mgr).
		Named("drain").
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Watches(&sriovv1.SriovNetworkNodeState{}, nodes.OfState(r.Memory.states.Forget), builder.WithPredicates(stateChanged())).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(nodes.Named), builder.WithPredicates(nodeChanged(false))).
		Watches(&sriovv1.SriovNetworkPoolConfig{}, waiting, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&sriovv1.SriovOperatorConfig{}, waiting, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
}

func (r *Slots) setup(mgr ctrl.Manager) error {
	later := settled()
	return ctrl.NewControllerManagedBy(mgr).
		Named("drain-slots").
		WithOptions(controller.Options{MaxConcurrentReconciles: 1}).
		Watches(&sriovv1.SriovNetworkNodeState{}, later, builder.WithPredicates(stateChanged())).
		Watches(&corev1.Node{}, later, builder.WithPredicates(nodeChanged(true))).
		Watches(&sriovv1.SriovNetworkPoolConfig{}, later, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&sriovv1.SriovOperatorConfig{}, later, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
}

// waiting are the nodes with a disruptive plan, to which a pool or the settings may matter.
func (r *Reconciler) waiting(ctx context.Context, _ client.Object) []reconcile.Request {
	states := &sriovv1.SriovNetworkNodeStateList{}
	if err := r.Client.List(ctx, states, client.InNamespace(r.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		// Reading a started cache fails only while the manager stops.
		log.FromContext(ctx).Error(err, "cannot tell which nodes are concerned")
		return nil
	}
	var requests []reconcile.Request
	for i := range states.Items {
		if PlanOf(&states.Items[i]) != nil {
			requests = append(requests, nodes.Named(ctx, &states.Items[i])...)
		}
	}
	return requests
}

// settled enqueues the one key of Slots a little later, once for many events.
func settled() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	add := func(q queue) { q.AddAfter(reconcile.Request{NamespacedName: client.ObjectKey{Name: "slots"}}, settle) }
	return handler.Funcs{
		CreateFunc: func(_ context.Context, _ event.CreateEvent, q queue) { add(q) },
		UpdateFunc: func(_ context.Context, _ event.UpdateEvent, q queue) { add(q) },
		DeleteFunc: func(_ context.Context, _ event.DeleteEvent, q queue) { add(q) },
	}
}

// stateChanged passes events after which a drain may have to go on, begin or end:
// not those of the daemon's progress, and none of nodes that have no plan.
func stateChanged() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return concerns(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok := e.ObjectOld.(*sriovv1.SriovNetworkNodeState)
			now, ok2 := e.ObjectNew.(*sriovv1.SriovNetworkNodeState)
			if !ok || !ok2 || !concerns(before) && !concerns(now) {
				return false
			}
			return !same(PlanOf(before), PlanOf(now)) ||
				!samePods(PlanOf(before), PlanOf(now)) ||
				!RecordOf(before).equal(RecordOf(now)) ||
				!maps.Equal(before.Annotations, now.Annotations)
		},
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// concerns tells whether a node state has a disruptive plan or an answer to one.
func concerns(obj client.Object) bool {
	state, ok := obj.(*sriovv1.SriovNetworkNodeState)
	return ok && (PlanOf(state) != nil || RecordOf(state) != Record{} || state.Annotations[sriovv1.AnnotationDrainDesired] != "")
}

func samePods(a, b *Plan) bool {
	return a == nil || b == nil || slices.Equal(a.Pods, b.Pods)
}

// nodeChanged passes events of nodes that hold a slot or whose pool may have
// changed; with availability also those of nodes that take pods or no longer do.
func nodeChanged(availability bool) predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool {
			node, ok := e.Object.(*corev1.Node)
			return ok && (availability || HoldOf(node).Held || HoldOf(node).Cordoned)
		},
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok := e.ObjectOld.(*corev1.Node)
			now, ok2 := e.ObjectNew.(*corev1.Node)
			if !ok || !ok2 {
				return false
			}
			a, b := HoldOf(before), HoldOf(now)
			if !availability {
				a.Ready = b.Ready
			}
			return a != b || !maps.Equal(before.Labels, now.Labels) || !maps.Equal(before.Annotations, now.Annotations)
		},
		DeleteFunc:  func(event.DeleteEvent) bool { return availability },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}
