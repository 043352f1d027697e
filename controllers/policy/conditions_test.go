package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/fleet"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
)

func TestConditions(t *testing.T) {
	conflict := []sriovv1.PolicyConflict{{Node: "n", PCIAddress: "0000:5f:00.0", Field: "numVfs", Winner: "w", Reason: "because"}}
	tests := []struct {
		name string
		f    facts
		// want is "Ready Reconciling Stalled Conflicted: reason: message of Ready".
		want string
	}{
		{"ignored", facts{ignored: "why"}, "True False False False: Ignored: why"},
		{"computing", facts{selected: 2, unmerged: 2}, "False True False False: Unknown: computing what the policy means for 2 nodes"},
		{"no node", facts{}, "False True False False: NoNodeSelected: no node has the labels of nodeSelector, see status.unmatched; nodes that get them later are picked up"},
		{"silent", facts{selected: 1, silent: []string{"a"}}, "False True False False: NodesPending: 0 of 0 matched nodes are ready; the NICs of a are not known yet"},
		{"no NIC", facts{selected: 1, unmatched: []string{"a"}}, "False False True False: NoMatchingNIC: none of the 1 node selected has a NIC that nicSelector matches, see status.unmatched"},
		{"waiting", facts{selected: 7, matched: 7, ready: 1, waiting: []string{"a", "b", "c", "d", "e", "f"}}, "False True False False: NodesPending: 1 of 7 matched nodes are ready; waiting for a, b, c, d, e and 1 more node"},
		{"stalled", facts{selected: 2, matched: 2, ready: 1, stalled: []stalledNode{{"a", "no"}}}, "False False True False: NodesStalled: 1 of 2 matched nodes are ready; 1 node stalled: a: no"},
		{"conflict", facts{selected: 1, matched: 1, ready: 1, conflicts: conflict, conflictCount: 1, lostTo: "w"}, "False False True True: Conflict: 1 conflict; the first: node n, PF 0000:5f:00.0: numVfs: because"},
		{"invalid", facts{selected: 1, matched: 1, ready: 1, conflicts: conflict, conflictCount: 3}, "False False True True: Invalid: 3 conflicts; the first: node n, PF 0000:5f:00.0: numVfs: because"},
		{"ready", facts{selected: 2, matched: 2, ready: 2}, "True False False False: AllNodesReady: 2 of 2 matched nodes are ready"},
		{"ready, others do not match", facts{selected: 2, matched: 1, ready: 1, unmatched: []string{"b"}}, "True False False False: AllNodesReady: 1 of 1 matched nodes are ready; 1 node selected without a NIC that matches, see status.unmatched: b"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := conditions(test.f, 7)
			var parts []string
			for i, kind := range []string{"Ready", "Reconciling", "Stalled", "Conflicted"} {
				if got[i].Type != kind || got[i].ObservedGeneration != 7 || got[i].Reason == "" {
					t.Errorf("condition %d is %+v, want %s", i, got[i], kind)
				}
				parts = append(parts, string(got[i].Status))
			}
			text := strings.Join(parts, " ") + ": " + got[0].Reason + ": " + got[0].Message
			if diff := cmp.Diff(test.want, text); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// At most one of Ready, Reconciling and Stalled is true, or kstatus would have
// to choose; one of them always is, so that nobody waits without a reason.
func TestConditionsExclude(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 3)
		f := facts{
			unmerged:  n.Draw(t, "unmerged"),
			silent:    make([]string, n.Draw(t, "silent")),
			unmatched: make([]string, n.Draw(t, "unmatched")),
			ready:     n.Draw(t, "ready"),
			waiting:   make([]string, n.Draw(t, "waiting")),
			stalled:   make([]stalledNode, n.Draw(t, "stalled")),
			conflicts: make([]sriovv1.PolicyConflict, n.Draw(t, "conflicts")),
			ignored:   rapid.SampledFrom([]string{"", "", "", "why"}).Draw(t, "ignored"),
		}
		f.conflictCount = len(f.conflicts)
		f.matched = f.ready + len(f.waiting) + len(f.stalled)
		f.selected = f.matched + f.unmerged + len(f.silent) + len(f.unmatched)
		all := conditions(f, 1)
		held := 0
		for _, kind := range []string{sriovv1.ConditionReady, sriovv1.ConditionReconciling, sriovv1.ConditionStalled} {
			if meta.IsStatusConditionTrue(all, kind) {
				held++
			}
		}
		if held != 1 {
			t.Fatalf("%d of Ready, Reconciling, Stalled are true for %+v", held, f)
		}
	})
}

func TestGatherBoundsConflictsInNodeOrder(t *testing.T) {
	p := &sriovv1.SriovNetworkNodePolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "p", UID: types.UID("p"), Generation: 1},
		Spec:       sriovv1.SriovNetworkNodePolicySpec{NumVfs: 1},
	}
	f := fleet.New()
	s := f.Snapshot([]sriovv1.SriovNetworkNodePolicy{*p})
	var managed []metav1.PartialObjectMetadata
	const nodes = 20
	for i := range nodes {
		name := fmt.Sprintf("n%02d", i)
		managed = append(managed, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name}})
		f.Record(s, fleet.Node{Name: name, Reported: true, Policies: map[string]merge.PolicyResult{"p": {
			MatchedPFs: []string{"a", "b", "c"}, MoreConflicts: 2,
			Conflicts: []sriovv1.PolicyConflict{{Node: name, PCIAddress: "a"}, {Node: name, PCIAddress: "b"}, {Node: name, PCIAddress: "c", Winner: "w"}},
		}}}, nil)
	}
	got := gather(p, managed, f)
	if got.conflictCount != 5*nodes || len(got.conflicts) != sriovv1.MaxConflicts || got.lostTo != "w" {
		t.Errorf("%d conflicts, %d of them kept, lost to %q", got.conflictCount, len(got.conflicts), got.lostTo)
	}
	for i, c := range got.conflicts {
		if want := fmt.Sprintf("n%02d", i/3); c.Node != want {
			t.Errorf("conflict %d is of node %s, want %s", i, c.Node, want)
		}
	}
	if got.matched != nodes || len(got.waiting) != nodes {
		t.Errorf("matched %d, waiting for %d", got.matched, len(got.waiting))
	}
}

func TestStatusKeepsTransitionTimes(t *testing.T) {
	p := &sriovv1.SriovNetworkNodePolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", Generation: 1}, Spec: sriovv1.SriovNetworkNodePolicySpec{NumVfs: 1}}
	f := facts{selected: 1, matched: 1, ready: 1}
	p.Status = status(p, f, nil, nil)
	for i := range p.Status.Conditions {
		p.Status.Conditions[i].LastTransitionTime = metav1.Unix(1, 0)
	}
	if diff := cmp.Diff(p.Status, status(p, f, nil, nil)); diff != "" {
		t.Errorf("the same facts give another status:\n%s", diff)
	}
	p.Generation = 2
	next := status(p, f, nil, nil)
	for _, c := range next.Conditions {
		if c.ObservedGeneration != 2 || c.LastTransitionTime != metav1.Unix(1, 0) {
			t.Errorf("condition %s: generation %d, transition at %s", c.Type, c.ObservedGeneration, c.LastTransitionTime)
		}
	}
}

// What a node says about itself is bounded where it comes in; what comes out is
// bounded too, or the API server would refuse the status of the whole policy.
func TestMessagesFitTheAPI(t *testing.T) {
	long := strings.Repeat("ä", 40000)
	conflict := []sriovv1.PolicyConflict{{Node: "n", Field: "numVfs", Reason: long}}
	for name, f := range map[string]facts{
		"conflict": {selected: 1, matched: 1, conflicts: conflict, conflictCount: 1},
		"stalled":  {selected: 3, matched: 3, stalled: []stalledNode{{"a", long}, {"b", long}, {"c", "last"}}},
	} {
		for _, c := range conditions(f, 1) {
			if len(c.Message) > sriovv1.MaxMessageLength {
				t.Errorf("%s: the message of %s has %d bytes", name, c.Type, len(c.Message))
			}
			if name == "stalled" && c.Type == sriovv1.ConditionReady && !strings.HasSuffix(c.Message, "; c: last") {
				t.Errorf("one node hides another: ...%s", c.Message[len(c.Message)-40:])
			}
		}
	}
}

func TestRefusedSpecStalls(t *testing.T) {
	p := &sriovv1.SriovNetworkNodePolicy{ObjectMeta: metav1.ObjectMeta{Name: "p", UID: "p", Generation: 1}, Spec: sriovv1.SriovNetworkNodePolicySpec{NumVfs: 1}}
	f := fleet.New()
	s := f.Snapshot([]sriovv1.SriovNetworkNodePolicy{*p})
	for name, pfs := range map[string][]string{"a": {"0000:5f:00.0"}, "b": nil} {
		f.Record(s, fleet.Node{Name: name, Reported: true, ComputedFrom: "x", Policies: map[string]merge.PolicyResult{"p": {MatchedPFs: pfs}}}, nil)
		f.SpecWritten(name, apierrors.NewRequestEntityTooLargeError("limit is 3145728"))
	}
	managed := []metav1.PartialObjectMetadata{{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, {ObjectMeta: metav1.ObjectMeta{Name: "b"}}}
	got := gather(p, managed, f)
	const refused = "the API server refuses the spec of its node state: Request entity too large: limit is 3145728"
	want := "0 of 1 matched nodes are ready; 2 nodes stalled: a: " + refused + "; b: " + refused
	if v := got.verdict(); v.message != want || v.reason != sriovv1.ReasonNodesStalled || !v.stalled {
		t.Errorf("verdict %+v, want %s", v, want)
	}
	f.SpecWritten("a", nil)
	f.SpecWritten("b", nil)
	if got := gather(p, managed, f); len(got.stalled) != 0 || len(got.waiting) != 1 {
		t.Errorf("after the spec was written: stalled %v, waiting for %v", got.stalled, got.waiting)
	}
}

func TestUnmatchedSaysThatNoNodeRunsTheDaemon(t *testing.T) {
	p := &sriovv1.SriovNetworkNodePolicy{Spec: sriovv1.SriovNetworkNodePolicySpec{NodeSelector: map[string]string{"rack": "7"}}}
	got := unmatched(p, facts{}, nil, make([]metav1.PartialObjectMetadata, 3))
	if len(got) != 1 || got[0].Field != "nodeSelector" || !strings.Contains(got[0].Message, "none of the 3 nodes") {
		t.Errorf("unmatched() = %+v", got)
	}
}
