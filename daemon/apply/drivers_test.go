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
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// with runs a case on a machine with one NIC and the delays of real machines.
func with(t *testing.T, nic func() simhost.NIC, f func(ctx context.Context, k *simhost.Kernel) error) {
	t.Helper()
	err := bubble(t, func(ctx context.Context) error {
		k := simhost.New(simhost.Options{NICs: []simhost.NIC{nic()}, Delays: simhost.TypicalDelays()})
		defer k.Close()
		err := f(ctx, k)
		if f := k.Forbidden(); len(f) > 0 {
			return errors.Join(err, fmt.Errorf("forbidden: %s", strings.Join(f, "; ")))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func nic(make func(...simhost.NICOption) simhost.NIC, opts ...simhost.NICOption) func() simhost.NIC {
	return func() simhost.NIC { return make(opts...) }
}

// converge demands that one turn does everything.
func converge(ctx context.Context, k *simhost.Kernel, spec sriovv1.SriovNetworkNodeStateSpec) error {
	first, err := take(ctx, k, spec)
	if err != nil {
		return err
	}
	k.Settle()
	again, err := take(ctx, k, spec)
	if err != nil {
		return err
	}
	return errors.Join(first.result.Err(), nothingLeft(&again), reached(ctx, k, spec, &again))
}

// Every driver reaches switchdev mode in one turn, grows, shrinks, and goes back
// to its first state, without ever doing what its kernel refuses.
func TestDrivers(t *testing.T) {
	for name, c := range map[string]struct {
		make func(...simhost.NICOption) simhost.NIC
		pfs  []string
		// modes is how often the eswitch mode is set on the way.
		modes int
	}{
		"ConnectX-4 Lx": {simhost.ConnectX4Lx, []string{"0000:04:00.0", "0000:04:00.1"}, 12},
		"ConnectX-5":    {simhost.ConnectX5, []string{pf0, pf1}, 12},
		"E810":          {simhost.E810, []string{"0000:17:00.0", "0000:17:00.1"}, 4},
		"BCM57414":      {simhost.BCM57414, []string{"0000:af:00.0", "0000:af:00.1"}, 12},
		"Agilio":        {simhost.AgilioFlower, []string{"0000:05:00.0"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, nic(c.make, simhost.TotalVFs(8), simhost.Down()), func(ctx context.Context, k *simhost.Kernel) error {
				before := k.Dump()
				for _, vfs := range []int{3, 5, 1} {
					if err := converge(ctx, k, guide(vfs, c.pfs...)); err != nil {
						return fmt.Errorf("%d VFs: %w", vfs, err)
					}
				}
				if err := stabilize(ctx, k, sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}); err != nil {
					return err
				}
				if got := k.Ops().ByKind["devlink.SetEswitchMode"]; got != c.modes {
					return fmt.Errorf("the mode was set %d times, want %d", got, c.modes)
				}
				// Nothing is ever set down again.
				if diff := cmp.Diff(linkless(before), linkless(k.Dump())); diff != "" {
					return errors.New(diff)
				}
				return nil
			})
		})
	}
}

// linkless is a dump without the administrative state of links.
func linkless(dump string) string {
	return strings.NewReplacer(" down mtu", " mtu", " up mtu", " mtu").Replace(dump)
}

const (
	newcomer0 = "0000:c1:00.0"
	newcomer1 = "0000:c1:00.1"
)

// A driver that nobody knows and that wants its mode first refuses once. The
// second turn has learned, and the other port, a later life and a later policy
// need not learn again.
func TestUnknownDriver(t *testing.T) {
	with(t, nic(simhost.Newcomer), func(ctx context.Context, k *simhost.Kernel) error {
		first, err := take(ctx, k, guide(3, newcomer0))
		if err != nil {
			return err
		}
		if diff := cmp.Diff([]string{newcomer0 + " VFsPresent"}, codes(&first)); diff != "" {
			return errors.New(diff)
		}
		if err := converge(ctx, k, guide(3, newcomer0)); err != nil {
			return fmt.Errorf("second turn: %w", err)
		}
		led, err := ledger.Open(ctx, k.Store())
		if err != nil {
			return err
		}
		if got := led.Record().Orders["newcomer"]; got != "ModeFirst" {
			return fmt.Errorf("the ledger has order %q", got)
		}
		if err := converge(ctx, k, guide(3, newcomer0, newcomer1)); err != nil {
			return fmt.Errorf("other port: %w", err)
		}
		k.Reboot()
		if err := converge(ctx, k, guide(3, newcomer0, newcomer1)); err != nil {
			return fmt.Errorf("after a reboot: %w", err)
		}
		if err := stabilize(ctx, k, sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}); err != nil {
			return err
		}
		if err := converge(ctx, k, guide(2, newcomer0)); err != nil {
			return fmt.Errorf("later policy: %w", err)
		}
		return nil
	})
}

// A driver that nobody knows and that wants VFs first needs no second turn; nor
// do two ports that learn at the same time get in each other's way.
func TestUnknownDriverOrders(t *testing.T) {
	t.Run("VFs first", func(t *testing.T) {
		with(t, nic(simhost.Newcomer, simhost.SwitchdevNeedsVFs()), func(ctx context.Context, k *simhost.Kernel) error {
			return converge(ctx, k, guide(3, newcomer0, newcomer1))
		})
	})
	t.Run("both ports at once", func(t *testing.T) {
		with(t, nic(simhost.Newcomer), func(ctx context.Context, k *simhost.Kernel) error {
			if _, err := take(ctx, k, guide(3, newcomer0, newcomer1)); err != nil {
				return err
			}
			return converge(ctx, k, guide(3, newcomer0, newcomer1))
		})
	})
	t.Run("neither", func(t *testing.T) {
		with(t, nic(simhost.Newcomer), func(ctx context.Context, k *simhost.Kernel) error {
			k.Fail(simhost.Fault{Op: "devlink.SetEswitchMode *", Times: -1, Errno: host.NotSupported})
			for range 4 {
				turn, err := take(ctx, k, guide(1, newcomer0))
				if err != nil {
					return err
				}
				if diff := cmp.Diff([]string{newcomer0 + " EswitchUnsupported"}, codes(&turn)); diff != "" {
					return errors.New(diff)
				}
			}
			k.ClearFaults()
			if err := stabilize(ctx, k, guide(1, newcomer0)); err != nil {
				return err
			}
			return converge(ctx, k, guide(1, newcomer0))
		})
	})
}

// The firmware of an Agilio allows fewer VFs than sriov_totalvfs says.
func TestFirmwareVFs(t *testing.T) {
	with(t, nic(simhost.AgilioFlower, simhost.FirmwareVFs(2)), func(ctx context.Context, k *simhost.Kernel) error {
		turn, err := take(ctx, k, guide(3, "0000:05:00.0"))
		if diff := cmp.Diff([]string{"0000:05:00.0 FirmwareLimit"}, codes(&turn)); diff != "" {
			return errors.New(diff)
		}
		return err
	})
}

// Somebody sets the PF of a BCM57414 down between plan and step: the kernel says
// yes to sriov_numvfs and does nothing.
func TestPFDown(t *testing.T) {
	err := bubble(t, func(ctx context.Context) error {
		k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.BCM57414()}})
		defer k.Close()
		spec := guide(2, "0000:af:00.0")
		led, err := ledger.Open(ctx, k.Store())
		if err != nil {
			return err
		}
		observed, p, err := look(ctx, k.Host(), spec, led)
		if err != nil {
			return err
		}
		down := onLink("ens5f0np0", func(ctx context.Context, l host.Links, index int) error { return l.SetUp(ctx, index, false) })
		if err := down(ctx, k); err != nil {
			return err
		}
		result := apply.Run(ctx, k.Host(), led, observed, p)
		if diff := cmp.Diff([]string{"0000:af:00.0 PFDown"}, codes(&turn{result: result})); diff != "" {
			return errors.New(diff)
		}
		return converge(ctx, k, spec)
	})
	if err != nil {
		t.Error(err)
	}
}

func steered(mode string, spec sriovv1.SriovNetworkNodeStateSpec) sriovv1.SriovNetworkNodeStateSpec {
	for i := range spec.Interfaces {
		spec.Interfaces[i].FlowSteeringMode = mode
	}
	return spec
}

// The steering mode is set, changed in switchdev mode, kept when nobody asks for
// one any more, and given back in the end; through devlink or MLNX_OFED's file.
func TestSteering(t *testing.T) {
	for name, opts := range map[string][]simhost.NICOption{"devlink": nil, "compat": {simhost.CompatSteering()}} {
		t.Run(name, func(t *testing.T) {
			with(t, nic(simhost.ConnectX6Dx, opts...), func(ctx context.Context, k *simhost.Kernel) error {
				before, spec := k.Dump(), guide(3, "0000:3b:00.0", "0000:3b:00.1")
				for _, mode := range []string{"dmfs", "hmfs", "smfs", "dmfs", ""} {
					if err := converge(ctx, k, steered(mode, spec)); err != nil {
						return fmt.Errorf("mode %q: %w", mode, err)
					}
				}
				if dump := k.Dump(); strings.Count(dump, "eswitch switchdev steering dmfs") != 2 {
					return errors.New(dump)
				}
				if err := stabilize(ctx, k, sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}); err != nil {
					return err
				}
				if diff := cmp.Diff(before, k.Dump()); diff != "" {
					return errors.New(diff)
				}
				return nil
			})
		})
	}
}

// Refusals of a steering mode are explained, also when the kernel's words are
// only in its log; a mode that is accepted and not taken is found out.
func TestSteeringRefused(t *testing.T) {
	for _, c := range []struct {
		name, mode, code string
		opts             []simhost.NICOption
		fault            *simhost.Fault
	}{
		{name: "hmfs", mode: "hmfs", code: "SteeringModeOfNIC"},
		{name: "hmfs through the file", mode: "hmfs", code: "SteeringModeOfNIC", opts: []simhost.NICOption{simhost.CompatSteering()}},
		{name: "an old kernel", mode: "smfs", code: "SteeringModeOfKernel",
			fault: &simhost.Fault{Op: "devlink.SetParam *", Errno: 22, Text: `mlx5_core: Bad parameter: supported values are ["dmfs"]`}},
		{name: "switchdev meanwhile", mode: "smfs", code: "SteeringInSwitchdev",
			fault: &simhost.Fault{Op: "devlink.SetParam *", Errno: 95, Text: "mlx5_core: Software managed steering is not supported when eswitch offloads enabled."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			with(t, nic(simhost.ConnectX5, c.opts...), func(ctx context.Context, k *simhost.Kernel) error {
				if c.fault != nil {
					k.Fail(*c.fault)
				}
				spec := steered(c.mode, guide(3, pf0))
				turn, err := take(ctx, k, spec)
				if diff := cmp.Diff([]string{pf0 + " " + c.code}, codes(&turn)); diff != "" {
					return fmt.Errorf("%s\n%w", diff, turn.result.Err())
				}
				if err != nil || c.fault == nil {
					return err
				}
				return converge(ctx, k, spec)
			})
		})
	}
}

// idle is a driver that accepts every parameter and sets none.
type idle struct{ host.Devlink }

func (idle) SetParam(context.Context, host.DevlinkHandle, string, string) error { return nil }

func TestSteeringNotTaken(t *testing.T) {
	with(t, nic(simhost.ConnectX5), func(ctx context.Context, k *simhost.Kernel) error {
		h := k.Host()
		h.Devlink = idle{h.Devlink}
		led, err := ledger.Open(ctx, k.Store())
		if err != nil {
			return err
		}
		observed, p, err := look(ctx, h, steered("smfs", guide(1, pf0)), led)
		if err != nil {
			return err
		}
		result := apply.Run(ctx, h, led, observed, p)
		if diff := cmp.Diff([]string{pf0 + " SteeringNotTaken"}, codes(&turn{result: result})); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
}
