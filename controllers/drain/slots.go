package drain

import (
	"cmp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// Member is a node of a pool, as far as slots are concerned.
type Member struct {
	Name string
	// Held tells that the node has a slot.
	Held bool
	// Unavailable tells that the node takes no pods for another reason: it is not
	// ready, or somebody else cordoned it.
	Unavailable bool
	// Waiting tells that the node may have the next slot; Since when it has been
	// waiting, zero for a moment ago.
	Waiting bool
	Since   time.Time
}

// Limit is how many of the nodes of a pool may be unavailable. A percentage is
// rounded down, to 1 at the least: a small pool would never be drained. 0 and 0%
// are no oversight, and let none be drained. Unset is no limit. What is neither a
// number nor a percentage, which the API server refuses, lets none be drained either.
func Limit(maxUnavailable *intstr.IntOrString, nodes int) int {
	if maxUnavailable == nil {
		return nodes
	}
	limit, err := intstr.GetScaledValueFromIntOrPercent(maxUnavailable, nodes, false)
	if err != nil || limit < 0 {
		return 0
	}
	if limit == 0 && maxUnavailable.Type == intstr.String && maxUnavailable.StrVal != "0%" && nodes > 0 {
		return 1
	}
	return limit
}

// Usage of a pool's slots.
type Usage struct {
	Nodes, Limit, Unavailable, Held, Waiting int
	// HeldBy are the nodes that have a slot, by name.
	HeldBy []string
	// Others are the nodes that are unavailable without having one, by name.
	Others []string
}

// UsageOf counts.
func UsageOf(members []Member, limit int) Usage {
	u := Usage{Nodes: len(members), Limit: limit}
	for _, m := range members {
		switch {
		case m.Held:
			u.Held++
			u.HeldBy = append(u.HeldBy, m.Name)
		case m.Unavailable:
			u.Others = append(u.Others, m.Name)
		}
		if m.Waiting {
			u.Waiting++
		}
	}
	u.Unavailable = u.Held + len(u.Others)
	slices.Sort(u.HeldBy)
	slices.Sort(u.Others)
	return u
}

// Grant returns which nodes get a slot, by name: those that have waited longest, in
// the order of their names where that is the same. Never more than limit nodes
// have one. A node that is available gets one only as long as no more than limit
// nodes are unavailable then; one that is unavailable already makes that no worse,
// and need not wait for it: a node may not be ready just because its network waits
// for the plan.
func Grant(members []Member, limit int) []string {
	u := UsageOf(members, limit)
	waiting := slices.DeleteFunc(slices.Clone(members), func(m Member) bool { return !m.Waiting || m.Held })
	slices.SortFunc(waiting, byPatience)
	var granted []string
	for _, m := range waiting {
		if u.Held >= limit {
			break
		}
		if !m.Unavailable {
			if u.Unavailable >= limit {
				continue
			}
			u.Unavailable++
		}
		u.Held++
		granted = append(granted, m.Name)
	}
	return granted
}

func byPatience(a, b Member) int {
	switch {
	case a.Since.Equal(b.Since):
		return cmp.Compare(a.Name, b.Name)
	case a.Since.IsZero():
		return 1
	case b.Since.IsZero():
		return -1
	}
	return a.Since.Compare(b.Since)
}
