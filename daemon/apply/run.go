package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/failure"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// parallel bounds the steps of a stage that run at the same time on one PF: a
// driver's probe of a VF waits for the firmware most of its time, and the firmware
// of a PF serves some at a time. It is part of how long it takes to bind many VFs.
const parallel = 16

// Result of a run.
type Result struct {
	// Done are the steps carried out, chain by chain, in the order of the plan.
	Done []plan.Step
	// Failures, at most one stage's for each chain, in the order of the plan.
	Failures []Failure
}

// Err is nil when nothing failed, else an *Error.
func (r *Result) Err() error {
	if len(r.Failures) == 0 {
		return nil
	}
	return &Error{Failures: r.Failures}
}

// Error is all that went wrong in a run.
type Error struct{ Failures []Failure }

// Error names every failure.
func (e *Error) Error() string {
	parts := make([]string, 0, len(e.Failures))
	for i := range e.Failures {
		parts = append(parts, e.Failures[i].Error())
	}
	return strings.Join(parts, " | ")
}

// Unwrap returns the failures.
func (e *Error) Unwrap() []error {
	errs := make([]error, 0, len(e.Failures))
	for i := range e.Failures {
		errs = append(errs, &e.Failures[i])
	}
	return errs
}

// Failure of one step. The rest of its chain was not run.
type Failure struct {
	// PF is the PCI address of the PF; empty for the node as a whole.
	PF string
	// Step that failed; nil when the chain could not begin or go on.
	Step plan.Step
	// Err holds a *host.Error when the kernel refused.
	Err error
	// KernelLog are lines about the device that were written during the chain.
	KernelLog []string
	// Explanation of the failure.
	failure.Explanation
}

// Error says which step failed, what it means, the kernel's words, the remedy, and
// what the kernel logged last about the device.
func (f *Failure) Error() string {
	what := cmp.Or(f.PF, "the node")
	if f.Step != nil {
		what = f.Step.String()
	}
	return fmt.Sprintf("%s: %s (%v); %s%s", what, f.Message, f.Err, f.Remedy, said(f.KernelLog))
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// runner carries out chains.
type runner struct {
	host     host.Host
	watch    *watcher
	observed *inventory.Node
	ledger   *ledger.Ledger
	guard    guard
}

// Run carries out a plan that was made from observed. It forgets what the plan
// released, and records in the ledger every PF before the first effect on it.
// Run returns when all chains have ended or ctx ends, whichever is first, except
// that a write in the kernel may go on.
//
// After each interruption of a link, the connections that the node had before
// must come back; if one does not, all chains stop, and what they have begun stays
// on probation in the ledger: Recover is to be called then.
func Run(ctx context.Context, h host.Host, led *ledger.Ledger, observed inventory.Node, p plan.Plan) Result {
	var result Result
	if released := slices.Concat(p.Released, p.ReleasedBridges); len(released) > 0 {
		if err := forget(ctx, led, p); err != nil {
			f := Failure{PF: released[0], Err: &fault{kind: failure.FaultLedger, text: "writing the ledger", err: err}}
			f.Explanation = failure.Explain(failure.Signature{Fault: failure.FaultLedger})
			return Result{Failures: []Failure{f}}
		}
	}
	if err := led.ForgetBonds(ctx, p.ReleasedBonds...); err != nil {
		f := Failure{Err: &fault{kind: failure.FaultLedger, text: "writing the ledger", err: err}}
		f.Explanation = failure.Explain(failure.Signature{Fault: failure.FaultLedger})
		return Result{Failures: []Failure{f}}
	}
	if p.Empty() {
		return result
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &runner{host: h, watch: newWatcher(ctx, h.Events), observed: &observed, ledger: led}
	r.guard.choose(ctx, h, p)
	fresh := r.freshPods(ctx)
	results := make([]Result, len(p.Chains))
	together, alone := r.order(p.Chains)
	var wg sync.WaitGroup
	// The host's files come before what they are about. A failure of theirs does not
	// keep VFs from pods: see plan.Chain.
	for i, c := range p.Chains {
		if c.OfNode() {
			results[i] = r.chain(ctx, led, c, fresh)
		}
	}
	for _, i := range together {
		wg.Go(func() { results[i] = r.chain(ctx, led, p.Chains[i], fresh) })
	}
	wg.Wait()
	for _, i := range alone {
		results[i] = r.chain(ctx, led, p.Chains[i], r.freshPods(ctx))
	}
	for _, one := range results {
		result.Done = append(result.Done, one.Done...)
		result.Failures = append(result.Failures, one.Failures...)
	}
	return result
}

// freshPods is the observation with the pods of this moment.
func (r *runner) freshPods(ctx context.Context) inventory.Node {
	fresh := *r.observed
	owners, err := r.host.Pods.DeviceOwners(ctx)
	if err != nil {
		fresh.PodsUnknown = err.Error()
		return fresh
	}
	fresh.PodsUnknown = ""
	fresh.PFs = slices.Clone(fresh.PFs)
	for i := range fresh.PFs {
		pf := &fresh.PFs[i]
		pf.VFs = slices.Clone(pf.VFs)
		for j := range pf.VFs {
			pf.VFs[j].Pod = owners[pf.VFs[j].PCIAddress]
		}
	}
	return fresh
}

// meanwhile tells why a chain, or what is left of it, no longer suits the host:
// VFs or their users have come since the plan was made.
func (r *runner) meanwhile(ctx context.Context, c plan.Chain, fresh inventory.Node) error {
	if err := r.outdated(c, fresh); err != nil {
		return err
	}
	return r.unknownVFs(ctx, c)
}

// outdated tells why a chain that was to take nothing from pods now would: a pod
// may have got a VF in the meantime. A chain that was to disrupt all the same is
// run as it was ordered.
func (r *runner) outdated(c plan.Chain, fresh inventory.Node) error {
	if plan.TakesVFs(c, *r.observed) || !plan.TakesVFs(c, fresh) {
		return nil
	}
	if fresh.PodsUnknown != "" {
		return faultf(failure.FaultOutdated, "which pods hold VFs is no longer known: %s", fresh.PodsUnknown)
	}
	_, pods := plan.Disruption(plan.Plan{Chains: []plan.Chain{c}}, fresh)
	return faultf(failure.FaultOutdated, "pods got VFs in the meantime: %s", strings.Join(pods, ", "))
}

// unknownVFs tells whether a chain would remove VFs that the plan did not know,
// because they arrived after the observation: nobody has looked who uses them.
func (r *runner) unknownVFs(ctx context.Context, c plan.Chain) error {
	for _, address := range c.PFs {
		if !c.Removes(address) {
			continue
		}
		indexes, err := r.vfIndexes(ctx, address)
		if err != nil {
			return err
		}
		pf := r.observed.PF(address)
		for _, index := range indexes {
			if pf == nil || pf.VF(index) == nil {
				return faultf(failure.FaultOutdated, "VF %d has appeared in the meantime", index)
			}
		}
	}
	return nil
}

// chain runs one chain up to its first stage with a failure.
func (r *runner) chain(ctx context.Context, led *ledger.Ledger, c plan.Chain, fresh inventory.Node) Result {
	run := r.newChainRun(ctx, c.PFs)
	err := r.guard.stopped()
	if err == nil {
		err = r.meanwhile(ctx, c, fresh)
	}
	if err != nil {
		return Result{Failures: []Failure{run.failure(ctx, nil, err)}}
	}
	if err := r.noteBridges(ctx, led, c); err != nil {
		return Result{Failures: []Failure{run.failure(ctx, nil, err)}}
	}
	for _, address := range c.PFs {
		// The bridge of a PF that is gone is removed, and files are of no PF: there is
		// nothing to note of it.
		if r.observed.PF(address) == nil {
			continue
		}
		err := r.note(ctx, led, c, address)
		if err == nil {
			err = r.noteTrial(ctx, led, c, address)
		}
		if err == nil {
			err = r.noteFirmware(ctx, led, c, address)
		}
		if err != nil {
			return Result{Failures: []Failure{run.failure(ctx, nil, err)}}
		}
	}
	if err := r.noteBonds(ctx, led, c); err != nil {
		return Result{Failures: []Failure{run.failure(ctx, nil, err)}}
	}
	if err := r.begin(ctx, led, c); err != nil {
		return Result{Failures: []Failure{run.failure(ctx, nil, err)}}
	}
	result := run.stages(ctx, led, c)
	run.conclude(ctx, led, c, &result)
	return result
}

// stages runs the stages of a chain up to the first one with a failure, or after
// which the node misses a connection.
func (c *chainRun) stages(ctx context.Context, led *ledger.Ledger, whole plan.Chain) (result Result) {
	for i, stage := range whole.Stages {
		if i > 0 {
			if err := c.mayGoOn(ctx, whole, i); err != nil {
				result.Failures = []Failure{c.failure(ctx, nil, err)}
				return result
			}
		}
		done, failures := c.stage(ctx, stage)
		result.Done = append(result.Done, done...)
		if len(failures) > 0 {
			result.Failures = failures
			if err := errors.Join(c.judgeTrials(ctx, led, failures), judgeBonds(ctx, led, failures), c.noteNeeds(ctx, led, failures)); err != nil {
				err = &fault{kind: failure.FaultLedger, text: "writing the ledger", err: err}
				result.Failures = append(result.Failures, c.failure(ctx, nil, err))
			}
			return result
		}
		if whole.Verify(i) {
			if err := c.verify(ctx, stage); err != nil {
				result.Failures = []Failure{c.failure(ctx, nil, err)}
				return result
			}
		}
	}
	return result
}

// note records a PF in the ledger before the first effect on it.
func (r *runner) note(ctx context.Context, led *ledger.Ledger, c plan.Chain, address string) error {
	pf := r.observed.PF(address)
	if pf == nil {
		// Nothing is done to what is not there.
		return nil
	}
	first := r.withoutBridge(led, address, initial(pf))
	if err := led.Note(ctx, address, plan.IdentityOf(r.observed, pf), first, c.Structural(address)); err != nil {
		return &fault{kind: failure.FaultLedger, text: "writing the ledger", err: err}
	}
	return nil
}

// chainRun is the run of one chain.
type chainRun struct {
	*runner
	pfs []string
	// logBefore is the log about each PF when the chain began, tailBefore that about
	// anything.
	logBefore  [][]string
	tailBefore []string
}

// recheck asks the kubelet once more before a later stage that could take a VF of
// the observation from a pod: a chain may last for minutes, and pods start
// meanwhile. VFs that the chain has made itself are of no use before it has ended;
// a pod that was given one already is served best by going on.
func (c *chainRun) recheck(ctx context.Context, whole plan.Chain, next int) error {
	before := plan.Chain{Stages: whole.Stages[:next]}
	var steps plan.Stage
	for _, step := range whole.Stages[next] {
		if !before.Removes(step.Device()) {
			steps = append(steps, step)
		}
	}
	rest := plan.Chain{PFs: whole.PFs, Stages: []plan.Stage{steps}}
	if !plan.TouchesVFs(rest, *c.observed) {
		return nil
	}
	return c.meanwhile(ctx, rest, c.freshPods(ctx))
}

// stage runs the steps of a stage, at most parallel of a PF at a time, to their end.
func (c *chainRun) stage(ctx context.Context, stage plan.Stage) (done []plan.Step, failures []Failure) {
	errs := make([]error, len(stage))
	exec := &executor{runner: c.runner}
	if err := exec.prepare(ctx, stage); err != nil {
		return nil, []Failure{c.failure(ctx, stage[0], err)}
	}
	slots := map[string]chan struct{}{}
	for _, step := range stage {
		slots[step.Device()] = make(chan struct{}, parallel)
	}
	var wg sync.WaitGroup
	for i, step := range stage {
		wg.Go(func() {
			slot := slots[step.Device()]
			slot <- struct{}{}
			defer func() { <-slot }()
			errs[i] = exec.step(ctx, step)
		})
	}
	wg.Wait()
	for i, step := range stage {
		if errs[i] != nil {
			failures = append(failures, c.failure(ctx, step, errs[i]))
		} else {
			done = append(done, step)
		}
	}
	return done, failures
}

// failure explains the error of a step.
func (c *chainRun) failure(ctx context.Context, step plan.Step, err error) Failure {
	f := Failure{PF: c.pfs[0], Step: step, Err: err, KernelLog: c.newLog(ctx, step)}
	s := failure.Signature{Log: f.KernelLog}
	if step != nil {
		s.Step = step.Kind()
	}
	var refused *host.Error
	if errors.As(err, &refused) {
		s.Errno, s.Text = refused.Errno, refused.Text
	}
	var found *fault
	switch {
	case errors.As(err, &found):
		s.Fault = found.kind
	case s.Errno != 0:
	case errors.Is(err, context.DeadlineExceeded):
		s.Fault = failure.FaultTimeout
	case errors.Is(err, context.Canceled):
		s.Fault = failure.FaultCanceled
	}
	f.Explanation = failure.Explain(s)
	return f
}

// initial is what the ledger keeps of a PF at first contact.
func initial(pf *inventory.PF) ledger.Initial {
	out := ledger.Initial{Autoprobe: pf.Autoprobe, EswitchMode: sriovv1.EswitchModeLegacy, SteeringMode: pf.SteeringMode}
	if pf.NumVFs != nil {
		out.NumVFs = *pf.NumVFs
	}
	if pf.Eswitch.Supported {
		out.EswitchMode, out.InlineMode = pf.Eswitch.Mode, pf.Eswitch.InlineMode
	}
	if n := pf.Netdev; n != nil {
		up := n.Up
		out.MTU, out.Up = n.MTU, &up
		out.Netdev, out.Port = n.Name, n.PortName
		if n.HWTCOffload != nil && !n.HWTCOffload.Fixed {
			on := n.HWTCOffload.On
			out.HWTCOffload = &on
		}
	}
	for i := range pf.FurtherPorts {
		n := &pf.FurtherPorts[i]
		port := ledger.InitialPort{Name: n.PortName, MTU: n.MTU}
		if n.HWTCOffload != nil && !n.HWTCOffload.Fixed {
			on := n.HWTCOffload.On
			port.HWTCOffload = &on
		}
		out.Ports = append(out.Ports, port)
	}
	for i := range pf.VFs {
		vf := ledger.InitialVF{Index: pf.VFs[i].Index, Driver: pf.VFs[i].Driver, Override: pf.VFs[i].DriverOverride}
		if pf.VFs[i].Netdev != nil {
			vf.MTU = pf.VFs[i].Netdev.MTU
		}
		if pf.VFs[i].VDPA != nil {
			vf.VDPAType = pf.VFs[i].VDPA.Type
		}
		out.VFs = append(out.VFs, vf)
	}
	return out
}
