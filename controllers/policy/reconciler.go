package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
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

// FieldOwner is the field manager of the status of policies.
const FieldOwner = client.FieldOwner("sriov-offload-operator-policy")

// settle is how long changes of nodes are collected before a policy's status is
// computed again.
const settle = 250 * time.Millisecond

// +kubebuilder:rbac:groups="",resources=nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups=sriovnetwork.openshift.io,namespace=system,resources=sriovnetworknodepolicies;sriovnetworknodestates;sriovoperatorconfigs,verbs=get;list;watch
// +kubebuilder:rbac:groups=sriovnetwork.openshift.io,namespace=system,resources=sriovnetworknodepolicies/status,verbs=patch

// Reconciler writes the status of one policy. The key is the policy.
type Reconciler struct {
	Client client.Client
	// Namespace of the operator.
	Namespace string
	Fleet     *fleet.Fleet

	policies ssa.Latest[*sriovv1.SriovNetworkNodePolicy]
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	cached := &sriovv1.SriovNetworkNodePolicy{}
	if err := r.Client.Get(ctx, req.NamespacedName, cached, client.UnsafeDisableDeepCopy); err != nil {
		r.policies.Forget(req.NamespacedName)
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	policy, _ := r.policies.Of(req.NamespacedName, cached, true)
	managed, others, err := r.nodes(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	f := gather(policy, managed, r.Fleet)
	if f.unmerged > 0 && len(policy.Status.Conditions) > 0 {
		// The fleet says when that is done. Until then the status that is there
		// says by its observedGeneration what it is about.
		return reconcile.Result{}, nil
	}
	desired := status(policy, f, managed, others)
	if equality.Semantic.DeepEqual(policy.Status, desired) {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, r.write(ctx, policy, desired)
}

func (r *Reconciler) write(ctx context.Context, policy *sriovv1.SriovNetworkNodePolicy, desired sriovv1.SriovNetworkNodePolicyStatus) error {
	written := &sriovv1.SriovNetworkNodePolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: policy.Namespace, Name: policy.Name, UID: policy.UID},
		Status:     desired,
	}
	if err := ssa.ApplyStatus(ctx, r.Client, written, FieldOwner); err != nil {
		return client.IgnoreNotFound(err)
	}
	r.policies.Wrote(written)
	log.FromContext(ctx).Info("wrote the status of the policy",
		"reason", desired.Conditions[0].Reason, "matchedNodes", desired.MatchedNodes, "readyNodes", desired.ReadyNodes)
	return nil
}

// nodes returns the nodes that have a node state, ordered by name and with the
// labels by which they are selected, and how the others are labelled.
func (r *Reconciler) nodes(ctx context.Context) (managed, others []metav1.PartialObjectMetadata, err error) {
	operator, err := settings.Get(ctx, r.Client, r.Namespace)
	if err != nil {
		return nil, nil, err
	}
	all, err := nodes.List(ctx, r.Client)
	if err != nil {
		return nil, nil, err
	}
	for i := range all {
		if operator.RunsDaemon(all[i].Labels) {
			node := all[i] // the labels in the cache stay
			node.Labels = r.Fleet.Labels(node.Name, node.Labels)
			managed = append(managed, node)
		} else {
			others = append(others, all[i])
		}
	}
	byName := func(a, b metav1.PartialObjectMetadata) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(managed, byName)
	slices.SortFunc(others, byName)
	return managed, others, nil
}

// status is the whole status; transition times of conditions whose status stays are kept.
func status(policy *sriovv1.SriovNetworkNodePolicy, f facts, managed, others []metav1.PartialObjectMetadata) sriovv1.SriovNetworkNodePolicyStatus {
	s := sriovv1.SriovNetworkNodePolicyStatus{
		ObservedGeneration: policy.Generation,
		MatchedNodes:       f.matched,
		ReadyNodes:         f.ready,
		Conflicts:          f.conflicts,
	}
	if f.unmerged == 0 && (f.selected == 0 || len(f.misses) > 0) {
		s.Unmatched = unmatched(policy, f, managed, others)
	}
	for _, c := range conditions(f, policy.Generation) {
		if old := meta.FindStatusCondition(policy.Status.Conditions, c.Type); old != nil {
			s.Conditions = append(s.Conditions, *old)
		}
		meta.SetStatusCondition(&s.Conditions, c)
	}
	return s
}

func unmatched(policy *sriovv1.SriovNetworkNodePolicy, f facts, managed, others []metav1.PartialObjectMetadata) []sriovv1.UnmatchedField {
	for i := range others {
		if f.selected == 0 && f.ignored == "" && fleet.Selects(policy, others[i].Labels) {
			return []sriovv1.UnmatchedField{{
				Field:   "nodeSelector",
				Message: "node " + others[i].Name + " has the labels, but the daemon does not run there: see SriovOperatorConfig.spec.configDaemonNodeSelector",
			}}
		}
	}
	if len(managed) == 0 && len(others) > 0 {
		return []sriovv1.UnmatchedField{{
			Field:   "nodeSelector",
			Message: fmt.Sprintf("the daemon runs on none of the %d nodes: see SriovOperatorConfig.spec.configDaemonNodeSelector", len(others)),
		}}
	}
	labels := make([]merge.NodeLabels, 0, len(managed))
	for i := range managed {
		labels = append(labels, merge.NodeLabels{Name: managed[i].Name, Labels: managed[i].Labels})
	}
	return merge.Unmatched(policy, labels, f.misses)
}
