package apply_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

// hung is a step whose write does not return from the kernel.
type hung struct {
	step string
	nic  simhost.NIC
	// before is what the machine was made to be; spec is wanted then.
	before sriovv1.SriovNetworkNodeStateSpec
	drift  func(context.Context, *simhost.Kernel) error
	spec   sriovv1.SriovNetworkNodeStateSpec
	op     string
}

func one(pf string, change func(*sriovv1.Interface)) sriovv1.SriovNetworkNodeStateSpec {
	spec := guide(2, pf)
	change(&spec.Interfaces[0])
	return spec
}

func hungSteps() []hung {
	const cx4, ib = "0000:04:00.0", "0000:d8:00.0"
	legacy := func(i *sriovv1.Interface) { i.EswitchMode = "" }
	user := func(i *sriovv1.Interface) { i.VfGroups[0].DeviceType = "vfio-pci" }
	mtu := func(i *sriovv1.Interface) { i.VfGroups[0].MTU = 3000 }
	vdpa := func(kind string) func(*sriovv1.Interface) {
		return func(i *sriovv1.Interface) { i.VfGroups[0].VdpaType = kind }
	}
	cx5 := simhost.ConnectX5
	plain, none := guide(2, pf0), sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}
	return []hung{
		{step: "CreateVFs", nic: cx5(), spec: plain, op: "fs.WriteFile */sriov_numvfs = 2"},
		{step: "RemoveVFs", nic: cx5(), before: plain, spec: guide(1, pf0), op: "fs.WriteFile */sriov_numvfs = 0"},
		{step: "SetAutoprobe", nic: cx5(), spec: plain, op: "fs.WriteFile */sriov_drivers_autoprobe = 0"},
		{step: "SetLinkUp", nic: cx5(), spec: plain, op: "links.SetUp *"},
		{step: "SetMTU", nic: cx5(), before: plain, spec: one(pf0, mtu), op: "links.SetMTU ens41f0np0 *"},
		{step: "SetEswitchMode", nic: cx5(), spec: plain, op: "devlink.SetEswitchMode *"},
		{step: "SetInlineMode", nic: simhost.ConnectX4Lx(), spec: guide(2, cx4), op: "devlink.SetInlineMode *"},
		{step: "SetSteeringMode", nic: cx5(), spec: one(pf0, func(i *sriovv1.Interface) { i.FlowSteeringMode = "smfs" }), op: "devlink.SetParam *"},
		{step: "SetHWTCOffload", nic: cx5(), spec: plain, op: "ethtool.SetFeature ens41f0np0/*"},
		{step: "SetRepresentorHWTCOffload", nic: cx5(simhost.RepresentorsWithoutOffload()), spec: plain, op: "ethtool.SetFeature ens41f0r*"},
		{step: "BindVF", nic: cx5(), spec: plain, op: "fs.WriteFile sys/bus/pci/drivers_probe *"},
		{step: "UnbindVF", nic: cx5(), before: plain, spec: one(pf0, legacy), op: "fs.WriteFile */unbind *"},
		{
			step: "SetVFOverride", nic: cx5(), before: plain, spec: plain, op: "fs.WriteFile */driver_override *",
			drift: set("0000:5f:00.3", "driver_override", "vfio-pci"),
		},
		{step: "SetVFMTU", nic: cx5(), before: plain, spec: one(pf0, mtu), op: "links.SetMTU ens41f0v* *"},
		{step: "SetVFAdminMAC", nic: cx5(), spec: plain, op: "links.SetVFMAC *"},
		{step: "CreateVDPA", nic: cx5(), before: plain, spec: one(pf0, vdpa("virtio")), op: "vdpa.Create *"},
		{step: "BindVDPA", nic: cx5(), before: one(pf0, vdpa("virtio")), spec: one(pf0, vdpa("vhost")), op: "fs.WriteFile sys/bus/vdpa/drivers/*"},
		{step: "RemoveVDPA", nic: cx5(), before: one(pf0, vdpa("vhost")), spec: one(pf0, user), op: "vdpa.Delete *"},
		{step: "SetVFGUID", nic: simhost.ConnectX6VPI(), spec: one(ib, legacy), op: "links.SetVFGUID *"},
		{
			step: "RebindVF", nic: cx5(), before: plain, op: "fs.WriteFile */unbind *",
			spec: one(pf0, func(i *sriovv1.Interface) { i.VfGroups[0].IsRdma = true }),
		},
		{step: "AwaitRepresentors", nic: cx5(), spec: plain, op: "links.List *"},
		{step: "RemoveVFs", nic: cx5(), before: plain, spec: none, op: "fs.WriteFile */sriov_numvfs = 0"},
	}
}

// Every step gives up a write, or a look, that does not return from the kernel: the
// run ends, says which step it was, and explains it.
func TestHungSteps(t *testing.T) {
	covered := map[string]bool{}
	for _, c := range hungSteps() {
		covered[c.step] = true
		t.Run(c.step, func(t *testing.T) {
			err := bubble(t, func(ctx context.Context) error {
				k := simhost.New(simhost.Options{NICs: []simhost.NIC{c.nic}})
				defer k.Close()
				return c.givesUp(ctx, k)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	for _, file := range []string{"steps.go", "steps_vf.go"} {
		data, err := os.ReadFile("../plan/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\) Kind\(\) string +\{ return "(\w+)" \}`).FindAllSubmatch(data, -1) {
			if !covered[string(m[1])] {
				t.Errorf("no case for step %s", m[1])
			}
		}
	}
}

func (c *hung) givesUp(ctx context.Context, k *simhost.Kernel) error {
	if len(c.before.Interfaces) > 0 {
		if err := stabilize(ctx, k, c.before); err != nil {
			return err
		}
	}
	if c.drift != nil {
		if err := c.drift(ctx, k); err != nil {
			return err
		}
	}
	// What is asked before the step may use the same door.
	fault := simhost.Fault{Op: c.op, Times: -1, Delay: 100 * time.Hour}
	if c.step == "AwaitRepresentors" {
		fault.Nth = 5
	}
	k.Fail(fault)
	began := time.Now()
	t, err := takeIf(ctx, k, c.spec, true)
	if err != nil {
		return err
	}
	if took := time.Since(began); took > 5*time.Minute || len(t.result.Failures) == 0 {
		return fmt.Errorf("after %v: %d failures; steps %v", took, len(t.result.Failures), t.run.Steps())
	}
	f := &t.result.Failures[0]
	if f.Step == nil || f.Step.Kind() != c.step {
		return fmt.Errorf("the failure is of another step: %w", f)
	}
	if !errors.Is(f.Err, context.DeadlineExceeded) {
		return fmt.Errorf("the failure is another one: %w", f)
	}
	return explained(&t)
}

// Lines of the kernel log about a device end up with the failure of its step, be it
// the PF or the VF that they are about.
func TestKernelLogOfVF(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		const line = "probe with driver mlx5_core failed with error -12"
		k.Fail(simhost.Fault{Op: "fs.WriteFile sys/bus/pci/drivers_probe = 0000:5f:00.2", Errno: 12, Log: line})
		t, err := take(ctx, k, guide(2, pf0))
		if err != nil || len(t.result.Failures) == 0 {
			return fmt.Errorf("failures %v: %w", t.result.Failures, err)
		}
		f := &t.result.Failures[0]
		if !slices.ContainsFunc(f.KernelLog, func(l string) bool { return strings.Contains(l, line) }) {
			return fmt.Errorf("the kernel log is %q", f.KernelLog)
		}
		if !strings.Contains(f.Error(), line) {
			return fmt.Errorf("the failure does not say what the kernel logged: %w", f)
		}
		return nil
	})
}
