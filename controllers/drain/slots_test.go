package drain

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

func TestLimit(t *testing.T) {
	for _, test := range []struct {
		max   string
		nodes int
		want  int
	}{
		{"3", 10, 3}, {"0", 10, 0}, {"20", 10, 20}, {"10%", 500, 50}, {"10%", 25, 2}, {"10%", 9, 1}, {"1%", 1, 1}, {"10%", 0, 0},
		{"0%", 10, 0}, {"100%", 7, 7}, {"half", 10, 0}, {"-1", 10, 0},
	} {
		max := intstr.Parse(test.max)
		if got := Limit(&max, test.nodes); got != test.want {
			t.Errorf("%s of %d: %d, want %d", test.max, test.nodes, got, test.want)
		}
	}
	if got := Limit(nil, 7); got != 7 {
		t.Errorf("unset: %d", got)
	}
}

func TestGrant(t *testing.T) {
	waiting := func(name string, since int) Member { return Member{Name: name, Waiting: true, Since: seconds(since)} }
	held := Member{Name: "held", Held: true}
	down := Member{Name: "down", Unavailable: true}
	downWaiting := waiting("down-waiting", 9)
	downWaiting.Unavailable = true
	newcomer := Member{Name: "aaa", Waiting: true}
	for name, test := range map[string]struct {
		members []Member
		limit   int
		want    []string
	}{
		"the oldest first":                       {[]Member{waiting("b", 2), waiting("a", 3), waiting("c", 1)}, 2, []string{"c", "b"}},
		"by name at the same time":               {[]Member{waiting("b", 1), waiting("a", 1)}, 1, []string{"a"}},
		"a newcomer last":                        {[]Member{newcomer, waiting("b", 1)}, 1, []string{"b"}},
		"all slots taken":                        {[]Member{waiting("a", 1), held}, 1, nil},
		"one left":                               {[]Member{waiting("a", 1), waiting("b", 2), held}, 2, []string{"a"}},
		"a node is down":                         {[]Member{waiting("a", 1), down}, 1, nil},
		"a node is down, and there is room":      {[]Member{waiting("a", 1), waiting("b", 2), down}, 2, []string{"a"}},
		"the node itself is down":                {[]Member{waiting("a", 1), downWaiting}, 1, []string{"down-waiting"}},
		"the node itself is down, no slot":       {[]Member{held, downWaiting}, 1, nil},
		"more are down than may be":              {[]Member{waiting("a", 1), down, downWaiting}, 1, []string{"down-waiting"}},
		"what holds a slot does not get two":     {[]Member{{Name: "held", Held: true, Waiting: true}}, 2, nil},
		"nobody may":                             {[]Member{waiting("a", 1), downWaiting}, 0, nil},
		"held and down is unavailable only once": {[]Member{{Name: "h", Held: true, Unavailable: true}, waiting("a", 1)}, 2, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Grant(test.members, test.limit)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestGrantProperties: limits hold, the order of the members does not matter, and
// whoever waits gets its turn.
func TestGrantProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var members []Member
		for i := range rapid.IntRange(0, 12).Draw(t, "nodes") {
			members = append(members, Member{
				Name: fmt.Sprintf("n%02d", i), Held: rapid.Bool().Draw(t, "held"), Unavailable: rapid.Bool().Draw(t, "unavailable"),
				Waiting: rapid.Bool().Draw(t, "waiting"), Since: seconds(rapid.IntRange(0, 3).Draw(t, "since")),
			})
		}
		limit := rapid.IntRange(0, 6).Draw(t, "limit")
		granted := Grant(members, limit)
		before := UsageOf(members, limit)
		shuffled := rapid.Permutation(members).Draw(t, "order")
		if diff := cmp.Diff(granted, Grant(shuffled, limit)); diff != "" {
			t.Fatalf("the order matters:\n%s", diff)
		}
		free := false
		for i := range members {
			m := &members[i]
			if slices.Contains(granted, m.Name) {
				if m.Held || !m.Waiting {
					t.Fatalf("%+v got a slot", *m)
				}
				m.Held = true
			}
			free = free || m.Waiting && !m.Held
		}
		after := UsageOf(members, limit)
		if len(granted) > 0 && after.Held > limit {
			t.Fatalf("%d of %d slots are taken", after.Held, limit)
		}
		if after.Unavailable > before.Unavailable && after.Unavailable > limit {
			t.Fatalf("%d nodes are unavailable, %d may be", after.Unavailable, limit)
		}
		if free && after.Held < limit && after.Unavailable < limit {
			t.Fatalf("somebody waits although %d of %d slots are free", limit-after.Held, limit)
		}
	})
}

// TestSlotsReadTheirOwnWrites: a node that got a slot counts, although the cache
// does not know it yet and another node is now before it in the queue.
func TestSlotsReadTheirOwnWrites(t *testing.T) {
	s := newStore()
	for _, name := range []string{"a", "b"} {
		s.addNode(name, nil, true)
	}
	p := s.start()
	propose := func(name string) {
		s.changeState(name, func(st *sriovv1.SriovNetworkNodeState) {
			st.Status.Plan = &sriovv1.PlanStatus{Hash: "h", Disruption: sriovv1.DisruptionVFPods}
		})
	}
	propose("b")
	s.catchUp("b")
	for range 2 {
		if err := p.reconcileSlots(t.Context()); err != nil {
			t.Fatal(err)
		}
		propose("a")
		node := s.cachedNodes["b"]
		s.catchUp("a", "b")
		s.cachedNodes["b"] = node // as it was before the slot
	}
	if held := HoldOf(s.nodes["a"]).Held; held || !HoldOf(s.nodes["b"]).Held {
		t.Errorf("a holds a slot: %t", held)
	}
}

func TestPoolStatus(t *testing.T) {
	members := []Member{{Name: "n1", Held: true}, {Name: "n2", Unavailable: true}, {Name: "n3", Waiting: true}}
	got := poolStatus(UsageOf(members, 2))
	want := &sriovv1.PoolDrainStatus{
		Nodes: 3, MaxUnavailable: 2, Unavailable: 2, Draining: 1, Waiting: 1, DrainingNodes: []string{"n1"},
		Message: "nodes wait because others are not ready, or were cordoned by somebody else: n2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := poolStatus(UsageOf(members, 0)).Message; got != "maxUnavailable lets no node be drained" {
		t.Error(got)
	}
}

func TestHold(t *testing.T) {
	foreign := corev1.Taint{Key: "k", Effect: corev1.TaintEffectNoExecute}
	for name, unschedulable := range map[string]bool{"a node that takes pods": false, "a node that an administrator cordoned": true} {
		t.Run(name, func(t *testing.T) {
			n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Spec: corev1.NodeSpec{Unschedulable: unschedulable, Taints: []corev1.Taint{foreign}}}
			before := n.DeepCopy()
			take(n, "h1")
			if h := HoldOf(n); !h.Held || !h.Unschedulable || h.Cordoned == unschedulable || len(n.Spec.Taints) != 2 {
				t.Errorf("taken: %+v, taints %v", h, n.Spec.Taints)
			}
			if HoldOf(n).unavailable() != true {
				t.Error("a node without a kubelet is available")
			}
			again := n.DeepCopy()
			take(n, "h1")
			if diff := cmp.Diff(again, n); diff != "" {
				t.Errorf("taken twice:\n%s", diff)
			}
			giveBack(n)
			before.Annotations = map[string]string{}
			if diff := cmp.Diff(before, n); diff != "" {
				t.Errorf("given back (-want +got):\n%s", diff)
			}
		})
	}
	for name, test := range map[string]struct {
		hold Hold
		want bool
	}{
		"ready": {Hold{Ready: true}, false}, "not ready": {Hold{}, true}, "cordoned": {Hold{Ready: true, Unschedulable: true}, true},
		"cordoned by us": {Hold{Ready: true, Unschedulable: true, Cordoned: true, Held: true}, false},
	} {
		if got := test.hold.unavailable(); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
