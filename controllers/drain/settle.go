package drain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Obstacle is a pod that does not leave, and why.
type Obstacle struct {
	// Pod is namespace/name.
	Pod string
	Why string
}

// Round is what a look at the pods of a node, and the evictions after it, came to.
type Round struct {
	// Remaining is how many pods have to leave and have not.
	Remaining int
	// Obstacles are those of them that do not leave by themselves.
	Obstacles []Obstacle
}

// RoundOf says what the fates of pods come to before anybody touched them.
func RoundOf(fates []PodFate) Round {
	var r Round
	for _, f := range fates {
		if f.Fate == Stay {
			continue
		}
		r.Remaining++
		if f.Fate == Obstruct {
			r.Obstacles = append(r.Obstacles, Obstacle{Pod: nameOf(f.Pod), Why: f.Why})
		}
	}
	return r
}

// Overdue tells whether the deadline of the drain is over.
func (f Facts) Overdue() bool { return !f.Now.Before(f.startTime().Add(f.Settings.Deadline)) }

// givesUp tells whether no more time is left: with force, pods that were deleted
// when the deadline was over get it once more.
func (f Facts) givesUp() bool {
	patience := f.Settings.Deadline
	if f.Settings.Force {
		patience *= 2
	}
	return !f.Now.Before(f.startTime().Add(patience))
}

// Settle says what a round means for a node that holds a slot.
func Settle(f Facts, round Round) Step {
	s := f.draining()
	switch {
	case round.Remaining == 0:
		s.Act = Nothing
		s.Record.Status, s.Record.Reason, s.Record.Message = metav1.ConditionTrue, sriovv1.ReasonDrained, f.completeMessage()
	case f.givesUp():
		return f.exceeded(round)
	case len(round.Obstacles) > 0:
		s.Record.Reason, s.Record.Message = sriovv1.ReasonDrainBlocked, describe(round.Obstacles)
	default:
		s.Record.Reason, s.Record.Message = sriovv1.ReasonDraining, f.drainingMessage()
	}
	if s.Act == Drain {
		s.RequeueAfter = f.poll()
	}
	return s
}

func (f Facts) exceeded(round Round) Step {
	r := f.record(metav1.ConditionFalse, sriovv1.ReasonDeadlineExceeded, "")
	r.Failures++
	delay := retryDelay(f.RetryDelay, r.Failures)
	r.RetryTime = f.Now.Add(delay)
	// Others may go first then.
	r.WaitingSince = r.RetryTime
	why := fmt.Sprintf("%d pods were still leaving", round.Remaining)
	switch {
	case f.underWay() && f.Recorded.Reason == sriovv1.ReasonDrainBlocked:
		why = f.Recorded.Message // what evictions met is known from the round before
	case len(round.Obstacles) > 0:
		why = describe(round.Obstacles)
	}
	r.Message = fmt.Sprintf("the node was given back after %s and is tried again at %s (attempt %d): %s",
		f.Now.Sub(f.startTime()), r.RetryTime.UTC().Format(time.RFC3339), r.Failures+1, why)
	return Step{Record: r, Act: Release, RequeueAfter: delay}
}

func (f Facts) completeMessage() string {
	if f.Plan.wholeNode() {
		return "the node is cordoned, and its pods have left"
	}
	return "the node is cordoned, and no pod on it holds an affected VF"
}

// Bounds of how often the pods of a node are looked at.
const (
	minPoll = time.Second
	maxPoll = 10 * time.Second
)

// poll is when to look again: soon at first, when pods leave, and less often the
// longer it takes.
func (f Facts) poll() time.Duration {
	elapsed := f.Now.Sub(f.startTime())
	next := max(minPoll, min(elapsed/4, maxPoll))
	if left := f.Settings.Deadline - elapsed; left > 0 {
		next = min(next, left)
	}
	return next
}

// named is how many obstacles a message spells out.
const named = 5

func describe(obstacles []Obstacle) string {
	sorted := slices.SortedFunc(slices.Values(obstacles), func(a, b Obstacle) int { return cmp.Compare(a.Pod, b.Pod) })
	var parts []string
	for _, o := range sorted[:min(len(sorted), named)] {
		parts = append(parts, fmt.Sprintf("pod %s: %s", o.Pod, sriovv1.Clip(o.Why, 1024)))
	}
	if more := len(sorted) - named; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more pods", more))
	}
	return strings.Join(parts, "; ")
}
