package drain

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/api/ssa"
)

// FieldOwner is the field manager of the condition Drained and of status.drain, of
// the drain counts of pools, and of what is written to nodes.
const FieldOwner = client.FieldOwner("sriov-offload-operator-drain")

// Pods are read node by node and not watched: the pods of a whole cluster would be
// most of the manager's memory.
//
// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;delete
// +kubebuilder:rbac:groups="",resources=pods/eviction,verbs=create
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=sriovnetwork.openshift.io,namespace=system,resources=sriovnetworknodestates,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=sriovnetwork.openshift.io,namespace=system,resources=sriovnetworknodestates/status,verbs=patch
// +kubebuilder:rbac:groups=sriovnetwork.openshift.io,namespace=system,resources=sriovnetworkpoolconfigs;sriovoperatorconfigs,verbs=get;list;watch
// +kubebuilder:rbac:groups=sriovnetwork.openshift.io,namespace=system,resources=sriovnetworkpoolconfigs/status,verbs=patch

// Reconciler answers the disruptive plan of one node. The key is the node.
type Reconciler struct {
	Client   client.Client
	Recorder events.EventRecorder
	// Pods reads, evicts and deletes pods, from the API server itself.
	Pods kubernetes.Interface
	// Namespace of the operator: of the node states and pools.
	Namespace string
	// RetryDelay is how long a node waits after its first drain that took too long.
	RetryDelay time.Duration
	// Now is the clock.
	Now func() time.Time
	// Self is the pod in which this runs; empty outside a cluster.
	Self   types.NamespacedName
	Memory *Memory
}

// subject is the node of one reconcile.
type subject struct {
	facts Facts
	node  *corev1.Node
	state *sriovv1.SriovNetworkNodeState
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	node, err := r.Memory.node(ctx, r.Client, req.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	state, err := r.Memory.state(ctx, r.Client, client.ObjectKey{Namespace: r.Namespace, Name: req.Name})
	if err != nil || node == nil {
		return reconcile.Result{}, err
	}
	if state == nil {
		return reconcile.Result{}, r.abandon(ctx, node)
	}
	w, err := readWorld(ctx, r.Client, r.Now(), r.Namespace, r.RetryDelay)
	if err != nil {
		return reconcile.Result{}, err
	}
	s := &subject{facts: w.facts(node, state), node: node, state: state}
	step := Next(s.facts)
	if step.Act == Drain {
		return r.drain(ctx, s)
	}
	return r.carryOut(ctx, s, step)
}

// abandon gives back a node whose state is gone: nobody waits for the drain.
func (r *Reconciler) abandon(ctx context.Context, node *corev1.Node) error {
	if h := HoldOf(node); !h.Held && !h.Cordoned {
		return nil
	}
	_, err := r.patchNode(ctx, node, giveBack)
	return err
}

// carryOut writes the record of a step, and then acts, unless the answer to the
// write shows that the step is about a plan that is no longer there.
func (r *Reconciler) carryOut(ctx context.Context, s *subject, step Step) (reconcile.Result, error) {
	upToDate, err := r.write(ctx, s, step.Record)
	if err != nil || !upToDate {
		return reconcile.Result{RequeueAfter: minPoll}, err
	}
	if step.Request != "" {
		if err := r.request(ctx, s, step.Request); err != nil {
			return reconcile.Result{}, err
		}
	}
	if step.Act == Release {
		node, err := r.patchNode(ctx, s.node, giveBack)
		if err != nil || node == nil {
			return reconcile.Result{RequeueAfter: minPoll}, err
		}
		recordGivenBack(r.Recorder, node, s.state, step.Record.Reason)
		log.FromContext(ctx).Info("gave the node back", "reason", step.Record.Reason, "cordoned", node.Spec.Unschedulable)
	}
	return reconcile.Result{RequeueAfter: step.RequeueAfter}, nil
}

// write writes a record, if it says something new, and tells whether the plan is
// still the one that it is about.
func (r *Reconciler) write(ctx context.Context, s *subject, now Record) (upToDate bool, err error) {
	before := RecordOf(s.state)
	if !changed(before, now) {
		return true, nil
	}
	answer := &sriovv1.SriovNetworkNodeState{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.state.Namespace, Name: s.state.Name, UID: s.state.UID},
		Status:     now.status(s.state.Status.Conditions, s.state.Generation),
	}
	key := client.ObjectKeyFromObject(s.state)
	if err := ssa.ApplyStatusFields(ctx, r.Client, answer, FieldOwner, "conditions", "drain"); err != nil {
		r.Memory.states.Forget(key)
		return false, err
	}
	r.Memory.states.Wrote(answer)
	log.FromContext(ctx).Info("wrote the condition Drained", "reason", now.Reason, "plan", now.PlanHash)
	recordChange(r.Recorder, s.node, s.state, before, now)
	s.state = answer
	s.facts.Recorded = RecordOf(answer)
	return same(s.facts.Plan, PlanOf(answer)), nil
}

// request says something to another drainer, on the node last: that is what it watches.
func (r *Reconciler) request(ctx context.Context, s *subject, request string) error {
	state := &sriovv1.SriovNetworkNodeState{ObjectMeta: *s.state.ObjectMeta.DeepCopy()}
	before := state.DeepCopy()
	metav1.SetMetaDataAnnotation(&state.ObjectMeta, sriovv1.AnnotationDrainDesired, request)
	if err := r.Client.Patch(ctx, state, client.MergeFrom(before), FieldOwner); err != nil {
		return fmt.Errorf("asking for %s on node state %s: %w", request, state.Name, err)
	}
	r.Memory.states.Wrote(state)
	_, err := r.patchNode(ctx, s.node, func(n *corev1.Node) {
		metav1.SetMetaDataAnnotation(&n.ObjectMeta, sriovv1.AnnotationDrainRequest, request)
	})
	return err
}

// patchNode changes a node if it is still as it was read, and returns it as it is
// then; nil if it is not, so that an event brings the newer one.
func (r *Reconciler) patchNode(ctx context.Context, node *corev1.Node, change func(*corev1.Node)) (*corev1.Node, error) {
	return patchNode(ctx, r.Client, r.Memory, node, change)
}

func patchNode(ctx context.Context, c client.Client, m *Memory, node *corev1.Node, change func(*corev1.Node)) (*corev1.Node, error) {
	desired := node.DeepCopy()
	change(desired)
	patch := client.MergeFromWithOptions(node, client.MergeFromWithOptimisticLock{})
	err := c.Patch(ctx, desired, patch, FieldOwner)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		m.nodes.Forget(client.ObjectKeyFromObject(node))
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("patching node %s: %w", node.Name, err)
	}
	m.nodes.Wrote(desired)
	return desired, nil
}
