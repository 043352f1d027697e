package merge

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Set is a compiled set of policies. It is immutable and safe for concurrent use.
type Set struct {
	policies []*policy // strongest first
	byName   map[string]*policy
}

// policy is one policy with everything parsed that does not depend on a node.
type policy struct {
	name       string
	priority   int
	spec       *sriovv1.SriovNetworkNodePolicySpec // own copy
	nodeLabels []label
	nic        selector
	linkType   string // ETH, IB or empty
	bridgeKey  string // equal for equal bridges; empty without one
	bondKey    string // equal for equal bonds; empty without one
	digest     [sha256.Size]byte
}

type label struct{ key, value string }

// Compile parses the selectors of the policies of one namespace once, for any
// number of merges. The order of the policies does not matter. The policy named
// "default" is left out: it has been ignored since the first release of the API.
func Compile(policies []sriovv1.SriovNetworkNodePolicy) *Set {
	s := &Set{byName: make(map[string]*policy, len(policies))}
	for i := range policies {
		if policies[i].Name != sriovv1.DefaultPolicyName {
			s.policies = append(s.policies, compile(&policies[i]))
		}
	}
	slices.SortFunc(s.policies, strongestFirst)
	// Names are unique in a namespace. Should they not be, the strongest counts.
	s.policies = slices.DeleteFunc(s.policies, func(p *policy) bool {
		if _, taken := s.byName[p.name]; taken {
			return true
		}
		s.byName[p.name] = p
		return false
	})
	return s
}

// strongestFirst orders by priority, lower first; on a tie the alphabetically
// last name is the stronger one. The digest only makes the order total.
func strongestFirst(a, b *policy) int {
	return cmp.Or(
		cmp.Compare(a.priority, b.priority),
		strings.Compare(b.name, a.name),
		slices.Compare(a.digest[:], b.digest[:]),
	)
}

func compile(p *sriovv1.SriovNetworkNodePolicy) *policy {
	spec := p.Spec.DeepCopy()
	c := &policy{
		name:     p.Name,
		priority: p.EffectivePriority(),
		spec:     spec,
		nic:      compileSelector(&spec.NicSelector),
		linkType: strings.ToUpper(spec.LinkType),
		digest:   sha256.Sum256(encode(spec)),
	}
	for k, v := range spec.NodeSelector {
		c.nodeLabels = append(c.nodeLabels, label{k, v})
	}
	if spec.Bridge.OVS != nil {
		c.bridgeKey = string(encode(spec.Bridge.OVS))
	}
	if spec.Bond != nil {
		c.bondKey = string(encode(spec.Bond))
	}
	return c
}

// encode returns JSON: field order is fixed and map keys are sorted, so equal
// values have equal bytes. Types of the API always encode.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("merge: encoding an API type: " + err.Error())
	}
	return b
}

// Selects tells whether the nodeSelector of the policy of that name selects a
// node with these labels. False for a policy that is not in the set.
func (s *Set) Selects(policy string, labels map[string]string) bool {
	p, ok := s.byName[policy]
	return ok && p.selects(labels)
}

// Selecting returns the names of the policies that select a node with these
// labels, sorted, those that ask for zero VFs included.
func (s *Set) Selecting(labels map[string]string) []string {
	var names []string
	for _, p := range s.policies {
		if p.selects(labels) {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return names
}

func (p *policy) selects(labels map[string]string) bool {
	for _, l := range p.nodeLabels {
		if v, ok := labels[l.key]; !ok || v != l.value {
			return false
		}
	}
	return true
}

// asksForVFs is false for a policy that adds nothing anywhere.
func (p *policy) asksForVFs() bool { return p.spec.NumVfs > 0 }
