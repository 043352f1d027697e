package drain

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// TestDrainsOfAFleet lets managers that are killed anywhere work with caches that
// are behind, while daemons, administrators and time do what they like. Slots are
// never exceeded, pods are evicted for a plan that the node state names, the answer
// is true only of a node that is cordoned and empty of what the plan affects, and
// in the end no node is cordoned that an administrator has not cordoned.
func TestDrainsOfAFleet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFleetRun(t)
		t.Repeat(map[string]func(*rapid.T){
			"reconcile a node": f.reconcileNode,
			"hand out slots":   f.reconcileSlots,
			"be told":          f.catchUp,
			"die":              f.die,
			"plan":             f.plan,
			"carry out":        f.carryOut,
			"end a plan":       f.endPlan,
			"approve":          f.approve,
			"cordon":           f.cordon,
			"wait":             f.wait,
			"protect":          f.protect,
			"disable":          f.disable,
			"get ready or not": f.readiness,
			"take pods":        f.schedule,
		})
		f.finish(t)
	})
}

type fleetRun struct {
	*store
	t       *rapid.T
	process process
	names   []string
	limits  map[string]int  // by pool
	admin   map[string]bool // nodes that an administrator cordoned
	hashes  map[string]map[string]bool
}

func newFleetRun(t *rapid.T) *fleetRun {
	f := &fleetRun{store: newStore(), limits: map[string]int{"": 1}, admin: map[string]bool{}, hashes: map[string]map[string]bool{}}
	for _, pool := range []string{"a", "b"} {
		p := sriovv1.SriovNetworkPoolConfig{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: pool, ResourceVersion: f.next()}}
		p.Spec.NodeSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"pool": pool}}
		limit := intstr.FromInt32(rapid.Int32Range(1, 2).Draw(t, "maxUnavailable"))
		p.Spec.MaxUnavailable = &limit
		f.limits[pool] = limit.IntValue()
		if rapid.Bool().Draw(t, "manual") {
			p.Spec.Approval = sriovv1.ApprovalManual
		}
		p.Spec.Drain.Force = rapid.Bool().Draw(t, "force")
		f.pools = append(f.pools, p)
	}
	for i, pool := range []string{"", "", "a", "a", "a", "b", "b", "b"} {
		name := fmt.Sprintf("n%d", i)
		f.addNode(name, map[string]string{"pool": pool}, true)
		f.names, f.hashes[name] = append(f.names, name), map[string]bool{}
		f.schedulePods(name)
	}
	f.evicting, f.wrote = f.checkEviction, f.check
	f.process = f.start()
	return f
}

func (f *fleetRun) node(t *rapid.T) string { return rapid.SampledFrom(f.names).Draw(t, "node") }

// survive starts another manager if the last one died.
func (f *fleetRun) survive(err error) {
	if f.writesLeft == 0 {
		f.process = f.start()
	} else if err != nil {
		f.t.Fatalf("reconciling: %v", err)
	}
}

func (f *fleetRun) reconcileNode(t *rapid.T) {
	f.t = t
	f.survive(f.process.reconcileNode(t.Context(), f.node(t)))
}

func (f *fleetRun) reconcileSlots(t *rapid.T) {
	f.t = t
	f.survive(f.process.reconcileSlots(t.Context()))
}

func (f *fleetRun) catchUp(t *rapid.T) { f.store.catchUp(f.node(t)) }

func (f *fleetRun) die(t *rapid.T) {
	f.writesLeft, f.arrives = rapid.IntRange(1, 4).Draw(t, "writes left"), rapid.Bool().Draw(t, "arrives")
}

func (f *fleetRun) plan(t *rapid.T) {
	f.t = t
	name := f.node(t)
	hash := fmt.Sprintf("h%d", rapid.IntRange(0, 2).Draw(t, "hash")) // the same plan may come again
	disruption := rapid.SampledFrom([]sriovv1.Disruption{sriovv1.DisruptionVFPods, sriovv1.DisruptionNode, sriovv1.DisruptionReboot}).Draw(t, "disruption")
	f.hashes[name][hash] = true
	f.changeState(name, func(s *sriovv1.SriovNetworkNodeState) {
		s.Status.Plan = &sriovv1.PlanStatus{Hash: hash, Disruption: disruption, AffectedPods: f.affected(name)}
	})
}

// affected pods of a node are those whose names end in vf; the daemon of another
// node's pod is mistaken.
func (f *fleetRun) affected(node string) []string {
	affected := []string{"pods/" + f.names[0] + "-vf"}
	for _, kind := range []string{"-vf", "-agent-vf"} {
		if name := "pods/" + node + kind; f.pods[name] != nil && node != f.names[0] {
			affected = append(affected, name)
		}
	}
	return affected
}

// carryOut is a daemon that has read its own plan's answer.
func (f *fleetRun) carryOut(t *rapid.T) {
	f.t = t
	name := f.node(t)
	if s := f.states[name]; f.drained(s) {
		f.changeState(name, func(s *sriovv1.SriovNetworkNodeState) { s.Status.Plan = nil })
	}
}

func (f *fleetRun) drained(s *sriovv1.SriovNetworkNodeState) bool {
	r, p := RecordOf(s), PlanOf(s)
	return p != nil && r.Status == metav1.ConditionTrue && r.PlanHash == p.Hash
}

func (f *fleetRun) endPlan(t *rapid.T) {
	f.t = t
	f.changeState(f.node(t), func(s *sriovv1.SriovNetworkNodeState) { s.Status.Plan = nil })
}

func (f *fleetRun) approve(t *rapid.T) {
	f.t = t
	f.changeState(f.node(t), approvePlan)
}

func approvePlan(s *sriovv1.SriovNetworkNodeState) {
	if p := PlanOf(s); p != nil {
		metav1.SetMetaDataAnnotation(&s.ObjectMeta, sriovv1.AnnotationApprovedPlan, p.Hash)
	}
}

// cordon and uncordon by an administrator, who leaves our cordons alone.
func (f *fleetRun) cordon(t *rapid.T) {
	f.t = t
	name := f.node(t)
	if HoldOf(f.nodes[name]).Held {
		return
	}
	f.admin[name] = !f.admin[name]
	f.changeNode(name, func(n *corev1.Node) { n.Spec.Unschedulable = f.admin[name] })
}

func (f *fleetRun) wait(t *rapid.T) {
	f.now = f.now.Add(rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Minute, time.Hour}).Draw(t, "time"))
}

func (f *fleetRun) protect(t *rapid.T) {
	name := "pods/" + f.node(t) + "-vf"
	f.protected[name] = !f.protected[name]
}

func (f *fleetRun) disable(t *rapid.T) {
	f.config = &sriovv1.SriovOperatorConfig{Spec: sriovv1.SriovOperatorConfigSpec{DisableDrain: rapid.Bool().Draw(t, "disable")}}
}

func (f *fleetRun) readiness(t *rapid.T) {
	f.t = t
	ready := rapid.SampledFrom([]corev1.ConditionStatus{corev1.ConditionTrue, corev1.ConditionFalse}).Draw(t, "ready")
	f.changeNode(f.node(t), func(n *corev1.Node) { n.Status.Conditions[0].Status = ready })
}

// schedule puts pods on a node that takes them.
func (f *fleetRun) schedule(t *rapid.T) {
	if name := f.node(t); !f.nodes[name].Spec.Unschedulable && len(f.nodes[name].Spec.Taints) == 0 {
		f.schedulePods(name)
	}
}

func (f *fleetRun) schedulePods(name string) {
	f.addPod(name, name+"-vf", "ReplicaSet")
	f.addPod(name, name+"-other", "ReplicaSet")
	f.addPod(name, name+"-agent-vf", "DaemonSet")
	f.addPod(name, name+"-agent", "DaemonSet")
}

// check holds after every write of anybody.
func (f *fleetRun) check() {
	held := map[string]int{}
	for _, name := range f.names {
		n := f.nodes[name]
		h, r := HoldOf(n), RecordOf(f.states[name])
		if h.Held {
			held[n.Labels["pool"]]++
			if !h.Unschedulable {
				f.t.Fatalf("node %s holds a slot and is not cordoned", name)
			}
		}
		if r.Reason == sriovv1.ReasonDrained && !h.Held {
			f.t.Fatalf("node %s is said to be drained for plan %s and holds no slot", name, r.PlanHash)
		}
		if f.drained(f.states[name]) && r.Reason == sriovv1.ReasonDrained && f.knows(f.process, name) {
			for _, pod := range f.states[name].Status.Plan.AffectedPods {
				if p := f.pods[pod]; p != nil && p.Spec.NodeName == name {
					f.t.Fatalf("node %s is said to be drained for plan %s, and pod %s is on it", name, r.PlanHash, pod)
				}
			}
		}
	}
	for pool, n := range held {
		if n > f.limits[pool] {
			f.t.Fatalf("%d nodes of pool %q hold a slot, %d may", n, pool, f.limits[pool])
		}
	}
}

// checkEviction: the node holds a slot, and its state names the plan, before a pod goes.
func (f *fleetRun) checkEviction(pod *corev1.Pod) {
	name := pod.Spec.NodeName
	r, plan := RecordOf(f.states[name]), PlanOf(f.states[name])
	switch {
	case !HoldOf(f.nodes[name]).Held || !f.nodes[name].Spec.Unschedulable:
		f.t.Fatalf("pod %s is evicted from node %s, which holds no slot", nameOf(pod), name)
	case r.Reason != sriovv1.ReasonDraining && r.Reason != sriovv1.ReasonDrainBlocked:
		f.t.Fatalf("pod %s is evicted, and the node state says %s", nameOf(pod), r.Reason)
	case !f.hashes[name][r.PlanHash]:
		f.t.Fatalf("pod %s is evicted for plan %q, which node %s never had", nameOf(pod), r.PlanHash, name)
	case f.knows(f.process, name) && (plan == nil || plan.Hash != r.PlanHash):
		f.t.Fatalf("pod %s is evicted for plan %q of node %s, which has another one", nameOf(pod), r.PlanHash, name)
	case f.knows(f.process, name) && !plan.wholeNode() && !plan.affects(pod):
		f.t.Fatalf("pod %s is evicted and not affected", nameOf(pod))
	case pod.Name == name+"-agent":
		f.t.Fatalf("pod %s of a DaemonSet is evicted without need", nameOf(pod))
	}
}

// finish lets everything come to rest: plans are approved and carried out, nothing
// is protected, and the cache is up to date.
func (f *fleetRun) finish(t *rapid.T) {
	f.t = t
	f.process = f.start()
	f.config = nil
	clear(f.protected)
	for round := 0; f.restless(); round++ {
		if round == 100 {
			t.Fatalf("no rest: %s", f.describe())
		}
		for _, name := range f.names {
			f.changeState(name, approvePlan)
			f.changeNode(name, func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionTrue })
			f.store.catchUp(f.names...)
			f.survive(f.process.reconcileNode(t.Context(), name))
			if f.drained(f.states[name]) {
				f.changeState(name, func(s *sriovv1.SriovNetworkNodeState) { s.Status.Plan = nil })
			}
		}
		f.store.catchUp(f.names...)
		f.survive(f.process.reconcileSlots(t.Context()))
		// Administrators finish their work too.
		for name := range maps.Clone(f.admin) {
			if round == 50 && f.admin[name] && !HoldOf(f.nodes[name]).Held {
				f.admin[name] = false
				f.changeNode(name, func(n *corev1.Node) { n.Spec.Unschedulable = false })
			}
		}
		f.now = f.now.Add(time.Hour)
	}
	for _, name := range f.names {
		n := f.nodes[name]
		if n.Spec.Unschedulable != f.admin[name] || len(n.Spec.Taints) > 0 || len(n.Annotations) > 0 {
			t.Fatalf("node %s is left with unschedulable %t, taints %v and annotations %v; an administrator cordoned it: %t",
				name, n.Spec.Unschedulable, n.Spec.Taints, n.Annotations, f.admin[name])
		}
		if f.pods["pods/"+name+"-agent"] == nil {
			t.Fatalf("node %s lost a pod of a DaemonSet", name)
		}
	}
}

func (f *fleetRun) restless() bool {
	return slices.ContainsFunc(f.names, func(name string) bool {
		return f.states[name].Status.Plan != nil || HoldOf(f.nodes[name]).Held || RecordOf(f.states[name]).Status == metav1.ConditionTrue
	})
}

func (f *fleetRun) describe() string {
	var lines string
	for _, name := range f.names {
		lines += fmt.Sprintf("\n%s: %+v plan %+v record %+v", name, HoldOf(f.nodes[name]), PlanOf(f.states[name]), RecordOf(f.states[name]))
	}
	return lines
}
