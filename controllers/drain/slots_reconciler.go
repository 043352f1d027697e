package drain

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/api/ssa"
	"github.com/sriov-offload/sriov-offload-operator/controllers/fleet"
)

// settle is how long changes of many nodes are collected before slots are handed
// out again: each time costs one look at every node in the cache.
const settle = 200 * time.Millisecond

// Slots hands out the slots of all pools. It has one key and one worker.
type Slots struct {
	Client   client.Client
	Recorder events.EventRecorder
	// Namespace of the operator: of the node states and pools.
	Namespace string
	// RetryDelay is that of Reconciler.
	RetryDelay time.Duration
	// Now is the clock.
	Now    func() time.Time
	Memory *Memory
}

// candidate is a node of a pool with what a grant needs.
type candidate struct {
	node  *corev1.Node
	state *sriovv1.SriovNetworkNodeState
	plan  *Plan
}

// census is every node by pool; nodes in no pool are under nil, and nodes in
// several under none.
type census struct {
	members    map[*sriovv1.SriovNetworkPoolConfig][]Member
	candidates map[string]candidate
}

// Reconcile implements reconcile.Reconciler.
func (r *Slots) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	w, err := readWorld(ctx, r.Client, r.Now(), r.Namespace, r.RetryDelay)
	if err != nil {
		return reconcile.Result{}, err
	}
	c, err := r.count(ctx, w)
	if err != nil {
		return reconcile.Result{}, err
	}
	again := false
	var errs []error
	serve := func(pool *sriovv1.SriovNetworkPoolConfig) {
		retry, err := r.serve(ctx, pool, c)
		again = again || retry
		errs = append(errs, err)
	}
	serve(nil)
	for _, p := range w.pools {
		serve(p.pool)
	}
	if err := errors.Join(errs...); err != nil {
		return reconcile.Result{}, err
	}
	if again {
		return reconcile.Result{RequeueAfter: settle}, nil
	}
	return reconcile.Result{}, nil
}

// count reads all nodes and node states from the cache, and from memory what the
// cache does not have yet.
func (r *Slots) count(ctx context.Context, w world) (census, error) {
	c := census{members: map[*sriovv1.SriovNetworkPoolConfig][]Member{}, candidates: map[string]candidate{}}
	states := &sriovv1.SriovNetworkNodeStateList{}
	if err := r.Client.List(ctx, states, client.InNamespace(r.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return c, fmt.Errorf("listing node states: %w", err)
	}
	byName := make(map[string]*sriovv1.SriovNetworkNodeState, len(states.Items))
	for i := range states.Items {
		state, _ := r.Memory.states.Of(client.ObjectKeyFromObject(&states.Items[i]), &states.Items[i], true)
		byName[state.Name] = state
	}
	nodes := &corev1.NodeList{}
	if err := r.Client.List(ctx, nodes, client.UnsafeDisableDeepCopy); err != nil {
		return c, fmt.Errorf("listing nodes: %w", err)
	}
	for i := range nodes.Items {
		node, _ := r.Memory.nodes.Of(client.ObjectKeyFromObject(&nodes.Items[i]), &nodes.Items[i], true)
		if w.operator.RunsDaemon(node.Labels) || HoldOf(node).Held {
			c.add(w, node, byName[node.Name])
		}
	}
	return c, nil
}

func (c *census) add(w world, node *corev1.Node, state *sriovv1.SriovNetworkNodeState) {
	of := w.pools.of(fleet.Labels(node.Labels, state))
	if len(of) > 1 {
		return
	}
	var pool *sriovv1.SriovNetworkPoolConfig
	if len(of) == 1 {
		pool = of[0]
	}
	hold := HoldOf(node)
	m := Member{Name: node.Name, Held: hold.Held, Unavailable: hold.unavailable()}
	if plan := PlanOf(state); plan != nil {
		f := w.facts(node, state)
		m.Waiting, m.Since = f.WaitsForSlot(), f.Recorded.WaitingSince
		c.candidates[node.Name] = candidate{node: node, state: state, plan: plan}
	}
	c.members[pool] = append(c.members[pool], m)
}

// serve grants what is free in one pool, and counts it in the pool's status. It
// tells whether a node has to be tried again, because it changed meanwhile.
func (r *Slots) serve(ctx context.Context, pool *sriovv1.SriovNetworkPoolConfig, c census) (again bool, err error) {
	members := c.members[pool]
	one := intstr.FromInt32(1)
	limit := Limit(&one, len(members))
	if pool != nil {
		limit = Limit(pool.Spec.MaxUnavailable, len(members))
	}
	granted := map[string]bool{}
	var errs []error
	for _, name := range Grant(members, limit) {
		ok, err := r.grant(ctx, c.candidates[name])
		errs = append(errs, err)
		granted[name] = ok
		again = again || !ok && err == nil
	}
	for i := range members {
		if granted[members[i].Name] {
			members[i].Held, members[i].Waiting = true, false
		}
	}
	if pool != nil {
		errs = append(errs, r.publish(ctx, pool, UsageOf(members, limit)))
	}
	return again, errors.Join(errs...)
}

// grant is one write: the node holds the slot and is cordoned, or neither.
func (r *Slots) grant(ctx context.Context, c candidate) (bool, error) {
	node, err := patchNode(ctx, r.Client, r.Memory, c.node, func(n *corev1.Node) { take(n, c.plan.Hash) })
	if err != nil || node == nil {
		return false, err
	}
	log.FromContext(ctx).Info("gave a node a slot", "node", node.Name, "plan", c.plan.Hash)
	recordStarted(r.Recorder, node, c.state, c.plan)
	return true, nil
}

// publish writes the counts of a pool, if they changed.
func (r *Slots) publish(ctx context.Context, pool *sriovv1.SriovNetworkPoolConfig, u Usage) error {
	key := client.ObjectKeyFromObject(pool)
	latest, _ := r.Memory.pools.Of(key, pool, true)
	desired := poolStatus(u)
	if equality.Semantic.DeepEqual(latest.Status.Drain, desired) {
		return nil
	}
	written := &sriovv1.SriovNetworkPoolConfig{
		ObjectMeta: metav1.ObjectMeta{Namespace: pool.Namespace, Name: pool.Name, UID: pool.UID},
		Status:     sriovv1.SriovNetworkPoolConfigStatus{Drain: desired},
	}
	if err := ssa.ApplyStatus(ctx, r.Client, written, FieldOwner); apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		r.Memory.pools.Forget(key)
		return nil // it was deleted, and an event says so
	} else if err != nil {
		return err
	}
	r.Memory.pools.Wrote(written)
	return nil
}

// maxNodes is how many names a pool's status has.
const maxNodes = 16

// poolStatus is what a pool says about its slots.
func poolStatus(u Usage) *sriovv1.PoolDrainStatus {
	s := &sriovv1.PoolDrainStatus{
		Nodes: count(u.Nodes), MaxUnavailable: count(u.Limit), Unavailable: count(u.Unavailable), Draining: count(u.Held), Waiting: count(u.Waiting),
		DrainingNodes: u.HeldBy[:min(len(u.HeldBy), maxNodes)],
	}
	switch {
	case u.Waiting == 0:
	case u.Limit == 0:
		s.Message = "maxUnavailable lets no node be drained"
	case u.Held < u.Limit && len(u.Others) > 0:
		s.Message = "nodes wait because others are not ready, or were cordoned by somebody else: " +
			strings.Join(u.Others[:min(len(u.Others), named)], ", ")
		if more := len(u.Others) - named; more > 0 {
			s.Message += fmt.Sprintf(" and %d more", more)
		}
	}
	return s
}

// count fits any number of nodes that there will be.
func count(n int) int32 { return int32(min(n, 1<<30)) }
