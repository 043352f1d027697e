package drain

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/api/ssa"
	"github.com/sriov-offload/sriov-offload-operator/controllers/fleet"
	"github.com/sriov-offload/sriov-offload-operator/controllers/settings"
)

// Memory is what the reconcilers of this package share: the objects as the server
// answered their own writes, until the cache has them. Nothing is lost with it.
type Memory struct {
	nodes  ssa.Latest[*corev1.Node]
	states ssa.Latest[*sriovv1.SriovNetworkNodeState]
	pools  ssa.Latest[*sriovv1.SriovNetworkPoolConfig]
}

// world is what is the same for all nodes at one time.
type world struct {
	now       time.Time
	namespace string
	operator  settings.Settings
	pools     pools
	// retryDelay is Options.RetryDelay.
	retryDelay time.Duration
}

func readWorld(ctx context.Context, c client.Reader, now time.Time, namespace string, retryDelay time.Duration) (world, error) {
	w := world{now: now.UTC().Truncate(time.Second), namespace: namespace, retryDelay: retryDelay}
	var err error
	if w.operator, err = settings.Get(ctx, c, namespace); err != nil {
		return w, err
	}
	w.pools, err = listPools(ctx, c, namespace)
	return w, err
}

// facts of a node. Both objects must be there.
func (w world) facts(node *corev1.Node, state *sriovv1.SriovNetworkNodeState) Facts {
	f := Facts{
		Now: w.now, Node: node.Name, Namespace: w.namespace, RetryDelay: w.retryDelay,
		Plan: PlanOf(state), Disabled: w.operator.DisableDrain, Approved: state.Annotations[sriovv1.AnnotationApprovedPlan],
		External: External{
			Use:     state.Annotations[sriovv1.AnnotationExternalDrainer] == "true",
			Request: node.Annotations[sriovv1.AnnotationDrainRequest],
			Desired: state.Annotations[sriovv1.AnnotationDrainDesired],
			Current: state.Annotations[sriovv1.AnnotationDrainCurrent],
		},
		Hold: HoldOf(node), Recorded: RecordOf(state),
	}
	of := w.pools.of(fleet.Labels(node.Labels, state))
	for _, pool := range of {
		f.Pools = append(f.Pools, pool.Name)
	}
	f.Settings = SettingsOf(nil)
	if len(of) == 1 {
		f.Settings = SettingsOf(of[0])
	}
	return f
}

// get reads an object of the cache, and tells whether there is one.
func get(ctx context.Context, c client.Reader, key client.ObjectKey, into client.Object) (found bool, err error) {
	err = c.Get(ctx, key, into, client.UnsafeDisableDeepCopy)
	return err == nil, client.IgnoreNotFound(err)
}

// node returns a node, or nil if there is none. It must not be changed.
func (m *Memory) node(ctx context.Context, c client.Reader, name string) (*corev1.Node, error) {
	key := client.ObjectKey{Name: name}
	cached := &corev1.Node{}
	found, err := get(ctx, c, key, cached)
	if err != nil {
		return nil, fmt.Errorf("getting node %s: %w", name, err)
	}
	if !found {
		m.nodes.Forget(key)
		return nil, nil
	}
	node, _ := m.nodes.Of(key, cached, true)
	return node, nil
}

// state returns the state of a node, or nil if there is none. It must not be changed.
func (m *Memory) state(ctx context.Context, c client.Reader, key client.ObjectKey) (*sriovv1.SriovNetworkNodeState, error) {
	cached := &sriovv1.SriovNetworkNodeState{}
	found, err := get(ctx, c, key, cached)
	if err != nil {
		return nil, fmt.Errorf("getting node state %s: %w", key, err)
	}
	if !found {
		m.states.Forget(key)
		return nil, nil
	}
	state, _ := m.states.Of(key, cached, true)
	return state, nil
}
