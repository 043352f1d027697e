package nodestate

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// poolsOf returns the pools that a node with these labels is in. A pool with an
// invalid selector has no nodes.
func poolsOf(node map[string]string, pools []sriovv1.SriovNetworkPoolConfig) []*sriovv1.SriovNetworkPoolConfig {
	var of []*sriovv1.SriovNetworkPoolConfig
	for i := range pools {
		selector, err := PoolSelector(&pools[i])
		if err == nil && selector.Matches(labels.Set(node)) {
			of = append(of, &pools[i])
		}
	}
	return of
}

// RdmaMode of a node with these labels: that of its pool, none without a pool.
// In two pools, or when it may be in one whose selector cannot be read, the node
// keeps what it has; the pools' conditions say so.
func RdmaMode(node map[string]string, pools []sriovv1.SriovNetworkPoolConfig, current string) string {
	invalid := slices.ContainsFunc(pools, func(p sriovv1.SriovNetworkPoolConfig) bool {
		_, err := PoolSelector(&p)
		return err != nil
	})
	switch of := poolsOf(node, pools); len(of) {
	case 0:
		if invalid {
			return current
		}
		return ""
	case 1:
		return of[0].Spec.RdmaMode
	default:
		return current
	}
}

// AllowNodeNetwork tells whether the pool of a node with these labels permits
// interrupting the node's own network. In two pools, a node is better left alone.
func AllowNodeNetwork(node map[string]string, pools []sriovv1.SriovNetworkPoolConfig) bool {
	of := poolsOf(node, pools)
	return len(of) == 1 && of[0].Spec.AllowNodeNetwork
}

// PoolSelector is the selector of the nodes of a pool; an unset one is for every node.
func PoolSelector(pool *sriovv1.SriovNetworkPoolConfig) (labels.Selector, error) {
	if pool.Spec.NodeSelector == nil {
		return labels.Everything(), nil
	}
	selector, err := metav1.LabelSelectorAsSelector(pool.Spec.NodeSelector)
	if err != nil {
		return nil, fmt.Errorf("reading nodeSelector of pool %s: %w", pool.Name, err)
	}
	return selector, nil
}

// overlap is a node that is in another pool too.
type overlap struct {
	node  string
	pools []string
}

// overlaps returns the nodes of the pool that are in other pools too, by name.
func overlaps(pool string, all []sriovv1.SriovNetworkPoolConfig, nodes []metav1.PartialObjectMetadata) []overlap {
	var found []overlap
	for i := range nodes {
		var others []string
		in := false
		for _, p := range poolsOf(nodes[i].Labels, all) {
			if p.Name == pool {
				in = true
				continue
			}
			others = append(others, p.Name)
		}
		if in && len(others) > 0 {
			slices.Sort(others)
			found = append(found, overlap{node: nodes[i].Name, pools: others})
		}
	}
	slices.SortFunc(found, func(a, b overlap) int { return strings.Compare(a.node, b.node) })
	return found
}

// namedOverlaps is how many overlaps a message spells out.
const namedOverlaps = 5

// poolConditions says whether the pool is in force. They are Ready, Reconciling
// and Stalled, always all of them.
func poolConditions(pool *sriovv1.SriovNetworkPoolConfig, invalid error, overlapping []overlap) []metav1.Condition {
	status, reason, message := metav1.ConditionTrue, sriovv1.ReasonAccepted, "the pool is in force"
	switch {
	case invalid != nil:
		status, reason, message = metav1.ConditionFalse, sriovv1.ReasonInvalid, invalid.Error()
	case len(overlapping) > 0:
		status, reason, message = metav1.ConditionFalse, sriovv1.ReasonPoolsOverlap, describeOverlaps(overlapping)
	case pool.Spec.OvsHardwareOffloadConfig.Name != "":
		message += "; ovsHardwareOffloadConfig.name is ignored, it has no meaning outside OpenShift"
	}
	stalled := metav1.ConditionFalse
	if status == metav1.ConditionFalse {
		stalled = metav1.ConditionTrue
	}
	return []metav1.Condition{
		{Type: sriovv1.ConditionReady, Status: status, Reason: reason, Message: message, ObservedGeneration: pool.Generation},
		{Type: sriovv1.ConditionReconciling, Status: metav1.ConditionFalse, Reason: reason, ObservedGeneration: pool.Generation},
		{Type: sriovv1.ConditionStalled, Status: stalled, Reason: reason, Message: message, ObservedGeneration: pool.Generation},
	}
}

func describeOverlaps(overlapping []overlap) string {
	var parts []string
	for _, o := range overlapping[:min(len(overlapping), namedOverlaps)] {
		parts = append(parts, fmt.Sprintf("node %s is also in pool %s", o.node, strings.Join(o.pools, ", ")))
	}
	if more := len(overlapping) - namedOverlaps; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more nodes", more))
	}
	return strings.Join(parts, "; ") + ": nothing changes on such a node; make the nodeSelectors exclude each other"
}
