package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/api/ssa"
	"github.com/sriov-offload/sriov-offload-operator/daemon/apply"
	"github.com/sriov-offload/sriov-offload-operator/daemon/boot"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// fieldOwner is the daemon's field manager; it owns the status and nothing else.
const fieldOwner = client.FieldOwner("sriov-offload-daemon")

// heldRetry is how soon a held plan is looked at again: a VF that vfio holds
// comes back without an event.
const heldRetry = 30 * time.Second

// rebootPatience is how long a machine may take to go down before it is asked again:
// as long as this boot lasts, it is one reboot however often it is asked for.
const rebootPatience = 5 * time.Minute

// cacheLag is how long after our own write the cache may still show the status
// from before it.
const cacheLag = time.Minute

// errGone says that the node state was deleted or replaced while the turn ran.
// The event of that change wakes the agent again.
var errGone = errors.New("the node state is gone")

// Agent carries out the spec of one node. It must be used by one goroutine.
type Agent struct {
	Client client.Client
	Host   host.Host
	Store  ledger.Store
	// Drivers are the strategies that the planner follows.
	Drivers driver.Table
	// Resync is the interval of the safety resync.
	Resync time.Duration
	// Boot keeps on the host what the next boot needs.
	Boot boot.Keeper

	ledger  *ledger.Ledger
	boot    boot.Status
	retries retries
	// held are the chains that the last decision held, by fingerprint.
	held []string
	// rebootAsked is when the machine was asked to restart; zero if it was not.
	rebootAsked time.Time
	written     struct {
		status sriovv1.SriovNetworkNodeStateStatus
		at     time.Time
		uid    string
	}
}

// Reconcile is one turn of the loop for the node's SriovNetworkNodeState.
func (a *Agent) Reconcile(ctx context.Context, req reconcile.Request) (reconcile.Result, error) {
	var state sriovv1.SriovNetworkNodeState
	if err := a.Client.Get(ctx, req.NamespacedName, &state); err != nil {
		// The manager makes the state; its creation is the event that wakes us.
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	facts, err := a.turn(ctx, &state)
	if err == nil {
		a.keepBoot(ctx, &facts)
		err = a.publish(ctx, &state, facts)
	}
	switch {
	case errors.Is(err, errGone):
		// Deleted or replaced: its event wakes us, the resync if that was no more
		// than a conflict.
		return reconcile.Result{RequeueAfter: a.Resync}, nil
	case err != nil:
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: a.nextTurn(facts)}, nil
}

// nextTurn is when to look again without an event.
func (a *Agent) nextTurn(facts Facts) time.Duration {
	next := a.Resync
	// What a release makes possible, e.g. to remove a file, is planned only after it.
	if due := a.due(facts.Decision, time.Now()); !due.Empty() {
		next = min(next, firstPause)
	}
	if facts.Decision.Verdict == WaitForDrain || awaitsOVS(facts.Plan) || facts.Boot.Reason == sriovv1.ReasonBootInstallFailed {
		next = min(next, heldRetry)
	}
	if waitsForBond(facts.Plan) {
		next = min(next, bondRetry)
	}
	if retry := a.retries.next(time.Now()); retry > 0 {
		next = min(next, retry)
	}
	return next
}

// turn observes, plans, applies what the gate lets through and what is not
// waiting for its next try, and returns what is true afterwards. An error means
// that the turn could not be taken; what failed on the host is in the facts.
func (a *Agent) turn(ctx context.Context, state *sriovv1.SriovNetworkNodeState) (Facts, error) {
	facts := Facts{Generation: state.Generation, Spec: state.Spec, Boot: a.boot}
	facts.Before = Before{Answer: AnswerOf(&state.Status), Held: a.held, Published: a.published(state)}
	if err := a.openLedger(ctx); err != nil {
		return facts, a.failedToLook(ctx, state, facts, err)
	}
	if err := a.recover(ctx, nil); err != nil {
		return facts, a.failedToRecover(ctx, state, facts, err)
	}
	if err := a.look(ctx, &facts); err != nil {
		return facts, a.failedToLook(ctx, state, facts, err)
	}
	a.retries.settled(facts.Plan, facts.Generation)
	run := a.due(facts.Decision, time.Now())
	if run.Empty() {
		facts.FailedReason, facts.Failed = a.retries.report()
		return facts, a.forget(ctx, facts.Plan)
	}
	applying := facts
	applying.Applying = true
	if err := a.publish(ctx, state, applying); err != nil {
		// Nothing is touched before its plan is published.
		return facts, err
	}
	for _, step := range run.Steps() {
		log.FromContext(ctx).Info("Applying step", "step", step.String())
	}
	result := apply.Run(ctx, a.Host, a.ledger, *facts.Observed, run)
	if ctx.Err() != nil {
		return facts, ctx.Err()
	}
	// Before anything that needs the API: the node may have no way to it.
	if err := a.recover(ctx, &result); err != nil {
		return facts, a.failedToRecover(ctx, state, facts, err)
	}
	if err := a.look(ctx, &facts); err != nil {
		return facts, a.failedToLook(ctx, state, facts, err)
	}
	a.note(ctx, &facts, run, &result)
	return facts, a.forget(ctx, facts.Plan)
}

// due is what may be tried now. A machine that was asked to restart is given time.
func (a *Agent) due(d Decision, now time.Time) plan.Plan {
	run := a.retries.due(d.Run, now)
	if now.Sub(a.rebootAsked) < rebootPatience {
		run.Chains = slices.DeleteFunc(run.Chains, func(c plan.Chain) bool { return c.Reboots() })
	}
	return run
}

// published is the hash of the plan that the status names; what we wrote last counts,
// for the cache may not have it yet.
func (a *Agent) published(state *sriovv1.SriovNetworkNodeState) string {
	published := state.Status.Plan
	if a.written.uid == string(state.UID) {
		published = a.written.status.Plan
	}
	if published == nil {
		return ""
	}
	return published.Hash
}

// failedToLook publishes that the host could not be read.
func (a *Agent) failedToLook(ctx context.Context, state *sriovv1.SriovNetworkNodeState, facts Facts, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	facts.Failed, facts.FailedReason = err.Error(), sriovv1.ReasonObserveFailed
	return errors.Join(err, a.publish(ctx, state, facts))
}

// note remembers which of the chains that ran failed, or ended without an error
// and left something to be done.
func (a *Agent) note(ctx context.Context, facts *Facts, run plan.Plan, result *apply.Result) {
	now := time.Now()
	for _, chain := range run.Chains {
		if f := failureOf(result, chain); f != nil {
			log.FromContext(ctx).Error(f, "Applying failed", "pfs", chain.PFs)
			a.retries.failed(chain.PFs, facts.Generation, now, sriovv1.ReasonApplyFailed, f.Error())
			continue
		}
		if chain.Reboots() {
			// What it is for is still needed until the machine has gone down.
			a.rebootAsked = now
			continue
		}
		if steps := remaining(facts.Decision.Run, chain); len(steps) > 0 {
			message := fmt.Sprintf("the plan ran without an error, but reading back shows that %d steps are still needed, the first: %s", len(steps), steps[0])
			a.retries.failed(chain.PFs, facts.Generation, now, sriovv1.ReasonNotConverged, message)
		}
	}
	a.retries.settled(facts.Plan, facts.Generation)
	facts.FailedReason, facts.Failed = a.retries.report()
}

// failureOf returns the first failure of a chain, or nil.
func failureOf(result *apply.Result, chain plan.Chain) *apply.Failure {
	i := slices.IndexFunc(result.Failures, func(f apply.Failure) bool { return slices.Contains(chain.PFs, f.PF) })
	if i < 0 {
		return nil
	}
	return &result.Failures[i]
}

// remaining returns the steps of a plan that concern the PFs of a chain.
func remaining(p plan.Plan, chain plan.Chain) []plan.Step {
	return slices.DeleteFunc(p.Steps(), func(s plan.Step) bool { return !slices.Contains(chain.PFs, s.Device()) })
}

// look observes the host and plans from what it sees.
func (a *Agent) look(ctx context.Context, facts *Facts) error {
	observed, err := observe.Node(ctx, a.Host)
	if err != nil {
		facts.Observed = nil
		return fmt.Errorf("observing the host: %w", err)
	}
	facts.Observed, facts.Owned = &observed, a.ledger.Record()
	facts.Plan = Plan(facts.Spec, observed, facts.Owned, a.Drivers)
	facts.Decision = Decide(facts.Spec, observed, facts.Plan, facts.Before)
	a.held = facts.Decision.Held
	facts.Before.Held = a.held
	return nil
}

// Plan computes the plan for a node.
func Plan(spec sriovv1.SriovNetworkNodeStateSpec, observed inventory.Node, owned ledger.Record, drivers driver.Table) plan.Plan {
	return plan.Compute(plan.Input{Spec: spec, Observed: observed, Owned: owned, Drivers: drivers})
}

func (a *Agent) openLedger(ctx context.Context) error {
	if a.ledger != nil {
		return nil
	}
	opened, err := ledger.Open(ctx, a.Store)
	if err != nil {
		return err
	}
	a.ledger = opened
	return nil
}

// forget drops PFs from the ledger that are back in their first state.
func (a *Agent) forget(ctx context.Context, p plan.Plan) error {
	var errs []error
	for _, pf := range p.Released {
		errs = append(errs, a.ledger.Forget(ctx, pf))
	}
	if len(p.ReleasedBonds) > 0 {
		errs = append(errs, a.ledger.ForgetBonds(ctx, p.ReleasedBonds...))
	}
	errs = append(errs, a.ledger.ForgetBridges(ctx, p.ReleasedBridges...))
	errs = append(errs, a.ledger.ForgetLosses(ctx, p.Outlived...))
	errs = append(errs, a.ledger.ForgetReboots(ctx, p.Answered...), a.ledger.ForgetNeeds(ctx, p.Unneeded...))
	return errors.Join(errs...)
}

// ownStatus is a status without what the manager answers, which is not ours to write.
func ownStatus(s sriovv1.SriovNetworkNodeStateStatus) sriovv1.SriovNetworkNodeStateStatus {
	s.Conditions, s.Drain = ownConditions(s.Conditions), nil
	return s
}

// publish writes the status if it says something new.
func (a *Agent) publish(ctx context.Context, state *sriovv1.SriovNetworkNodeState, facts Facts) error {
	recent := a.written.uid == string(state.UID) && time.Since(a.written.at) < cacheLag
	before := ownStatus(state.Status)
	if recent {
		before = a.written.status
	}
	status := Report(before, facts, metav1.Now())
	if equality.Semantic.DeepEqual(before, status) {
		return nil
	}
	write := &sriovv1.SriovNetworkNodeState{
		ObjectMeta: metav1.ObjectMeta{Name: state.Name, Namespace: state.Namespace, UID: state.UID},
		Status:     status,
	}
	if err := ssa.ApplyStatus(ctx, a.Client, write, fieldOwner); err != nil {
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return fmt.Errorf("%w: %w", errGone, err)
		}
		return err
	}
	a.written.status, a.written.at, a.written.uid = status, time.Now(), string(state.UID)
	return nil
}
