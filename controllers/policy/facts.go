package policy

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/fleet"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
)

// facts are what a policy's status is made of. Lists are ordered by node.
type facts struct {
	// ignored says why the policy is without effect; empty if it is not.
	ignored string
	// selected nodes have the labels of nodeSelector; unmerged of them were not
	// yet merged with this version of the policy.
	selected, unmerged int
	// silent are selected nodes whose daemon has not reported its NICs yet.
	silent []string
	// unmatched are selected nodes without a PF that matches; misses say why, and
	// on other nodes what is not known of a PF.
	unmatched []string
	misses    []merge.Miss
	// matched nodes have at least one PF that the policy selects; of these,
	// ready have read back what was merged and the others are waiting or stalled.
	// A node whose spec the API server refuses is stalled, whatever it matches.
	matched, ready int
	waiting        []string
	stalled        []stalledNode
	// conflicts are at most sriovv1.MaxConflicts of conflictCount.
	conflicts     []sriovv1.PolicyConflict
	conflictCount int
	// lostTo is a stronger policy that won a conflict; empty if every conflict
	// is the policy's own fault.
	lostTo string
}

type stalledNode struct{ name, message string }

// ignored says why a policy is without effect by itself, or is empty.
func ignored(policy *sriovv1.SriovNetworkNodePolicy) string {
	switch {
	case policy.Name == sriovv1.DefaultPolicyName:
		return `a policy named "default" has no effect; use another name`
	case policy.Spec.NumVfs == 0:
		return "numVfs is 0, which adds nothing to any node"
	}
	return ""
}

// gather reads the facts off the fleet. managed are the nodes that have a node
// state, ordered by name.
func gather(policy *sriovv1.SriovNetworkNodePolicy, managed []metav1.PartialObjectMetadata, f *fleet.Fleet) facts {
	out := facts{ignored: ignored(policy)}
	if out.ignored != "" {
		return out
	}
	for i := range managed {
		if !fleet.Selects(policy, managed[i].Labels) {
			continue
		}
		out.selected++
		node, merged := f.Of(policy, managed[i].Name)
		if !merged {
			out.unmerged++
			continue
		}
		out.add(&node, node.Policies[policy.Name])
	}
	return out
}

func (f *facts) add(node *fleet.Node, result merge.PolicyResult) {
	f.conflictCount += len(result.Conflicts) + result.MoreConflicts
	room := min(sriovv1.MaxConflicts-len(f.conflicts), len(result.Conflicts))
	f.conflicts = append(f.conflicts, result.Conflicts[:room]...)
	won := func(c sriovv1.PolicyConflict) bool { return c.Winner != "" }
	if i := slices.IndexFunc(result.Conflicts, won); i >= 0 && f.lostTo == "" {
		f.lostTo = result.Conflicts[i].Winner
	}
	if node.Reported && node.Refused == "" {
		f.misses = append(f.misses, result.Misses...)
	}
	switch {
	case node.Refused != "":
		if len(result.MatchedPFs) > 0 {
			f.matched++
		}
		f.stalled = append(f.stalled, stalledNode{node.Name, "the API server refuses the spec of its node state: " + node.Refused})
	case !node.Reported:
		f.silent = append(f.silent, node.Name)
	case len(result.MatchedPFs) == 0:
		f.unmatched = append(f.unmatched, node.Name)
	case node.Ready() && len(result.Misses) == 0:
		f.matched++
		f.ready++
	case node.Stalled():
		f.matched++
		f.stalled = append(f.stalled, stalledNode{node.Name, node.Readiness.Message})
	default:
		f.matched++
		f.waiting = append(f.waiting, node.Name)
	}
}

// named joins at most five names and says how many more there are.
func named(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + " and " + count(len(names)-most, "more node")
}
