package agent

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/boot"
)

// The mode in force and its condition come from what was found on the host; while
// nobody has looked, those of before stay, and a failed boot is no failure of what
// the daemon has done since.
func TestReportBoot(t *testing.T) {
	observed := node()
	report := func(existing sriovv1.SriovNetworkNodeStateStatus, status boot.Status) sriovv1.SriovNetworkNodeStateStatus {
		facts := Facts{Spec: spec(), Observed: &observed, Decision: Decision{Verdict: Idle}, Boot: status}
		return Report(existing, facts, metav1.NewTime(time.Unix(1000, 0)))
	}
	condition := func(s sriovv1.SriovNetworkNodeStateStatus) string {
		c := meta.FindStatusCondition(s.Conditions, sriovv1.ConditionBootReady)
		if c == nil {
			return "none"
		}
		return string(c.Status) + " " + c.Reason
	}
	first := report(sriovv1.SriovNetworkNodeStateStatus{}, boot.Status{})
	if got := condition(first); got != "False Unknown" || first.System.ConfigurationMode != "" {
		t.Errorf("before anybody has looked: %s, mode %q", got, first.System.ConfigurationMode)
	}
	failed := report(first, boot.Status{Mode: sriovv1.ConfigurationSystemd, Reason: sriovv1.ReasonBootFailed, Message: "no state"})
	if got := condition(failed); got != "False BootFailed" || failed.System.ConfigurationMode != sriovv1.ConfigurationSystemd {
		t.Errorf("after a boot that failed: %s, mode %q", got, failed.System.ConfigurationMode)
	}
	if !meta.IsStatusConditionTrue(failed.Conditions, sriovv1.ConditionReady) {
		t.Error("a boot that failed is held against a node that is as it should be")
	}
	if diff := cmp.Diff(failed, report(failed, boot.Status{})); diff != "" {
		t.Errorf("a turn that has not looked yet changes the status:\n%s", diff)
	}
	good := report(failed, boot.Status{Mode: sriovv1.ConfigurationDaemon, Ready: true, Reason: sriovv1.ReasonDaemonMode})
	if got := condition(good); got != "True DaemonMode" || good.System.ConfigurationMode != sriovv1.ConfigurationDaemon {
		t.Errorf("in mode daemon: %s, mode %q", got, good.System.ConfigurationMode)
	}
}
