package agent

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// Warnings are shown at the PF that they are about, and keep nothing from being
// ready.
func TestWarningsAreReported(t *testing.T) {
	warning := sriovv1.Blocker{Code: plan.CodeAlsoConfigured, Message: "netplan has something", Remedy: "look"}
	f := Facts{
		Spec:     sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "x"},
		Observed: &inventory.Node{PFs: []inventory.PF{{PCIAddress: "0000:3b:00.0"}, {PCIAddress: "0000:3b:00.1"}}},
		Plan:     plan.Plan{Warnings: []plan.Blocker{{PF: "0000:3b:00.1", Blocker: warning}}},
	}
	f.Decision = Decide(f.Spec, *f.Observed, f.Plan, Before{})
	s := Report(sriovv1.SriovNetworkNodeStateStatus{}, f, metav1.Now())
	if diff := cmp.Diff([]sriovv1.Blocker{warning}, s.Interfaces[1].Warnings); diff != "" || s.Interfaces[0].Warnings != nil {
		t.Errorf("%s, at the other PF %v", diff, s.Interfaces[0].Warnings)
	}
	if s.SyncStatus != sriovv1.SyncSucceeded {
		t.Errorf("sync status %s", s.SyncStatus)
	}
}

// What can be carried out only after a turn does not wait for the resync.
func TestWhatIsLeftComesSoon(t *testing.T) {
	a := &Agent{Resync: time.Hour}
	if got := a.nextTurn(Facts{}); got != time.Hour {
		t.Errorf("with nothing to do: %s", got)
	}
	run := plan.Plan{Chains: []plan.Chain{{PFs: []string{""}, Stages: []plan.Stage{{plan.RemoveHostFile{Path: "etc/a"}}}}}}
	if got := a.nextTurn(Facts{Decision: Decision{Run: run}}); got > time.Minute {
		t.Errorf("with a file to remove: %s", got)
	}
	// What failed has its own time.
	for range 20 {
		a.retries.failed([]string{""}, 0, time.Now(), sriovv1.ReasonApplyFailed, "no")
	}
	if got := a.nextTurn(Facts{Decision: Decision{Run: run}}); got < longestPause/2 {
		t.Errorf("with one that failed: %s", got)
	}
}
