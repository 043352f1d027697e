package drain

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	kubectldrain "k8s.io/kubectl/pkg/drain"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Bounds of one reconcile; the next one goes on.
const (
	maxEvictions = 20
	maxTime      = 10 * time.Second
)

// drain looks at the pods of a node that holds a slot, and moves away those that
// have to leave. Pods are evicted only after the node state says for which plan.
func (r *Reconciler) drain(ctx context.Context, s *subject) (reconcile.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	if intact, err := r.keepCordoned(ctx, s); err != nil || !intact {
		return reconcile.Result{RequeueAfter: minPoll}, err
	}
	if s.facts.committed() && len(s.facts.Plan.Pods) == 0 {
		return reconcile.Result{}, nil // nothing came back
	}
	fates, err := r.look(ctx, s)
	if err != nil {
		return reconcile.Result{}, err
	}
	round := RoundOf(fates)
	if s.facts.committed() && round.Remaining == 0 {
		return reconcile.Result{}, nil
	}
	settled := Settle(s.facts, round)
	if settled.Act != Drain {
		return r.carryOut(ctx, s, settled)
	}
	if !s.facts.underWay() {
		if upToDate, err := r.write(ctx, s, s.facts.draining().Record); err != nil || !upToDate {
			return reconcile.Result{RequeueAfter: minPoll}, err
		}
	}
	obstacles, err := r.remove(ctx, fates)
	if err != nil {
		return reconcile.Result{}, err
	}
	round.Obstacles = append(round.Obstacles, obstacles...)
	return r.carryOut(ctx, s, Settle(s.facts, round))
}

// keepCordoned repairs what somebody undid on a node that holds a slot.
func (r *Reconciler) keepCordoned(ctx context.Context, s *subject) (bool, error) {
	if s.node.Spec.Unschedulable && slices.ContainsFunc(s.node.Spec.Taints, ours) {
		return true, nil
	}
	node, err := r.patchNode(ctx, s.node, func(n *corev1.Node) { take(n, s.facts.Plan.Hash) })
	if err != nil || node == nil {
		return false, err
	}
	s.node = node
	return true, nil
}

// look reads the pods of the node and says what becomes of each.
func (r *Reconciler) look(ctx context.Context, s *subject) ([]PodFate, error) {
	alone := false
	if s.facts.Plan.wholeNode() {
		all := &corev1.NodeList{}
		if err := r.Client.List(ctx, all, client.Limit(2), client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("counting nodes: %w", err)
		}
		alone = len(all.Items) == 1
	}
	pods, err := r.Pods.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", s.node.Name).String(),
	})
	if err != nil {
		return nil, fmt.Errorf("listing the pods of node %s: %w", s.node.Name, err)
	}
	return Judge(Case{
		Now: s.facts.Now, Node: s.node.Name, Plan: s.facts.Plan, Alone: alone,
		Force: s.facts.Settings.Force, Overdue: s.facts.Overdue(), Self: r.Self,
	}, pods.Items), nil
}

// remove evicts and deletes pods, a bounded number of them, and returns those that
// do not let themselves. One pod's failure does not keep the others.
func (r *Reconciler) remove(ctx context.Context, fates []PodFate) ([]Obstacle, error) {
	// A negative grace period is the pod's own.
	helper := &kubectldrain.Helper{Ctx: ctx, Client: r.Pods, GracePeriodSeconds: -1}
	budgets := map[string][]policyv1.PodDisruptionBudget{}
	var obstacles []Obstacle
	tried := 0
	for _, f := range fates {
		if f.Fate != Evict && f.Fate != Delete {
			continue
		}
		if tried == maxEvictions || ctx.Err() != nil {
			break
		}
		tried++
		why, err := r.attempt(ctx, helper, f, budgets)
		if err != nil {
			return nil, err
		}
		if why != "" {
			obstacles = append(obstacles, Obstacle{Pod: nameOf(f.Pod), Why: why})
		}
	}
	return obstacles, nil //nolint:nilerr // a round that ended is no error: the next one goes on
}

// explain says why a pod was not evicted; nothing if it is gone, or leaves with its namespace.
func (r *Reconciler) explain(ctx context.Context, pod *corev1.Pod, refused error, budgets map[string][]policyv1.PodDisruptionBudget) (string, error) {
	switch {
	case apierrors.IsNotFound(refused), apierrors.HasStatusCause(refused, corev1.NamespaceTerminatingCause):
		return "", nil
	case apierrors.IsTooManyRequests(refused) && !apierrors.HasStatusCause(refused, policyv1.DisruptionBudgetCause):
		return "", nil // the API server is busy; the next round tries again
	case !apierrors.IsTooManyRequests(refused) && !apierrors.IsInternalError(refused):
		return "it cannot be evicted: " + refused.Error(), nil
	}
	all, known := budgets[pod.Namespace]
	if !known {
		list, err := r.Pods.PolicyV1().PodDisruptionBudgets(pod.Namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return "", fmt.Errorf("looking for what protects pod %s: %w", nameOf(pod), err)
		}
		all = list.Items
		budgets[pod.Namespace] = all
	}
	return blockedBy(pod, all, refused), nil
}

// blockedBy names the budgets of a pod that do not let it go.
func blockedBy(pod *corev1.Pod, budgets []policyv1.PodDisruptionBudget, refused error) string {
	var of []string
	for i := range budgets {
		b := &budgets[i]
		selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
		if err != nil || !selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		of = append(of, fmt.Sprintf("PodDisruptionBudget %s/%s (%d of %d healthy pods needed are there)",
			b.Namespace, b.Name, b.Status.CurrentHealthy, b.Status.DesiredHealthy))
	}
	slices.Sort(of)
	switch {
	case len(of) == 0:
		return "it cannot be evicted: " + refused.Error()
	case apierrors.IsInternalError(refused) && len(of) > 1:
		return "more than one budget protects it, which evictions do not support: " + strings.Join(of, ", ")
	case apierrors.IsInternalError(refused):
		return "it cannot be evicted: " + refused.Error()
	}
	return strings.Join(of, ", ") + " does not let it go"
}

// attempt removes a pod, or says why that is refused.
func (r *Reconciler) attempt(ctx context.Context, helper *kubectldrain.Helper, f PodFate, budgets map[string][]policyv1.PodDisruptionBudget) (why string, err error) {
	if refusal := removePod(helper, f); refusal != nil {
		return r.explain(ctx, f.Pod, refusal, budgets)
	}
	log.FromContext(ctx).Info("moving a pod away", "pod", nameOf(f.Pod), "eviction", f.Fate == Evict)
	return "", nil
}

func removePod(helper *kubectldrain.Helper, f PodFate) error {
	if f.Fate == Delete {
		return helper.DeletePod(*f.Pod)
	}
	return helper.EvictPod(*f.Pod, policyv1.SchemeGroupVersion)
}
