package nodestate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

func pool(name string, selector *metav1.LabelSelector) sriovv1.SriovNetworkPoolConfig {
	return sriovv1.SriovNetworkPoolConfig{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       sriovv1.SriovNetworkPoolConfigSpec{NodeSelector: selector},
	}
}

func TestPools(t *testing.T) {
	role := func(r string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{"role": r}}
	}
	invalid := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "role", Operator: "Near"}}}
	pools := []sriovv1.SriovNetworkPoolConfig{pool("all", nil), pool("a", role("a")), pool("b", role("b")), pool("wrong", invalid)}
	names := func(labels map[string]string) string {
		var found []string
		for _, p := range poolsOf(labels, pools) {
			found = append(found, p.Name)
		}
		return strings.Join(found, " ")
	}
	for role, want := range map[string]string{"a": "all a", "b": "all b", "c": "all"} {
		if got := names(map[string]string{"role": role}); got != want {
			t.Errorf("role %s: pools %q, want %q", role, got, want)
		}
	}
	nodes := []metav1.PartialObjectMetadata{
		{ObjectMeta: metav1.ObjectMeta{Name: "n2", Labels: map[string]string{"role": "b"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{"role": "a"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "n0"}},
	}
	got := overlaps("all", pools, nodes)
	want := []overlap{{"n1", []string{"a"}}, {"n2", []string{"b"}}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(overlap{})); diff != "" {
		t.Errorf("overlaps of all (-want +got):\n%s", diff)
	}
	if got := overlaps("wrong", pools, nodes); got != nil {
		t.Errorf("overlaps of a pool without nodes: %v", got)
	}
}

// TestAllowNodeNetwork: only a node in one pool has that pool's permission.
func TestAllowNodeNetwork(t *testing.T) {
	allowing := pool("allowing", &metav1.LabelSelector{MatchLabels: map[string]string{"role": "a"}})
	allowing.Spec.AllowNodeNetwork = true
	everything := pool("everything", nil)
	everything.Spec.AllowNodeNetwork = true
	for name, test := range map[string]struct {
		role  string
		pools []sriovv1.SriovNetworkPoolConfig
		want  bool
	}{
		"in it":           {"a", []sriovv1.SriovNetworkPoolConfig{allowing}, true},
		"not in it":       {"b", []sriovv1.SriovNetworkPoolConfig{allowing}, false},
		"in two":          {"a", []sriovv1.SriovNetworkPoolConfig{allowing, everything}, false},
		"in a silent one": {"a", []sriovv1.SriovNetworkPoolConfig{pool("p", nil)}, false},
	} {
		if got := AllowNodeNetwork(map[string]string{"role": test.role}, test.pools); got != test.want {
			t.Errorf("a node %s: %t", name, got)
		}
	}
}

func TestPoolConditions(t *testing.T) {
	_, invalid := PoolSelector(new(pool("p", &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "k", Operator: "Near"}}})))
	openshift := pool("p", nil)
	openshift.Spec.OvsHardwareOffloadConfig.Name = "worker"
	many := make([]overlap, 7)
	for i := range many {
		many[i] = overlap{node: "n", pools: []string{"q"}}
	}
	tests := map[string]struct {
		pool        sriovv1.SriovNetworkPoolConfig
		invalid     error
		overlapping []overlap
		reason      string
		message     string
	}{
		"in force":         {pool: pool("p", nil), reason: sriovv1.ReasonAccepted, message: "the pool is in force"},
		"for OpenShift":    {pool: openshift, reason: sriovv1.ReasonAccepted, message: "ovsHardwareOffloadConfig.name is ignored"},
		"invalid selector": {pool: pool("p", nil), invalid: invalid, reason: sriovv1.ReasonInvalid, message: "nodeSelector"},
		"overlaps":         {pool: pool("p", nil), overlapping: many[:1], reason: sriovv1.ReasonPoolsOverlap, message: "node n is also in pool q"},
		"many overlaps":    {pool: pool("p", nil), overlapping: many, reason: sriovv1.ReasonPoolsOverlap, message: "and 2 more nodes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := poolConditions(&test.pool, test.invalid, test.overlapping)
			ready := meta.FindStatusCondition(got, sriovv1.ConditionReady)
			if len(got) != 3 || ready.Reason != test.reason || !strings.Contains(ready.Message, test.message) {
				t.Errorf("%+v", got)
			}
			if good := test.reason == sriovv1.ReasonAccepted; meta.IsStatusConditionTrue(got, sriovv1.ConditionReady) != good ||
				meta.IsStatusConditionTrue(got, sriovv1.ConditionStalled) == good {
				t.Errorf("Ready and Stalled do not fit %s: %+v", test.reason, got)
			}
		})
	}
}
