package merge

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
)

// keptMisses is how many values of one field are kept per policy and node.
const keptMisses = 4

// misses says what kept the policy from matching: the fields that the nearest
// PFs fail, nearest meaning that the fewest fields fail. Of PFs with the same
// value only the first is kept, and of values only those that come nearest to
// what the policy wants: a fleet has many policies times many PFs.
func (m *merger) misses(p *policy) []Miss {
	if len(m.pfs) == 0 || p.nic.isEmpty() {
		return []Miss{{Field: fieldNicSelector, Node: m.node}}
	}
	fails := make([]failed, len(m.pfs))
	fewest := 8
	for i, pf := range m.pfs {
		fails[i] = p.nic.check(pf)
		fewest = min(fewest, bits.OnesCount8(uint8(fails[i])))
	}
	var misses []Miss
	for i, pf := range m.pfs {
		if bits.OnesCount8(uint8(fails[i])) == fewest {
			misses = appendMisses(misses, fails[i], m.node, pf)
		}
	}
	if len(misses) > keptMisses {
		misses = p.nearest(misses)
	}
	return misses
}

// nearest returns at most keptMisses of every field, in the order of the PFs.
func (p *policy) nearest(misses []Miss) []Miss {
	var kept []Miss
	for _, w := range p.wanted() {
		of := missesOf(misses, w.field)
		if len(of) > keptMisses {
			// Looked at once per value, since the list may be that of a hostile node.
			nearness := make(map[string]int, len(of))
			for _, miss := range of {
				nearness[miss.Found] = w.nearness(miss.Found)
			}
			slices.SortStableFunc(of, func(a, b Miss) int { return cmp.Compare(nearness[b.Found], nearness[a.Found]) })
			of = of[:keptMisses]
			slices.SortFunc(of, compareMisses)
		}
		kept = append(kept, of...)
	}
	return kept
}

// want is what a policy's selector asks for in one field.
type want struct {
	field  string
	values []string
}

// wanted has every field that a PF can fail.
func (p *policy) wanted() []want {
	return []want{
		{fieldVendor, []string{p.spec.NicSelector.Vendor}},
		{fieldDeviceID, []string{p.spec.NicSelector.DeviceID}},
		{fieldRootDevices, entryNames(p.nic.rootDevices)},
		{fieldPfNames, entryNames(p.nic.pfNames)},
		{fieldNetFilter, []string{p.spec.NicSelector.NetFilter}},
	}
}

// nearness is how many characters at both ends the value has in common with a
// wanted one: a cheap stand-in for Distance, which only ever ranks a few values.
func (w want) nearness(found string) int {
	most := 0
	found = strings.ToLower(found)
	for _, value := range w.values {
		value = strings.ToLower(value)
		shorter := min(len(value), len(found))
		head, tail := 0, 0
		for head < shorter && value[head] == found[head] {
			head++
		}
		for tail < shorter-head && value[len(value)-1-tail] == found[len(found)-1-tail] {
			tail++
		}
		most = max(most, head+tail)
	}
	return most
}
