package merge

import (
	"slices"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// FurtherNames returns the names by which a policy may name a PF besides that of
// its netdev: alternative names, and the names of further physical ports. Sorted.
func FurtherNames(pf *sriovv1.InterfaceStatus) []string {
	if len(pf.Ports) == 0 && slices.IsSorted(pf.AltNames) {
		return pf.AltNames
	}
	names := slices.Clone(pf.AltNames)
	for i := range pf.Ports {
		if port := &pf.Ports[i]; port.Name != pf.Name {
			names = append(append(names, port.Name), port.AltNames...)
		}
	}
	slices.Sort(names)
	return names
}
