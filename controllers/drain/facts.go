package drain

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Plan is a disruptive plan that a daemon published.
type Plan struct {
	Hash       string
	Disruption sriovv1.Disruption
	// Pods that lose a VF, as namespace/name.
	Pods []string
}

// PlanOf returns the disruptive plan in the status of a node state, or nil if there is none.
func PlanOf(state *sriovv1.SriovNetworkNodeState) *Plan {
	if state == nil || state.Status.Plan == nil {
		return nil
	}
	p := state.Status.Plan
	switch p.Disruption {
	case sriovv1.DisruptionVFPods, sriovv1.DisruptionNode, sriovv1.DisruptionReboot:
		return &Plan{Hash: p.Hash, Disruption: p.Disruption, Pods: p.AffectedPods}
	}
	return nil
}

// wholeNode tells whether every pod has to leave.
func (p *Plan) wholeNode() bool { return p.Disruption != sriovv1.DisruptionVFPods }

// affects tells whether a pod loses a VF.
func (p *Plan) affects(pod *corev1.Pod) bool { return slices.Contains(p.Pods, nameOf(pod)) }

func nameOf(pod *corev1.Pod) string { return pod.Namespace + "/" + pod.Name }

// same tells whether two plans, or their absence, are waited for alike. Pods that
// left or came do not make another plan.
func same(a, b *Plan) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Hash == b.Hash && a.Disruption == b.Disruption
}

// Settings of the pool of a node.
type Settings struct {
	// Pool is the name of the pool; empty for a node in none.
	Pool string
	// MaxUnavailable as the pool spells it; empty for no limit.
	MaxUnavailable string
	// Manual tells that a person approves every plan.
	Manual bool
	// Deadline of a drain.
	Deadline time.Duration
	// Force moves pods away that nobody would create again, and after the deadline
	// those that a PodDisruptionBudget protects.
	Force bool
}

// SettingsOf reads the settings of a pool; nil is no pool.
func SettingsOf(pool *sriovv1.SriovNetworkPoolConfig) Settings {
	s := Settings{Deadline: sriovv1.DefaultDrainDeadlineSeconds * time.Second, MaxUnavailable: "1"}
	if pool == nil {
		return s
	}
	s.Pool = pool.Name
	s.Manual = pool.Spec.Approval == sriovv1.ApprovalManual
	s.Force = pool.Spec.Drain.Force
	s.MaxUnavailable = ""
	if limit := pool.Spec.MaxUnavailable; limit != nil {
		s.MaxUnavailable = limit.String()
	}
	if d := pool.Spec.Drain.DeadlineSeconds; d != nil {
		s.Deadline = time.Duration(*d) * time.Second
	}
	return s
}

// External is what is said to and by another drainer, see sriovv1.AnnotationExternalDrainer.
type External struct {
	Use bool
	// Request on the node and Desired on the node state; Current is the answer.
	Request, Desired, Current string
}

// idle tells whether nothing is asked of the other drainer.
func (e External) idle() bool {
	return e.asks("", sriovv1.ExternalDrainIdle) || e.asks(sriovv1.ExternalDrainIdle, "")
}

// asks tells whether both annotations have one of these values.
func (e External) asks(values ...string) bool {
	return slices.Contains(values, e.Request) && slices.Contains(values, e.Desired)
}

// Record is what the node state says about the drain of its node: the condition
// Drained and status.drain. The zero value is a state without either.
type Record struct {
	Status   metav1.ConditionStatus
	Reason   string
	Message  string
	PlanHash string
	// Times have a precision of seconds, and are zero for unset.
	WaitingSince, StartTime, RetryTime time.Time
	Failures                           int32
}

// RecordOf reads it.
func RecordOf(state *sriovv1.SriovNetworkNodeState) Record {
	var r Record
	if c := meta.FindStatusCondition(state.Status.Conditions, sriovv1.ConditionDrained); c != nil {
		r.Status, r.Reason, r.Message = c.Status, c.Reason, c.Message
	}
	if d := state.Status.Drain; d != nil {
		r.PlanHash, r.Failures = d.PlanHash, d.Failures
		r.WaitingSince, r.StartTime, r.RetryTime = timeOf(d.WaitingSince), timeOf(d.StartTime), timeOf(d.RetryTime)
	}
	return r
}

// equal compares instants, whatever their time zones.
func (r Record) equal(o Record) bool {
	if !r.WaitingSince.Equal(o.WaitingSince) || !r.StartTime.Equal(o.StartTime) || !r.RetryTime.Equal(o.RetryTime) {
		return false
	}
	r.WaitingSince, r.StartTime, r.RetryTime = o.WaitingSince, o.StartTime, o.RetryTime
	return r == o
}

// maxMessage is what the API server takes as the message of a condition.
const maxMessage = 32768

// status returns the fields of the status that say it, with the transition time
// of the present condition where the condition's status stays.
func (r Record) status(present []metav1.Condition, generation int64) sriovv1.SriovNetworkNodeStateStatus {
	var s sriovv1.SriovNetworkNodeStateStatus
	if c := meta.FindStatusCondition(present, sriovv1.ConditionDrained); c != nil {
		s.Conditions = []metav1.Condition{*c}
	}
	meta.SetStatusCondition(&s.Conditions, metav1.Condition{
		Type: sriovv1.ConditionDrained, Status: r.Status, Reason: r.Reason, Message: sriovv1.Clip(r.Message, maxMessage), ObservedGeneration: generation,
	})
	if r.PlanHash != "" {
		s.Drain = &sriovv1.DrainStatus{
			PlanHash: r.PlanHash, Failures: r.Failures,
			WaitingSince: timePointer(r.WaitingSince), StartTime: timePointer(r.StartTime), RetryTime: timePointer(r.RetryTime),
		}
	}
	return s
}

func timeOf(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

func timePointer(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return &metav1.Time{Time: t}
}

// Facts are everything that the next step of one node depends on.
type Facts struct {
	// Now has a precision of seconds, as what is recorded.
	Now time.Time
	// Node and Namespace name the node state.
	Node, Namespace string
	// Plan is nil when nothing disruptive is to be done.
	Plan *Plan
	// Disabled tells that the administrator wants no drains.
	Disabled bool
	// Pools of the node, by name. More than one is a mistake.
	Pools    []string
	Settings Settings
	// Approved is the hash of the plan that a person approved.
	Approved string
	External External
	Hold     Hold
	Recorded Record
	// RetryDelay is how long a node waits after its first drain that took too long.
	RetryDelay time.Duration
}
