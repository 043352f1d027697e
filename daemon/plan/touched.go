package plan

import (
	"slices"

	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// TouchedVFs returns, by index, the VFs of an observed PF from which the steps of
// the plan may take something, in use or not.
func (p *Plan) TouchedVFs(pf *inventory.PF) []int {
	var out []int
	for i := range pf.VFs {
		index := pf.VFs[i].Index
		if slices.ContainsFunc(p.Steps(), func(s Step) bool {
			t := s.touches()
			return s.Device() == pf.PCIAddress && (t.all || slices.Contains(t.vfs, index))
		}) {
			out = append(out, index)
		}
	}
	return out
}

// VFsOf returns the VFs that a step works on, by index; none for a step on the PF
// as a whole.
func VFsOf(s Step) []int { return s.touches().vfs }
