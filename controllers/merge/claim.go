package merge

import (
	"cmp"
	"fmt"
	"slices"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// claim is a range of VFs that a policy wants of a PF.
type claim struct {
	vfs   sriovv1.VFRange
	field string // of the policy, where the range comes from
}

// problem is a value of a policy that cannot be used, whatever other policies say.
type problem struct{ field, reason string }

// claims returns what the policy wants of a PF that it matches, ordered and not
// overlapping, and what of it cannot be used.
func (p *policy) claims(pf *sriovv1.InterfaceStatus) ([]claim, []problem) {
	if len(p.nic.pfNames) == 0 && len(p.nic.rootDevices) == 0 {
		return []claim{p.allVFs()}, nil
	}
	var problems []problem
	byName := p.claimsOf(p.nic.pfNames, fieldPfNames, pf, (*entry).isNameOf, &problems)
	byAddress := p.claimsOf(p.nic.rootDevices, fieldRootDevices, pf, (*entry).isAddressOf, &problems)
	switch {
	case len(p.nic.rootDevices) == 0:
		return byName, problems
	case len(p.nic.pfNames) == 0:
		return byAddress, problems
	}
	both := intersect(byName, byAddress)
	if len(both) == 0 && len(byName) > 0 && len(byAddress) > 0 {
		problems = append(problems, problem{fieldPfNames, "pfNames and rootDevices name no common VF"})
	}
	return both, problems
}

// claimsOf unites the entries of one list that name the PF.
func (p *policy) claimsOf(entries []entry, field string, pf *sriovv1.InterfaceStatus, isOf names, problems *[]problem) []claim {
	var claims []claim
	for i := range entries {
		e := &entries[i]
		switch {
		case !isOf(e, pf):
		case e.err != nil:
			*problems = append(*problems, problem{field, e.err.Error()})
		case len(e.ranges) == 0:
			claims = append(claims, p.allVFs())
		default:
			for _, r := range e.ranges {
				if r.Last >= p.spec.NumVfs {
					*problems = append(*problems, problem{field,
						fmt.Sprintf("VF range %s of %q ends beyond numVfs %d; the last possible index is %d", r, e.raw, p.spec.NumVfs, p.spec.NumVfs-1)})
					continue
				}
				claims = append(claims, claim{r, field})
			}
		}
	}
	return unite(claims)
}

// allVFs is the claim of a policy that names no range.
func (p *policy) allVFs() claim {
	return claim{sriovv1.VFRange{First: 0, Last: p.spec.NumVfs - 1}, "numVfs"}
}

// unite orders claims and joins those that overlap. Ranges that only touch stay
// apart: they become groups of their own.
func unite(claims []claim) []claim {
	slices.SortFunc(claims, func(a, b claim) int {
		return cmp.Or(cmp.Compare(a.vfs.First, b.vfs.First), cmp.Compare(b.vfs.Last, a.vfs.Last), cmp.Compare(a.field, b.field))
	})
	united := claims[:0]
	for _, c := range claims {
		if last := len(united) - 1; last >= 0 && united[last].vfs.Overlaps(c.vfs) {
			united[last].vfs.Last = max(united[last].vfs.Last, c.vfs.Last)
			continue
		}
		united = append(united, c)
	}
	return united
}

// intersect returns the VFs that both lists of ordered claims have.
func intersect(a, b []claim) []claim {
	var both []claim
	for _, x := range a {
		for _, y := range b {
			if !x.vfs.Overlaps(y.vfs) {
				continue
			}
			common := claim{sriovv1.VFRange{First: max(x.vfs.First, y.vfs.First), Last: min(x.vfs.Last, y.vfs.Last)}, x.field}
			if common.vfs != x.vfs {
				common.field = y.field
			}
			both = append(both, common)
		}
	}
	return both
}
