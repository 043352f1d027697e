package merge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// NodeLabels are the labels of one node.
type NodeLabels struct {
	Name   string
	Labels map[string]string
}

// Miss is one selector field of a policy that a PF of a node did not satisfy.
// It is comparable.
type Miss struct {
	// Field of the policy's spec, e.g. nicSelector.pfNames; nicSelector alone
	// when the node has not reported a single PF.
	Field string
	// Found is the PF's value of that field; empty when the PF has none.
	Found string
	// Unknown is true for a fact of a PF that the inventory lacks and because of
	// which the VFs that a PF has stay as they are.
	Unknown bool
	// Node and PCIAddress say where.
	Node       string
	PCIAddress string
}

// appendMisses adds one miss per field that the PF fails.
func appendMisses(misses []Miss, f failed, node string, pf *sriovv1.InterfaceStatus) []Miss {
	add := func(bit failed, field, found string) {
		if f&bit != 0 {
			misses = append(misses, Miss{Field: field, Found: found, Node: node, PCIAddress: pf.PCIAddress})
		}
	}
	add(failedVendor, fieldVendor, pf.Vendor)
	add(failedDeviceID, fieldDeviceID, pf.DeviceID)
	add(failedRootDevices, fieldRootDevices, pf.PCIAddress)
	add(failedPfNames, fieldPfNames, pf.Name)
	add(failedNetFilter, fieldNetFilter, pf.NetFilter)
	return misses
}

// Unmatched says per selector field why a policy matched nothing. nodes are all
// nodes; misses are those of the policy on every node that it selects, in any
// order. The result is empty for a policy that is ignored by design (named
// "default", or numVfs 0) and when there is no miss on a selected node.
func Unmatched(policy *sriovv1.SriovNetworkNodePolicy, nodes []NodeLabels, misses []Miss) []sriovv1.UnmatchedField {
	if policy.Name == sriovv1.DefaultPolicyName || policy.Spec.NumVfs <= 0 {
		return nil
	}
	p := compile(policy)
	if !slices.ContainsFunc(nodes, func(n NodeLabels) bool { return p.selects(n.Labels) }) {
		return []sriovv1.UnmatchedField{unmatchedField(fieldNodeSelector, p.nearestNode(nodes))}
	}
	if p.nic.isEmpty() {
		return []sriovv1.UnmatchedField{unmatchedField(fieldNicSelector, "no field is set, so no NIC is selected")}
	}
	var unmatched []sriovv1.UnmatchedField
	for _, w := range p.wanted() {
		message := cmp.Or(nearestPF(w.values, missesOf(misses, w.field)), describeUnknown(w.field, misses))
		if message != "" {
			unmatched = append(unmatched, unmatchedField(w.field, message))
		}
	}
	if silent := missesOf(misses, fieldNicSelector); len(silent) > 0 {
		unmatched = append(unmatched, unmatchedField(fieldNicSelector, "no SR-IOV capable NIC is reported by "+someNodes(silent)))
	}
	return unmatched
}

func unmatchedField(field, message string) sriovv1.UnmatchedField {
	return sriovv1.UnmatchedField{Field: field, Message: sriovv1.Clip(message, sriovv1.MaxReasonLength)}
}

// nearestNode describes the node that lacks the fewest labels of the nodeSelector.
func (p *policy) nearestNode(nodes []NodeLabels) string {
	if len(nodes) == 0 {
		return "there is no node"
	}
	nearest, lacks := "", []string(nil)
	for _, n := range nodes {
		l := p.lacking(n.Labels)
		if nearest == "" || len(l) < len(lacks) || len(l) == len(lacks) && n.Name < nearest {
			nearest, lacks = n.Name, l
		}
	}
	return fmt.Sprintf("no node has all of these labels; nearest is node %s, which lacks %s", nearest, enumerate(lacks, "and"))
}

// lacking describes the labels of the nodeSelector that a node does not have, sorted.
func (p *policy) lacking(labels map[string]string) []string {
	var lacks []string
	for _, l := range p.nodeLabels {
		switch v, ok := labels[l.key]; {
		case !ok:
			lacks = append(lacks, l.key+"="+l.value)
		case v != l.value:
			lacks = append(lacks, fmt.Sprintf("%s=%s (it has %q)", l.key, l.value, v))
		}
	}
	slices.Sort(lacks)
	return lacks
}

func entryNames(entries []entry) []string {
	var list []string
	for _, e := range entries {
		if e.name != "" && !slices.Contains(list, e.name) {
			list = append(list, e.name)
		}
	}
	return list
}

// missesOf returns the misses of one field, one per value found: that of the
// first node and PF that have it.
func missesOf(misses []Miss, field string) []Miss {
	first := map[string]Miss{}
	for _, m := range misses {
		if m.Field != field || m.Unknown {
			continue
		}
		key := m.Found
		if field == fieldNicSelector {
			key = m.Node
		}
		if old, seen := first[key]; !seen || compareMisses(m, old) < 0 {
			first[key] = m
		}
	}
	list := make([]Miss, 0, len(first))
	for _, m := range first {
		list = append(list, m)
	}
	slices.SortFunc(list, compareMisses)
	return list
}

func compareMisses(a, b Miss) int {
	return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.PCIAddress, b.PCIAddress), cmp.Compare(a.Found, b.Found))
}

// nearestPF describes the miss whose value comes nearest to a wanted one; empty without misses.
func nearestPF(wanted []string, misses []Miss) string {
	if len(misses) == 0 {
		return ""
	}
	nearest, best := misses[0], -1
	for _, m := range misses {
		for _, w := range wanted {
			if d := Distance(strings.ToLower(w), strings.ToLower(m.Found)); best < 0 || d < best {
				nearest, best = m, d
			}
		}
	}
	found := nearest.Found
	if found == "" {
		found = "nothing"
	}
	where := nearest.PCIAddress + " on node " + nearest.Node
	if nearest.Found == nearest.PCIAddress {
		where = "on node " + nearest.Node
	}
	which := "found"
	if len(misses) > 1 {
		which = "nearest is"
	}
	return fmt.Sprintf("wanted %s; %s %s (%s)", enumerate(wanted, "or"), which, found, where)
}

func someNodes(misses []Miss) string {
	list := make([]string, 0, len(misses))
	for _, m := range misses {
		list = append(list, m.Node)
	}
	return "node " + enumerate(list, "and")
}

// maxListed bounds how much of a list a message repeats.
const maxListed = 4

// enumerate writes "a, b or c", at most maxListed of them.
func enumerate(list []string, last string) string {
	if more := len(list) - maxListed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:maxListed], ", "), more)
	}
	if n := len(list); n > 1 {
		return strings.Join(list[:n-1], ", ") + " " + last + " " + list[n-1]
	}
	return strings.Join(list, "")
}

// maxCompared is the length of what can be compared well: no name of a netdev
// is longer.
const maxCompared = sriovv1.MaxAltNameLength

// Distance is the Levenshtein distance of two strings, in bytes. Long strings,
// for which that takes long, are as far apart as strings of their length can be.
func Distance(a, b string) int {
	if longer := max(len(a), len(b)); longer > maxCompared {
		return longer
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
