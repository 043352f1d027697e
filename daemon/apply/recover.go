package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/failure"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// Recovery is what Recover goes by besides the ledger.
type Recovery struct {
	// Observe looks at the host.
	Observe func(context.Context) (inventory.Node, error)
	Drivers driver.Table
	// After is the result of the run that has just ended; nil after a start of the
	// daemon. What it found lost need not be waited for again.
	After *Result
}

// restoreRounds is how often a PF's way back is planned: after a failed step it
// is another one.
const restoreRounds = 4

// Recover ends the probations that the ledger holds, and returns the losses by
// PF. If the node misses connections that it had before a change, PFs go back to
// their state of before, one after the other, until it has them again: the one
// that did it is the loss. If none does, all of them are.
//
// An error means that the node misses connections and a PF is not in its state of
// before, or that nothing could be found out; Recover is to be called again then.
// It asks nothing of the API server but whether it is there.
func Recover(ctx context.Context, h host.Host, led *ledger.Ledger, o Recovery) (map[string]ledger.Loss, error) {
	if len(led.Record().Probations) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rec := &recovery{runner: &runner{host: h, watch: newWatcher(ctx, h.Events), ledger: led}, led: led, o: o}
	if err := rec.look(ctx); err != nil {
		return nil, err
	}
	if err := rec.dropStale(ctx); err != nil {
		return nil, err
	}
	open := led.Record().Probations
	if len(open) == 0 {
		return nil, nil
	}
	within := reconnectDeadline
	if o.After != nil && len(o.After.lost()) > 0 {
		within = time.Millisecond
	}
	lost, err := rec.reconnected(ctx, checksOf(open), within)
	if err != nil {
		return nil, err
	}
	if len(lost) == 0 {
		return nil, led.End(ctx, slices.Collect(maps.Keys(open)), nil)
	}
	return rec.restoreAll(ctx, open, lost)
}

type recovery struct {
	*runner
	led *ledger.Ledger
	o   Recovery
}

// look observes the host again.
func (r *recovery) look(ctx context.Context) error {
	node, err := r.o.Observe(ctx)
	if err != nil {
		return fmt.Errorf("observing the host, to see whether a change may stay: %w", err)
	}
	r.observed = &node
	return nil
}

// dropStale ends probations of another boot or of another NIC: the state that was
// on probation is gone.
func (r *recovery) dropStale(ctx context.Context) error {
	var stale []string
	for address, p := range r.led.Record().Probations {
		pf := r.observed.PF(address)
		if differs(p.BootID, r.observed.BootID) || pf != nil && p.Stale(plan.IdentityOf(r.observed, pf)) {
			stale = append(stale, address)
		}
	}
	if len(stale) == 0 {
		return nil
	}
	return r.led.End(ctx, stale, nil)
}

func differs(a, b string) bool { return a != "" && b != "" && a != b }

// checksOf returns the checks of all probations, each once.
func checksOf(open map[string]ledger.Probation) []ledger.Check {
	var out []ledger.Check
	for _, address := range slices.Sorted(maps.Keys(open)) {
		for _, c := range open[address].Checks {
			if !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out
}

// restoreAll takes PFs back until nothing is lost any more, those that were changed
// together at once.
func (r *recovery) restoreAll(ctx context.Context, open map[string]ledger.Probation, lost []string) (map[string]ledger.Loss, error) {
	losses := map[string]ledger.Loss{}
	var errs []error
	var restored []string
	for _, address := range r.suspects(open) {
		if _, done := losses[address]; done {
			continue
		}
		together := r.together(open, address)
		obstacle, err := r.restore(ctx, open, together)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		still, waitErr := r.reconnected(ctx, checksOf(open), reconnectDeadline)
		if waitErr != nil {
			return nil, waitErr
		}
		if len(still) == 0 {
			losses = map[string]ledger.Loss{}
		}
		for _, pf := range together {
			losses[pf] = lossOf(open[pf], lost, still, errors.Join(obstacle, err))
		}
		switch {
		case len(still) == 0:
			return losses, r.led.End(ctx, slices.Collect(maps.Keys(open)), losses)
		case err != nil:
			errs = append(errs, fmt.Errorf("restoring %s: %w", strings.Join(together, " and "), err))
		default:
			restored = append(restored, together...)
		}
	}
	errs = append(errs, r.led.End(ctx, restored, losses))
	return losses, errors.Join(errs...)
}

// together are the PFs on probation that were changed together with one.
func (r *recovery) together(open map[string]ledger.Probation, address string) []string {
	out := []string{address}
	for _, pf := range open[address].With {
		if _, found := open[pf]; found && pf != address {
			out = append(out, pf)
		}
	}
	return out
}

// suspects orders the PFs: first those after whose change a connection was found
// lost, then those over which a lost connection runs, then the others.
func (r *recovery) suspects(open map[string]ledger.Probation) []string {
	var found []string
	if r.o.After != nil {
		found = r.o.After.lost()
	}
	rank := func(address string) int {
		carries := slices.ContainsFunc(open[address].Checks, func(c ledger.Check) bool { return c.Link == address })
		switch {
		case slices.Contains(found, address):
			return 0
		case carries:
			return 1
		}
		return 2
	}
	out := slices.Sorted(maps.Keys(open))
	slices.SortStableFunc(out, func(a, b string) int { return rank(a) - rank(b) })
	return out
}

// restore brings PFs back to their states of before. An obstacle is what keeps
// them from it for good, an error what may be tried again.
//
// Bonds and bridges of ours that were there before are left alone at first; if
// they stand in the way, they go: the node matters more.
func (r *recovery) restore(ctx context.Context, open map[string]ledger.Probation, pfs []string) (obstacle, err error) {
	before, everything := plan.Before{PFs: map[string]ledger.Initial{}}, plan.Before{}
	for _, pf := range pfs {
		p := open[pf]
		before.PFs[pf] = p.Before
		before.Bonds, before.Bridges = append(before.Bonds, p.Bonds...), append(before.Bridges, p.Bridges...)
		if p.Member != "" {
			everything.Bonds = append(everything.Bonds, p.Member)
		}
		if p.Firmware {
			before.Firmware = append(before.Firmware, pf)
		}
	}
	everything.PFs, everything.Firmware, everything.Bonds = before.PFs, before.Firmware, append(everything.Bonds, before.Bonds...)
	for round := range restoreRounds {
		if err := r.look(ctx); err != nil {
			return nil, err
		}
		p := plan.Restore(plan.Input{Observed: *r.observed, Owned: r.led.Record(), Drivers: r.o.Drivers}, before)
		if p.Empty() {
			if obstacle, err = blocked(p); obstacle == nil || round > 0 {
				return errors.Join(obstacle, r.unseated(open, pfs)), err
			}
			before = everything
			continue
		}
		if err = r.carryOut(ctx, p); ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			before = everything
		}
	}
	if err == nil {
		err = errors.New("reading back still shows a difference")
	}
	return nil, err
}

// unseated tells what of the state before is not undone: that PFs have left a bond
// or a bridge, and an MTU that a bond sets.
func (r *recovery) unseated(open map[string]ledger.Probation, pfs []string) error {
	var errs []error
	for _, pf := range pfs {
		if bond := open[pf].Member; bond != "" && bondOf(r.observed.PF(pf)) != bond {
			errs = append(errs, fmt.Errorf("%s is no longer a member of bond %s", pf, bond))
		}
		if app := open[pf].App; app != "" && appOf(r.observed.PF(pf)) != app {
			errs = append(errs, fmt.Errorf("the application firmware of %s is %s, before it was %s", pf, appOf(r.observed.PF(pf)), app))
		}
		for _, name := range open[pf].Bridges {
			if !slices.Contains(r.bridgesOf(pf), name) {
				errs = append(errs, fmt.Errorf("%s has no longer the Open vSwitch bridge %s", pf, name))
			}
		}
		now, mtu := r.observed.PF(pf), open[pf].Before.MTU
		if now != nil && now.Netdev != nil && mtu > 0 && now.Netdev.MTU != mtu {
			errs = append(errs, fmt.Errorf("the MTU of %s is %d, before it was %d", pf, now.Netdev.MTU, mtu))
		}
	}
	return errors.Join(errs...)
}

// carryOut runs the way back, whoever uses the PFs meanwhile.
func (r *recovery) carryOut(ctx context.Context, p plan.Plan) error {
	for _, c := range p.Chains {
		run := r.newChainRun(ctx, c.PFs)
		for _, address := range c.PFs {
			if err := r.noteTrial(ctx, r.led, c, address); err != nil {
				return err
			}
		}
		for _, stage := range c.Stages {
			if _, failures := run.stage(ctx, stage); len(failures) > 0 {
				return errors.Join(&failures[0], r.judgeTrials(ctx, r.led, failures))
			}
		}
	}
	return nil
}

// blocked is what keeps PFs from going back. Facts that could not be read may be
// read the next time.
func blocked(p plan.Plan) (obstacle, err error) {
	for _, b := range p.Blockers {
		if b.Code == plan.CodeFactUnreadable {
			err = errors.Join(err, errors.New(b.Message))
		} else {
			obstacle = errors.Join(obstacle, errors.New(b.Message))
		}
	}
	return obstacle, err
}

// lossOf says what was lost and what became of it.
func lossOf(p ledger.Probation, lost, still []string, err error) ledger.Loss {
	text := "a change of the PF cost the node " + strings.Join(lost, "; ")
	if err != nil {
		text += fmt.Sprintf(". The PF could not be put back into its state of before: %v", err)
	} else {
		text += ". The PF is back in its state of before"
	}
	if len(still) == 0 {
		text += ", and the connections of the node are back"
	} else {
		text += ", and it is still lost: " + strings.Join(still, "; ")
	}
	return ledger.Loss{Vendor: p.Vendor, DeviceID: p.DeviceID, Want: p.Want, Message: text}
}

// lost returns the PFs whose chains ended with a lost connection.
func (r *Result) lost() []string {
	var out []string
	for i := range r.Failures {
		if r.Failures[i].Code == codeLost {
			out = append(out, r.Failures[i].PF)
		}
	}
	return out
}

// codeLost is the code of failures by FaultDisconnected.
const codeLost = "ConnectivityLost"

// Blame makes the failures of a run tell what Recover found out: which PFs cost
// the node a connection. Those of others by whose change none was lost say no
// longer so.
func (r *Result) Blame(losses map[string]ledger.Loss) {
	r.Failures = slices.DeleteFunc(r.Failures, func(f Failure) bool { _, found := losses[f.PF]; return found })
	for i := range r.Failures {
		if f := &r.Failures[i]; f.Code == codeLost {
			f.Err = faultf(failure.FaultOutdated, "the change of another PF had cost the node a connection")
			f.Explanation = failure.Explain(failure.Signature{Fault: failure.FaultOutdated})
		}
	}
	for _, pf := range slices.Sorted(maps.Keys(losses)) {
		f := Failure{PF: pf, Err: faultf(failure.FaultDisconnected, "%s", losses[pf].Message)}
		f.Explanation = failure.Explain(failure.Signature{Fault: failure.FaultDisconnected})
		r.Failures = append(r.Failures, f)
	}
}
