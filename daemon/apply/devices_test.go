package apply_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/apply"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

const (
	vfA = "0000:5f:00.2"
	vfB = "0000:5f:00.3"
)

// grouped is the guide's spec with one VF in each of two groups.
func grouped(change func(a, b *sriovv1.VfGroup)) sriovv1.SriovNetworkNodeStateSpec {
	spec := guide(2, pf0)
	groups := []sriovv1.VfGroup{
		{DeviceType: "netdevice", VfRange: sriovv1.VFRange{First: 0, Last: 0}},
		{DeviceType: "netdevice", VfRange: sriovv1.VFRange{First: 1, Last: 1}},
	}
	change(&groups[0], &groups[1])
	spec.Interfaces[0].VfGroups = groups
	return spec
}

func vfsOf(ctx context.Context, k *simhost.Kernel, pf string) ([]inventory.VF, error) {
	n, err := observe.Node(ctx, k.Admin())
	if err != nil {
		return nil, err
	}
	return n.PF(pf).VFs, nil
}

// The MAC of a VF is the same after its driver was taken away and given back in
// switchdev mode, and a VF that a pod holds is not even looked at.
func TestMACSurvives(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		spec := guide(2, pf0)
		if err := stabilize(ctx, k, spec); err != nil {
			return err
		}
		before, err := vfsOf(ctx, k, pf0)
		if err != nil {
			return err
		}
		if err := errors.Join(k.AssignVF(vfB, "default/web"), set(vfA, "driver/unbind", vfA)(ctx, k)); err != nil {
			return err
		}
		held := k.Dump()
		if err := stabilize(ctx, k, spec); err != nil {
			return err
		}
		after, err := vfsOf(ctx, k, pf0)
		if err != nil {
			return err
		}
		if after[0].Netdev == nil || after[0].Netdev.MAC != before[0].Netdev.MAC || after[0].AdminMAC != before[0].Netdev.MAC {
			return fmt.Errorf("VF 0 was %+v, is %+v", before[0].Netdev, after[0])
		}
		if diff := cmp.Diff(section(held, vfB), section(k.Dump(), vfB)); diff != "" {
			return fmt.Errorf("the pod's VF:\n%s", diff)
		}
		return forbidden(k)
	})
}

// section is what a dump says of a VF.
func section(dump, vf string) string {
	_, rest, _ := strings.Cut(dump, vf)
	out, _, _ := strings.Cut(rest, "\n  vf")
	out, _, _ = strings.Cut(out, "\n  rep")
	return out
}

func forbidden(k *simhost.Kernel) error {
	if f := k.Forbidden(); len(f) > 0 {
		return fmt.Errorf("forbidden: %v", f)
	}
	return nil
}

// RDMA devices carry the node GUID of their VF's MAC; the group beside them is not
// probed again.
func TestNodeGUIDs(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		if err := stabilize(ctx, k, guide(2, pf0)); err != nil {
			return err
		}
		spec := grouped(func(a, _ *sriovv1.VfGroup) { a.IsRdma = true })
		turn, err := take(ctx, k, spec)
		if err != nil {
			return err
		}
		vfs, err := vfsOf(ctx, k, pf0)
		if err != nil {
			return err
		}
		mac := vfs[0].AdminMAC
		if want := mac[:8] + ":ff:fe" + mac[8:]; vfs[0].RDMA == nil || vfs[0].RDMA.NodeGUID != want {
			return fmt.Errorf("VF 0 has %+v, want node GUID %s", vfs[0].RDMA, want)
		}
		if vfs[1].RDMA.NodeGUID != "" {
			return fmt.Errorf("VF 1 was probed again: %+v", vfs[1].RDMA)
		}
		again, err := take(ctx, k, spec)
		return errors.Join(err, turn.result.Err(), nothingLeft(&again), forbidden(k))
	})
}

// A VF that a pod holds is not probed again before the pod is gone.
func TestRebindInUse(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		spec := grouped(func(a, _ *sriovv1.VfGroup) { a.IsRdma = true })
		if err := stabilize(ctx, k, guide(2, pf0)); err != nil {
			return err
		}
		if err := k.AssignVF(vfA, "default/web"); err != nil {
			return err
		}
		before := k.Dump()
		turn, err := take(ctx, k, spec)
		if diff := cmp.Diff(before, k.Dump()); diff != "" {
			return fmt.Errorf("the machine was touched:\n%s", diff)
		}
		if len(turn.plan.Waiting) != 1 {
			return fmt.Errorf("waiting %v", turn.plan.Waiting)
		}
		if err := errors.Join(err, k.ReleaseVF(vfA), stabilize(ctx, k, spec)); err != nil {
			return err
		}
		vfs, err := vfsOf(ctx, k, pf0)
		if err == nil && vfs[0].RDMA.NodeGUID == "" {
			err = fmt.Errorf("after the pod, VF 0 has %+v", vfs[0].RDMA)
		}
		return errors.Join(err, forbidden(k))
	})
}

// meddling lets something happen after a VF got its MAC.
type meddling struct {
	host.Links
	then func() error
}

func (m meddling) SetVFMAC(ctx context.Context, index, vf int, mac string) error {
	return errors.Join(m.Links.SetVFMAC(ctx, index, vf, mac), m.then())
}

// A VF that the chain itself has made may be in a pod before it is probed again.
func TestRebindOfNewVF(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		spec := one(pf0, func(i *sriovv1.Interface) { i.NumVfs, i.VfGroups[0].VfRange.Last, i.VfGroups[0].IsRdma = 1, 0, true })
		h := k.Host()
		led, err := ledger.Open(ctx, k.Store())
		if err != nil {
			return err
		}
		observed, p, err := look(ctx, h, spec, led)
		if err != nil {
			return err
		}
		h.Links = meddling{h.Links, func() error { return k.AssignVF(vfA, "default/web") }}
		result := apply.Run(ctx, h, led, observed, p)
		if diff := cmp.Diff([]string{pf0 + " PlanOutdated"}, codes(&turn{result: result})); diff != "" {
			return fmt.Errorf("failures:\n%s\n%w", diff, result.Err())
		}
		return forbidden(k)
	})
}

// Both types of vDPA devices, one changed into the other, and none in the end.
func TestVDPA(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		for _, kinds := range [][2]string{{"virtio", "vhost"}, {"vhost", "vhost"}, {"vhost", ""}, {"virtio", "virtio"}, {"", ""}} {
			spec := grouped(func(a, b *sriovv1.VfGroup) { a.VdpaType, b.VdpaType = kinds[0], kinds[1] })
			turn, err := take(ctx, k, spec)
			if err := errors.Join(err, turn.result.Err(), forbidden(k)); err != nil {
				return err
			}
			k.Settle()
			vfs, err := vfsOf(ctx, k, pf0)
			if err != nil {
				return err
			}
			for i, want := range kinds {
				got := ""
				if v := vfs[i].VDPA; v != nil {
					got = v.Type
				}
				if got != want || want != "" && !vfs[i].VDPA.Ours(vfs[i].PCIAddress) {
					return fmt.Errorf("%v: VF %d has %+v", kinds, i, vfs[i].VDPA)
				}
			}
			again, err := take(ctx, k, spec)
			if err := errors.Join(err, nothingLeft(&again)); err != nil {
				return fmt.Errorf("%v: %w", kinds, err)
			}
		}
		return nil
	})
}

// GUIDs come before the driver, and are the same after a reboot.
func TestInfinibandGUIDs(t *testing.T) {
	const pf = "0000:d8:00.1"
	for name, options := range map[string][]simhost.NICOption{"reported": nil, "silent": {simhost.SilentGUIDs()}} {
		t.Run(name, func(t *testing.T) {
			err := bubble(t, func(ctx context.Context) error {
				k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX6VPI(options...)}, Delays: simhost.TypicalDelays()})
				defer k.Close()
				spec := one(pf, func(i *sriovv1.Interface) { i.EswitchMode, i.LinkType, i.VfGroups[0].IsRdma = "", "IB", true })
				var guids [][]string
				for range 2 {
					turn, err := take(ctx, k, spec)
					if err != nil {
						return err
					}
					vfs, err := vfsOf(ctx, k, pf)
					if err := errors.Join(err, turn.result.Err()); err != nil {
						return err
					}
					guids = append(guids, []string{vfs[0].RDMA.NodeGUID, vfs[1].RDMA.NodeGUID})
					again, err := take(ctx, k, spec)
					if err := errors.Join(err, nothingLeft(&again)); err != nil {
						return err
					}
					k.Reboot()
					k.Settle()
				}
				want := []string{"ba:ce:f6:00:01:22:33:41", "ba:ce:f6:00:02:22:33:41"}
				if diff := cmp.Diff([][]string{want, want}, guids); diff != "" {
					return errors.New(diff)
				}
				return forbidden(k)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// What the kernel answers about devices of VFs, and what it is explained as.
func TestDevicesExplained(t *testing.T) {
	rdma := grouped(func(a, _ *sriovv1.VfGroup) { a.IsRdma = true })
	vdpa := grouped(func(a, _ *sriovv1.VfGroup) { a.VdpaType = "vhost" })
	for _, c := range []struct {
		name  string
		spec  sriovv1.SriovNetworkNodeStateSpec
		fault simhost.Fault
		code  string
	}{
		{"no manager", vdpa, simhost.Fault{Op: "vdpa.Create *", Errno: syscall.ENODEV, Text: "vdpa: Fail to find the specified management device"}, "VDPAManagerMissing"},
		{"taken", vdpa, simhost.Fault{Op: "vdpa.Create *", Errno: syscall.ENOSPC}, "VDPATaken"},
		{"features", vdpa, simhost.Fault{Op: "vdpa.Create *", Errno: syscall.EOPNOTSUPP}, "VDPAUnsupported"},
		{"not allowed", vdpa, simhost.Fault{Op: "vdpa.Create *", Errno: syscall.EPERM}, "PermissionDenied"},
		{"driver", vdpa, simhost.Fault{Op: "fs.WriteFile sys/bus/vdpa/drivers/vhost_vdpa/bind *", Errno: syscall.EINVAL}, "VDPADriverRefused"},
		{"GUID unreadable", rdma, simhost.Fault{Op: "fs.ReadFile */node_guid", Nth: 2, Times: -1, Errno: syscall.EIO}, "DeviceError"},
		{"RDMA gone", rdma, simhost.Fault{Op: "fs.ReadDir sys/bus/pci/*/infiniband", Times: -1, Errno: syscall.ENOENT}, "RDMAMissing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			on(t, func(ctx context.Context, k *simhost.Kernel) error {
				k.Fail(c.fault)
				turn, err := take(ctx, k, c.spec)
				if err != nil {
					return err
				}
				if diff := cmp.Diff([]string{pf0 + " " + c.code}, codes(&turn)); diff != "" {
					return fmt.Errorf("failures:\n%s\n%w", diff, turn.result.Err())
				}
				k.ClearFaults()
				if err := stabilize(ctx, k, c.spec); err != nil {
					return err
				}
				again, err := take(ctx, k, c.spec)
				return errors.Join(err, nothingLeft(&again), reached(ctx, k, c.spec, &again), forbidden(k))
			})
		})
	}
}

// A failure says the end of the kernel log, and no more of it than fits in a status.
func TestLogOfFailure(t *testing.T) {
	f := apply.Failure{Step: plan.SetLinkUp{PF: pf0}, Err: syscall.EIO}
	short := f.Error()
	for i := range 50 {
		f.KernelLog = append(f.KernelLog, fmt.Sprintf("line %d %s", i, strings.Repeat("x", 5000)))
	}
	long := f.Error()
	if len(long) > len(short)+700 || !strings.Contains(long, "line 49 ") || strings.Contains(long, "line 40 ") {
		t.Errorf("the failure says %q", long)
	}
	if strings.Contains(short, "log") {
		t.Errorf("without a log, the failure says %q", short)
	}
}
