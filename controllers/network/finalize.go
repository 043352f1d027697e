package network

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// finalize removes what was made for a network that is being deleted, and lets
// it go. It waits for nobody: what it deletes may have finalizers of its own.
func (r *Reconciler) finalize(ctx context.Context, n sriovv1.Network, crds map[string]bool) error {
	if !controllerutil.ContainsFinalizer(n, sriovv1.NetworkFinalizer) {
		return nil
	}
	if crds[crdDefinitions] {
		if err := r.removeDefinitions(ctx, n, client.ObjectKey{}); err != nil {
			return err
		}
	}
	if offload, is := n.(*sriovv1.OffloadNetwork); is {
		if err := r.removeKubeOVN(ctx, offload, crds); err != nil {
			return err
		}
	}
	_, err := r.changeFinalizer(ctx, n, controllerutil.RemoveFinalizer)
	return client.IgnoreNotFound(err)
}
