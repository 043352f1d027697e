package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/failure"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// ovsDeadline is for one change of Open vSwitch: ovs-vswitchd takes it over within
// milliseconds, or seconds when it has many bridges.
const ovsDeadline = 30 * time.Second

// ensureBridge makes a bridge with the netdev that the PF has now.
func (e *executor) ensureBridge(ctx context.Context, s plan.EnsureBridge) error {
	return e.onUplink(ctx, s.PF, func(ctx context.Context, l host.Link) error {
		uplink := &s.Bridge.Uplinks[0].Interface
		return ovsFault(e.host.OVS.EnsureBridge(ctx, host.OVSWant{
			Name: s.Bridge.Name, Owner: s.PF,
			DatapathType: s.Bridge.Bridge.DatapathType, FailMode: s.Bridge.Bridge.FailMode,
			ExternalIDs: s.Bridge.Bridge.ExternalIDs, OtherConfig: s.Bridge.Bridge.OtherConfig,
			Uplink: host.OVSInterface{
				Name: l.Name, Type: uplink.Type, Options: uplink.Options, ExternalIDs: uplink.ExternalIDs,
				OtherConfig: uplink.OtherConfig, MTURequest: uplink.MTURequest,
			},
		}))
	})
}

func (e *executor) removeBridge(ctx context.Context, s plan.RemoveBridge) error {
	return ovsFault(e.host.OVS.RemoveBridge(ctx, s.Name, s.PF))
}

// ovsFault gives what Open vSwitch did not do its kind, unless it has an errno.
func ovsFault(err error) error {
	for is, kind := range map[error]failure.Fault{
		host.ErrOVSNotRunning: failure.FaultOVSNotRunning, host.ErrOVSNotTaken: failure.FaultOVSNotTaken,
		host.ErrOVSUplink: failure.FaultOVSUplink,
	} {
		if errors.Is(err, is) {
			return &fault{kind: kind, text: "changing Open vSwitch", err: err}
		}
	}
	return err
}

// noteBridges remembers, before the first effect, the bridges that a chain makes.
func (r *runner) noteBridges(ctx context.Context, led *ledger.Ledger, c plan.Chain) error {
	for _, stage := range c.Stages {
		for _, step := range stage {
			s, ok := step.(plan.EnsureBridge)
			if !ok {
				continue
			}
			bridge := ledger.Bridge{Name: s.Bridge.Name}
			if pf := r.observed.PF(s.PF); pf != nil && pf.Netdev != nil {
				bridge.MTU = pf.Netdev.MTU
			}
			if err := led.NoteBridge(ctx, s.PF, bridge); err != nil {
				return &fault{kind: failure.FaultLedger, text: "writing the ledger", err: err}
			}
		}
	}
	return nil
}

// withoutBridge is the first state of a PF without what a bridge of ours makes of it:
// after a reboot, Open vSwitch has set the MTU of the uplink before we come.
func (r *runner) withoutBridge(led *ledger.Ledger, address string, first ledger.Initial) ledger.Initial {
	known := led.Record().Bridges[address].MTU
	if known == 0 {
		return first
	}
	for i := range r.observed.OVS.Bridges {
		b := &r.observed.OVS.Bridges[i]
		if uplink := b.Uplink(); b.Owner == address && uplink != nil && uplink.MTURequest != nil && *uplink.MTURequest == first.MTU {
			first.MTU = known
		}
	}
	return first
}

// forget drops from the ledger what the plan released.
func forget(ctx context.Context, led *ledger.Ledger, p plan.Plan) error {
	if len(p.Released) > 0 {
		if err := led.Forget(ctx, p.Released...); err != nil {
			return fmt.Errorf("releasing PFs: %w", err)
		}
	}
	if len(p.ReleasedBridges) > 0 {
		if err := led.ForgetBridges(ctx, p.ReleasedBridges...); err != nil {
			return fmt.Errorf("releasing bridges: %w", err)
		}
	}
	return nil
}
