package drain

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// GiveBack uncordons every node that this package cordoned, for when the operator
// is gone or about to go. It goes on after an error, and returns how many nodes it
// gave back.
func GiveBack(ctx context.Context, c client.Client) (given int, err error) {
	nodes := &corev1.NodeList{}
	if err := c.List(ctx, nodes); err != nil {
		return 0, fmt.Errorf("listing nodes: %w", err)
	}
	var errs []error
	for i := range nodes.Items {
		if h := HoldOf(&nodes.Items[i]); !h.Held && !h.Cordoned {
			continue
		}
		before := nodes.Items[i].DeepCopy()
		giveBack(&nodes.Items[i])
		patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		if err := c.Patch(ctx, &nodes.Items[i], patch, FieldOwner); client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("giving back node %s: %w", before.Name, err))
			continue
		}
		given++
	}
	return given, errors.Join(errs...)
}
