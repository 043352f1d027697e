package nodestate

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/api/ssa"
	"github.com/sriov-offload/sriov-offload-operator/controllers/nodes"
	"github.com/sriov-offload/sriov-offload-operator/controllers/settings"
)

// PoolFieldOwner is the field manager of the status of pools.
const PoolFieldOwner = client.FieldOwner("sriov-offload-operator-pool")

// +kubebuilder:rbac:groups=sriovnetwork.openshift.io,namespace=system,resources=sriovnetworkpoolconfigs/status,verbs=patch

// PoolReconciler writes the conditions of one pool. The key is the pool.
type PoolReconciler struct {
	Client client.Client
	// Namespace of the operator.
	Namespace string

	pools ssa.Latest[*sriovv1.SriovNetworkPoolConfig]
}

// Reconcile implements reconcile.Reconciler.
func (r *PoolReconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	cached := &sriovv1.SriovNetworkPoolConfig{}
	if err := r.Client.Get(ctx, req.NamespacedName, cached); err != nil {
		r.pools.Forget(req.NamespacedName)
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	pool, _ := r.pools.Of(req.NamespacedName, cached, true)
	managed, err := r.managedNodes(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	all := &sriovv1.SriovNetworkPoolConfigList{}
	if err := r.Client.List(ctx, all, client.InNamespace(r.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return reconcile.Result{}, fmt.Errorf("listing pools: %w", err)
	}
	_, invalid := PoolSelector(pool)
	desired := poolStatus(pool, poolConditions(pool, invalid, overlaps(pool.Name, all.Items, managed)))
	if pool.Status.ObservedGeneration == desired.ObservedGeneration && equality.Semantic.DeepEqual(pool.Status.Conditions, desired.Conditions) {
		return reconcile.Result{}, nil
	}
	written := &sriovv1.SriovNetworkPoolConfig{
		ObjectMeta: metav1.ObjectMeta{Namespace: pool.Namespace, Name: pool.Name, UID: pool.UID},
		Status:     desired,
	}
	if err := ssa.ApplyStatus(ctx, r.Client, written, PoolFieldOwner); err != nil {
		return reconcile.Result{}, err
	}
	r.pools.Wrote(written)
	log.FromContext(ctx).V(1).Info("wrote the status of the pool")
	return reconcile.Result{}, nil
}

func (r *PoolReconciler) managedNodes(ctx context.Context) ([]metav1.PartialObjectMetadata, error) {
	operator, err := settings.Get(ctx, r.Client, r.Namespace)
	if err != nil {
		return nil, err
	}
	all, err := nodes.List(ctx, r.Client)
	if err != nil {
		return nil, err
	}
	var managed []metav1.PartialObjectMetadata
	for i := range all {
		if operator.RunsDaemon(all[i].Labels) {
			managed = append(managed, all[i])
		}
	}
	return managed, nil
}

// poolStatus keeps transition times of conditions whose status stays. It is
// without the counts of drains, which have another writer.
func poolStatus(pool *sriovv1.SriovNetworkPoolConfig, conditions []metav1.Condition) sriovv1.SriovNetworkPoolConfigStatus {
	status := *pool.Status.DeepCopy()
	status.Drain = nil
	status.ObservedGeneration = pool.Generation
	for _, c := range conditions {
		meta.SetStatusCondition(&status.Conditions, c)
	}
	return status
}
