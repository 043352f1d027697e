package apply_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/apply"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// bridgeSpec is the spec of one PF with a bridge.
func bridgeSpec(change func(*sriovv1.OVSConfigExt)) sriovv1.SriovNetworkNodeStateSpec {
	spec := guide(2, pf0)
	b := sriovv1.OVSConfigExt{Name: bridgeName(pf0), Uplinks: []sriovv1.OVSUplinkConfigExt{{PCIAddress: pf0}}}
	if change != nil {
		change(&b)
	}
	spec.Bridges.OVS = []sriovv1.OVSConfigExt{b}
	return spec
}

// What Open vSwitch refuses ends the chain at its last step, is explained in its
// words, and is tried again until it works.
func TestBridgeFailures(t *testing.T) {
	for _, c := range []struct {
		name, code, says string
		change           func(*sriovv1.OVSConfigExt)
		before, after    func(*simhost.Kernel)
	}{
		{
			name: "ovs-vswitchd does not run", code: "OVSNotTaken", says: "ovs-vswitchd has not taken over the change",
			before: func(k *simhost.Kernel) { k.StopOVS(true) }, after: func(k *simhost.Kernel) { k.StartOVS() },
		},
		{
			name: "a datapath type that nobody knows", code: "UplinkRefused", says: "nosuchtype",
			change: func(b *sriovv1.OVSConfigExt) { b.Bridge.DatapathType = "nosuchtype" },
		},
		{
			name: "a type of uplink that nobody knows", code: "UplinkRefused", says: "could not open network device",
			change: func(b *sriovv1.OVSConfigExt) { b.Uplinks[0].Interface.Type = "nosuchtype" },
		},
		{
			name: "somebody makes the bridge in the meantime", code: "BridgeForeign", says: "is not ours",
			before: func(k *simhost.Kernel) {
				k.Fail(simhost.Fault{Op: "ovs.EnsureBridge*", Errno: 17, Text: "bridge is not ours"})
			},
			after: func(*simhost.Kernel) {},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			on(t, func(ctx context.Context, k *simhost.Kernel) error {
				if c.before != nil {
					c.before(k)
				}
				spec := bridgeSpec(c.change)
				turn, err := take(ctx, k, spec)
				if err != nil {
					return err
				}
				if diff := cmp.Diff([]string{pf0 + " " + c.code}, codes(&turn)); diff != "" {
					return fmt.Errorf("failures:\n%s\n%w", diff, turn.result.Err())
				}
				if text := turn.result.Err().Error(); !strings.Contains(text, c.says) {
					return fmt.Errorf("%q does not say %q", text, c.says)
				}
				if last := turn.run.Steps()[len(turn.run.Steps())-1].Kind(); last != "EnsureBridge" || len(turn.result.Done) != len(turn.run.Steps())-1 {
					return fmt.Errorf("the last step is %s, %d of %d done", last, len(turn.result.Done), len(turn.run.Steps()))
				}
				if c.after == nil {
					return nil
				}
				c.after(k)
				again, err := take(ctx, k, spec)
				return errors.Join(err, again.result.Err(), reached(ctx, k, spec, &again))
			})
		})
	}
}

// Open vSwitch stops after the plan was made: nothing hangs, and the rest is done. A PF
// with a bridge is given back only when Open vSwitch answers again.
func TestOVSStops(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		spec := bridgeSpec(nil)
		led, err := ledger.Open(ctx, k.Store())
		if err != nil {
			return err
		}
		observed, p, err := look(ctx, k.Host(), spec, led)
		if err != nil {
			return err
		}
		k.StopOVS(false)
		result := apply.Run(ctx, k.Host(), led, observed, p)
		if diff := cmp.Diff([]string{pf0 + " OVSNotRunning"}, codes(&turn{result: result})); diff != "" || len(result.Done) != len(p.Steps())-1 {
			return fmt.Errorf("%d of %d done, failures:\n%s", len(result.Done), len(p.Steps()), diff)
		}
		k.StartOVS()
		if err := stabilize(ctx, k, spec); err != nil {
			return err
		}
		k.StopOVS(false)
		before, nothing := k.Dump(), sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}
		held, err := take(ctx, k, nothing)
		if err != nil {
			return err
		}
		if len(held.plan.Blockers) != 1 || held.plan.Blockers[0].Code != "OVSUnavailable" || k.Dump() != before {
			return fmt.Errorf("without Open vSwitch: %v\n%s", held.plan.Blockers, cmp.Diff(before, k.Dump()))
		}
		k.StartOVS()
		if err := stabilize(ctx, k, nothing); err != nil {
			return err
		}
		led, err = ledger.Open(ctx, k.Store())
		if err != nil {
			return err
		}
		if len(led.Record().PFs)+len(led.Record().Bridges) > 0 || strings.Contains(k.Dump(), "ovs bridge") {
			return fmt.Errorf("not all was given back:\n%s", k.Dump())
		}
		return nil
	})
}

// A port that comes after the plan was made keeps the bridge, and all that was to be
// done after its removal.
func TestPortComesMeanwhile(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		if err := stabilize(ctx, k, bridgeSpec(nil)); err != nil {
			return err
		}
		led, err := ledger.Open(ctx, k.Store())
		if err != nil {
			return err
		}
		observed, p, err := look(ctx, k.Host(), sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}, led)
		if err != nil {
			return err
		}
		if err := k.AddOVSPort(bridgeName(pf0), "vlan7"); err != nil {
			return err
		}
		before := k.Dump()
		result := apply.Run(ctx, k.Host(), led, observed, p)
		if diff := cmp.Diff([]string{pf0 + " BridgePorts"}, codes(&turn{result: result})); diff != "" || k.Dump() != before {
			return fmt.Errorf("failures:\n%s\nmachine:\n%s", diff, cmp.Diff(before, k.Dump()))
		}
		return nil
	})
}

// A bridge of ours whose uplink was taken away, or whose mark somebody removed, is
// told apart from one that is as wanted.
func TestBridgeDrift(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		spec := bridgeSpec(func(b *sriovv1.OVSConfigExt) { b.Bridge.ExternalIDs = map[string]string{"owner": "sriov"} })
		first, err := take(ctx, k, spec)
		if err != nil || first.result.Err() != nil {
			return errors.Join(err, first.result.Err())
		}
		for _, c := range []struct {
			drift func() error
			steps []string
		}{
			{func() error { return nil }, nil},
			{func() error { return k.SetOVSColumn(bridgeName(pf0), "bridge/external_ids", "owner", "me") }, []string{"EnsureBridge"}},
			{func() error { return k.RemoveOVSPort("ens41f0np0") }, []string{"EnsureBridge"}},
			{func() error { return k.RemoveOVSBridge(bridgeName(pf0)) }, []string{"EnsureBridge"}},
		} {
			if err := c.drift(); err != nil {
				return err
			}
			turn, err := take(ctx, k, spec)
			if err != nil || turn.result.Err() != nil {
				return errors.Join(err, turn.result.Err())
			}
			var kinds []string
			for _, s := range turn.result.Done {
				kinds = append(kinds, s.Kind())
			}
			if diff := cmp.Diff(c.steps, kinds); diff != "" {
				return errors.New(diff)
			}
			if err := reached(ctx, k, spec, &turn); err != nil {
				return err
			}
		}
		if err := k.SetOVSColumn(bridgeName(pf0), "bridge/external_ids", "sriov-offload-operator", ""); err != nil {
			return err
		}
		turn, err := take(ctx, k, spec)
		if err != nil {
			return err
		}
		if len(turn.plan.Blockers) != 1 || turn.plan.Blockers[0].Code != "ForeignBridge" {
			return fmt.Errorf("without our mark: %v", turn.plan.Blockers)
		}
		return nil
	})
}

// A reboot lets Open vSwitch set the MTU that the bridge requests before we come; the
// PF gets back the one of before all the same.
func TestMTUAfterReboot(t *testing.T) {
	nothing := sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}
	spec := bridgeSpec(func(b *sriovv1.OVSConfigExt) {
		mtu := 9000
		b.Uplinks[0].Interface.MTURequest = &mtu
	})
	withoutBridge := guide(2, pf0)
	for name, later := range map[string][]sriovv1.SriovNetworkNodeStateSpec{
		"wanted again": {spec, nothing}, "not wanted any more": {nothing}, "without its bridge": {withoutBridge, nothing},
	} {
		t.Run(name, func(t *testing.T) {
			on(t, func(ctx context.Context, k *simhost.Kernel) error {
				if err := stabilize(ctx, k, spec); err != nil {
					return err
				}
				k.Reboot()
				k.Settle()
				if !strings.Contains(k.Dump(), "ens41f0np0 up mtu 9000") {
					return fmt.Errorf("Open vSwitch has not set the MTU:\n%s", k.Dump())
				}
				for _, s := range later {
					if err := stabilize(ctx, k, s); err != nil {
						return err
					}
				}
				if dump := k.Dump(); strings.Contains(dump, "mtu 9000") || strings.Contains(dump, "ovs bridge") {
					return fmt.Errorf("not given back:\n%s", dump)
				}
				return nil
			})
		})
	}
}
