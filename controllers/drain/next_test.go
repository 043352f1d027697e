package drain

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// somePlan of facts; the plan that the tests change.
func somePlan() *Plan {
	return &Plan{Hash: "h1", Disruption: sriovv1.DisruptionVFPods, Pods: []string{"pods/web"}}
}

func someFacts() Facts {
	return Facts{
		Now: seconds(1000), Node: "n", Namespace: namespace, Plan: somePlan(), RetryDelay: DefaultRetryDelay,
		Settings: SettingsOf(nil), Hold: Hold{Ready: true},
	}
}

// recorded is a record about a plan, waiting since the start of the test.
func recorded(status metav1.ConditionStatus, reason, hash string) Record {
	return Record{Status: status, Reason: reason, PlanHash: hash, WaitingSince: seconds(0)}
}

func TestNext(t *testing.T) {
	held := Hold{Held: true, Cordoned: true, Unschedulable: true, Ready: true}
	drained := recorded(metav1.ConditionTrue, sriovv1.ReasonDrained, "h1")
	manual := func(f *Facts) { f.Settings.Manual = true }
	tests := map[string]struct {
		change  func(*Facts)
		reason  string
		act     Act
		request string
	}{
		"no plan, never one":     {func(f *Facts) { f.Plan = nil }, "", Nothing, ""},
		"no plan any more":       {func(f *Facts) { f.Plan, f.Recorded, f.Hold = nil, drained, held }, sriovv1.ReasonDrainNotNeeded, Release, ""},
		"a cordon of ours alone": {func(f *Facts) { f.Plan, f.Hold = nil, Hold{Cordoned: true} }, "", Release, ""},
		"a new plan":             {func(*Facts) {}, sriovv1.ReasonWaitingForSlot, Nothing, ""},
		"a slot":                 {func(f *Facts) { f.Hold = held }, sriovv1.ReasonDraining, Drain, ""},
		"drained":                {func(f *Facts) { f.Hold, f.Recorded = held, drained }, sriovv1.ReasonDrained, Drain, ""},
		"drained for another plan": {func(f *Facts) {
			f.Hold, f.Recorded = held, recorded(metav1.ConditionTrue, sriovv1.ReasonDrained, "h0")
		}, sriovv1.ReasonDraining, Drain, ""},
		"drained, and the node lost its slot": {func(f *Facts) { f.Recorded = drained }, sriovv1.ReasonWaitingForSlot, Nothing, ""},

		"disabled":              {func(f *Facts) { f.Disabled = true }, sriovv1.ReasonDrainDisabled, Nothing, ""},
		"disabled while moving": {func(f *Facts) { f.Disabled, f.Hold = true, held }, sriovv1.ReasonDrainDisabled, Release, ""},
		"disabled when drained": {func(f *Facts) { f.Disabled, f.Hold, f.Recorded = true, held, drained }, sriovv1.ReasonDrained, Drain, ""},
		"enabled again":         {func(f *Facts) { f.Recorded = recorded(metav1.ConditionTrue, sriovv1.ReasonDrainDisabled, "h1") }, sriovv1.ReasonWaitingForSlot, Nothing, ""},

		"in two pools":              {func(f *Facts) { f.Pools = []string{"a", "b"} }, sriovv1.ReasonPoolsOverlap, Nothing, ""},
		"in two pools while moving": {func(f *Facts) { f.Pools, f.Hold = []string{"a", "b"}, held }, sriovv1.ReasonPoolsOverlap, Release, ""},
		"in two pools when drained": {func(f *Facts) { f.Pools, f.Hold, f.Recorded = []string{"a", "b"}, held, drained }, sriovv1.ReasonDrained, Drain, ""},

		"not approved":              {manual, sriovv1.ReasonWaitingForApproval, Nothing, ""},
		"another plan approved":     {func(f *Facts) { manual(f); f.Approved = "h0" }, sriovv1.ReasonWaitingForApproval, Nothing, ""},
		"approved":                  {func(f *Facts) { manual(f); f.Approved = "h1" }, sriovv1.ReasonWaitingForSlot, Nothing, ""},
		"approved without need":     {func(f *Facts) { f.Approved = "h0" }, sriovv1.ReasonWaitingForSlot, Nothing, ""},
		"approval taken back":       {func(f *Facts) { manual(f); f.Hold = held }, sriovv1.ReasonWaitingForApproval, Release, ""},
		"approval taken back later": {func(f *Facts) { manual(f); f.Hold, f.Recorded = held, drained }, sriovv1.ReasonDrained, Drain, ""},

		"took too long": {func(f *Facts) {
			f.Recorded = recorded(metav1.ConditionFalse, sriovv1.ReasonDeadlineExceeded, "h1")
			f.Recorded.RetryTime = seconds(1001)
		}, sriovv1.ReasonDeadlineExceeded, Nothing, ""},
		"took too long, killed before the release": {func(f *Facts) {
			f.Hold, f.Recorded = held, recorded(metav1.ConditionFalse, sriovv1.ReasonDeadlineExceeded, "h1")
			f.Recorded.RetryTime = seconds(1001)
		}, sriovv1.ReasonDeadlineExceeded, Release, ""},
		"took too long, some time ago": {func(f *Facts) {
			f.Recorded = recorded(metav1.ConditionFalse, sriovv1.ReasonDeadlineExceeded, "h1")
			f.Recorded.RetryTime = seconds(1000)
		}, sriovv1.ReasonWaitingForSlot, Nothing, ""},
		"took too long with another plan": {func(f *Facts) {
			f.Recorded = recorded(metav1.ConditionFalse, sriovv1.ReasonDeadlineExceeded, "h0")
			f.Recorded.RetryTime = seconds(5000)
		}, sriovv1.ReasonWaitingForSlot, Nothing, ""},

		"another drainer": {func(f *Facts) { f.External.Use = true }, sriovv1.ReasonExternalDrain, Nothing, sriovv1.ExternalDrainRequired},
		"another drainer, and a reboot": {func(f *Facts) {
			f.External.Use, f.Plan.Disruption = true, sriovv1.DisruptionReboot
		}, sriovv1.ReasonExternalDrain, Nothing, sriovv1.ExternalRebootRequired},
		"another drainer while moving": {func(f *Facts) { f.External.Use, f.Hold = true, held }, sriovv1.ReasonExternalDrain, Release, sriovv1.ExternalDrainRequired},
		"another drainer, half asked": {func(f *Facts) {
			f.External = External{Use: true, Desired: sriovv1.ExternalDrainRequired}
			f.Recorded = recorded(metav1.ConditionFalse, sriovv1.ReasonExternalDrain, "h1")
		}, sriovv1.ReasonExternalDrain, Nothing, sriovv1.ExternalDrainRequired},
		"another drainer at work": {func(f *Facts) {
			f.External = External{Use: true, Request: sriovv1.ExternalDrainRequired, Desired: sriovv1.ExternalDrainRequired, Current: sriovv1.ExternalDraining}
			f.Recorded = recorded(metav1.ConditionFalse, sriovv1.ReasonExternalDrain, "h1")
		}, sriovv1.ReasonExternalDrain, Nothing, ""},
		"another drainer is done": {func(f *Facts) {
			f.External = External{Use: true, Request: sriovv1.ExternalDrainRequired, Desired: sriovv1.ExternalDrainRequired, Current: sriovv1.ExternalDrainComplete}
			f.Recorded = recorded(metav1.ConditionFalse, sriovv1.ReasonExternalDrain, "h1")
		}, sriovv1.ReasonDrained, Nothing, ""},
		"another drainer is done with another plan": {func(f *Facts) {
			f.External = External{Use: true, Request: sriovv1.ExternalDrainRequired, Desired: sriovv1.ExternalDrainRequired, Current: sriovv1.ExternalDrainComplete}
			f.Recorded = recorded(metav1.ConditionTrue, sriovv1.ReasonDrained, "h0")
		}, sriovv1.ReasonExternalDrain, Nothing, sriovv1.ExternalDrainIdle},
		"another drainer was asked, and the plan is gone": {func(f *Facts) {
			f.Plan = nil
			f.External = External{Use: true, Request: sriovv1.ExternalDrainRequired, Desired: sriovv1.ExternalDrainRequired, Current: sriovv1.ExternalDraining}
			f.Recorded = recorded(metav1.ConditionFalse, sriovv1.ReasonExternalDrain, "h1")
		}, sriovv1.ReasonDrainNotNeeded, Nothing, sriovv1.ExternalDrainIdle},
		"another drainer is not used any more": {func(f *Facts) {
			f.External = External{Request: sriovv1.ExternalDrainRequired, Desired: sriovv1.ExternalDrainIdle}
		}, sriovv1.ReasonWaitingForSlot, Nothing, sriovv1.ExternalDrainIdle},
		"another drainer needs approval too": {func(f *Facts) { manual(f); f.External.Use = true }, sriovv1.ReasonWaitingForApproval, Nothing, ""},
		"another drainer that was never asked": {func(f *Facts) {
			f.Plan, f.External = nil, External{Use: true, Request: sriovv1.ExternalDrainIdle, Current: sriovv1.ExternalDrainIdle}
		}, "", Nothing, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := someFacts()
			test.change(&f)
			got := Next(f)
			if got.Record.Reason != test.reason || got.Act != test.act || got.Request != test.request {
				t.Errorf("reason %q, act %d, request %q; want %q, %d, %q", got.Record.Reason, got.Act, got.Request, test.reason, test.act, test.request)
			}
			if waits := f.WaitsForSlot(); waits != (test.reason == sriovv1.ReasonWaitingForSlot) {
				t.Errorf("waits for a slot: %t", waits)
			}
		})
	}
}

// TestWaitingOutlivesAPlan: a node keeps its place in the queue when its plan
// changes, and nothing else of the drain for the old one.
func TestWaitingOutlivesAPlan(t *testing.T) {
	f := someFacts()
	f.Recorded = Record{
		Status: metav1.ConditionFalse, Reason: sriovv1.ReasonDrainBlocked, Message: "m", PlanHash: "h0",
		WaitingSince: seconds(10), StartTime: seconds(20), RetryTime: seconds(30), Failures: 3,
	}
	f.Hold.Held = true
	got := Next(f).Record
	want := Record{
		Status: metav1.ConditionFalse, Reason: sriovv1.ReasonDraining, PlanHash: "h1", Message: got.Message,
		WaitingSince: seconds(10), StartTime: seconds(1000),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("another plan (-want +got):\n%s", diff)
	}
	f.Recorded.PlanHash = "h1"
	want.StartTime, want.RetryTime, want.Failures = seconds(20), seconds(30), 3
	if diff := cmp.Diff(want, Next(f).Record); diff != "" {
		t.Errorf("the same plan (-want +got):\n%s", diff)
	}
	f.Recorded = Record{Status: metav1.ConditionFalse, Reason: sriovv1.ReasonDrainNotNeeded}
	if got := Next(f).Record.WaitingSince; !got.Equal(f.Now) {
		t.Errorf("a node that waited for nothing waits since %s", got)
	}
}

func TestRecordRoundTrip(t *testing.T) {
	r := Record{
		Status: metav1.ConditionFalse, Reason: "R", Message: "m", PlanHash: "h",
		WaitingSince: seconds(1), StartTime: seconds(2), RetryTime: seconds(3), Failures: 4,
	}
	state := &sriovv1.SriovNetworkNodeState{Status: r.status(nil, 7)}
	if got := RecordOf(state); !got.equal(r) {
		t.Errorf("got %+v, want %+v", got, r)
	}
	for _, change := range []func(*Record){
		func(r *Record) { r.Status = metav1.ConditionTrue }, func(r *Record) { r.Reason = "S" }, func(r *Record) { r.Message = "" },
		func(r *Record) { r.PlanHash = "" }, func(r *Record) { r.WaitingSince = seconds(0) }, func(r *Record) { r.StartTime = time.Time{} },
		func(r *Record) { r.RetryTime = seconds(0) }, func(r *Record) { r.Failures = 0 },
	} {
		other := r
		change(&other)
		if other.equal(r) {
			t.Errorf("%+v is not %+v", other, r)
		}
	}
	before := metav1.NewTime(seconds(-100))
	state.Status.Conditions[0].LastTransitionTime = before
	if got := r.status(state.Status.Conditions, 8).Conditions[0]; !got.LastTransitionTime.Equal(&before) || got.ObservedGeneration != 8 {
		t.Errorf("the same status is a transition at %s of generation %d", got.LastTransitionTime, got.ObservedGeneration)
	}
}

func TestRetryDelay(t *testing.T) {
	for failures, want := range map[int32]time.Duration{1: 5 * time.Minute, 2: 10 * time.Minute, 4: 40 * time.Minute, 5: time.Hour, 1000: time.Hour} {
		if got := retryDelay(DefaultRetryDelay, failures); got != want {
			t.Errorf("after %d failures: %s, want %s", failures, got, want)
		}
	}
	if got := retryDelay(2*time.Hour, 3); got != 2*time.Hour {
		t.Errorf("a delay of its own became %s", got)
	}
}

func TestMessagesSayWhatToDo(t *testing.T) {
	f := someFacts()
	if got := f.approvalMessage(); !strings.Contains(got, "kubectl annotate --overwrite -n operator sriovnetworknodestate n sriovnetwork.openshift.io/approved-plan=h1") {
		t.Error(got)
	}
	f.Settings.Pool, f.Settings.MaxUnavailable = "a", "10%"
	if got := f.slotMessage(); !strings.Contains(got, "sriovnetworkpoolconfig a") || !strings.Contains(got, "10%") {
		t.Error(got)
	}
}
