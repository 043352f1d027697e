package cleanup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/daemon/apply"
	"github.com/sriov-offload/sriov-offload-operator/daemon/boot"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// rounds bounds how often a plan is carried out, tries how often one may fail: what
// the kernel has refused three times, it will refuse once more.
const (
	rounds = 8
	tries  = 3
)

// Options of a cleanup.
type Options struct {
	Host  host.Host
	Store ledger.Store
	// Drivers are the strategies that the planner follows.
	Drivers driver.Table
	// Force takes VFs from pods that use them, and forgets PFs that are not there.
	Force bool
	// DryRun prints what would be done and does nothing.
	DryRun bool
	// Out gets the plan and what was done.
	Out io.Writer
}

// Reasons why something of ours is left.
const (
	// Failed: a step failed, or the host could not be read.
	Failed = 1
	// InUse: VFs are in use.
	InUse = 3
	// Blocked: something forbids to bring a PF back, or a PF is not there.
	Blocked = 4
	// Locked: a daemon, or another cleanup, is running.
	Locked = 5
)

// Error says why something of ours is left on the host.
type Error struct {
	// Code is the exit code of the process.
	Code int
	Err  error
}

// Error is the reason.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// ExitCode is the exit code of the process.
func (e *Error) ExitCode() int { return e.Code }

func stop(code int, format string, args ...any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// nothing is the spec of a node from which nothing is wanted.
var nothing = sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "cleanup"}

// run is one cleanup.
type run struct {
	Options
	ledger   *ledger.Ledger
	observed inventory.Node
	plan     plan.Plan
}

// Run cleans up. Without an error, the host is back and the ledger is gone, or
// DryRun was asked for. It must be called by whoever holds the ledger's lock.
func Run(ctx context.Context, o Options) error {
	r := &run{Options: o}
	var err error
	if r.ledger, err = ledger.Open(ctx, o.Store); err != nil {
		return stop(Failed, "%w", err)
	}
	record := r.ledger.Record()
	if record.Empty() {
		r.say("Nothing on this node is ours.")
		return r.forgetAll(ctx)
	}
	if err := r.look(ctx); err != nil {
		return err
	}
	r.announce(record)
	if o.DryRun {
		return nil
	}
	// First of all: a reboot in the middle must not bring back what is given back.
	if err := boot.Remove(ctx, r.Host, r.ledger); err != nil {
		return stop(Failed, "removing what was installed for the boot: %w", err)
	}
	for failed, n := 0, 0; n < rounds; n++ {
		todo := r.allowed()
		if todo.Empty() && len(todo.Released)+len(todo.ReleasedBonds)+len(todo.ReleasedBridges) == 0 {
			return r.finish(ctx)
		}
		result := apply.Run(ctx, r.Host, r.ledger, r.observed, todo)
		for _, step := range result.Done {
			r.say("Done: %s", step)
		}
		if err := result.Err(); err != nil {
			r.say("Failed: %v", err)
			// With a driver that is not known, the first order may be the wrong one.
			if failed++; failed == tries || ctx.Err() != nil {
				return stop(Failed, "it could not be finished; what was done so far stays, and the next cleanup goes on: %w", err)
			}
		}
		if err := r.look(ctx); err != nil {
			return err
		}
	}
	return stop(Failed, "the plan ran %d times without an error, and steps are still needed, the first: %s", rounds, first(r.plan.Steps()))
}

func first(steps []plan.Step) string {
	if len(steps) == 0 {
		return "to forget what is back"
	}
	return steps[0].String()
}

func (r *run) say(format string, args ...any) { _, _ = fmt.Fprintf(r.Out, format+"\n", args...) }

// look observes and plans.
func (r *run) look(ctx context.Context) error {
	observed, err := observe.Node(ctx, r.Host)
	if err != nil {
		return stop(Failed, "observing the host: %w", err)
	}
	r.observed = observed
	r.plan = plan.Compute(plan.Input{Spec: nothing, Observed: observed, Owned: r.ledger.Record(), Drivers: r.Drivers})
	if r.Force {
		r.plan.Released = append(r.plan.Released, r.absent()...)
	}
	return nil
}

// absent are PFs of the ledger that are not on the host, ordered.
func (r *run) absent() []string {
	var out []string
	for _, address := range slices.Sorted(maps.Keys(r.ledger.Record().PFs)) {
		if r.observed.PF(address) == nil {
			out = append(out, address)
		}
	}
	return out
}

// announce prints the plan before anything is done.
func (r *run) announce(record ledger.Record) {
	disruption, pods := plan.Disruption(r.plan, r.observed)
	r.say("Plan (disruption %s):", disruption)
	for _, step := range r.plan.Steps() {
		r.say("  %s", step)
	}
	for _, address := range r.plan.Released {
		r.say("  %s: forget it, nothing of ours is left on it", address)
	}
	for _, path := range slices.Sorted(maps.Keys(record.Files)) {
		r.say("  in the end, remove /%s", path)
	}
	if len(record.Machine.Arguments) > 0 {
		r.say("  the kernel that runs keeps its arguments until the next boot; the node is not rebooted")
	}
	for _, path := range record.Boot.Files {
		r.say("  first of all, remove /%s", path)
	}
	r.say("  in the end, delete the ledger")
	for _, b := range r.plan.Blockers {
		r.say("Blocked: %s", blockerText(b))
	}
	if len(pods) > 0 {
		r.say("In use by: %s", strings.Join(pods, ", "))
	}
}

func blockerText(b plan.Blocker) string {
	text := fmt.Sprintf("%s; %s", b.Message, b.Remedy)
	if b.PF == "" {
		return text
	}
	return b.PF + ": " + text
}

// allowed is the part of the plan that may run. It is the rule of the daemon's
// gate, unless it is forced.
func (r *run) allowed() plan.Plan {
	if r.Force {
		return r.plan
	}
	out := plan.Plan{Released: r.plan.Released, ReleasedBonds: r.plan.ReleasedBonds, ReleasedBridges: r.plan.ReleasedBridges}
	for _, chain := range r.plan.Chains {
		if disruption, _ := plan.Disruption(plan.Plan{Chains: []plan.Chain{chain}}, r.observed); disruption == sriovv1.DisruptionNone {
			out.Chains = append(out.Chains, chain)
		}
	}
	return out
}

// finish tells what is left and why, or deletes the ledger.
func (r *run) finish(ctx context.Context) error {
	var blocked []string
	for _, b := range r.plan.Blockers {
		blocked = append(blocked, blockerText(b))
	}
	for _, address := range r.absent() {
		blocked = append(blocked, address+": the PF is not on this node; put the NIC back, or forget it with --force")
	}
	switch {
	case !r.plan.Empty() || len(r.plan.Waiting) > 0:
		return stop(InUse, "%s", r.users())
	case len(blocked) > 0:
		return stop(Blocked, "not everything could be brought back: %s", strings.Join(blocked, " | "))
	}
	record := r.ledger.Record()
	if !record.Empty() {
		left := slices.Concat(slices.Sorted(maps.Keys(record.PFs)), slices.Sorted(maps.Keys(record.Files)),
			slices.Sorted(maps.Keys(record.Bonds)), slices.Sorted(maps.Keys(record.Bridges)), slices.Sorted(maps.Keys(record.Firmware)),
			slices.Sorted(maps.Keys(record.Machine.Arguments)))
		return stop(Failed, "nothing is left to be done, and the ledger still has %s", strings.Join(left, ", "))
	}
	return r.forgetAll(ctx)
}

// users says who holds the VFs that are in the way.
func (r *run) users() string {
	_, pods := plan.Disruption(r.plan, r.observed)
	var parts []string
	if len(pods) > 0 {
		parts = append(parts, "VFs are in use by pods: "+strings.Join(pods, ", "))
	}
	if r.observed.PodsUnknown != "" {
		parts = append(parts, "which pods hold VFs is not known: "+r.observed.PodsUnknown)
	}
	for _, w := range r.plan.Waiting {
		parts = append(parts, w.String())
	}
	if len(parts) == 0 {
		parts = append(parts, "VFs are in use: their netdevs are not in the host's network namespace")
	}
	return strings.Join(parts, "; ") + "; remove the pods, or take their VFs away with --force"
}

func (r *run) forgetAll(ctx context.Context) error {
	if r.DryRun {
		return nil
	}
	if err := r.ledger.Delete(ctx); err != nil {
		return stop(Failed, "%w", err)
	}
	r.say("The host is as it was, and the ledger is deleted.")
	return nil
}

// locked is the error of a process that may not clean up.
func locked(err error) error {
	if errors.Is(err, ledger.ErrLocked) {
		return stop(Locked, "%w; stop the daemon on this node first", err)
	}
	return stop(Failed, "%w", err)
}
