package hosttest_test

import (
	"strings"
	"testing"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/hosttest"
)

// Labels are what users read in the table of rules: one for each, with its subject.
func TestLabels(t *testing.T) {
	seen := map[string]bool{}
	for _, sp := range hosttest.Specs() {
		if seen[sp.Label] || !strings.Contains(sp.Label, ": ") {
			t.Errorf("label %q is not unique or has no subject", sp.Label)
		}
		seen[sp.Label] = true
	}
}

func TestApplies(t *testing.T) {
	sp := hosttest.Spec{Needs: []hosttest.Capability{hosttest.VFIO}, Lacks: []hosttest.Capability{hosttest.IOMMU}}
	for _, tc := range []struct {
		have []hosttest.Capability
		want bool
	}{
		{nil, false},
		{[]hosttest.Capability{hosttest.VFIO}, true},
		{[]hosttest.Capability{hosttest.VFIO, hosttest.IOMMU}, false},
	} {
		if got := sp.Applies(tc.have); got != tc.want {
			t.Errorf("with %v: %t", tc.have, got)
		}
	}
}
