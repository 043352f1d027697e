package agent

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// Pauses between tries of a PF's chain that failed: the first, and the longest.
const (
	firstPause   = time.Second
	longestPause = 5 * time.Minute
)

// retries remembers the PFs whose chains failed. The steps of a chain cause
// events, and events cause turns: without a memory a step that the kernel
// refuses would be tried several times a second, with everything that goes
// before it. Other PFs are not affected.
type retries struct {
	byPF map[string]*setback
}

// setback is the failure of one PF's chain.
type setback struct {
	// generation of the spec that was carried out; another one is tried at once.
	generation int64
	tries      int
	until      time.Time
	reason     string
	message    string
}

// failed notes that the chain of these PFs failed.
func (r *retries) failed(pfs []string, generation int64, now time.Time, reason, message string) {
	if r.byPF == nil {
		r.byPF = map[string]*setback{}
	}
	for _, pf := range pfs {
		tries := 0
		if s := r.byPF[pf]; s != nil && s.generation == generation {
			tries = s.tries
		}
		r.byPF[pf] = &setback{
			generation: generation, tries: tries + 1, until: now.Add(pauseAfter(tries + 1)),
			reason: reason, message: message,
		}
	}
}

// pauseAfter doubles with every try.
func pauseAfter(tries int) time.Duration {
	pause := firstPause
	for range tries - 1 {
		if pause *= 2; pause >= longestPause {
			return longestPause
		}
	}
	return pause
}

// settled forgets PFs on which nothing is left to be done, and setbacks of
// another generation.
func (r *retries) settled(p plan.Plan, generation int64) {
	pending := map[string]bool{}
	for _, chain := range p.Chains {
		for _, pf := range chain.PFs {
			pending[pf] = true
		}
	}
	maps.DeleteFunc(r.byPF, func(pf string, s *setback) bool {
		return !pending[pf] || s.generation != generation
	})
}

// due returns the part of a plan that may be tried now.
func (r *retries) due(p plan.Plan, now time.Time) plan.Plan {
	out := plan.Plan{Released: p.Released, ReleasedBonds: p.ReleasedBonds, ReleasedBridges: p.ReleasedBridges}
	for _, chain := range p.Chains {
		waits := slices.ContainsFunc(chain.PFs, func(pf string) bool {
			s := r.byPF[pf]
			return s != nil && now.Before(s.until)
		})
		if !waits {
			out.Chains = append(out.Chains, chain)
		}
	}
	return out
}

// next is how long until something is due again; 0 when nothing failed.
func (r *retries) next(now time.Time) time.Duration {
	var next time.Duration
	for _, s := range r.byPF {
		wait := max(s.until.Sub(now), time.Millisecond)
		if next == 0 || wait < next {
			next = wait
		}
	}
	return next
}

// report returns what failed, ordered by PF; PFs of one chain say it once.
func (r *retries) report() (reason, message string) {
	var messages []string
	for _, pf := range slices.Sorted(maps.Keys(r.byPF)) {
		s := r.byPF[pf]
		if reason == "" {
			reason = s.reason
		}
		if !slices.Contains(messages, s.message) {
			messages = append(messages, s.message)
		}
	}
	return reason, strings.Join(messages, " | ")
}
