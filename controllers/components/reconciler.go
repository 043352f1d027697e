package components

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/api/ssa"
)

// FieldOwner is the field manager of what is deployed and of the status of SriovOperatorConfigs.
const FieldOwner = client.FieldOwner("sriov-offload-operator-components")

// +kubebuilder:rbac:groups=apps,namespace=system,resources=daemonsets,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups=sriovnetwork.openshift.io,namespace=system,resources=sriovoperatorconfigs,verbs=get;list;watch
// +kubebuilder:rbac:groups=sriovnetwork.openshift.io,namespace=system,resources=sriovoperatorconfigs/status,verbs=patch

// Reconciler deploys. The key is the name of a SriovOperatorConfig, which need not exist.
type Reconciler struct {
	Client client.Client
	// Namespace of the operator, and of what is deployed.
	Namespace string
	Images    Images

	daemonSets ssa.Latest[*appsv1.DaemonSet]
	configs    ssa.Latest[*sriovv1.SriovOperatorConfig]
}

// SetupWithManager registers the reconciler. It deploys at start, whether there
// is a SriovOperatorConfig or not.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	byDefault := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{r.defaults()}
	})
	start := make(chan event.GenericEvent, 1)
	start <- event.GenericEvent{Object: &sriovv1.SriovOperatorConfig{}}
	return ctrl.NewControllerManagedBy(mgr).
		Named("components").
		For(&sriovv1.SriovOperatorConfig{}).
		Watches(&appsv1.DaemonSet{}, byDefault).
		WatchesRawSource(source.Channel(start, byDefault)).
		Complete(r)
}

func (r *Reconciler) defaults() reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Namespace: r.Namespace, Name: sriovv1.DefaultConfigName}}
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	cached := &sriovv1.SriovOperatorConfig{}
	err := r.Client.Get(ctx, req.NamespacedName, cached)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("getting SriovOperatorConfig %s: %w", req.NamespacedName, err)
	}
	exists := err == nil
	var deployed []*appsv1.DaemonSet
	if req == r.defaults() {
		if deployed, err = r.deploy(ctx, cached.Spec); err != nil {
			return reconcile.Result{}, err
		}
	}
	if !exists {
		r.configs.Forget(req.NamespacedName)
		return reconcile.Result{}, nil
	}
	config, _ := r.configs.Of(req.NamespacedName, cached, true)
	return reconcile.Result{}, r.report(ctx, config, deployed)
}

// deploy makes the DaemonSets what they should be, and returns them as observed.
func (r *Reconciler) deploy(ctx context.Context, spec sriovv1.SriovOperatorConfigSpec) ([]*appsv1.DaemonSet, error) {
	desired, err := DaemonSets(r.Namespace, r.Images, spec)
	if err != nil {
		return nil, err
	}
	for i, d := range desired {
		key := client.ObjectKeyFromObject(d)
		cached := &appsv1.DaemonSet{}
		err := r.Client.Get(ctx, key, cached)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("getting DaemonSet %s: %w", key, err)
		}
		if err != nil {
			r.daemonSets.Forget(key)
		}
		observed, found := r.daemonSets.Of(key, cached, err == nil)
		if found && asDesired(observed, d) {
			desired[i] = observed
			continue
		}
		if err := ssa.Apply(ctx, r.Client, d, FieldOwner); err != nil {
			r.daemonSets.Forget(key)
			return nil, err
		}
		r.daemonSets.Wrote(d)
		log.FromContext(ctx).Info("wrote a DaemonSet", "daemonSet", key.Name)
	}
	return desired, nil
}

// asDesired tells whether all that we want is there; what the API server fills in may be too.
func asDesired(observed, desired *appsv1.DaemonSet) bool {
	return observed.Annotations[AnnotationRendered] == desired.Annotations[AnnotationRendered] &&
		observed.Labels[LabelManagedBy] == ManagedBy &&
		equality.Semantic.DeepDerivative(desired.Spec, observed.Spec)
}

func (r *Reconciler) report(ctx context.Context, config *sriovv1.SriovOperatorConfig, deployed []*appsv1.DaemonSet) error {
	status := *config.Status.DeepCopy()
	status.ObservedGeneration = config.Generation
	for _, c := range Conditions(config, deployed) {
		meta.SetStatusCondition(&status.Conditions, c)
	}
	if equality.Semantic.DeepEqual(config.Status, status) {
		return nil
	}
	written := &sriovv1.SriovOperatorConfig{
		ObjectMeta: metav1.ObjectMeta{Namespace: config.Namespace, Name: config.Name, UID: config.UID},
		Status:     status,
	}
	if err := ssa.ApplyStatus(ctx, r.Client, written, FieldOwner); err != nil {
		return err
	}
	r.configs.Wrote(written)
	return nil
}
