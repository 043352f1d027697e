package agent

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/boot"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// Facts are everything that the status of a node state is made of.
type Facts struct {
	Generation int64
	Spec       sriovv1.SriovNetworkNodeStateSpec
	// Observed is the host as it is; nil if it could not be read, see Failed.
	Observed *inventory.Node
	// Owned is the ledger's record.
	Owned ledger.Record
	// Plan is what remains to be done, with its Decision.
	Plan     plan.Plan
	Decision Decision
	// Before is what the decision was made after.
	Before Before
	// Applying is true while the plan is being carried out.
	Applying bool
	// Failed is the root cause of what went wrong in this turn; empty if nothing did.
	Failed string
	// FailedReason is the condition reason for it.
	FailedReason string
	// Boot is how the node is prepared for its next boot; zero when the daemon has
	// not looked yet.
	Boot boot.Status
}

// Report builds the whole status from facts. Conditions keep the time of their
// last transition from existing; a changed one gets now.
func Report(existing sriovv1.SriovNetworkNodeStateStatus, f Facts, now metav1.Time) sriovv1.SriovNetworkNodeStateStatus {
	s := sriovv1.SriovNetworkNodeStateStatus{
		ObservedGeneration: f.Generation,
		Conditions:         conditions(existing.Conditions, f, now),
		Inventory:          existing.Inventory,
		Interfaces:         existing.Interfaces,
		Bonds:              existing.Bonds,
		Bridges:            existing.Bridges,
		Plan:               planStatus(f),
		System:             existing.System,
	}
	if f.Boot.Mode != "" {
		s.System.ConfigurationMode = f.Boot.Mode
	}
	if f.Observed != nil {
		s.Inventory = inventoryState(f.Observed)
		s.Interfaces = interfaces(f)
		s.Bonds = bonds(f)
		s.Bridges = bridges(f.Observed)
	}
	for i := range s.Interfaces {
		s.NumVfs += s.Interfaces[i].NumVfs
	}
	ready := meta.FindStatusCondition(s.Conditions, sriovv1.ConditionReady)
	switch {
	case ready.Status == metav1.ConditionTrue:
		s.SyncStatus = sriovv1.SyncSucceeded
	case meta.IsStatusConditionTrue(s.Conditions, sriovv1.ConditionStalled):
		s.SyncStatus = sriovv1.SyncFailed
		s.LastSyncError = ready.Message
	default:
		s.SyncStatus = sriovv1.SyncInProgress
	}
	bound(&s)
	return s
}

// outcome is the one decision behind Ready, Reconciling and Stalled.
type outcome struct {
	reason, message string
	ready, stalled  bool
}

func decideOutcome(f Facts) outcome {
	switch {
	case f.Failed != "":
		return outcome{reason: f.FailedReason, message: f.Failed, stalled: true}
	case f.Decision.Verdict == NotComputed:
		return outcome{reason: sriovv1.ReasonNotComputed, message: "the manager has not computed this node's spec yet; the daemon only observes"}
	case f.Applying:
		return outcome{reason: sriovv1.ReasonApplying, message: applyingMessage(&f)}
	case f.Decision.Verdict == RebootNow:
		return outcome{reason: sriovv1.ReasonRebooting, message: "the node is drained and is being rebooted: " + strings.Join(rebootReasons(f.Plan), "; ")}
	case f.Decision.Verdict == WaitForDrain:
		return outcome{reason: sriovv1.ReasonDrainRequired, message: drainMessage(&f)}
	case len(f.Plan.Blockers) > 0:
		return outcome{reason: sriovv1.ReasonBlocked, message: blockerMessage(f.Plan.Blockers), stalled: true}
	case !f.Plan.Empty():
		// It could not run in this turn, and nothing says why: never call that ready.
		return outcome{reason: sriovv1.ReasonApplying, message: fmt.Sprintf("%d steps are to be carried out", len(f.Plan.Steps()))}
	default:
		return outcome{reason: sriovv1.ReasonConverged, ready: true, message: convergedMessage(f.Plan)}
	}
}

// convergedMessage names the VFs that get their settings when their users are gone.
func convergedMessage(p plan.Plan) string {
	parts := []string{"the host is as the spec says"}
	for _, w := range p.Waiting {
		parts = append(parts, w.String())
	}
	return strings.Join(parts, "; ")
}

// applyingMessage says how much is carried out, and who is not asked before.
func applyingMessage(f *Facts) string {
	text := fmt.Sprintf("carrying out %d steps", len(f.Decision.Run.Steps()))
	if f.Decision.Undrained && len(f.Decision.AffectedPods) > 0 {
		text += "; draining is disabled, so that these pods lose their VFs while they run: " + strings.Join(f.Decision.AffectedPods, ", ")
	}
	return text
}

// drainMessage says what a held plan waits for, and for a reboot what it is for.
func drainMessage(f *Facts) string {
	text := f.Decision.waitingFor()
	if reasons := rebootReasons(f.Plan); len(reasons) > 0 {
		text += ". A reboot is needed: " + strings.Join(reasons, "; ")
	}
	return text
}

// rebootReasons are the reasons of a reboot in a plan, in words.
func rebootReasons(p plan.Plan) []string {
	var out []string
	for _, s := range p.Steps() {
		if reboot, ok := s.(plan.Reboot); ok {
			for _, r := range reboot.Reasons {
				out = append(out, r.Text)
			}
		}
	}
	return out
}

func blockerMessage(blockers []plan.Blocker) string {
	parts := make([]string, 0, len(blockers))
	for _, b := range blockers {
		text := fmt.Sprintf("%s: %s", b.PF, b.Message)
		if b.PF == "" {
			text = b.Message
		}
		if b.Remedy != "" {
			text += "; " + b.Remedy
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " | ")
}

// ownConditions returns the conditions that the daemon writes. Those of other
// writers stay theirs: what we apply, we own.
func ownConditions(all []metav1.Condition) []metav1.Condition {
	own := []string{sriovv1.ConditionReady, sriovv1.ConditionReconciling, sriovv1.ConditionStalled, sriovv1.ConditionOffloadReady, sriovv1.ConditionBootReady}
	return slices.DeleteFunc(slices.Clone(all), func(c metav1.Condition) bool { return !slices.Contains(own, c.Type) })
}

// conditions returns the fixed list of conditions, always all set.
func conditions(existing []metav1.Condition, f Facts, now metav1.Time) []metav1.Condition {
	out := ownConditions(existing)
	o := decideOutcome(f)
	set := func(kind string, status bool, reason, message string) {
		meta.SetStatusCondition(&out, metav1.Condition{
			Type: kind, Status: conditionStatus(status), Reason: reason,
			Message: sriovv1.Clip(message, sriovv1.MaxMessageLength), ObservedGeneration: f.Generation, LastTransitionTime: now,
		})
	}
	set(sriovv1.ConditionReady, o.ready, o.reason, o.message)
	set(sriovv1.ConditionReconciling, !o.ready && !o.stalled, o.reason, o.message)
	set(sriovv1.ConditionStalled, o.stalled, o.reason, o.message)
	offloads, reason, message := offload(f)
	set(sriovv1.ConditionOffloadReady, offloads, reason, message)
	setBootReady(&out, f.Boot, f.Generation, now)
	return out
}

// offload tells whether every PF that should be in switchdev mode can offload:
// mode, uplink, every representor and the bonds. A PF whose facts are not known cannot.
func offload(f Facts) (ready bool, reason, message string) {
	if f.Observed == nil {
		return false, sriovv1.ReasonUnknown, "the host could not be read"
	}
	wanted := 0
	for _, want := range f.Spec.Interfaces {
		if want.EswitchMode != sriovv1.EswitchModeSwitchdev {
			continue
		}
		wanted++
		if missing := offloadMissing(want, f.Observed.PF(want.PCIAddress)); missing != "" {
			return false, sriovv1.ReasonOffloadIncomplete, fmt.Sprintf("%s: %s", want.PCIAddress, missing)
		}
	}
	if wanted == 0 {
		return false, sriovv1.ReasonNoSwitchdev, "no PF of this node should be in switchdev mode"
	}
	if missing := bondsMissing(f); missing != "" {
		return false, sriovv1.ReasonOffloadIncomplete, missing
	}
	return true, sriovv1.ReasonOffloadReady, fmt.Sprintf("%d PFs are in switchdev mode, hw-tc-offload is on for each uplink and representor", wanted) + bondsText(f)
}

func offloadMissing(want sriovv1.Interface, pf *inventory.PF) string {
	switch {
	case pf == nil:
		return "the PF is not there"
	case pf.Eswitch.Mode != sriovv1.EswitchModeSwitchdev:
		return "the eswitch is not in switchdev mode"
	case pf.Netdev == nil:
		return "the uplink has no netdev"
	case pf.Netdev.HWTCOffload == nil || !pf.Netdev.HWTCOffload.On:
		return "hw-tc-offload is off on the uplink " + pf.Netdev.Name
	case portWithoutOffload(pf) != "":
		return "hw-tc-offload is off on the port " + portWithoutOffload(pf)
	case !runsApp(want, pf):
		return "application firmware " + want.FirmwareApp + " does not run"
	case len(pf.Representors) < want.NumVfs:
		return fmt.Sprintf("%d of %d VF representors exist", len(pf.Representors), want.NumVfs)
	}
	for _, r := range pf.Representors {
		if r.Netdev.HWTCOffload == nil || !r.Netdev.HWTCOffload.On {
			return "hw-tc-offload is off on the representor " + r.Netdev.Name
		}
	}
	return ""
}

func planStatus(f Facts) *sriovv1.PlanStatus {
	if f.Plan.Empty() {
		return nil
	}
	out := &sriovv1.PlanStatus{
		Hash: f.Decision.Hash, Disruption: f.Decision.Disruption, AffectedPods: f.Decision.AffectedPods,
	}
	steps := f.Plan.Steps()
	shown := steps
	if len(steps) > sriovv1.MaxPlanSteps {
		shown = steps[:sriovv1.MaxPlanSteps-1]
	}
	for _, s := range shown {
		out.Steps = append(out.Steps, sriovv1.Clip(s.String(), sriovv1.MaxStepLength))
	}
	if len(steps) > sriovv1.MaxPlanSteps {
		out.Steps = append(out.Steps, fmt.Sprintf("and %d more steps", len(steps)-len(shown)))
	}
	return out
}

func conditionStatus(b bool) metav1.ConditionStatus {
	if b {
		return metav1.ConditionTrue
	}
	return metav1.ConditionFalse
}
