package apply_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/apply"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

const (
	vf0 = "0000:5f:00.2"
	vf1 = "0000:5f:00.3"
)

// mixed keeps two VFs in legacy mode, the second one on vfio-pci.
func mixed() sriovv1.SriovNetworkNodeStateSpec {
	return sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test", Interfaces: []sriovv1.Interface{{
		PCIAddress: pf0, NumVfs: 2, VfGroups: []sriovv1.VfGroup{
			{DeviceType: "netdevice", VfRange: sriovv1.VFRange{First: 0, Last: 0}},
			{DeviceType: "vfio-pci", VfRange: sriovv1.VFRange{First: 1, Last: 1}},
		},
	}}}
}

// meanwhile is a case of what happens between the plan for a spec and the end of
// its run.
type meanwhile struct {
	// before is done to the machine first, later between plan and run, during while
	// the run lasts.
	before func(context.Context, *simhost.Kernel) error
	spec   sriovv1.SriovNetworkNodeStateSpec
	later  func(context.Context, *simhost.Kernel) error
	during func(*simhost.Kernel) error
	at     time.Duration
	// steps done, as they are planned; failures as "PF Code".
	steps, failures []string
	// untouched: the machine is as it was before the run.
	untouched bool
}

func (m *meanwhile) run(ctx context.Context, k *simhost.Kernel) error {
	if err := m.before(ctx, k); err != nil {
		return fmt.Errorf("before: %w", err)
	}
	led, err := ledger.Open(ctx, k.Store())
	if err != nil {
		return err
	}
	observed, p, err := look(ctx, k.Host(), m.spec, led)
	if err != nil {
		return err
	}
	if held := gate(&m.spec, p, observed); len(held.Chains) != len(p.Chains) || p.Empty() {
		return fmt.Errorf("the gate lets %v run of %v", held.Steps(), p.Steps())
	}
	if m.later != nil {
		if err := m.later(ctx, k); err != nil {
			return fmt.Errorf("later: %w", err)
		}
	}
	k.Settle()
	before := k.Dump()
	during := make(chan error, 1)
	if m.during != nil {
		time.AfterFunc(m.at, func() { during <- m.during(k) })
	} else {
		during <- nil
	}
	result := apply.Run(ctx, k.Host(), led, observed, p)
	if err := <-during; err != nil {
		return fmt.Errorf("during: %w", err)
	}
	got := &turn{result: result}
	if diff := cmp.Diff(m.failures, codes(got)); diff != "" {
		return fmt.Errorf("failures:\n%s\n%w", diff, result.Err())
	}
	var steps []string
	for _, s := range result.Done {
		if s.Device() == "" {
			continue
		}
		steps = append(steps, strings.TrimPrefix(s.String(), s.Device()+": "))
	}
	if diff := cmp.Diff(m.steps, steps); m.steps != nil && diff != "" {
		return fmt.Errorf("steps done:\n%s", diff)
	}
	if diff := cmp.Diff(before, k.Dump()); m.untouched && diff != "" {
		return fmt.Errorf("the machine was touched:\n%s", diff)
	}
	if f := k.Forbidden(); len(f) > 0 {
		return fmt.Errorf("forbidden: %s", strings.Join(f, "; "))
	}
	return nil
}

// converged brings a machine to a spec.
func converged(spec sriovv1.SriovNetworkNodeStateSpec) func(context.Context, *simhost.Kernel) error {
	return func(ctx context.Context, k *simhost.Kernel) error { return stabilize(ctx, k, spec) }
}

// all does several things one after the other.
func all(actions ...func(context.Context, *simhost.Kernel) error) func(context.Context, *simhost.Kernel) error {
	return func(ctx context.Context, k *simhost.Kernel) error {
		for _, do := range actions {
			if err := do(ctx, k); err != nil {
				return err
			}
		}
		return nil
	}
}

func settle(_ context.Context, k *simhost.Kernel) error {
	k.Settle()
	return nil
}

func pod(vf string, options ...simhost.AssignOption) func(context.Context, *simhost.Kernel) error {
	return func(_ context.Context, k *simhost.Kernel) error { return k.AssignVF(vf, "default/late", options...) }
}

func noPods(k *simhost.Kernel) error {
	k.PodsUnavailable(errors.New("the kubelet does not answer"))
	return nil
}

func slow(op string) func(context.Context, *simhost.Kernel) error {
	return func(_ context.Context, k *simhost.Kernel) error {
		k.Fail(simhost.Fault{Op: op, Delay: 10 * time.Second})
		return nil
	}
}

// Between plan and the end of its run somebody else does what was planned, VFs
// arrive, a pod gets a VF, or the kubelet falls silent.
func TestMeanwhile(t *testing.T) {
	smallerMTU := guide(1, pf0)
	smallerMTU.Interfaces[0].VfGroups[0].MTU = 1400
	for name, m := range map[string]meanwhile{
		"somebody else did it": {
			before: settle, spec: guide(3, pf0),
			later: all(set(pf0, "sriov_drivers_autoprobe", "0"), set(pf0, "sriov_numvfs", "3"), settle,
				func(ctx context.Context, k *simhost.Kernel) error {
					return k.Admin().Devlink.SetEswitchMode(ctx, host.DevlinkOf(pf0), "switchdev")
				}),
		},
		"a pod got a VF": {
			before: converged(guide(3, pf0)), spec: guide(2, pf0), later: pod(vf1),
			failures: []string{pf0 + " PlanOutdated"}, untouched: true,
		},
		"a pod of the host's network got a VF that gets an MTU": {
			before: converged(guide(1, pf0)), spec: smallerMTU, later: pod(vf0, simhost.KeepNetdev),
			failures: []string{pf0 + " PlanOutdated"}, untouched: true,
		},
		"the kubelet falls silent": {
			before: converged(guide(3, pf0)), spec: guide(2, pf0),
			later:    func(_ context.Context, k *simhost.Kernel) error { return noPods(k) },
			failures: []string{pf0 + " PlanOutdated"}, untouched: true,
		},
		// sriov_numvfs is written, the VFs are not on the bus yet when the plan is made.
		"VFs arrive": {
			before: set(pf0, "sriov_numvfs", "3"), spec: guide(2, pf0), later: all(settle, pod(vf1)),
			failures: []string{pf0 + " PlanOutdated"}, untouched: true,
		},
		"a pod gets a VF before the stage that binds it": {
			before: all(set(pf0, "sriov_numvfs", "2"), settle, slow("links.SetVFMAC *")), spec: mixed(),
			during: func(k *simhost.Kernel) error { return k.AssignVF(vf1, "default/late") }, at: 5 * time.Second,
			steps: []string{"keep the MAC of VF 0"}, failures: []string{pf0 + " PlanOutdated"},
		},
		"the kubelet falls silent before the stage that binds a VF": {
			before: all(set(pf0, "sriov_numvfs", "2"), settle, slow("links.SetVFMAC *")), spec: mixed(),
			during: noPods, at: 5 * time.Second,
			steps: []string{"keep the MAC of VF 0"}, failures: []string{pf0 + " PlanOutdated"},
		},
		// Nobody can hold a VF of the plan any more: there is none.
		"the kubelet falls silent when the VFs are gone": {
			before: all(converged(guide(3, pf0)), slow("fs.WriteFile */sriov_numvfs = 2")), spec: guide(2, pf0),
			during: noPods, at: 5 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) { on(t, m.run) })
	}
}

// A VF whose netdev does not come is bound once more, but not when a pod has got
// it in the meantime: its netdev is there, in the pod.
func TestNoSecondBindUnderPod(t *testing.T) {
	err := bubble(t, func(ctx context.Context) error {
		k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}, Delays: simhost.Delays{Netdev: 25 * time.Second}})
		defer k.Close()
		m := meanwhile{
			before: all(converged(guide(1, pf0)), set(vf0, "driver/unbind", vf0)), spec: guide(1, pf0),
			during: func(k *simhost.Kernel) error { return k.AssignVF(vf0, "default/late") }, at: 10 * time.Second,
			steps: []string{"bind VF 0 to mlx5_core"},
		}
		return m.run(ctx, k)
	})
	if err != nil {
		t.Error(err)
	}
}

// A chain that was ordered although it disrupts is carried out.
func TestOrderedDisruption(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		if err := all(converged(guide(3, pf0)), pod(vf1))(ctx, k); err != nil {
			return err
		}
		got, err := takeIf(ctx, k, guide(2, pf0), true)
		if err != nil {
			return err
		}
		held := gate(new(guide(2, pf0)), got.plan, got.observed)
		if slices.ContainsFunc(held.Chains, func(c plan.Chain) bool { return !c.OfNode() }) {
			return fmt.Errorf("the plan disrupts nobody: %v", held.Steps())
		}
		return errors.Join(got.result.Err(), reached(ctx, k, guide(2, pf0), &turn{}))
	})
}
