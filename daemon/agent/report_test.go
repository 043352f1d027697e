package agent

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

const address = "0000:5f:00.0"

func ptr[T any](v T) *T { return &v }

// node returns a node with one PF with two VFs in switchdev mode, the first
// one held by a pod.
func node() inventory.Node {
	on := &inventory.Feature{On: true}
	return inventory.Node{PFs: []inventory.PF{{
		PCIAddress: address, Vendor: "15b3", DeviceID: "1017", Driver: "mlx5_core",
		NumVFs: ptr(2), TotalVFs: ptr(8), NUMANode: ptr(0),
		Netdev: &inventory.Netdev{
			Name: "ens41f0np0", MAC: "08:c0:eb:f4:85:ab", MTU: 1500, LinkType: "ETH", Up: true,
			SpeedMbps: ptr(25000), HWTCOffload: on, SwitchID: "ab85f4ebc008",
		},
		Eswitch: inventory.Eswitch{Known: true, Supported: true, Mode: "switchdev"},
		VFs: []inventory.VF{
			{Index: 0, PCIAddress: "0000:5f:00.2", Vendor: "15b3", DeviceID: "1018", Driver: "mlx5_core", AdminMAC: "02:00:00:00:00:01", Pod: "shop/cart-0"},
			{Index: 1, PCIAddress: "0000:5f:00.3", Vendor: "15b3", DeviceID: "1018", Driver: "mlx5_core", Netdev: &inventory.Netdev{Name: "eth1", MAC: "02:00:00:00:00:02", MTU: 1500}},
		},
		Representors: []inventory.Representor{
			{VF: 0, Netdev: inventory.Netdev{Name: "eth2", HWTCOffload: on}},
			{VF: 1, Netdev: inventory.Netdev{Name: "eth3", HWTCOffload: on}},
		},
	}}}
}

func spec() sriovv1.SriovNetworkNodeStateSpec {
	return sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "x", Interfaces: []sriovv1.Interface{{
		PCIAddress: address, NumVfs: 2, EswitchMode: "switchdev",
	}}}
}

func planOf(steps ...plan.Step) plan.Plan {
	p := plan.Plan{Chains: []plan.Chain{{PFs: []string{address}}}}
	for _, s := range steps {
		p.Chains[0].Stages = append(p.Chains[0].Stages, plan.Stage{s})
	}
	return p
}

func TestReportConditions(t *testing.T) {
	observed := node()
	up := planOf(plan.SetLinkUp{PF: address})
	blocked := plan.Plan{Blockers: []plan.Blocker{{PF: address, Blocker: sriovv1.Blocker{Code: "X", Message: "no room", Remedy: "make room"}}}}
	tests := map[string]struct {
		facts                       Facts
		ready, reconciling, stalled bool
		reason, message             string
		sync                        sriovv1.SyncStatus
		offload                     bool
		offloadReason               string
	}{
		"converged": {
			facts: Facts{Spec: spec(), Observed: &observed, Decision: Decision{Verdict: Idle}},
			ready: true, reason: sriovv1.ReasonConverged, sync: sriovv1.SyncSucceeded,
			offload: true, offloadReason: sriovv1.ReasonOffloadReady,
		},
		"converged, but for VFs in use": {
			facts: Facts{Spec: spec(), Observed: &observed, Decision: Decision{Verdict: Idle},
				Plan: plan.Plan{Waiting: []plan.Waiting{{PF: address, VFs: []int{0}}}}},
			ready: true, reason: sriovv1.ReasonConverged, message: "0000:5f:00.0: VF 0 waits", sync: sriovv1.SyncSucceeded,
			offload: true, offloadReason: sriovv1.ReasonOffloadReady,
		},
		"not computed": {
			facts:       Facts{Observed: &observed, Decision: Decision{Verdict: NotComputed}},
			reconciling: true, reason: sriovv1.ReasonNotComputed, sync: sriovv1.SyncInProgress,
			offloadReason: sriovv1.ReasonNoSwitchdev,
		},
		"applying": {
			facts:       Facts{Spec: spec(), Observed: &observed, Plan: up, Applying: true, Decision: Decision{Verdict: Proceed}},
			reconciling: true, reason: sriovv1.ReasonApplying, sync: sriovv1.SyncInProgress,
			offload: true, offloadReason: sriovv1.ReasonOffloadReady,
		},
		"held for pods": {
			facts: Facts{Spec: spec(), Observed: &observed, Plan: up,
				Decision: Decision{Verdict: WaitForDrain, Disruption: sriovv1.DisruptionVFPods, AffectedPods: []string{"shop/cart-0"}}},
			reconciling: true, reason: sriovv1.ReasonDrainRequired, message: "shop/cart-0", sync: sriovv1.SyncInProgress,
			offload: true, offloadReason: sriovv1.ReasonOffloadReady,
		},
		"held for unknown users": {
			facts: Facts{Spec: spec(), Observed: &observed, Plan: up,
				Decision: Decision{Verdict: WaitForDrain, Disruption: sriovv1.DisruptionVFPods}},
			reconciling: true, reason: sriovv1.ReasonDrainRequired, message: "not known", sync: sriovv1.SyncInProgress,
			offload: true, offloadReason: sriovv1.ReasonOffloadReady,
		},
		"blocked": {
			facts:   Facts{Spec: spec(), Observed: &observed, Plan: blocked, Decision: Decision{Verdict: Blocked}},
			stalled: true, reason: sriovv1.ReasonBlocked, message: "0000:5f:00.0: no room; make room", sync: sriovv1.SyncFailed,
			offload: true, offloadReason: sriovv1.ReasonOffloadReady,
		},
		"failed": {
			facts: Facts{Spec: spec(), Observed: &observed, Plan: up, Failed: "the kernel said no", FailedReason: sriovv1.ReasonApplyFailed,
				Decision: Decision{Verdict: Proceed}},
			stalled: true, reason: sriovv1.ReasonApplyFailed, message: "the kernel said no", sync: sriovv1.SyncFailed,
			offload: true, offloadReason: sriovv1.ReasonOffloadReady,
		},
		"left over": {
			facts:       Facts{Spec: spec(), Observed: &observed, Plan: up, Decision: Decision{Verdict: Proceed}},
			reconciling: true, reason: sriovv1.ReasonApplying, message: "1 steps are to be carried out", sync: sriovv1.SyncInProgress,
			offload: true, offloadReason: sriovv1.ReasonOffloadReady,
		},
		"host unreadable": {
			facts:   Facts{Spec: spec(), Failed: "no sysfs", FailedReason: sriovv1.ReasonObserveFailed},
			stalled: true, reason: sriovv1.ReasonObserveFailed, message: "no sysfs", sync: sriovv1.SyncFailed,
			offloadReason: sriovv1.ReasonUnknown,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.facts.Generation = 7
			got := Report(sriovv1.SriovNetworkNodeStateStatus{}, tt.facts, metav1.Now())
			for kind, want := range map[string]bool{
				sriovv1.ConditionReady: tt.ready, sriovv1.ConditionReconciling: tt.reconciling,
				sriovv1.ConditionStalled: tt.stalled, sriovv1.ConditionOffloadReady: tt.offload,
			} {
				c := meta.FindStatusCondition(got.Conditions, kind)
				if c == nil || c.Status != conditionStatus(want) || c.ObservedGeneration != 7 {
					t.Errorf("condition %s = %+v, want status %v", kind, c, want)
				}
			}
			ready := meta.FindStatusCondition(got.Conditions, sriovv1.ConditionReady)
			if ready.Reason != tt.reason || !strings.Contains(ready.Message, tt.message) {
				t.Errorf("Ready = %s: %s, want %s with %q", ready.Reason, ready.Message, tt.reason, tt.message)
			}
			if c := meta.FindStatusCondition(got.Conditions, sriovv1.ConditionOffloadReady); c.Reason != tt.offloadReason {
				t.Errorf("OffloadReady reason = %s, want %s", c.Reason, tt.offloadReason)
			}
			if got.SyncStatus != tt.sync || (got.LastSyncError != "") != (tt.sync == sriovv1.SyncFailed) {
				t.Errorf("syncStatus = %s, lastSyncError = %q", got.SyncStatus, got.LastSyncError)
			}
		})
	}
}

func TestReportSaysWhatKeepsFromOffloading(t *testing.T) {
	off := &inventory.Feature{}
	tests := map[string]struct {
		change func(*inventory.PF)
		want   string
	}{
		"legacy":                {func(p *inventory.PF) { p.Eswitch.Mode = "legacy" }, "not in switchdev mode"},
		"mode not known":        {func(p *inventory.PF) { p.Eswitch = inventory.Eswitch{} }, "not in switchdev mode"},
		"uplink gone":           {func(p *inventory.PF) { p.Netdev = nil }, "no netdev"},
		"uplink off":            {func(p *inventory.PF) { p.Netdev.HWTCOffload = off }, "off on the uplink ens41f0np0"},
		"uplink feature absent": {func(p *inventory.PF) { p.Netdev.HWTCOffload = nil }, "off on the uplink"},
		"representor missing":   {func(p *inventory.PF) { p.Representors = p.Representors[:1] }, "1 of 2 VF representors"},
		"representor off":       {func(p *inventory.PF) { p.Representors[1].Netdev.HWTCOffload = off }, "representor eth3"},
		"another PF":            {func(p *inventory.PF) { p.PCIAddress = "0000:01:00.0" }, "not there"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			observed := node()
			tt.change(&observed.PFs[0])
			ready, reason, message := offload(Facts{Spec: spec(), Observed: &observed})
			if ready || reason != sriovv1.ReasonOffloadIncomplete || !strings.Contains(message, tt.want) {
				t.Errorf("offload() = %v, %s, %q; want %q", ready, reason, message, tt.want)
			}
		})
	}
}

func TestReportInterfaces(t *testing.T) {
	observed := node()
	observed.PFs[0].Unreadable = []inventory.Unreadable{{Fact: "flow_steering_mode", Reason: "input/output error"}}
	got := Report(sriovv1.SriovNetworkNodeStateStatus{}, Facts{Spec: spec(), Observed: &observed, Decision: Decision{Verdict: Idle}}, metav1.Now())
	want := []sriovv1.InterfaceStatus{{
		PCIAddress: address, Name: "ens41f0np0", Mac: "08:c0:eb:f4:85:ab", Driver: "mlx5_core", Vendor: "15b3", DeviceID: "1017",
		MTU: 1500, NumVfs: 2, TotalVfs: 8, LinkSpeed: "25000 Mb/s", LinkType: "ETH", LinkAdminState: "up", EswitchMode: "switchdev",
		HWTCOffload: ptr(true), SwitchID: "ab85f4ebc008", NUMANode: ptr(0),
		Blockers: []sriovv1.Blocker{{Code: "FactUnreadable", Message: "flow_steering_mode could not be read: input/output error"}},
		VFs: []sriovv1.VirtualFunction{
			{VfID: 0, PCIAddress: "0000:5f:00.2", Vendor: "15b3", DeviceID: "1018", Driver: "mlx5_core", Mac: "02:00:00:00:00:01", RepresentorName: "eth2", Assigned: true, Pod: "shop/cart-0"},
			{VfID: 1, PCIAddress: "0000:5f:00.3", Vendor: "15b3", DeviceID: "1018", Driver: "mlx5_core", Name: "eth1", Mac: "02:00:00:00:00:02", MTU: 1500, RepresentorName: "eth3"},
		},
	}}
	if diff := cmp.Diff(want, got.Interfaces); diff != "" {
		t.Errorf("interfaces (-want +got):\n%s", diff)
	}
}

func TestReportKeepsTransitionTimes(t *testing.T) {
	observed := node()
	facts := Facts{Spec: spec(), Observed: &observed, Decision: Decision{Verdict: Idle}}
	early := metav1.NewTime(time.Unix(1000, 0))
	first := Report(sriovv1.SriovNetworkNodeStateStatus{}, facts, early)
	second := Report(first, facts, metav1.NewTime(time.Unix(2000, 0)))
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("the same facts give another status (-first +second):\n%s", diff)
	}
}

func TestReportLeavesConditionsOfOthersAlone(t *testing.T) {
	observed := node()
	existing := sriovv1.SriovNetworkNodeStateStatus{Conditions: []metav1.Condition{{Type: "Drained", Status: metav1.ConditionTrue, Reason: "Done"}}}
	got := Report(existing, Facts{Spec: spec(), Observed: &observed, Decision: Decision{Verdict: Idle}}, metav1.Now())
	if c := meta.FindStatusCondition(got.Conditions, "Drained"); c != nil {
		t.Errorf("the report takes over %+v", c)
	}
	if len(got.Conditions) != 5 || len(existing.Conditions) != 1 {
		t.Errorf("%d conditions are reported, %d were there", len(got.Conditions), len(existing.Conditions))
	}
}

func TestReportInventory(t *testing.T) {
	observed := node()
	report := func(existing sriovv1.InventoryState, observed *inventory.Node) sriovv1.InventoryState {
		f := Facts{Observed: observed, Failed: "x", FailedReason: sriovv1.ReasonObserveFailed}
		return Report(sriovv1.SriovNetworkNodeStateStatus{Inventory: existing}, f, metav1.Now()).Inventory
	}
	if got := report("", nil); got != "" {
		t.Errorf("never looked: %q", got)
	}
	if got := report(sriovv1.InventoryComplete, nil); got != sriovv1.InventoryComplete {
		t.Errorf("could not look again: %q", got)
	}
	if got := report("", &inventory.Node{}); got != sriovv1.InventoryComplete {
		t.Errorf("no NIC: %q", got)
	}
	observed.PFs[0].Unreadable = []inventory.Unreadable{{Fact: "x", Reason: "y"}}
	if got := report(sriovv1.InventoryComplete, &observed); got != sriovv1.InventoryPartial {
		t.Errorf("a fact is unreadable: %q", got)
	}
}

func TestReportBoundsThePlan(t *testing.T) {
	observed := node()
	var steps []plan.Step
	for i := range 200 {
		steps = append(steps, plan.SetVFMTU{PF: address, VF: i, MTU: 9000})
	}
	got := Report(sriovv1.SriovNetworkNodeStateStatus{}, Facts{Spec: spec(), Observed: &observed, Plan: planOf(steps...), Applying: true}, metav1.Now())
	if n := len(got.Plan.Steps); n != sriovv1.MaxPlanSteps {
		t.Errorf("%d steps are shown, want %d", n, sriovv1.MaxPlanSteps)
	}
	if last := got.Plan.Steps[sriovv1.MaxPlanSteps-1]; last != "and 137 more steps" {
		t.Errorf("last step = %q", last)
	}
}

func TestGateHoldsOnlyTheChainThatDisrupts(t *testing.T) {
	observed := node()
	second := node().PFs[0]
	second.PCIAddress = "0000:5f:00.1"
	second.VFs[0].Pod, second.VFs[0].Netdev = "", &inventory.Netdev{Name: "eth9"}
	observed.PFs = append(observed.PFs, second)
	p := plan.Plan{Chains: []plan.Chain{
		{PFs: []string{address}, Stages: []plan.Stage{{plan.RemoveVFs{PF: address, Count: 2}}}},
		{PFs: []string{second.PCIAddress}, Stages: []plan.Stage{{plan.RemoveVFs{PF: second.PCIAddress, Count: 2}}}},
	}}
	got := Decide(spec(), observed, p, Before{})
	want := Decision{
		Verdict: WaitForDrain, Disruption: sriovv1.DisruptionVFPods, AffectedPods: []string{"shop/cart-0"},
		Run:  plan.Plan{Chains: p.Chains[1:]},
		Hash: plan.HashOf(p.Chains[:1]), Held: []string{plan.Fingerprint(p.Chains[0])},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Decide() (-want +got):\n%s", diff)
	}
	observed.PodsUnknown = "no kubelet"
	if got := Decide(spec(), observed, p, Before{}); !got.Run.Empty() {
		t.Errorf("with unknown pods, chains may run: %v", got.Run.Steps())
	}
}

func TestGateWithoutWork(t *testing.T) {
	observed := node()
	if got := Decide(sriovv1.SriovNetworkNodeStateSpec{}, observed, plan.Plan{}, Before{}); got.Verdict != NotComputed {
		t.Errorf("spec not computed: %s", got.Verdict)
	}
	if got := Decide(spec(), observed, plan.Plan{}, Before{}); got.Verdict != Idle {
		t.Errorf("empty plan: %s", got.Verdict)
	}
	if got := Decide(spec(), observed, plan.Plan{Blockers: []plan.Blocker{{PF: address}}}, Before{}); got.Verdict != Blocked {
		t.Errorf("only blockers: %s", got.Verdict)
	}
	if got := Decide(spec(), observed, planOf(plan.SetLinkUp{PF: address}), Before{}); got.Verdict != Proceed {
		t.Errorf("harmless step: %s", got.Verdict)
	}
}

func TestReportStaysWithinTheSchema(t *testing.T) {
	observed := node()
	long := strings.Repeat("ä", 5000)
	pf := &observed.PFs[0]
	pf.FirmwareVersion, pf.Eswitch.Mode = long, long
	for i := range 400 {
		pf.Netdev.AltNames = append(pf.Netdev.AltNames, long)
		pf.Unreadable = append(pf.Unreadable, inventory.Unreadable{Fact: fmt.Sprintf("<%d>", i), Reason: long})
	}
	for range 300 {
		observed.PFs = append(observed.PFs, node().PFs[0])
	}
	got := Report(sriovv1.SriovNetworkNodeStateStatus{}, Facts{Spec: spec(), Observed: &observed, Failed: long, FailedReason: "X"}, metav1.Now())
	nic := got.Interfaces[0]
	if len(got.Interfaces) != sriovv1.MaxInterfaces || len(nic.AltNames) != sriovv1.MaxAltNames || len(nic.Blockers) != sriovv1.MaxBlockers {
		t.Errorf("%d interfaces, %d altNames, %d blockers", len(got.Interfaces), len(nic.AltNames), len(nic.Blockers))
	}
	for text, limit := range map[string]int{
		nic.FirmwareVersion: maxIdentity, nic.EswitchMode: maxWord, nic.AltNames[0]: sriovv1.MaxAltNameLength,
		nic.Blockers[0].Message: sriovv1.MaxMessageLength, got.LastSyncError: sriovv1.MaxMessageLength,
	} {
		if len(text) > limit || text == "" {
			t.Errorf("a text of %d bytes, the limit is %d", len(text), limit)
		}
	}
	if observed.PFs[0].Netdev.AltNames[0] != long {
		t.Error("the report changed the inventory")
	}
}

// The order in which switchdev mode came about is shown for drivers that had to
// be tried, once it did come about.
func TestReportSwitchdevOrder(t *testing.T) {
	orders := func(driver, mode string) string {
		observed := inventory.Node{PFs: []inventory.PF{{
			PCIAddress: "0000:c1:00.0", Driver: driver, Eswitch: inventory.Eswitch{Known: true, Supported: true, Mode: mode},
		}}}
		owned := ledger.Record{Orders: map[string]string{"newcomer": "ModeFirst"}}
		got := Report(sriovv1.SriovNetworkNodeStateStatus{}, Facts{Observed: &observed, Owned: owned}, metav1.Now())
		return got.Interfaces[0].SwitchdevOrder
	}
	for _, c := range []struct{ driver, mode, want string }{
		{"newcomer", "switchdev", "ModeFirst"}, {"newcomer", "legacy", ""}, {"mlx5_core", "switchdev", ""},
	} {
		if got := orders(c.driver, c.mode); got != c.want {
			t.Errorf("%s in %s mode: %q, want %q", c.driver, c.mode, got, c.want)
		}
	}
}
