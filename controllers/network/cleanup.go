package network

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Release removes our finalizer from all networks, for when the operator is
// gone or about to go: they can be deleted then. What was made for them stays,
// and so do the pods that use it. It goes on after an error, and returns how many
// networks it released.
func Release(ctx context.Context, c client.Client) (released int, err error) {
	var errs []error
	for _, list := range []client.ObjectList{
		&sriovv1.SriovNetworkList{}, &sriovv1.SriovIBNetworkList{}, &sriovv1.OVSNetworkList{}, &sriovv1.OffloadNetworkList{},
	} {
		if err := c.List(ctx, list); meta.IsNoMatchError(err) {
			continue // the definitions are gone, and the networks with them
		} else if err != nil {
			errs = append(errs, fmt.Errorf("listing %T: %w", list, err))
			continue
		}
		each(list, func(o client.Object) {
			n, is := o.(sriovv1.Network)
			if !is || !controllerutil.ContainsFinalizer(n, sriovv1.NetworkFinalizer) {
				return
			}
			changed, is := n.DeepCopyObject().(sriovv1.Network)
			if !is {
				return
			}
			if err := patchFinalizer(ctx, c, n, changed, controllerutil.RemoveFinalizer); err != nil {
				if !apierrors.IsNotFound(err) {
					errs = append(errs, err)
				}
				return
			}
			released++
		})
	}
	return released, errors.Join(errs...)
}
