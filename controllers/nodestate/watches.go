package nodestate

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
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
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
	"github.com/sriov-offload/sriov-offload-operator/controllers/nodes"
)

// workers is how many nodes are reconciled at a time: enough to hide the API
// server's latency while 5,000 specs are written.
const workers = 8

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("nodestate").
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Watches(nodes.New(), handler.EnqueueRequestsFromMapFunc(nodes.Named), builder.WithPredicates(nodes.LabelsChanged())).
		Watches(&sriovv1.SriovNetworkNodeState{}, r.stateHandler(), builder.WithPredicates(stateChanged())).
		Watches(&sriovv1.SriovNetworkNodePolicy{}, handler.EnqueueRequestsFromMapFunc(r.nodesOfPolicy), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&sriovv1.SriovNetworkPoolConfig{}, handler.EnqueueRequestsFromMapFunc(r.nodesOfPool), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&sriovv1.SriovOperatorConfig{}, handler.EnqueueRequestsFromMapFunc(r.everyNode), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
}

// stateHandler enqueues the node of a state.
func (r *Reconciler) stateHandler() handler.EventHandler { return nodes.OfState(r.states.Forget) }

// stateChanged passes events after which the spec may have to be written: the
// spec was changed by somebody, or facts that selection uses changed. Progress
// of the daemon (VFs, conditions, plan) is none of them.
func stateChanged() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok := e.ObjectOld.(*sriovv1.SriovNetworkNodeState)
			now, ok2 := e.ObjectNew.(*sriovv1.SriovNetworkNodeState)
			if !ok || !ok2 {
				return false
			}
			return before.Generation != now.Generation ||
				fleet.Reported(before) != fleet.Reported(now) ||
				fleet.Capable(before) != fleet.Capable(now) ||
				!slices.EqualFunc(before.Status.Interfaces, now.Status.Interfaces, sameFacts)
		},
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// sameFacts compares what merging reads of a PF.
func sameFacts(a, b sriovv1.InterfaceStatus) bool {
	return a.PCIAddress == b.PCIAddress &&
		a.Name == b.Name &&
		slices.Equal(merge.FurtherNames(&a), merge.FurtherNames(&b)) &&
		a.Vendor == b.Vendor &&
		a.DeviceID == b.DeviceID &&
		a.NetFilter == b.NetFilter &&
		a.LinkType == b.LinkType &&
		a.SwitchID == b.SwitchID
}

// nodesOfPolicy is called with the policy before and after a change, so that
// nodes that are no longer selected are among the result.
func (r *Reconciler) nodesOfPolicy(ctx context.Context, obj client.Object) []reconcile.Request {
	policy, ok := obj.(*sriovv1.SriovNetworkNodePolicy)
	if !ok {
		return nil
	}
	return r.nodesWhere(ctx, func(l map[string]string) bool { return fleet.Selects(policy, l) })
}

func (r *Reconciler) nodesOfPool(ctx context.Context, obj client.Object) []reconcile.Request {
	pool, ok := obj.(*sriovv1.SriovNetworkPoolConfig)
	if !ok {
		return nil
	}
	selector, err := PoolSelector(pool)
	if err != nil {
		return nil // the pool's conditions say so
	}
	return r.nodesWhere(ctx, func(l map[string]string) bool { return selector.Matches(labels.Set(l)) })
}

func (r *Reconciler) everyNode(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.nodesWhere(ctx, func(map[string]string) bool { return true })
}

func (r *Reconciler) nodesWhere(ctx context.Context, selected func(map[string]string) bool) []reconcile.Request {
	all, err := nodes.List(ctx, r.Client)
	if err != nil {
		// Reading a started cache fails only while the manager stops.
		log.FromContext(ctx).Error(err, "cannot tell which nodes are concerned")
		return nil
	}
	var requests []reconcile.Request
	for i := range all {
		if selected(r.Fleet.Labels(all[i].Name, all[i].Labels)) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKey{Name: all[i].Name}})
		}
	}
	return requests
}
