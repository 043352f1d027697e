package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/log"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/daemon/apply"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
)

// recover ends what is on probation: changes after which the node has its
// connections stay, others are taken back. It needs nothing of the API.
func (a *Agent) recover(ctx context.Context, after *apply.Result) error {
	if err := a.openLedger(ctx); err != nil {
		return err
	}
	losses, err := apply.Recover(ctx, a.Host, a.ledger, apply.Recovery{
		Observe: func(ctx context.Context) (inventory.Node, error) { return observe.Node(ctx, a.Host) },
		Drivers: a.Drivers,
		After:   after,
	})
	for _, pf := range slices.Sorted(maps.Keys(losses)) {
		log.FromContext(ctx).Info("The node lost a connection", "pf", pf, "what", losses[pf].Message)
	}
	if after != nil {
		after.Blame(losses)
	}
	return err
}

// recoverAtStart recovers before the daemon asks the API for anything: if the node
// is cut off because the daemon died in the middle of a change, no answer would
// come. What fails is tried again at the first turn, and without an API server at
// the next start.
func (a *Agent) recoverAtStart(ctx context.Context) {
	if err := a.recover(ctx, nil); err != nil {
		log.FromContext(ctx).Error(err, "Recovering from an unfinished change failed")
	}
}

// failedToRecover publishes, if there is a way to, that a change cost the node a
// connection and could not be taken back, or that this could not be found out.
func (a *Agent) failedToRecover(ctx context.Context, state *sriovv1.SriovNetworkNodeState, facts Facts, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err = fmt.Errorf("recovering from a change: %w", err)
	facts.Failed, facts.FailedReason = err.Error(), sriovv1.ReasonConnectivityLost
	return errors.Join(err, a.publish(ctx, state, facts))
}
