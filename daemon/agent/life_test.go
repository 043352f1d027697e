package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/apply"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
)

// life is a daemon on a simulated machine, with an obliging manager: its turns are
// those of the agent, and what it would publish is kept here instead of in an API.
type life struct {
	t      *testing.T
	k      *simhost.Kernel
	a      *Agent
	spec   sriovv1.SriovNetworkNodeStateSpec
	status sriovv1.SriovNetworkNodeStateStatus
}

func newLife(t *testing.T, k *simhost.Kernel, want sriovv1.SriovNetworkNodeStateSpec) *life {
	want.ComputedFrom = "x"
	l := &life{t: t, k: k, spec: want}
	l.start()
	return l
}

// start is a daemon that has just started.
func (l *life) start() {
	l.k.Restart()
	l.a = &Agent{Host: l.k.Host(), Store: l.k.Store(), Drivers: driver.Default(), Resync: time.Hour}
}

// turn takes one, and returns what would be published after it.
func (l *life) turn(ctx context.Context) Facts {
	l.t.Helper()
	facts := Facts{Spec: l.spec}
	published := ""
	if l.status.Plan != nil {
		published = l.status.Plan.Hash
	}
	facts.Before = Before{Answer: AnswerOf(&l.status), Held: l.a.held, Published: published}
	l.must(l.a.recover(ctx, nil))
	l.must(l.a.look(ctx, &facts))
	l.publish(facts)
	if run := l.a.due(facts.Decision, time.Now()); !run.Empty() {
		result := apply.Run(ctx, l.a.Host, l.a.ledger, *facts.Observed, run)
		if ctx.Err() != nil {
			return facts
		}
		l.must(l.a.recover(ctx, &result))
		l.must(l.a.look(ctx, &facts))
		l.a.note(ctx, &facts, run, &result)
	}
	l.must(l.a.forget(ctx, facts.Plan))
	l.publish(facts)
	return facts
}

func (l *life) publish(facts Facts) {
	answer := l.status
	l.status = Report(sriovv1.SriovNetworkNodeStateStatus{}, facts, metav1.Now())
	l.status.Drain = answer.Drain
	if c := meta.FindStatusCondition(answer.Conditions, sriovv1.ConditionDrained); c != nil {
		l.status.Conditions = append(l.status.Conditions, *c)
	}
}

// pass lets time pass, which is virtual in these tests.
func pass(d time.Duration) { <-time.After(d) }

// drain answers the published plan: its pods are gone, and it may go on.
func (l *life) drain() {
	l.t.Helper()
	if l.status.Plan == nil {
		l.t.Fatal("there is no plan to drain for")
	}
	l.status.Drain = &sriovv1.DrainStatus{PlanHash: l.status.Plan.Hash}
	meta.SetStatusCondition(&l.status.Conditions, metav1.Condition{Type: sriovv1.ConditionDrained, Status: metav1.ConditionTrue, Reason: sriovv1.ReasonDrained})
}

// must ends the test, unless the daemon was to die: then the turn ends.
func (l *life) must(err error) {
	l.t.Helper()
	if err != nil && l.k.Crashed() {
		panic(simhost.ErrCrashed)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// live takes turns for hours, drains whatever is asked for and lets the machine go
// down when it is told to.
func (l *life) live(ctx context.Context, turns int) {
	l.t.Helper()
	for range turns {
		l.k.Settle()
		asked := l.k.RebootsAsked()
		l.mortal(ctx)
		if l.status.Plan != nil && l.status.Plan.Disruption != sriovv1.DisruptionNone {
			l.drain()
		}
		switch {
		case l.k.RebootsAsked() > asked:
			l.k.Reboot()
			l.start()
		case l.k.Crashed():
			l.start()
		}
		pass(6 * time.Minute)
	}
}

// mortal takes a turn in which the daemon may die.
func (l *life) mortal(ctx context.Context) {
	l.t.Helper()
	defer func() {
		if died := recover(); died != nil && !l.k.Crashed() {
			panic(died)
		}
	}()
	l.turn(ctx)
}

func (l *life) ready() *metav1.Condition {
	return meta.FindStatusCondition(l.status.Conditions, sriovv1.ConditionReady)
}

const agilio = "0000:05:00.0"

func wantVFIO() sriovv1.SriovNetworkNodeStateSpec {
	return sriovv1.SriovNetworkNodeStateSpec{Interfaces: []sriovv1.Interface{{
		PCIAddress: address, NumVfs: 2, VfGroups: []sriovv1.VfGroup{{DeviceType: sriovv1.DeviceTypeVFIO, VfRange: sriovv1.VFRange{First: 0, Last: 1}}},
	}}}
}

// A reason for a reboot gets one. On a machine that does not ignore it, that is the
// end of it; on one that does, a person is told what is wrong.
func TestOneReboot(t *testing.T) {
	flower := sriovv1.SriovNetworkNodeStateSpec{Interfaces: []sriovv1.Interface{{PCIAddress: agilio, NumVfs: 2, FirmwareApp: "flower"}}}
	offloading := sriovv1.SriovNetworkNodeStateSpec{Interfaces: []sriovv1.Interface{
		{PCIAddress: agilio, NumVfs: 2, FirmwareApp: "flower", EswitchMode: sriovv1.EswitchModeSwitchdev},
	}}
	exclusive := sriovv1.SriovNetworkNodeStateSpec{System: sriovv1.System{RdmaMode: host.RDMAExclusive}}
	plain := sriovv1.SriovNetworkNodeStateSpec{Interfaces: []sriovv1.Interface{{PCIAddress: address, NumVfs: 2}}}
	cx5 := []simhost.NIC{simhost.ConnectX5()}
	grubby := simhost.BootLoader{Tool: host.ToolGrubby}
	ignoring := simhost.BootLoader{Tool: host.ToolUpdateGrub, Ignores: true}
	for name, c := range map[string]struct {
		machine simhost.Options
		want    sriovv1.SriovNetworkNodeStateSpec
		// evidence is in the message of a node that stays as it is; empty for one
		// that gets ready.
		evidence []string
	}{
		"kernel argument":          {simhost.Options{NICs: cx5, IOMMUOff: true, BootLoader: grubby}, wantVFIO(), nil},
		"kernel argument, ignored": {simhost.Options{NICs: cx5, IOMMUOff: true, BootLoader: ignoring}, wantVFIO(), []string{"intel_iommu=on", "rebooted", "started with: ro quiet"}},
		"memory space":             {simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5(simhost.WithoutMMIO())}, BootLoader: grubby}, plain, nil},
		"memory space, ignored": {simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5(simhost.WithoutMMIO())}, BootLoader: ignoring}, plain,
			[]string{"not enough MMIO"}},
		"RDMA mode":               {simhost.Options{NICs: cx5, Namespaces: true}, exclusive, nil},
		"RDMA mode, ignored":      {simhost.Options{NICs: cx5, Namespaces: true, RDMAModeStays: true}, exclusive, []string{"RDMA namespace mode exclusive", "it is shared"}},
		"firmware":                {simhost.Options{NICs: []simhost.NIC{simhost.AgilioNIC(simhost.KeepsFirmware())}}, flower, nil},
		"firmware, for switchdev": {simhost.Options{NICs: []simhost.NIC{simhost.AgilioNIC(simhost.KeepsFirmware())}}, offloading, nil},
		"firmware, ignored":       {simhost.Options{NICs: []simhost.NIC{simhost.AgilioNIC(simhost.IgnoresFirmware())}}, flower, []string{"still runs the application firmware"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := simhost.New(c.machine)
				defer k.Close()
				l := newLife(t, k, c.want)
				l.live(t.Context(), 30)
				if got := k.Boots(); got != 2 {
					t.Errorf("the machine has started %d times", got)
				}
				ready := l.ready()
				if len(c.evidence) == 0 && ready.Status != metav1.ConditionTrue {
					t.Errorf("not ready: %s: %s", ready.Reason, ready.Message)
				}
				for _, words := range c.evidence {
					if !meta.IsStatusConditionTrue(l.status.Conditions, sriovv1.ConditionStalled) || !strings.Contains(ready.Message, words) {
						t.Errorf("no %q in %s: %s", words, ready.Reason, ready.Message)
					}
				}
				// Whatever comes later: the machine is not rebooted again for it.
				l.start()
				l.live(t.Context(), 5)
				if got := k.Boots(); got != 2 {
					t.Errorf("with a new daemon, the machine has started %d times", got)
				}
			})
		})
	}
}

// A daemon that dies at any change that it makes, before or after it, leads to the
// same machine with the same single reboot.
func TestRebootAfterCrashes(t *testing.T) {
	flower := sriovv1.SriovNetworkNodeStateSpec{Interfaces: []sriovv1.Interface{{PCIAddress: agilio, NumVfs: 1, FirmwareApp: "flower"}}}
	exclusive := sriovv1.SriovNetworkNodeStateSpec{System: sriovv1.System{RdmaMode: host.RDMAExclusive}}
	for name, c := range map[string]struct {
		machine simhost.Options
		want    sriovv1.SriovNetworkNodeStateSpec
	}{
		"kernel argument":          {simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}, IOMMUOff: true, BootLoader: simhost.BootLoader{Tool: host.ToolUpdateGrub}}, wantVFIO()},
		"kernel argument, ignored": {simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}, IOMMUOff: true, BootLoader: simhost.BootLoader{Tool: host.ToolGrubby, Ignores: true}}, wantVFIO()},
		"RDMA mode":                {simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}, Namespaces: true}, exclusive},
		"firmware":                 {simhost.Options{NICs: []simhost.NIC{simhost.AgilioNIC(simhost.KeepsFirmware())}}, flower},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				end, writes := ended(t, c.machine, c.want, 0)
				for n := 1; n <= writes; n++ {
					for _, when := range [][]simhost.CrashWhen{{simhost.CountWrites}, {simhost.CountWrites, simhost.BeforeEffect}} {
						if got, _ := ended(t, c.machine, c.want, n, when...); got != end {
							t.Errorf("dead at change %d of %d (%v), the end is another one:\n%s\nnot:\n%s", n, writes, when, got, end)
						}
					}
				}
			})
		})
	}
}

// ended is the end of a machine whose daemon dies once; it never dies with 0.
func ended(t *testing.T, machine simhost.Options, want sriovv1.SriovNetworkNodeStateSpec, crash int, when ...simhost.CrashWhen) (end string, writes int) {
	t.Helper()
	k := simhost.New(machine)
	defer k.Close()
	l := newLife(t, k, want)
	k.CrashAfter(crash, when...)
	l.live(t.Context(), 20)
	reasons := make([]string, 0, len(l.a.ledger.Record().Machine.Reboots))
	for key := range l.a.ledger.Record().Machine.Reboots {
		reasons = append(reasons, key)
	}
	return fmt.Sprintf("%s\n%d boots, remembered %v, ready %s", k.Dump(), k.Boots(), reasons, l.ready().Status), k.Ops().Writes
}

// Nothing but the plan is published before the node is drained; the boot loader is
// not told of anything, and not at all by planning.
func TestRebootWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}, IOMMUOff: true, BootLoader: simhost.BootLoader{Tool: host.ToolGrubby}})
		defer k.Close()
		l := newLife(t, k, wantVFIO())
		for range 5 {
			l.turn(t.Context())
			pass(time.Minute)
		}
		if l.status.Plan.Disruption != sriovv1.DisruptionReboot || len(k.NextArguments()) > 0 || k.RebootsAsked() > 0 {
			t.Errorf("plan %+v, arguments %v, %d reboots", l.status.Plan, k.NextArguments(), k.RebootsAsked())
		}
		if ready := l.ready(); ready.Reason != sriovv1.ReasonDrainRequired || !strings.Contains(ready.Message, "intel_iommu=on") {
			t.Errorf("%s: %s", ready.Reason, ready.Message)
		}
		// A machine that is slow to go down is not asked twice within minutes.
		l.drain()
		for range 3 {
			l.turn(t.Context())
			pass(time.Minute)
		}
		if k.RebootsAsked() != 1 || l.ready().Reason != sriovv1.ReasonRebooting {
			t.Errorf("%d reboots asked for, %s", k.RebootsAsked(), l.ready().Reason)
		}
		if !slices.Equal(k.NextArguments(), []string{"intel_iommu=on", "iommu=pt"}) {
			t.Errorf("arguments %v", k.NextArguments())
		}
		k.Reboot()
		l.start()
		l.live(t.Context(), 3)
		// What nobody needs any more is taken back, and the node is left running.
		l.spec = sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "x"}
		l.live(t.Context(), 3)
		record := l.a.ledger.Record()
		if len(k.NextArguments()) > 0 || k.Boots() != 2 || !record.Empty() {
			t.Errorf("arguments %v, %d boots, ledger %+v", k.NextArguments(), k.Boots(), record)
		}
	})
}

// The RDMA mode is set at run time where the kernel lets it be, and without a pool's
// mode nothing is done about it.
func TestRDMAModeAtRunTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}})
		defer k.Close()
		l := newLife(t, k, sriovv1.SriovNetworkNodeStateSpec{System: sriovv1.System{RdmaMode: host.RDMAExclusive}})
		l.live(t.Context(), 3)
		mode, err := k.Admin().RDMA.NetnsMode(t.Context())
		if err != nil || mode != host.RDMAExclusive || k.Boots() != 1 || l.ready().Status != metav1.ConditionTrue {
			t.Errorf("mode %s, %v, %d boots, %+v", mode, err, k.Boots(), l.ready())
		}
		l.spec.System.RdmaMode = ""
		l.live(t.Context(), 3)
		if mode, _ := k.Admin().RDMA.NetnsMode(t.Context()); mode != host.RDMAExclusive || k.Boots() != 1 {
			t.Errorf("without a mode, it is %s after %d boots", mode, k.Boots())
		}
	})
}

// Modules that groups need are loaded, and the VFs follow.
func TestModulesAreLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}, Unloaded: []string{simhost.ModuleVFIO}})
		defer k.Close()
		l := newLife(t, k, wantVFIO())
		l.live(t.Context(), 4)
		if l.ready().Status != metav1.ConditionTrue {
			t.Errorf("%+v", l.ready())
		}
	})
}

// machines are one of each driver, with what is wanted of it.
func machines() map[string]struct {
	nic  simhost.NIC
	want sriovv1.Interface
} {
	type m = struct {
		nic  simhost.NIC
		want sriovv1.Interface
	}
	switchdev := func(pf string) sriovv1.Interface {
		return sriovv1.Interface{PCIAddress: pf, NumVfs: 2, EswitchMode: sriovv1.EswitchModeSwitchdev,
			VfGroups: []sriovv1.VfGroup{{DeviceType: sriovv1.DeviceTypeNetdevice, VfRange: sriovv1.VFRange{First: 0, Last: 1}}}}
	}
	legacy := switchdev("0000:01:00.0")
	legacy.EswitchMode = ""
	flower := switchdev(agilio)
	flower.EswitchMode, flower.FirmwareApp = "", "flower"
	return map[string]m{
		"mlx5": {simhost.ConnectX5(), switchdev(address)}, "ice": {simhost.E810(), switchdev("0000:17:00.0")},
		"bnxt": {simhost.BCM57414(), switchdev("0000:af:00.0")}, "nfp": {simhost.AgilioNIC(), flower},
		"igb": {simhost.Igb82576(), legacy}, "unknown": {simhost.Newcomer(), switchdev("0000:c1:00.0")},
	}
}

// A daemon that is replaced by another one, with an unchanged spec, runs no step and
// asks for no drain, whoever uses the VFs; one that is stopped in the middle of a
// plan leaves the host to the next, which comes to the same end.
func TestUpgradeAndStop(t *testing.T) {
	for name, c := range machines() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				want := sriovv1.SriovNetworkNodeStateSpec{Interfaces: []sriovv1.Interface{c.want}}
				calm := simhost.New(simhost.Options{NICs: []simhost.NIC{c.nic}})
				defer calm.Close()
				l := newLife(t, calm, want)
				l.live(t.Context(), 6)
				if l.ready().Status != metav1.ConditionTrue {
					t.Fatalf("%+v", l.ready())
				}
				end := calm.Dump()
				observed, err := observe.Node(t.Context(), calm.Admin())
				l.must(err)
				l.must(calm.AssignVF(observed.PF(c.want.PCIAddress).VFs[1].PCIAddress, "shop/web"))
				held := calm.Dump()
				calm.ResetOps()
				l.start()
				l.live(t.Context(), 3)
				if ops := calm.Ops(); ops.Writes > 0 || l.status.Plan != nil || calm.Dump() != held {
					t.Errorf("the new daemon: plan %+v, %v", l.status.Plan, ops.ByKind)
				}
				stopped(t, c.nic, want, end)
			})
		})
	}
}

// stopped ends the daemon after each number of writes.
func stopped(t *testing.T, nic simhost.NIC, want sriovv1.SriovNetworkNodeStateSpec, end string) {
	t.Helper()
	for writes := 1; writes < 12; writes += 2 {
		k := simhost.New(simhost.Options{NICs: []simhost.NIC{nic}})
		l := newLife(t, k, want)
		ctx, stop := context.WithCancel(t.Context())
		k.Fail(simhost.Fault{Op: "fs.WriteFile *", Nth: writes, Delay: time.Second})
		time.AfterFunc(500*time.Millisecond, stop)
		l.turn(ctx)
		stop()
		k.ClearFaults()
		pass(time.Minute)
		k.Settle()
		before := k.Dump()
		synctest.Wait()
		if k.Dump() != before {
			t.Error("something goes on after the daemon has ended")
		}
		l.start()
		l.live(t.Context(), 6)
		if got := k.Dump(); got != end {
			t.Errorf("stopped at write %d, the end is another one:\n%s\nnot:\n%s", writes, got, end)
		}
		k.Close()
	}
}
