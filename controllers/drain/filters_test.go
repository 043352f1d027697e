package drain

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

func TestJudge(t *testing.T) {
	owned := func(kind string) func(*corev1.Pod) {
		yes := true
		return func(p *corev1.Pod) { p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Controller: &yes}} }
	}
	of := owned("ReplicaSet")
	all := func(changes ...func(*corev1.Pod)) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			for _, f := range changes {
				f(p)
			}
		}
	}
	other := func(p *corev1.Pod) { p.Name = "other" }
	mirror := func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "h"} }
	ends := func(after time.Duration) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: seconds(0).Add(after)} }
	}
	reboot := func(c *Case) { c.Plan.Disruption = sriovv1.DisruptionReboot }
	force := func(c *Case) { c.Force = true }
	none := func(*Case) {}
	// Pod web holds an affected VF.
	tests := map[string]struct {
		pod func(*corev1.Pod)
		in  func(*Case)
		// fate, and a part of why
		want Fate
		why  string
	}{
		"affected":                          {of, none, Evict, ""},
		"not affected":                      {all(of, other), none, Stay, ""},
		"not affected, whole node":          {all(of, other), reboot, Evict, ""},
		"not affected, node without pods":   {all(of, other), func(c *Case) { c.Plan.Disruption = sriovv1.DisruptionNode }, Evict, ""},
		"not affected, only node":           {all(of, other), func(c *Case) { reboot(c); c.Alone = true }, Stay, ""},
		"affected, only node":               {of, func(c *Case) { reboot(c); c.Alone = true }, Evict, ""},
		"on another node":                   {all(of, func(p *corev1.Pod) { p.Spec.NodeName = "m" }), none, Stay, ""},
		"on another node, whole node":       {all(of, func(p *corev1.Pod) { p.Spec.NodeName = "m" }), reboot, Stay, ""},
		"finished":                          {all(of, func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }), none, Stay, ""},
		"failed":                            {all(of, func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), reboot, Stay, ""},
		"this manager":                      {all(of, func(p *corev1.Pod) { p.Namespace, p.Name = "operator", "manager-1" }), reboot, Stay, ""},
		"another manager":                   {all(of, func(p *corev1.Pod) { p.Namespace, p.Name = "operator", "manager-2" }), reboot, Evict, ""},
		"ending":                            {all(of, ends(time.Second)), none, Await, ""},
		"ending, though unmanaged":          {ends(-patience), none, Await, ""},
		"ending for too long":               {all(of, ends(-patience-time.Second)), none, Obstruct, "grace period is over"},
		"static, affected":                  {all(owned("Node"), mirror), none, Obstruct, "static pod"},
		"static, affected, forced":          {all(owned("Node"), mirror), force, Obstruct, "static pod"},
		"static, whole node":                {all(owned("Node"), mirror, other), reboot, Stay, ""},
		"of a DaemonSet, affected":          {owned("DaemonSet"), none, Delete, ""},
		"of a DaemonSet, whole node":        {all(owned("DaemonSet"), other), reboot, Stay, ""},
		"of a DaemonSet, affected, reboot":  {owned("DaemonSet"), reboot, Delete, ""},
		"of nobody":                         {func(*corev1.Pod) {}, none, Obstruct, "no controller"},
		"of nobody, forced":                 {func(*corev1.Pod) {}, force, Evict, ""},
		"affected, forced, in time":         {of, force, Evict, ""},
		"affected, overdue, not forced":     {of, func(c *Case) { c.Overdue = true }, Evict, ""},
		"affected, overdue, forced":         {of, func(c *Case) { c.Overdue, c.Force = true, true }, Delete, ""},
		"not affected, overdue, and forced": {all(of, other), func(c *Case) { c.Overdue, c.Force = true, true }, Stay, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "pods", Name: "web"}, Spec: corev1.PodSpec{NodeName: "n"}}
			test.pod(&pod)
			c := Case{Now: seconds(0), Node: "n", Plan: somePlan(), Self: types.NamespacedName{Namespace: "operator", Name: "manager-1"}}
			test.in(&c)
			got := Judge(c, []corev1.Pod{pod})
			if len(got) != 1 || got[0].Fate != test.want || !strings.Contains(got[0].Why, test.why) || (got[0].Why == "") != (test.why == "") {
				t.Errorf("%+v, want %d because %q", got, test.want, test.why)
			}
		})
	}
}

func TestSettle(t *testing.T) {
	blocked := []Obstacle{{"pods/b", "why b"}, {"pods/a", "why a"}}
	tests := map[string]struct {
		elapsed int
		force   bool
		round   Round
		status  metav1.ConditionStatus
		reason  string
		message string
		act     Act
		requeue time.Duration
	}{
		"all gone":          {5, false, Round{}, metav1.ConditionTrue, sriovv1.ReasonDrained, "no pod on it", Nothing, 0},
		"all gone too late": {5000, false, Round{}, metav1.ConditionTrue, sriovv1.ReasonDrained, "no pod on it", Nothing, 0},
		"leaving":           {0, false, Round{Remaining: 1}, metav1.ConditionFalse, sriovv1.ReasonDraining, "are leaving", Drain, time.Second},
		"leaving for long":  {200, false, Round{Remaining: 1}, metav1.ConditionFalse, sriovv1.ReasonDraining, "are leaving", Drain, 10 * time.Second},
		"near the deadline": {1798, false, Round{Remaining: 1}, metav1.ConditionFalse, sriovv1.ReasonDraining, "are leaving", Drain, 2 * time.Second},
		"blocked": {16, false, Round{Remaining: 3, Obstacles: blocked}, metav1.ConditionFalse, sriovv1.ReasonDrainBlocked,
			"pod pods/a: why a; pod pods/b: why b", Drain, 4 * time.Second},
		"too late": {1800, false, Round{Remaining: 3, Obstacles: blocked}, metav1.ConditionFalse, sriovv1.ReasonDeadlineExceeded,
			"after 30m0s and is tried again at 2023-11-14T22:18:20Z (attempt 2): pod pods/a: why a", Release, 5 * time.Minute},
		"too late, nobody to blame": {1800, false, Round{Remaining: 3}, metav1.ConditionFalse, sriovv1.ReasonDeadlineExceeded, "3 pods were still leaving", Release, 5 * time.Minute},
		"too late, forced":          {1800, true, Round{Remaining: 3}, metav1.ConditionFalse, sriovv1.ReasonDraining, "are leaving", Drain, 10 * time.Second},
		"much too late, forced":     {3600, true, Round{Remaining: 3}, metav1.ConditionFalse, sriovv1.ReasonDeadlineExceeded, "after 1h0m0s", Release, 5 * time.Minute},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := someFacts()
			f.Now = seconds(0)
			f.Hold, f.Settings.Force = Hold{Held: true}, test.force
			f.Recorded = Record{Status: metav1.ConditionFalse, Reason: sriovv1.ReasonDraining, PlanHash: "h1", WaitingSince: seconds(-9000), StartTime: seconds(-test.elapsed)}
			got := Settle(f, test.round)
			if got.Record.Status != test.status || got.Record.Reason != test.reason || !strings.Contains(got.Record.Message, test.message) {
				t.Errorf("record %+v", got.Record)
			}
			if got.Act != test.act || got.RequeueAfter != test.requeue {
				t.Errorf("act %d after %s, want %d after %s", got.Act, got.RequeueAfter, test.act, test.requeue)
			}
			if exceeded := got.Record.Reason == sriovv1.ReasonDeadlineExceeded; exceeded &&
				(got.Record.Failures != 1 || !got.Record.RetryTime.Equal(seconds(300)) || !got.Record.WaitingSince.Equal(seconds(300)) || !got.Record.StartTime.IsZero()) {
				t.Errorf("given back: %+v", got.Record)
			}
		})
	}
}

// TestNamedObstacles: what blocked the evictions of the last round is the reason
// when time is over, although nobody tried again; and a message stays short.
func TestNamedObstacles(t *testing.T) {
	f := someFacts()
	f.Hold = Hold{Held: true}
	f.Recorded = Record{Status: metav1.ConditionFalse, Reason: sriovv1.ReasonDrainBlocked, Message: "pod pods/db: budget", PlanHash: "h1", StartTime: seconds(-9000), Failures: 2}
	got := Settle(f, Round{Remaining: 1})
	if !strings.Contains(got.Record.Message, "(attempt 4): pod pods/db: budget") || got.RequeueAfter != 20*time.Minute {
		t.Errorf("%+v", got)
	}
	var many []Obstacle
	for _, name := range strings.Split("h g f e d c b a", " ") {
		many = append(many, Obstacle{Pod: name, Why: strings.Repeat("w", 5000)})
	}
	text := describe(many)
	if len(text) > 6000 || !strings.HasPrefix(text, "pod a: ") || !strings.HasSuffix(text, "and 3 more pods") {
		t.Errorf("%d bytes: %s", len(text), text)
	}
}

func TestBlockedBy(t *testing.T) {
	budget := func(name, app string) policyv1.PodDisruptionBudget {
		return policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Namespace: "pods", Name: name},
			Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}},
			Status:     policyv1.PodDisruptionBudgetStatus{CurrentHealthy: 2, DesiredHealthy: 3},
		}
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "pods", Name: "web", Labels: map[string]string{"app": "web"}}}
	tooMany := apierrors.NewTooManyRequests("no", 0)
	internal := apierrors.NewInternalError(errors.New("oops"))
	for name, test := range map[string]struct {
		budgets []policyv1.PodDisruptionBudget
		refused error
		want    string
	}{
		"one":            {[]policyv1.PodDisruptionBudget{budget("b", "db"), budget("a", "web")}, tooMany, "PodDisruptionBudget pods/a (2 of 3 healthy pods needed are there) does not let it go"},
		"gone meanwhile": {[]policyv1.PodDisruptionBudget{budget("b", "db")}, tooMany, "it cannot be evicted: no"},
		"two": {[]policyv1.PodDisruptionBudget{budget("b", "web"), budget("a", "web")}, internal,
			"more than one budget protects it, which evictions do not support: PodDisruptionBudget pods/a (2 of 3 healthy pods needed are there), PodDisruptionBudget pods/b (2 of 3 healthy pods needed are there)"},
		"something else": {[]policyv1.PodDisruptionBudget{budget("a", "web")}, internal, "it cannot be evicted: Internal error occurred: oops"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, blockedBy(pod, test.budgets, test.refused)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestSettingsOf(t *testing.T) {
	got := SettingsOf(nil)
	if want := (Settings{MaxUnavailable: "1", Deadline: 30 * time.Minute}); got != want {
		t.Errorf("no pool: %+v", got)
	}
	sec := int32(60)
	pool := &sriovv1.SriovNetworkPoolConfig{ObjectMeta: metav1.ObjectMeta{Name: "p"}}
	pool.Spec.Drain = sriovv1.DrainSettings{DeadlineSeconds: &sec, Force: true}
	pool.Spec.Approval = sriovv1.ApprovalManual
	if got, want := SettingsOf(pool), (Settings{Pool: "p", Manual: true, Deadline: time.Minute, Force: true}); got != want {
		t.Errorf("a pool: %+v", got)
	}
}
