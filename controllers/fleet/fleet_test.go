package fleet_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/fleet"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
)

func policy(name string, generation int64, selector map[string]string) sriovv1.SriovNetworkNodePolicy {
	return sriovv1.SriovNetworkNodePolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Generation: generation},
		Spec:       sriovv1.SriovNetworkNodePolicySpec{NumVfs: 1, NodeSelector: selector},
	}
}

func state(node, resourceVersion, computedFrom string, ready metav1.ConditionStatus) *sriovv1.SriovNetworkNodeState {
	return &sriovv1.SriovNetworkNodeState{
		ObjectMeta: metav1.ObjectMeta{Name: node, Generation: 1, ResourceVersion: resourceVersion},
		Spec:       sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: computedFrom},
		Status: sriovv1.SriovNetworkNodeStateStatus{
			ObservedGeneration: 1,
			Conditions:         []metav1.Condition{{Type: sriovv1.ConditionReady, Status: ready, ObservedGeneration: 1, Message: "m"}},
		},
	}
}

func matches(policies ...string) map[string]merge.PolicyResult {
	results := map[string]merge.PolicyResult{}
	for _, p := range policies {
		results[p] = merge.PolicyResult{MatchedPFs: []string{"0000:00:00.0"}}
	}
	return results
}

// changes collects what the fleet tells its subscribers.
func changes(f *fleet.Fleet) func() []string {
	var all []string
	f.Subscribe(func(policies []string) { all = append(all, policies...) })
	return func() []string {
		slices.Sort(all)
		out := slices.Compact(all)
		all = nil
		return out
	}
}

func TestSnapshotIsCompiledOnChangeOnly(t *testing.T) {
	f := fleet.New()
	a, b := policy("a", 1, nil), policy("b", 1, nil)
	first := f.Snapshot([]sriovv1.SriovNetworkNodePolicy{a, b})
	if f.Snapshot([]sriovv1.SriovNetworkNodePolicy{b, a}) != first {
		t.Error("compiled again for another order")
	}
	b.Generation = 2
	second := f.Snapshot([]sriovv1.SriovNetworkNodePolicy{a, b})
	if second == first {
		t.Error("not compiled for a new generation")
	}
	b.UID = "another"
	third := f.Snapshot([]sriovv1.SriovNetworkNodePolicy{a, b})
	if third == second {
		t.Error("not compiled for a policy that was deleted and made again")
	}
	if f.Snapshot([]sriovv1.SriovNetworkNodePolicy{a}) == third {
		t.Error("not compiled for a policy less")
	}
}

func TestOfIsAboutThePresentVersionOnly(t *testing.T) {
	f := fleet.New()
	p := policy("p", 1, map[string]string{"role": "x"})
	node := fleet.Node{Name: "n", Labels: map[string]string{"role": "x"}, ComputedFrom: "1", Policies: matches("p")}
	if _, ok := f.Of(&p, "n"); ok {
		t.Error("a node that was never recorded is known")
	}
	f.Record(f.Snapshot([]sriovv1.SriovNetworkNodePolicy{p}), node, nil)
	if _, ok := f.Of(&p, "n"); !ok {
		t.Error("a recorded node is not known")
	}
	p.Generation = 2
	if _, ok := f.Of(&p, "n"); ok {
		t.Error("a result of an older version counts")
	}
	f.Record(f.Snapshot([]sriovv1.SriovNetworkNodePolicy{p}), node, nil)
	if _, ok := f.Of(&p, "n"); !ok {
		t.Error("a result of the new version does not count")
	}
	node.Labels = nil
	f.Record(f.Snapshot([]sriovv1.SriovNetworkNodePolicy{p}), node, nil)
	if _, ok := f.Of(&p, "n"); ok {
		t.Error("a result computed with labels that the policy does not select counts")
	}
	f.Forget("n")
	if _, ok := f.Of(&p, "n"); ok {
		t.Error("a forgotten node is known")
	}
}

func TestChangesNameThePoliciesConcerned(t *testing.T) {
	f := fleet.New()
	s := f.Snapshot([]sriovv1.SriovNetworkNodePolicy{policy("a", 1, nil), policy("b", 1, nil), policy("nowhere", 1, nil)})
	got := changes(f)
	check := func(what string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	one := fleet.Node{Name: "1", Labels: map[string]string{"l": "1"}, ComputedFrom: "x", Policies: matches("a", "b")}
	f.Record(s, one, state("1", "10", "x", metav1.ConditionFalse))
	check("a new node: its policies, and those without a match", "a", "b", "nowhere")
	f.Record(s, one, state("1", "10", "x", metav1.ConditionFalse))
	check("the same again")
	f.Observe(state("1", "11", "x", metav1.ConditionTrue))
	check("it became ready", "a", "b")
	f.Observe(state("1", "12", "x", metav1.ConditionTrue))
	check("it stayed ready")
	f.Record(s, one, state("1", "10", "x", metav1.ConditionFalse))
	check("a reconcile with an older state")
	one.Policies = matches("a")
	f.Record(s, one, nil)
	check("a policy selects it no more", "b")
	f.Record(f.Snapshot([]sriovv1.SriovNetworkNodePolicy{policy("a", 2, nil)}), one, nil)
	check("merged with a new version that gives the same", "a")
	f.Unobserve("1")
	check("its state is gone", "a")
	f.Forget("1")
	check("it is gone", "a")
	f.Forget("1")
	check("it was gone")
}

func TestReady(t *testing.T) {
	f := fleet.New()
	p := policy("p", 1, nil)
	s := f.Snapshot([]sriovv1.SriovNetworkNodePolicy{p})
	tests := map[string]struct {
		state          *sriovv1.SriovNetworkNodeState
		ready, stalled bool
	}{
		"ready":            {state: state("ready", "1", "x", metav1.ConditionTrue), ready: true},
		"not ready":        {state: state("not ready", "1", "x", metav1.ConditionFalse)},
		"an earlier spec":  {state: state("an earlier spec", "1", "w", metav1.ConditionTrue)},
		"nothing computed": {state: state("nothing computed", "1", "", metav1.ConditionTrue)},
		"older status": {state: func() *sriovv1.SriovNetworkNodeState {
			s := state("older status", "1", "x", metav1.ConditionTrue)
			s.Generation = 2
			return s
		}()},
		"stalled": {state: func() *sriovv1.SriovNetworkNodeState {
			s := state("stalled", "1", "x", metav1.ConditionFalse)
			s.Status.Conditions = append(s.Status.Conditions, metav1.Condition{Type: sriovv1.ConditionStalled, Status: metav1.ConditionTrue})
			return s
		}(), stalled: true},
	}
	for name, test := range tests {
		f.Record(s, fleet.Node{Name: name, ComputedFrom: "x", Policies: matches("p")}, test.state)
		node, ok := f.Of(&p, name)
		if !ok || node.Ready() != test.ready || node.Stalled() != test.stalled {
			t.Errorf("%s: known %v, ready %v, stalled %v", name, ok, node.Ready(), node.Stalled())
		}
	}
}

func TestReported(t *testing.T) {
	nic := []sriovv1.InterfaceStatus{{PCIAddress: "0000:00:00.0"}}
	for name, test := range map[string]struct {
		status sriovv1.SriovNetworkNodeStateStatus
		want   bool
	}{
		"nothing": {},
		"looking at the host failed": {status: sriovv1.SriovNetworkNodeStateStatus{
			ObservedGeneration: 1, Conditions: []metav1.Condition{{Type: sriovv1.ConditionReady, Reason: sriovv1.ReasonObserveFailed}},
		}},
		"no NIC":                    {status: sriovv1.SriovNetworkNodeStateStatus{Inventory: sriovv1.InventoryComplete}, want: true},
		"a NIC in part":             {status: sriovv1.SriovNetworkNodeStateStatus{Inventory: sriovv1.InventoryPartial, Interfaces: nic}, want: true},
		"of another implementation": {status: sriovv1.SriovNetworkNodeStateStatus{Interfaces: nic}, want: true},
	} {
		if got := fleet.Reported(&sriovv1.SriovNetworkNodeState{Status: test.status}); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestLabels(t *testing.T) {
	own := map[string]string{"zone": "a"}
	refused := map[string]string{sriovv1.LabelCapable: "false"}
	capable := map[string]string{"zone": "a", sriovv1.LabelCapable: "true"}
	status := func(inventory sriovv1.InventoryState, nic sriovv1.InterfaceStatus) *sriovv1.SriovNetworkNodeState {
		s := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Name: "n"}}
		s.Status.Inventory, s.Status.Interfaces = inventory, []sriovv1.InterfaceStatus{nic}
		return s
	}
	configured := func(s *sriovv1.SriovNetworkNodeState) *sriovv1.SriovNetworkNodeState {
		s.Spec.Interfaces = []sriovv1.Interface{{PCIAddress: "0000:00:00.0"}}
		return s
	}
	for name, test := range map[string]struct {
		own   map[string]string
		state *sriovv1.SriovNetworkNodeState
		want  map[string]string
	}{
		"no state":                      {own, nil, own},
		"not reported":                  {own, configured(&sriovv1.SriovNetworkNodeState{}), own},
		"capable":                       {own, status(sriovv1.InventoryComplete, sriovv1.InterfaceStatus{TotalVfs: 1}), capable},
		"a label of its own":            {refused, status(sriovv1.InventoryComplete, sriovv1.InterfaceStatus{TotalVfs: 1}), refused},
		"no VFs possible":               {own, configured(status(sriovv1.InventoryComplete, sriovv1.InterfaceStatus{})), own},
		"has VFs":                       {own, status(sriovv1.InventoryPartial, sriovv1.InterfaceStatus{NumVfs: 1}), capable},
		"not known, but configured":     {own, configured(status(sriovv1.InventoryPartial, sriovv1.InterfaceStatus{})), capable},
		"not known, and not configured": {own, status(sriovv1.InventoryPartial, sriovv1.InterfaceStatus{}), own},
	} {
		if diff := cmp.Diff(test.want, fleet.Labels(test.own, test.state)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if len(own) != 1 {
		t.Errorf("the node's own labels were changed: %v", own)
	}
	f := fleet.New()
	f.Record(f.Snapshot(nil), fleet.Node{Name: "n", Capable: true}, nil)
	if diff := cmp.Diff(capable, f.Labels("n", own)); diff != "" {
		t.Errorf("of a recorded node (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(own, f.Labels("m", own)); diff != "" {
		t.Errorf("of a node that is not known (-want +got):\n%s", diff)
	}
}

// BenchmarkObserve is the cost of one node's progress in a large fleet: it must
// not depend on the number of nodes.
func BenchmarkObserve(b *testing.B) {
	for _, nodes := range []int{50, 5000} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			f := fleet.New()
			s := f.Snapshot([]sriovv1.SriovNetworkNodePolicy{policy("p", 1, nil)})
			for i := range nodes {
				f.Record(s, fleet.Node{Name: fmt.Sprint(i), ComputedFrom: "x", Policies: matches("p")}, nil)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				f.Observe(state("7", fmt.Sprint(i+1), "x", []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse}[i%2]))
			}
		})
	}
}
