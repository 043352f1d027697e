package drain

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// TestStateChanged: what a drain goes by is worth a reconcile, and the daemon's progress is not.
func TestStateChanged(t *testing.T) {
	state := func() *sriovv1.SriovNetworkNodeState {
		return &sriovv1.SriovNetworkNodeState{
			ObjectMeta: metav1.ObjectMeta{Name: "n", Generation: 1},
			Status:     sriovv1.SriovNetworkNodeStateStatus{Plan: &sriovv1.PlanStatus{Hash: "h", Disruption: sriovv1.DisruptionVFPods, AffectedPods: []string{"p/a"}}},
		}
	}
	for name, test := range map[string]struct {
		change func(*sriovv1.SriovNetworkNodeState)
		passes bool
	}{
		"nothing":    {func(*sriovv1.SriovNetworkNodeState) {}, false},
		"steps":      {func(s *sriovv1.SriovNetworkNodeState) { s.Status.Plan.Steps = []string{"s"} }, false},
		"progress":   {func(s *sriovv1.SriovNetworkNodeState) { s.Status.NumVfs = 3 }, false},
		"spec":       {func(s *sriovv1.SriovNetworkNodeState) { s.Generation = 2 }, false},
		"hash":       {func(s *sriovv1.SriovNetworkNodeState) { s.Status.Plan.Hash = "i" }, true},
		"disruption": {func(s *sriovv1.SriovNetworkNodeState) { s.Status.Plan.Disruption = sriovv1.DisruptionReboot }, true},
		"no plan":    {func(s *sriovv1.SriovNetworkNodeState) { s.Status.Plan = nil }, true},
		"harmless":   {func(s *sriovv1.SriovNetworkNodeState) { s.Status.Plan.Disruption = sriovv1.DisruptionNone }, true},
		"pods":       {func(s *sriovv1.SriovNetworkNodeState) { s.Status.Plan.AffectedPods = nil }, true},
		"approval":   {func(s *sriovv1.SriovNetworkNodeState) { s.Annotations = map[string]string{"a": "b"} }, true},
		"answer": {func(s *sriovv1.SriovNetworkNodeState) {
			s.Status.Conditions = []metav1.Condition{{Type: sriovv1.ConditionDrained, Reason: "R"}}
		}, true},
		"another condition": {func(s *sriovv1.SriovNetworkNodeState) {
			s.Status.Conditions = []metav1.Condition{{Type: sriovv1.ConditionReady, Reason: "R"}}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			now := state()
			test.change(now)
			if got := stateChanged().Update(event.UpdateEvent{ObjectOld: state(), ObjectNew: now}); got != test.passes {
				t.Errorf("passes: %t", got)
			}
		})
	}
	quiet := &sriovv1.SriovNetworkNodeState{}
	if stateChanged().Create(event.CreateEvent{Object: quiet}) || !stateChanged().Create(event.CreateEvent{Object: state()}) {
		t.Error("a state counts when it has a plan or an answer")
	}
}

// TestNodeChanged: a drain goes by its own node's marks, the slots also by whether
// nodes are ready.
func TestNodeChanged(t *testing.T) {
	node := func() *corev1.Node {
		return &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "n", Annotations: map[string]string{sriovv1.AnnotationDrain: "h"}},
			Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
		}
	}
	for name, test := range map[string]struct {
		change       func(*corev1.Node)
		drain, slots bool
	}{
		"nothing":    {func(*corev1.Node) {}, false, false},
		"not ready":  {func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionFalse }, false, true},
		"cordoned":   {func(n *corev1.Node) { n.Spec.Unschedulable = true }, true, true},
		"labels":     {func(n *corev1.Node) { n.Labels = map[string]string{"a": "b"} }, true, true},
		"given back": {func(n *corev1.Node) { n.Annotations = nil }, true, true},
		"request":    {func(n *corev1.Node) { n.Annotations[sriovv1.AnnotationDrainRequest] = "Idle" }, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			now := node()
			test.change(now)
			e := event.UpdateEvent{ObjectOld: node(), ObjectNew: now}
			if got := nodeChanged(false).Update(e); got != test.drain {
				t.Errorf("drain: %t", got)
			}
			if got := nodeChanged(true).Update(e); got != test.slots {
				t.Errorf("slots: %t", got)
			}
		})
	}
	plain := event.CreateEvent{Object: &corev1.Node{}}
	if nodeChanged(false).Create(plain) || !nodeChanged(true).Create(plain) || !nodeChanged(false).Create(event.CreateEvent{Object: node()}) {
		t.Error("a node that came counts for the slots, and for the drain if it holds one")
	}
}

// TestAbandon: a node whose state is gone is given back.
func TestAbandon(t *testing.T) {
	s := newStore()
	s.addNode("n", nil, true)
	s.changeNode("n", func(n *corev1.Node) { take(n, "h") })
	p := s.start()
	delete(s.states, "n")
	delete(s.cachedStates, "n")
	if err := p.reconcileNode(t.Context(), "n"); err != nil {
		t.Fatal(err)
	}
	if h := HoldOf(s.nodes["n"]); h.Held || h.Unschedulable {
		t.Errorf("%+v", h)
	}
	if err := p.reconcileNode(t.Context(), "nobody"); err != nil {
		t.Errorf("a node that is not there: %v", err)
	}
}
