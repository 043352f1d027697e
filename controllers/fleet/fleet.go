package fleet

import (
	"maps"
	"reflect"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
)

// Snapshot is a set of policies compiled for merging. It is immutable.
type Snapshot struct {
	Set      *merge.Set
	versions map[string]version
}

// version identifies one spec of one policy.
type version struct {
	uid        types.UID
	generation int64
}

// Node is what is known about one node.
type Node struct {
	Name string
	// Labels that the result was computed with, see Labels.
	Labels map[string]string
	// Capable tells whether the node's inventory has a capable PF.
	Capable bool
	// Reported is false as long as the daemon of the node has not published an inventory.
	Reported bool
	// ComputedFrom of the merged spec; empty if nothing was computed.
	ComputedFrom string
	// Policies that select the node, as merge.Result has them.
	Policies map[string]merge.PolicyResult
	// Readiness of the node's state, filled in by the fleet.
	Readiness Readiness
	// Refused says why the API server does not take the merged spec, filled in by
	// the fleet; empty if it does. The daemon then goes on with an older one.
	Refused string
}

// Ready tells whether the daemon has read back exactly what was merged.
func (n *Node) Ready() bool { return n.Readiness.Ready && n.Readiness.ComputedFrom == n.ComputedFrom }

// Stalled tells whether what was merged cannot come into force without a person.
func (n *Node) Stalled() bool {
	return n.Readiness.Stalled && n.Readiness.ComputedFrom == n.ComputedFrom
}

type record struct {
	Node
	snapshot *Snapshot
}

// observation is the readiness of a node at a version of its state.
type observation struct {
	Readiness
	resourceVersion string
}

// Fleet is safe for concurrent use.
type Fleet struct {
	mu          sync.Mutex
	snapshot    *Snapshot
	nodes       map[string]record
	readiness   map[string]observation
	refused     map[string]string // node -> why the API server takes no spec for it
	matched     map[string]int    // policy -> nodes with a matched PF
	subscribers []func(policies []string)
}

// New returns an empty fleet.
func New() *Fleet {
	return &Fleet{
		snapshot:  compile(nil),
		nodes:     map[string]record{},
		readiness: map[string]observation{},
		refused:   map[string]string{},
		matched:   map[string]int{},
	}
}

// Snapshot returns the compiled form of the policies. They are compiled only
// if they differ from those of the last call.
func (f *Fleet) Snapshot(policies []sriovv1.SriovNetworkNodePolicy) *Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.snapshot.is(policies) {
		f.snapshot = compile(policies)
	}
	return f.snapshot
}

func compile(policies []sriovv1.SriovNetworkNodePolicy) *Snapshot {
	s := &Snapshot{Set: merge.Compile(policies), versions: make(map[string]version, len(policies))}
	for i := range policies {
		s.versions[policies[i].Name] = versionOf(&policies[i])
	}
	return s
}

func versionOf(p *sriovv1.SriovNetworkNodePolicy) version {
	return version{uid: p.UID, generation: p.Generation}
}

func (s *Snapshot) is(policies []sriovv1.SriovNetworkNodePolicy) bool {
	if len(policies) != len(s.versions) {
		return false
	}
	for i := range policies {
		if v, found := s.versions[policies[i].Name]; !found || v != versionOf(&policies[i]) {
			return false
		}
	}
	return true
}

// Record replaces what is known about a node by what merging with the snapshot
// gave. state is the node's state that was merged, if there was one.
func (f *Fleet) Record(s *Snapshot, n Node, state *sriovv1.SriovNetworkNodeState) {
	f.mu.Lock()
	before := f.readiness[n.Name].Readiness
	if state != nil {
		f.observe(state)
	}
	after := f.readiness[n.Name].Readiness
	old := f.nodes[n.Name]
	now := record{Node: n, snapshot: s}
	f.nodes[n.Name] = now
	f.count(old, -1)
	f.count(now, 1)
	changed := changedPolicies(old, now, before == after)
	if !maps.Equal(old.Labels, n.Labels) {
		changed = append(changed, f.unmatched()...)
	}
	f.mu.Unlock()
	f.notify(changed)
}

// Forget removes a node that is no longer managed.
func (f *Fleet) Forget(node string) {
	f.mu.Lock()
	old, found := f.nodes[node]
	if !found {
		f.mu.Unlock()
		return
	}
	delete(f.nodes, node)
	delete(f.refused, node)
	f.count(old, -1)
	changed := append(slices.Collect(maps.Keys(old.Policies)), f.unmatched()...)
	f.mu.Unlock()
	f.notify(changed)
}

// Observe takes note of a node's readiness.
func (f *Fleet) Observe(state *sriovv1.SriovNetworkNodeState) {
	f.mu.Lock()
	before := f.readiness[state.Name].Readiness
	f.observe(state)
	var changed []string
	if f.readiness[state.Name].Readiness != before {
		changed = slices.Collect(maps.Keys(f.nodes[state.Name].Policies))
	}
	f.mu.Unlock()
	f.notify(changed)
}

// observe keeps what is newer: a state that a reconcile holds may be older than
// what an event brought meanwhile.
func (f *Fleet) observe(state *sriovv1.SriovNetworkNodeState) {
	known, found := f.readiness[state.Name]
	if found {
		order, err := resourceversion.CompareResourceVersion(state.ResourceVersion, known.resourceVersion)
		if err == nil && order < 0 {
			return
		}
	}
	f.readiness[state.Name] = observation{ReadinessOf(state), state.ResourceVersion}
}

// Unobserve forgets the readiness of a node whose state is gone.
func (f *Fleet) Unobserve(node string) {
	f.mu.Lock()
	delete(f.readiness, node)
	changed := slices.Collect(maps.Keys(f.nodes[node].Policies))
	f.mu.Unlock()
	f.notify(changed)
}

// Of returns the node's record, and whether it was computed with this version
// of the policy and with labels that the policy selects. The record's maps must
// not be changed.
func (f *Fleet) Of(policy *sriovv1.SriovNetworkNodePolicy, node string) (Node, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, found := f.nodes[node]
	if !found || n.snapshot.versions[policy.Name] != versionOf(policy) {
		return Node{}, false
	}
	n.Readiness = f.readiness[node].Readiness
	n.Refused = f.refused[node]
	return n.Node, Selects(policy, n.Labels)
}

// Labels are the labels by which the node is selected, as far as it is known
// here: own are those of the Node.
func (f *Fleet) Labels(node string, own map[string]string) map[string]string {
	f.mu.Lock()
	capable := f.nodes[node].Capable
	f.mu.Unlock()
	if capable {
		return withCapable(own)
	}
	return own
}

// Subscribe calls changed with the names of policies about which something
// changed. It must not block.
func (f *Fleet) Subscribe(changed func(policies []string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subscribers = append(f.subscribers, changed)
}

func (f *Fleet) notify(policies []string) {
	if len(policies) == 0 {
		return
	}
	f.mu.Lock()
	subscribers := slices.Clone(f.subscribers)
	f.mu.Unlock()
	for _, changed := range subscribers {
		changed(policies)
	}
}

func (f *Fleet) count(r record, by int) {
	for policy, result := range r.Policies {
		if len(result.MatchedPFs) == 0 {
			continue
		}
		f.matched[policy] += by
		if f.matched[policy] == 0 {
			delete(f.matched, policy)
		}
	}
}

// unmatched are the policies whose status names the nearest miss, which may be
// on any node.
func (f *Fleet) unmatched() []string {
	var names []string
	for policy := range f.snapshot.versions {
		if f.matched[policy] == 0 {
			names = append(names, policy)
		}
	}
	return names
}

func changedPolicies(old, now record, sameReadiness bool) []string {
	var changed []string
	for policy := range old.Policies {
		if _, still := now.Policies[policy]; !still {
			changed = append(changed, policy)
		}
	}
	sameNode := sameReadiness && old.Reported == now.Reported && old.ComputedFrom == now.ComputedFrom
	for policy, result := range now.Policies {
		before, had := old.Policies[policy]
		if sameNode && had && old.snapshot.versions[policy] == now.snapshot.versions[policy] && reflect.DeepEqual(before, result) {
			continue
		}
		changed = append(changed, policy)
	}
	return changed
}

// Selects tells whether the policy's nodeSelector selects a node with these labels.
func Selects(policy *sriovv1.SriovNetworkNodePolicy, node map[string]string) bool {
	for key, value := range policy.Spec.NodeSelector {
		if found, ok := node[key]; !ok || found != value {
			return false
		}
	}
	return true
}
