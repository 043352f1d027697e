package network

import (
	"context"
	"errors"
	"fmt"
	"sync"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/api/ssa"
	"github.com/sriov-offload/sriov-offload-operator/controllers/settings"
)

// FieldOwner is the field manager of everything that is made for networks, and
// of their status.
const FieldOwner = client.FieldOwner("sriov-offload-operator-network")

// What the CNI itself runs and is configured by is only read. RBAC cannot tell
// our Subnets, Vlans and ProviderNetworks from those of others: the code does,
// by label and annotation.
//
// +kubebuilder:rbac:groups=sriovnetwork.openshift.io,resources=sriovnetworks;sriovibnetworks;ovsnetworks;offloadnetworks,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=sriovnetwork.openshift.io,resources=sriovnetworks/status;sriovibnetworks/status;ovsnetworks/status;offloadnetworks/status,verbs=patch
// +kubebuilder:rbac:groups=k8s.cni.cncf.io,resources=network-attachment-definitions,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=kubeovn.io,resources=subnets;vlans;provider-networks,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=namespaces;nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups=apps,resources=daemonsets;deployments,verbs=get;list;watch
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=sriovnetwork.openshift.io,namespace=system,resources=sriovnetworknodepolicies;sriovnetworknodestates;sriovoperatorconfigs,verbs=get;list;watch

// Reconciler makes what one network asks for. The key is the network. There is
// one Reconciler per kind, which differ in New and NewList only.
type Reconciler struct {
	// Client reads the whole cluster, from its own cache.
	Client client.Client
	// Operator reads what is in the operator's namespace, and nodes.
	Operator client.Reader
	Recorder events.EventRecorder
	// Namespace of the operator.
	Namespace string
	// New and NewList make an empty network, or a list of them.
	New     func() sriovv1.Network
	NewList func() client.ObjectList

	cluster    cluster.Cluster
	kinds      *optionalKinds
	controller controller.Controller
	mu         sync.Mutex
	watching   map[string]bool // definitions whose objects are watched

	networks    ssa.Latest[sriovv1.Network]
	definitions ssa.Latest[*nadv1.NetworkAttachmentDefinition]
	kubeOVN     *kubeOVNWritten
}

// kubeOVNWritten is what was written of each kind, see ssa.Latest.
type kubeOVNWritten struct {
	subnets, vlans, providerNetworks ssa.Latest[*unstructured.Unstructured]
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	n, err := r.network(ctx, req.NamespacedName)
	if err != nil || n == nil {
		return reconcile.Result{}, err
	}
	crds, err := r.knownKinds(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !n.GetDeletionTimestamp().IsZero() {
		return reconcile.Result{}, r.finalize(ctx, n, crds)
	}
	n, result, err := r.attach(ctx, n, crds)
	if err != nil {
		if apierrors.IsConflict(err) {
			// Somebody else changed it meanwhile; the event of that is on its way.
			return reconcile.Result{RequeueAfter: settle}, nil
		}
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, r.writeStatus(ctx, n, result)
}

// network returns the newest form of a network that is known, or nil if there is
// none. It must not be changed.
func (r *Reconciler) network(ctx context.Context, key client.ObjectKey) (sriovv1.Network, error) {
	cached := r.New()
	if err := r.Client.Get(ctx, key, cached, client.UnsafeDisableDeepCopy); err != nil {
		r.networks.Forget(key)
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("getting %s %s: %w", KindOf(cached), key, err)
	}
	n, _ := r.networks.Of(key, cached, true)
	return n, nil
}

func (r *Reconciler) defaults(ctx context.Context) (Defaults, error) {
	operator, err := settings.Get(ctx, r.Operator, r.Namespace)
	return Defaults{Namespace: r.Namespace, ResourcePrefix: operator.ResourcePrefix}, err
}

// found is what came of a network, for its status.
type found struct {
	outcome
	podTemplate *sriovv1.OffloadPodTemplate
}

// attach makes what the network asks for, as far as the cluster lets it, and
// returns the network as it is now. What a person or the cluster has to change
// is in the result; an error is worth a retry.
func (r *Reconciler) attach(ctx context.Context, n sriovv1.Network, crds map[string]bool) (sriovv1.Network, found, error) {
	var f found
	defaults, err := r.defaults(ctx)
	if err != nil {
		return n, f, err
	}
	nad, err := Render(n, defaults)
	if err != nil {
		f.invalid, err = asInvalid(err)
		return n, f, err
	}
	f.definition = nad.Namespace + "/" + nad.Name
	if n, err = r.holdOn(ctx, n); err != nil {
		return n, f, err
	}
	if err := r.attachDefinition(ctx, n, nad, crds, &f.outcome); err != nil {
		return n, f, err
	}
	if offload, is := n.(*sriovv1.OffloadNetwork); is {
		if err := r.attachOffload(ctx, offload, defaults, crds, &f); err != nil {
			return n, f, err
		}
	}
	if f.invalid == "" && f.namespaceMissing == "" && !f.definitionUnknown {
		n, err = r.letGo(ctx, n)
	}
	return n, f, err
}

// asInvalid tells what a person has to change from what is worth a retry.
func asInvalid(err error) (string, error) {
	var bad *InvalidError
	if errors.As(err, &bad) {
		return bad.Error(), nil
	}
	return "", err
}

// needsFinalizer: what has no owner reference does not go by itself.
func needsFinalizer(n sriovv1.Network) bool {
	if n.TargetNamespace() != n.GetNamespace() {
		return true
	}
	offload, is := n.(*sriovv1.OffloadNetwork)
	return is && offload.Spec.CNI == cniKubeOVN
}

// holdOn sets the finalizer if the network will need it, before anything is made.
func (r *Reconciler) holdOn(ctx context.Context, n sriovv1.Network) (sriovv1.Network, error) {
	if !needsFinalizer(n) || controllerutil.ContainsFinalizer(n, sriovv1.NetworkFinalizer) {
		return n, nil
	}
	return r.changeFinalizer(ctx, n, controllerutil.AddFinalizer)
}

// letGo removes the finalizer when everything that needed it is gone.
func (r *Reconciler) letGo(ctx context.Context, n sriovv1.Network) (sriovv1.Network, error) {
	if needsFinalizer(n) || !controllerutil.ContainsFinalizer(n, sriovv1.NetworkFinalizer) {
		return n, nil
	}
	return r.changeFinalizer(ctx, n, controllerutil.RemoveFinalizer)
}

func (r *Reconciler) changeFinalizer(ctx context.Context, n sriovv1.Network, change func(client.Object, string) bool) (sriovv1.Network, error) {
	changed, ok := n.DeepCopyObject().(sriovv1.Network)
	if !ok {
		return n, fmt.Errorf("copying %s/%s: %T is no network", n.GetNamespace(), n.GetName(), n)
	}
	if err := patchFinalizer(ctx, r.Client, n, changed, change); err != nil {
		r.networks.Forget(client.ObjectKeyFromObject(n))
		return n, err
	}
	r.networks.Wrote(changed)
	return changed, nil
}

// patchFinalizer changes finalizers of changed, a copy of n, and nothing else.
// It fails with a conflict if the network is not as it is in n any more.
func patchFinalizer(ctx context.Context, c client.Client, n, changed sriovv1.Network, change func(client.Object, string) bool) error {
	if !change(changed, sriovv1.NetworkFinalizer) {
		return nil
	}
	patch := client.MergeFromWithOptions(n, client.MergeFromWithOptimisticLock{})
	if err := c.Patch(ctx, changed, patch, FieldOwner); err != nil {
		return fmt.Errorf("changing the finalizer of %s %s/%s: %w", KindOf(n), n.GetNamespace(), n.GetName(), err)
	}
	return nil
}

// writeStatus writes the status if it changed, and an event if the network now
// waits for a person.
func (r *Reconciler) writeStatus(ctx context.Context, n sriovv1.Network, f found) error {
	written := r.New()
	written.SetNamespace(n.GetNamespace())
	written.SetName(n.GetName())
	written.SetUID(n.GetUID())
	*written.NetworkStatusOf() = f.status(*n.NetworkStatusOf(), n.GetGeneration())
	same := equality.Semantic.DeepEqual(n.NetworkStatusOf(), written.NetworkStatusOf())
	if offload, is := written.(*sriovv1.OffloadNetwork); is {
		offload.Status.Checks, offload.Status.PodTemplate = f.checks, f.podTemplate
		if before, is := n.(*sriovv1.OffloadNetwork); is {
			same = equality.Semantic.DeepEqual(before.Status, offload.Status)
		}
	}
	if same {
		return nil
	}
	stalled := statusOf(n, sriovv1.ConditionStalled)
	if err := ssa.ApplyStatus(ctx, r.Client, written, FieldOwner); err != nil {
		// Gone, or replaced by another of the same name: that has its own event.
		return client.IgnoreNotFound(ignoreConflict(err))
	}
	r.networks.Wrote(written)
	v := f.verdict()
	log.FromContext(ctx).Info("wrote the status of the network", "reason", v.reason)
	if v.stalled && stalled != metav1.ConditionTrue {
		recordStalled(r.Recorder, written, v)
	}
	return nil
}

func ignoreConflict(err error) error {
	if apierrors.IsConflict(err) {
		return nil
	}
	return err
}

func statusOf(n sriovv1.Network, condition string) metav1.ConditionStatus {
	for _, c := range n.NetworkStatusOf().Conditions {
		if c.Type == condition {
			return c.Status
		}
	}
	return metav1.ConditionUnknown
}
