package apply_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/apply"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// operations that steps perform, as patterns of simhost, and errnos that the
// kernel may answer.
var (
	operations = []string{
		"fs.WriteFile */sriov_numvfs = *", "fs.WriteFile */sriov_drivers_autoprobe = *",
		"fs.WriteFile */driver_override = *", "fs.WriteFile *drivers_probe = *", "fs.WriteFile */unbind = *",
		"devlink.SetEswitchMode *", "devlink.SetInlineMode *", "devlink.SetParam *", "devlink.Param *",
		"fs.WriteFile */steering_mode = *", "fs.ReadFile */steering_mode", "links.SetUp *", "links.SetMTU *", "links.SetVFMAC *", "ethtool.SetFeature *",
		"fs.ReadFile */sriov_numvfs", "fs.ReadFile */sriov_drivers_autoprobe", "fs.ReadFile */driver_override",
		"fs.ReadLink */virtfn*", "fs.ReadLink */driver", "fs.ReadLink */iommu_group", "fs.ReadDir *",
		"vdpa.Create *", "vdpa.Delete *", "vdpa.Devices *", "vdpa.Managers *", "fs.WriteFile sys/bus/vdpa/*", "fs.ReadLink sys/bus/vdpa/*",
		"links.SetVFGUID *", "fs.ReadFile */node_guid", "fs.ReadLink sys/class/infiniband/*",
		"devlink.Eswitch *", "devlink.Ports *", "links.List *", "links.VFs *", "links.NodeNetwork *",
		"files.Put *", "fs.ReadFile etc/*", "fs.ReadDir etc*", "fs.WriteUevent *", "networkmanager.Reload *",
		"ethtool.Feature *", "pods.*", "bonds.List *", "bonds.Create *", "bonds.SetOptions *", "bonds.SetMaster *", "bonds.Delete *", "fs.ReadFile */lag/*",
		"store.Save*", "store.Load*", "events.*", "log.*",
	}
	errnos = []syscall.Errno{
		syscall.EBUSY, syscall.EINVAL, syscall.EPERM, syscall.EACCES, syscall.ENOMEM, syscall.ENOSPC, syscall.EIO,
		syscall.EOPNOTSUPP, syscall.ENODEV, syscall.ENOENT, syscall.ERANGE, syscall.EAGAIN, syscall.ETIMEDOUT,
	}
)

func faults() *rapid.Generator[simhost.Fault] {
	return rapid.Custom(func(t *rapid.T) simhost.Fault {
		f := simhost.Fault{
			Op:    rapid.SampledFrom(operations).Draw(t, "operation"),
			Errno: rapid.SampledFrom(errnos).Draw(t, "errno"),
			Nth:   rapid.IntRange(1, 12).Draw(t, "nth"),
			Times: rapid.SampledFrom([]int{1, 2, -1}).Draw(t, "times"),
		}
		// A driver link that is not there is no failure: it says that a VF is
		// unbound, and nobody could know better.
		if f.Op == "fs.ReadLink */driver" && f.Errno == syscall.ENOENT {
			f.Errno = syscall.EIO
		}
		// A device without an eswitch answers with these: nobody could know better.
		if f.Op == "devlink.Eswitch *" && (f.Errno == syscall.EOPNOTSUPP || f.Errno == syscall.ENODEV) {
			f.Errno = syscall.EIO
		}
		return f
	})
}

// Whatever the kernel answers to any operation, the failure is explained, nothing
// forbidden is tried because of it, and once it answers as usual the machine
// comes to the same end as if nothing had happened.
func TestFaults(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := scenarios(1, true).Draw(rt, "scenario")
		f := faults().Draw(rt, "fault")
		if err := bubble(t, func(ctx context.Context) error { return recovers(ctx, s, f) }); err != nil {
			rt.Fatalf("%v\n%+v\n%s", err, f, s)
		}
	})
}

func recovers(ctx context.Context, s *scenario, f simhost.Fault) error {
	calm := s.boot(ctx)
	defer calm.Close()
	want, err := end(ctx, calm, s.specs[0])
	if err != nil {
		return err
	}
	k := s.boot(ctx)
	defer k.Close()
	k.Fail(f)
	for range 2 {
		t, err := take(ctx, k, s.specs[0])
		var refused *host.Error
		if err != nil && !errors.As(err, &refused) {
			return fmt.Errorf("an error without the kernel's words: %w", err)
		}
		if err := explained(&t); err != nil {
			return err
		}
		if err := ended(&t); err != nil {
			return err
		}
	}
	k.ClearFaults()
	got, err := end(ctx, k, s.specs[0])
	if err != nil {
		return err
	}
	last, err := take(ctx, calm, s.specs[0])
	if err != nil {
		return err
	}
	// A chain that is held for a pod's VF is not held while that VF cannot be read
	// and is left alone, so that the rest of it may have been carried out.
	held := len(last.run.Chains) < len(last.plan.Chains)
	if diff := cmp.Diff(want.dump, got.dump); diff != "" && !held {
		return fmt.Errorf("end (-undisturbed +disturbed):\n%s", diff)
	}
	if f := k.Forbidden(); len(f) > 0 {
		return fmt.Errorf("forbidden: %s", strings.Join(f, "; "))
	}
	return nil
}

// ended: a failure ends its own chain, every other one is carried out.
func ended(t *turn) error {
	failed := map[string]bool{}
	for i := range t.result.Failures {
		failed[t.result.Failures[i].PF] = true
	}
	done := map[string]int{}
	for _, s := range t.result.Done {
		done[s.Device()]++
	}
	for _, c := range t.run.Chains {
		steps := 0
		for _, stage := range c.Stages {
			steps += len(stage)
		}
		carried := 0
		for _, pf := range c.PFs {
			carried += done[pf]
		}
		if pf := c.PFs[0]; !failed[pf] && carried != steps && t.result.Err() == nil {
			return fmt.Errorf("%s: %d of %d steps done without a failure", pf, carried, steps)
		}
	}
	return nil
}

const (
	pf0 = "0000:5f:00.0"
	pf1 = "0000:5f:00.1"
)

// guide is the spec that the policy of the Kube-OVN guide leads to.
func guide(vfs int, pfs ...string) sriovv1.SriovNetworkNodeStateSpec {
	spec := sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}
	for _, pf := range pfs {
		spec.Interfaces = append(spec.Interfaces, sriovv1.Interface{
			PCIAddress: pf, NumVfs: vfs, EswitchMode: "switchdev",
			VfGroups: []sriovv1.VfGroup{{DeviceType: "netdevice", VfRange: sriovv1.VFRange{First: 0, Last: vfs - 1}}},
		})
	}
	return spec
}

// on runs a case on a dual-port ConnectX-5 with the delays of real machines.
func on(t *testing.T, f func(ctx context.Context, k *simhost.Kernel) error) {
	t.Helper()
	err := bubble(t, func(ctx context.Context) error {
		k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}, Delays: simhost.TypicalDelays()})
		defer k.Close()
		return f(ctx, k)
	})
	if err != nil {
		t.Error(err)
	}
}

// codes of the failures of a turn, "PF Code".
func codes(t *turn) []string {
	var out []string
	for i := range t.result.Failures {
		out = append(out, t.result.Failures[i].PF+" "+t.result.Failures[i].Code)
	}
	return out
}

// Refusals with the kernel's own words, and what they are explained as. The
// other port is carried out all the same.
func TestExplained(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault simhost.Fault
		code  string
	}{
		{"no MMIO", simhost.Fault{Op: "fs.WriteFile *:00.0/sriov_numvfs = 3", Errno: syscall.ENOMEM, Log: "not enough MMIO resources for SR-IOV"}, "NoMMIO"},
		{"no bus numbers", simhost.Fault{Op: "fs.WriteFile *:00.0/sriov_numvfs = 3", Errno: syscall.ENOMEM, Log: "SR-IOV: bus number out of range"}, "NoBusNumbers"},
		{"too many", simhost.Fault{Op: "fs.WriteFile *:00.0/sriov_numvfs = 3", Errno: syscall.ERANGE}, "TooManyVFs"},
		{"already enabled", simhost.Fault{Op: "fs.WriteFile *:00.0/sriov_numvfs = 3", Errno: syscall.EBUSY, Log: "2 VFs already enabled. Disable before enabling 3 VFs"}, "VFsAlreadyEnabled"},
		{"busy for long", simhost.Fault{Op: "devlink.SetEswitchMode *:00.0*", Times: -1, Errno: syscall.EBUSY, Text: "mlx5_core: Can't change mode, E-Switch is busy"}, "EswitchBusy"},
		{"namespace", simhost.Fault{Op: "devlink.SetEswitchMode *:00.0*", Errno: syscall.EOPNOTSUPP, Text: "Can't change E-Switch mode to switchdev when netdev net namespace has diverged from the devlink's."}, "NetnsDiverged"},
		{"IPsec", simhost.Fault{Op: "devlink.SetEswitchMode *:00.0*", Errno: syscall.EOPNOTSUPP, Text: "Can't change eswitch mode when IPsec SA and/or policies are configured"}, "IPsecConfigured"},
		{"no VFs", simhost.Fault{Op: "devlink.SetEswitchMode *:00.0*", Errno: syscall.EINVAL, Text: "Can't set offloads mode, SRIOV legacy not enabled"}, "VFsMissing"},
		{"hanging", simhost.Fault{Op: "fs.WriteFile *:00.0/sriov_numvfs = 3", Delay: 10 * time.Minute}, "VFsTimeout"},
		{"offload", simhost.Fault{Op: "ethtool.SetFeature ens41f0np0/hw-tc-offload = true", Times: -1, Errno: syscall.EOPNOTSUPP}, "OffloadRefused"},
		{"probe", simhost.Fault{Op: "fs.WriteFile *drivers_probe = 0000:5f:00.2", Errno: syscall.EIO}, "DeviceError"},
	} {
		t.Run(c.name, func(t *testing.T) {
			on(t, func(ctx context.Context, k *simhost.Kernel) error {
				k.Fail(c.fault)
				turn, err := take(ctx, k, guide(3, pf0, pf1))
				if err != nil {
					return err
				}
				if diff := cmp.Diff([]string{pf0 + " " + c.code}, codes(&turn)); diff != "" {
					return fmt.Errorf("failures:\n%s\n%w", diff, turn.result.Err())
				}
				if text := turn.result.Err().Error(); c.fault.Text != "" && !strings.Contains(text, c.fault.Text) {
					return fmt.Errorf("the kernel's words %q are not in %q", c.fault.Text, text)
				}
				if log := turn.result.Failures[0].KernelLog; c.fault.Log != "" && !strings.Contains(strings.Join(log, "\n"), c.fault.Log) {
					return fmt.Errorf("the kernel log %q has no %q", log, c.fault.Log)
				}
				k.ClearFaults()
				// A write that hangs ends some day.
				k.Settle()
				if err := stabilize(ctx, k, guide(3, pf0, pf1)); err != nil {
					return err
				}
				again, err := take(ctx, k, guide(3, pf0, pf1))
				if err != nil {
					return err
				}
				return errors.Join(again.result.Err(), reached(ctx, k, guide(3, pf0, pf1), &again), nothingLeft(&again))
			})
		})
	}
}

func nothingLeft(t *turn) error {
	if !t.plan.Empty() || len(t.plan.Blockers) > 0 {
		return fmt.Errorf("left to do: %v %v", t.plan.Steps(), t.plan.Blockers)
	}
	return nil
}

// A driver that is busy for a moment is asked again within the step.
func TestBusyForAMoment(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		k.Fail(simhost.Fault{Op: "devlink.SetEswitchMode *", Times: 3, Errno: syscall.EBUSY})
		turn, err := take(ctx, k, guide(3, pf0, pf1))
		return errors.Join(err, turn.result.Err())
	})
}

// The kernel says yes and enables fewer VFs.
func TestPartial(t *testing.T) {
	err := bubble(t, func(ctx context.Context) error {
		k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5(simhost.EnabledAtMost(2))}})
		defer k.Close()
		turn, err := take(ctx, k, guide(3, pf0))
		if diff := cmp.Diff([]string{pf0 + " PartialVFs"}, codes(&turn)); diff != "" {
			return errors.New(diff)
		}
		if f := turn.result.Failures[0]; len(f.KernelLog) == 0 || !strings.Contains(f.Error(), "3 VFs requested; only 2 enabled") {
			return fmt.Errorf("the kernel's words are missing: %w; log %q", &f, f.KernelLog)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A run that is told to stop says so, and goes on later.
func TestStop(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		led, err := ledger.Open(ctx, k.Store())
		if err != nil {
			return err
		}
		observed, p, err := look(ctx, k.Host(), guide(3, pf0), led)
		if err != nil {
			return err
		}
		result := apply.Run(short, k.Host(), led, observed, p)
		if result.Err() == nil {
			return errors.New("the run was cut off without an error")
		}
		if err := stabilize(ctx, k, guide(3, pf0)); err != nil {
			return err
		}
		again, err := take(ctx, k, guide(3, pf0))
		return errors.Join(err, nothingLeft(&again))
	})
}

// A VF that left the bus behind our back is made anew, together with the others.
func TestDrift(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		if err := stabilize(ctx, k, guide(3, pf0, pf1)); err != nil {
			return err
		}
		want := k.Dump()
		drifts := []func(context.Context, *simhost.Kernel) error{
			set(pf0, "sriov_numvfs", "0"),
			set("0000:5f:00.3", "driver/unbind", "0000:5f:00.3"),
			set("0000:5f:00.3", "driver_override", "vfio-pci"),
			set(pf1, "sriov_drivers_autoprobe", "0"),
			onLink("ens41f1np1", func(ctx context.Context, l host.Links, index int) error { return l.SetUp(ctx, index, false) }),
			func(ctx context.Context, k *simhost.Kernel) error {
				return k.Admin().Ethtool.SetFeature(ctx, "ens41f0r1", host.FeatureHWTCOffload, false)
			},
			func(ctx context.Context, k *simhost.Kernel) error {
				return k.Admin().Ethtool.SetFeature(ctx, "ens41f1np1", host.FeatureHWTCOffload, false)
			},
			func(ctx context.Context, k *simhost.Kernel) error { return k.RenameLink("ens41f0r2", "abc_h") },
		}
		for i, drift := range drifts {
			if err := drift(ctx, k); err != nil {
				return fmt.Errorf("drift %d: %w", i, err)
			}
			if err := stabilize(ctx, k, guide(3, pf0, pf1)); err != nil {
				return fmt.Errorf("drift %d: %w", i, err)
			}
			got := strings.ReplaceAll(k.Dump(), "abc_h", "ens41f0r2")
			if diff := cmp.Diff(want, got); diff != "" {
				return fmt.Errorf("drift %d:\n%s", i, diff)
			}
		}
		return nil
	})
}
