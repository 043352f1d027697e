package nodestate

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/api/ssa"
	"github.com/sriov-offload/sriov-offload-operator/controllers/fleet"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
	"github.com/sriov-offload/sriov-offload-operator/controllers/nodes"
	"github.com/sriov-offload/sriov-offload-operator/controllers/settings"
)

// FieldOwner is the field manager of the spec of node states.
const FieldOwner = client.FieldOwner("sriov-offload-operator")

// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups=sriovnetwork.openshift.io,namespace=system,resources=sriovnetworknodestates,verbs=get;list;watch;create;patch;update;delete
// +kubebuilder:rbac:groups=sriovnetwork.openshift.io,namespace=system,resources=sriovnetworknodepolicies;sriovnetworkpoolconfigs;sriovoperatorconfigs,verbs=get;list;watch

// Reconciler writes the spec of the state of one node. The key is the node.
type Reconciler struct {
	Client client.Client
	// Namespace of the operator: of its policies, pools and node states.
	Namespace string
	Fleet     *fleet.Fleet
	// RemovalDelay is how long the state of a node that left is kept.
	RemovalDelay time.Duration

	states ssa.Latest[*sriovv1.SriovNetworkNodeState]
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	node, err := nodes.Get(ctx, r.Client, req.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	state, err := r.state(ctx, req.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	operator, err := settings.Get(ctx, r.Client, r.Namespace)
	if err != nil {
		return reconcile.Result{}, err
	}
	if node == nil || !operator.RunsDaemon(node.Labels) {
		r.Fleet.Forget(req.Name)
		return r.depart(ctx, state)
	}
	snapshot, in, err := r.gather(ctx, node, state)
	if err != nil {
		return reconcile.Result{}, err
	}
	in.Systemd = operator.Systemd
	result := snapshot.Set.Merge(in)
	r.Fleet.Record(snapshot, fleet.Node{
		Name:         in.Name,
		Labels:       in.Labels,
		Capable:      state != nil && fleet.Capable(state),
		Reported:     in.Reported,
		ComputedFrom: result.Spec.ComputedFrom,
		Policies:     result.Policies,
	}, state)
	err = r.write(ctx, req.Name, state, result.Spec)
	r.Fleet.SpecWritten(req.Name, err)
	return reconcile.Result{}, err
}

// state returns the node's state, or nil if there is none. It must not be changed.
func (r *Reconciler) state(ctx context.Context, name string) (*sriovv1.SriovNetworkNodeState, error) {
	key := client.ObjectKey{Namespace: r.Namespace, Name: name}
	cached := &sriovv1.SriovNetworkNodeState{}
	err := r.Client.Get(ctx, key, cached, client.UnsafeDisableDeepCopy)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("getting node state %s: %w", key, err)
	}
	state, found := r.states.Of(key, cached, err == nil)
	if !found {
		return nil, nil
	}
	return state, nil
}

// gather reads everything that the node's spec depends on. What cannot be read
// is an error, never an empty value.
func (r *Reconciler) gather(ctx context.Context, node *metav1.PartialObjectMetadata, state *sriovv1.SriovNetworkNodeState) (*fleet.Snapshot, merge.Node, error) {
	in := merge.Node{Name: node.Name, Labels: fleet.Labels(node.Labels, state)}
	if state != nil {
		in.Current = state.Spec
		in.Interfaces = state.Status.Interfaces
		in.Reported = fleet.Reported(state)
		in.RdmaMode = state.Spec.System.RdmaMode
	}
	pools := &sriovv1.SriovNetworkPoolConfigList{}
	if err := r.Client.List(ctx, pools, client.InNamespace(r.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, in, fmt.Errorf("listing pools: %w", err)
	}
	in.RdmaMode = RdmaMode(in.Labels, pools.Items, in.RdmaMode)
	in.AllowNodeNetwork = AllowNodeNetwork(in.Labels, pools.Items)
	policies := &sriovv1.SriovNetworkNodePolicyList{}
	if err := r.Client.List(ctx, policies, client.InNamespace(r.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, in, fmt.Errorf("listing policies: %w", err)
	}
	return r.Fleet.Snapshot(policies.Items), in, nil
}

// write makes the state's spec the merged one, if it differs.
func (r *Reconciler) write(ctx context.Context, name string, state *sriovv1.SriovNetworkNodeState, spec sriovv1.SriovNetworkNodeStateSpec) error {
	if state != nil {
		// A status that was wiped makes the inventory unknown, not empty.
		if spec.ComputedFrom == "" {
			spec = state.Spec
		}
		_, leaving := state.Annotations[sriovv1.AnnotationKeepUntil]
		if !leaving && equality.Semantic.DeepEqual(state.Spec, spec) {
			return nil
		}
	}
	desired := r.newState(name, state)
	desired.Spec = *spec.DeepCopy()
	if err := r.apply(ctx, desired); err != nil {
		return err
	}
	if err := r.removeOthers(ctx, desired, spec); err != nil {
		return err
	}
	r.states.Wrote(desired)
	log.FromContext(ctx).Info("wrote the spec of the node state",
		"interfaces", len(spec.Interfaces), "computedFrom", spec.ComputedFrom)
	return nil
}

// apply forgets what was written to a state that is no longer there, so that
// the retry works with what the cache has.
func (r *Reconciler) apply(ctx context.Context, desired *sriovv1.SriovNetworkNodeState) error {
	key := client.ObjectKeyFromObject(desired)
	err := ssa.Apply(ctx, r.Client, desired, FieldOwner)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		r.states.Forget(key)
	}
	return err
}

// removeOthers removes from the spec what other field managers put there: an
// apply takes over values, but leaves entries and fields that it does not have.
func (r *Reconciler) removeOthers(ctx context.Context, state *sriovv1.SriovNetworkNodeState, spec sriovv1.SriovNetworkNodeStateSpec) error {
	if equality.Semantic.DeepEqual(state.Spec, spec) {
		return nil
	}
	state.Spec = *spec.DeepCopy()
	if err := r.Client.Update(ctx, state, FieldOwner); err != nil {
		return fmt.Errorf("removing what others wrote in the spec of node state %s: %w", state.Name, err)
	}
	return nil
}

// newState returns a state to apply. With the uid of the existing one, a state
// that was deleted meanwhile is not half created again.
func (r *Reconciler) newState(name string, existing *sriovv1.SriovNetworkNodeState) *sriovv1.SriovNetworkNodeState {
	state := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: name}}
	if existing != nil {
		state.UID = existing.UID
	}
	return state
}

// depart removes the state of a node that left once it has been gone for long enough.
func (r *Reconciler) depart(ctx context.Context, state *sriovv1.SriovNetworkNodeState) (reconcile.Result, error) {
	if state == nil || !state.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, nil
	}
	now := time.Now()
	until, err := time.Parse(time.RFC3339, state.Annotations[sriovv1.AnnotationKeepUntil])
	if err != nil {
		until = now.Add(r.RemovalDelay)
		if err := r.keepUntil(ctx, state, until); err != nil {
			return reconcile.Result{}, err
		}
	}
	if now.Before(until) {
		return reconcile.Result{RequeueAfter: until.Sub(now)}, nil
	}
	err = r.Client.Delete(ctx, state.DeepCopy(), client.Preconditions{UID: &state.UID})
	if err != nil && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, fmt.Errorf("deleting the state of departed node %s: %w", state.Name, err)
	}
	log.FromContext(ctx).Info("deleted the state of a departed node")
	return reconcile.Result{}, nil
}

// keepUntil persists when the state of a node that left is to go, so that a
// restart of the manager does not start the delay again.
func (r *Reconciler) keepUntil(ctx context.Context, state *sriovv1.SriovNetworkNodeState, until time.Time) error {
	marked := r.newState(state.Name, state)
	marked.Annotations = map[string]string{sriovv1.AnnotationKeepUntil: until.UTC().Format(time.RFC3339Nano)}
	marked.Spec = *state.Spec.DeepCopy()
	if err := r.apply(ctx, marked); err != nil {
		return err
	}
	r.states.Wrote(marked)
	log.FromContext(ctx).Info("node left, keeping its state for a while", "until", until)
	return nil
}
