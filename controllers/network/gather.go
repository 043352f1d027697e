package network

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/nodes"
)

// gather reads what the checks of a network look at.
func (r *Reconciler) gather(ctx context.Context, n *sriovv1.OffloadNetwork, d Defaults, crds map[string]bool) (*facts, error) {
	f := &facts{crds: crds, tunnels: map[string]string{}}
	policies := &sriovv1.SriovNetworkNodePolicyList{}
	if err := r.Operator.List(ctx, policies, client.InNamespace(r.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing policies: %w", err)
	}
	states := &sriovv1.SriovNetworkNodeStateList{}
	if err := r.Operator.List(ctx, states, client.InNamespace(r.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing node states: %w", err)
	}
	f.offer = offerOf(offloadResource(n, d), d.ResourcePrefix, policies.Items, states.Items)
	daemonSets := &appsv1.DaemonSetList{}
	if err := r.Client.List(ctx, daemonSets, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing DaemonSets: %w", err)
	}
	f.daemonSets = daemonSets.Items
	sortByName(f.daemonSets)
	if n.Spec.CNI != cniKubeOVN {
		return f, nil
	}
	deployments := &appsv1.DeploymentList{}
	if err := r.Client.List(ctx, deployments, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing Deployments: %w", err)
	}
	f.deployments = deployments.Items
	all, err := nodes.List(ctx, r.Operator)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if tunnel, found := all[i].Annotations[annotationTunnelInterface]; found {
			f.tunnels[all[i].Name] = tunnel
		}
	}
	f.kubeOVN, err = r.observeKubeOVN(ctx, crds)
	return f, err
}
