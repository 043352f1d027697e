package cleanup_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/daemon/apply"
	"github.com/sriov-offload/sriov-offload-operator/daemon/cleanup"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/hostfile"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

const (
	pf0 = "0000:5f:00.0"
	vf1 = "0000:5f:00.3"
)

// taken is a machine on which two VFs were made in switchdev mode.
func taken(t *testing.T) *simhost.Kernel {
	t.Helper()
	k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}})
	t.Cleanup(k.Close)
	led, err := ledger.Open(t.Context(), k.Store())
	if err != nil {
		t.Fatal(err)
	}
	observed, err := observe.Node(t.Context(), k.Host())
	if err != nil {
		t.Fatal(err)
	}
	spec := sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test", Interfaces: []sriovv1.Interface{
		{PCIAddress: pf0, NumVfs: 2, EswitchMode: sriovv1.EswitchModeSwitchdev},
	}}
	p := plan.Compute(plan.Input{Spec: spec, Observed: observed, Owned: led.Record(), Drivers: driver.Default()})
	result := apply.Run(t.Context(), k.Host(), led, observed, p)
	if err := result.Err(); err != nil {
		t.Fatal(err)
	}
	return k
}

func clean(ctx context.Context, k *simhost.Kernel, change func(*cleanup.Options)) (string, error) {
	var out bytes.Buffer
	o := cleanup.Options{Host: k.Host(), Store: k.Store(), Drivers: driver.Default(), Out: &out}
	if change != nil {
		change(&o)
	}
	err := cleanup.Run(ctx, o)
	return out.String(), err
}

func force(o *cleanup.Options)  { o.Force = true }
func dryRun(o *cleanup.Options) { o.DryRun = true }

// stopped demands an exit code and words.
func stopped(t *testing.T, err error, code int, words ...string) {
	t.Helper()
	var own interface{ ExitCode() int }
	if !errors.As(err, &own) || own.ExitCode() != code {
		t.Fatalf("got %v, want exit code %d", err, code)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v does not say %q", err, w)
		}
	}
}

// gone demands that nothing of ours is left.
func gone(t *testing.T, k *simhost.Kernel) {
	t.Helper()
	if _, err := k.Store().Load(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the ledger: %v", err)
	}
	if _, there := k.Files()[hostfile.UdevRules]; there {
		t.Error("the rules are still there")
	}
	if dump := k.Dump(); !strings.Contains(dump, pf0+" 15b3:1017 driver mlx5_core numvfs 0/") || strings.Contains(dump, "switchdev") {
		t.Errorf("the PF is not back:\n%s", dump)
	}
}

func TestCleanup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := taken(t)
		before, files := k.Dump(), k.Files()
		out, err := clean(t.Context(), k, dryRun)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"  " + pf0 + ": remove 2 VFs", "  in the end, remove /" + hostfile.UdevRules, "  in the end, delete the ledger"} {
			if !strings.Contains(out, line+"\n") {
				t.Errorf("the plan does not say %q:\n%s", line, out)
			}
		}
		if diff := cmp.Diff(before, k.Dump()) + cmp.Diff(files, k.Files()); diff != "" {
			t.Errorf("a dry run has touched the machine:\n%s", diff)
		}
		if _, err := clean(t.Context(), k, nil); err != nil {
			t.Fatal(err)
		}
		gone(t, k)
		if out, err = clean(t.Context(), k, nil); err != nil || !strings.HasPrefix(out, "Nothing on this node is ours.") {
			t.Errorf("again: %v, %s", err, out)
		}
	})
}

func TestInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := taken(t)
		if err := k.AssignVF(vf1, "default/web"); err != nil {
			t.Fatal(err)
		}
		before, files := k.Dump(), k.Files()
		_, err := clean(t.Context(), k, nil)
		stopped(t, err, cleanup.InUse, "default/web", "--force")
		if diff := cmp.Diff(before, k.Dump()) + cmp.Diff(files, k.Files()); diff != "" {
			t.Errorf("touched:\n%s", diff)
		}
		k.PodsUnavailable(errors.New("no answer"))
		_, err = clean(t.Context(), k, nil)
		stopped(t, err, cleanup.InUse, "no answer")
		if _, err := clean(t.Context(), k, force); err != nil {
			t.Fatal(err)
		}
		gone(t, k)
	})
}

func TestBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := taken(t)
		k.SetNodeNetwork("ens41f0np0", "carries the node's address")
		out, err := clean(t.Context(), k, force)
		stopped(t, err, cleanup.Blocked, pf0, "carries the node's address")
		if !strings.Contains(out, "Blocked: "+pf0) {
			t.Errorf("the plan does not say it:\n%s", out)
		}
	})
}

// A NIC that was taken out keeps its record, unless it is to be forgotten.
func TestAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := taken(t)
		if err := k.Unplug(pf0); err != nil {
			t.Fatal(err)
		}
		_, err := clean(t.Context(), k, nil)
		stopped(t, err, cleanup.Blocked, pf0, "not on this node")
		if _, err := clean(t.Context(), k, force); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Store().Load(t.Context()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the ledger: %v", err)
		}
	})
}

// What fails every time ends it, with what was done and the kernel's words.
func TestFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := taken(t)
		k.Fail(simhost.Fault{Op: "fs.WriteFile */sriov_numvfs*", Times: -1, Errno: 16})
		out, err := clean(t.Context(), k, nil)
		stopped(t, err, cleanup.Failed, "sriov_numvfs", "the next cleanup goes on")
		if !strings.Contains(out, "Done: "+pf0+": set eswitch mode legacy") {
			t.Errorf("it does not say what was done:\n%s", out)
		}
		k.ClearFaults()
		if _, err := clean(t.Context(), k, nil); err != nil {
			t.Fatal(err)
		}
		gone(t, k)
	})
}

// Kernel arguments of ours, and the options for modules, go; the machine is not
// rebooted for that.
func TestMachine(t *testing.T) {
	k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}, IOMMUOff: true, BootLoader: simhost.BootLoader{Tool: "update-grub"}})
	t.Cleanup(k.Close)
	before := k.Files()
	spec := sriovv1.SriovNetworkNodeStateSpec{
		ComputedFrom: "test", System: sriovv1.System{RdmaMode: "shared"},
		Interfaces: []sriovv1.Interface{{PCIAddress: pf0, NumVfs: 1, VfGroups: []sriovv1.VfGroup{{DeviceType: sriovv1.DeviceTypeVFIO}}}},
	}
	led, err := ledger.Open(t.Context(), k.Store())
	if err != nil {
		t.Fatal(err)
	}
	observed, err := observe.Node(t.Context(), k.Host())
	if err != nil {
		t.Fatal(err)
	}
	p := plan.Compute(plan.Input{Spec: spec, Observed: observed, Owned: led.Record(), Drivers: driver.Default()})
	result := apply.Run(t.Context(), k.Host(), led, observed, p)
	if err := result.Err(); err != nil || k.RebootsAsked() != 1 || len(k.NextArguments()) != 2 {
		t.Fatalf("%v, %d reboots, arguments %v", err, k.RebootsAsked(), k.NextArguments())
	}
	k.Reboot()
	out, err := clean(t.Context(), k, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if diff := cmp.Diff(before, k.Files()); diff != "" || len(k.NextArguments()) > 0 || k.RebootsAsked() != 1 {
		t.Errorf("arguments %v, %d reboots\n%s", k.NextArguments(), k.RebootsAsked(), diff)
	}
	if !strings.Contains(out, "not rebooted") {
		t.Errorf("nothing is said of the reboot:\n%s", out)
	}
	if _, err := k.Store().Load(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the ledger is still there: %v", err)
	}
}
