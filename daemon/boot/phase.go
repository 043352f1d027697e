package boot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/apply"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// ErrKubelet says that a kubelet runs, so that pods may use VFs and the daemon is at work.
var ErrKubelet = errors.New("a kubelet runs on this node: that is no boot any more, and what is to be done is the daemon's")

// passes bounds how often one phase plans: a plan may leave what only the next one
// can know.
const passes = 3

// poll is how often a PF that is not there yet is looked for without an event.
const poll = time.Second

// Run is one phase of one boot.
type Run struct {
	Host    host.Host
	Store   ledger.Store
	Drivers driver.Table
	Phase   Phase
	// Patience is how long PFs are waited for that are not there yet, or have no
	// driver or no netdev.
	Patience time.Duration

	state  State
	ledger *ledger.Ledger
}

// Do carries the phase out and leaves a Result. It returns nil when all that
// belongs to the phase is done. Without a State that can be used, or with a
// kubelet, it touches nothing.
func (r *Run) Do(ctx context.Context) error {
	r.Host.Pods = noPods{r.Host.Pods}
	bootID, err := bootIDOf(ctx, r.Host)
	if err != nil {
		return err
	}
	err = r.carryOut(ctx)
	if errors.Is(err, ErrKubelet) {
		// Somebody has started the unit by hand: what became of the boot stays known.
		if known, readErr := readResult(ctx, r.Host, r.Phase, bootID); known != nil && readErr == nil {
			return err
		}
	}
	// The result is worth a few seconds more than the phase has.
	saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, writeResult(saving, r.Host, r.Phase, bootID, err))
}

func (r *Run) carryOut(ctx context.Context) error {
	var err error
	if r.state, err = ReadState(ctx, r.Host); err != nil {
		return err
	}
	if _, err := r.Host.Pods.DeviceOwners(ctx); errors.Is(err, ErrKubelet) {
		return err
	}
	if r.ledger, err = ledger.Open(ctx, r.Store); err != nil {
		return err
	}
	var failures []apply.Failure
	tried := ""
	for range passes {
		in, err := r.await(ctx)
		if err != nil {
			return err
		}
		run := gate(r.part(in), in.Observed)
		// What was refused may be the order that was tried on a driver that is not
		// known: the next plan is another one then. The same is not tried twice.
		if run.Empty() || run.Hash() == tried {
			break
		}
		tried = run.Hash()
		for _, step := range run.Steps() {
			log.FromContext(ctx).Info("Applying step", "step", step.String())
		}
		result := apply.Run(ctx, r.Host, r.ledger, in.Observed, run)
		if failures = result.Failures; ctx.Err() != nil {
			break
		}
	}
	return r.judge(ctx, failures)
}

// look observes and plans. Bridges of Open vSwitch are none of a boot's business:
// they are in its own database, and it plugs them again itself when their ports
// appear. That it does not run yet must not keep VFs from being made.
func (r *Run) look(ctx context.Context) (plan.Input, error) {
	observed, err := observe.Node(ctx, r.Host)
	if err != nil {
		return plan.Input{}, fmt.Errorf("observing the host: %w", err)
	}
	spec := r.state.Spec
	spec.Bridges, observed.OVS = sriovv1.Bridges{}, inventory.OVS{}
	return plan.Input{
		Spec: spec, Observed: observed, Owned: r.owned(), Drivers: r.Drivers, Unbound: true,
	}, nil
}

// owned is the ledger's record without bridges, see look, and without PFs that are
// not in the state: giving them back is the daemon's.
func (r *Run) owned() ledger.Record {
	record := r.ledger.Record()
	record.Bridges = nil
	maps.DeleteFunc(record.PFs, func(address string, _ ledger.PF) bool { return !r.wants(address) })
	return record
}

func (r *Run) wants(address string) bool {
	return slices.ContainsFunc(r.state.Spec.Interfaces, func(i sriovv1.Interface) bool { return i.PCIAddress == address })
}

// await looks until every PF of the state is there with a driver, a netdev and
// facts that can be read, or patience ends: at boot, drivers may still be at work.
func (r *Run) await(ctx context.Context) (plan.Input, error) {
	waiting, cancel := context.WithTimeout(ctx, r.Patience)
	defer cancel()
	// Before the first look, so that nothing happens in between. Without events
	// there still is the poll.
	events, err := r.Host.Events.Subscribe(waiting)
	if err != nil {
		log.FromContext(ctx).Info("Changes on the host cannot be followed", "reason", err.Error())
	}
	for {
		in, err := r.look(ctx)
		if err != nil || len(absent(plan.Compute(in))) == 0 {
			return in, err
		}
		timer := time.NewTimer(poll)
		select {
		case _, open := <-events:
			if !open {
				events = nil
			}
		case <-timer.C:
		case <-waiting.Done():
		}
		timer.Stop()
		if waiting.Err() != nil {
			return in, ctx.Err()
		}
	}
}

// absent returns the blockers that may go away by themselves while the machine
// boots.
func absent(p plan.Plan) []plan.Blocker {
	return slices.DeleteFunc(slices.Clone(p.Blockers), func(b plan.Blocker) bool {
		switch b.Code {
		case plan.CodePFNotFound, plan.CodeNoDriver, plan.CodeNoNetdev, plan.CodeFactUnreadable:
			return false
		}
		return true
	})
}

// part is what of the plan belongs to the phase.
func (r *Run) part(in plan.Input) plan.Plan {
	p := plan.Compute(in)
	if r.Phase == Early {
		return p.Early()
	}
	return p.Late()
}

// gate holds chains that would take something from somebody, as agent.Decide does.
// There are no pods, but there may be VFs in namespaces of others, and PFs that
// carry the node's network.
func gate(p plan.Plan, observed inventory.Node) plan.Plan {
	out := plan.Plan{Released: p.Released}
	for _, c := range p.Chains {
		if d, _ := plan.Disruption(plan.Plan{Chains: []plan.Chain{c}}, observed); d == sriovv1.DisruptionNone {
			out.Chains = append(out.Chains, c)
		}
	}
	return out
}

// judge looks once more and tells what of the phase is not done, and why.
func (r *Run) judge(ctx context.Context, failures []apply.Failure) error {
	if ctx.Err() != nil {
		return fmt.Errorf("the %s part was ended before it was done: %w", r.Phase, context.Cause(ctx))
	}
	in, err := r.look(ctx)
	if err != nil {
		return err
	}
	var problems []string
	failed := map[string]bool{}
	for i := range failures {
		failed[failures[i].PF] = true
		problems = append(problems, failures[i].Error())
	}
	whole := plan.Compute(in)
	left := whole.WithoutMachine()
	if r.Phase == Early {
		left = whole.Early()
	}
	for _, c := range left.Chains {
		if !failed[c.PFs[0]] {
			failed[c.PFs[0]] = true
			problems = append(problems, fmt.Sprintf("%s: %d steps are left, the first: %s", strings.Join(c.PFs, " "), len(c.Stages), c.Stages[0][0]))
		}
	}
	for _, i := range in.Spec.Interfaces {
		if !failed[i.PCIAddress] && !in.InForce(i.PCIAddress) {
			problems = append(problems, blocked(i.PCIAddress, whole))
		}
	}
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, " | "))
	}
	return nil
}

// blocked says why a PF is not as wanted.
func blocked(address string, p plan.Plan) string {
	var parts []string
	for _, b := range p.BlockersOf(address) {
		parts = append(parts, b.Message+"; "+b.Remedy)
	}
	return address + ": " + strings.Join(parts, ", ")
}

// noPods is host.Pods while no kubelet runs.
//
// Our units are ordered before the kubelet's, and a pod's VFs do not survive a
// boot: as long as nobody listens on the kubelet's socket, nobody holds a VF
// through it. That is the one place where no answer means nobody. An answer means
// that the order does not hold, and any other failure that it is not known.
type noPods struct{ kubelet host.Pods }

// DeviceOwners implements host.Pods.
func (p noPods) DeviceOwners(ctx context.Context) (map[string]string, error) {
	switch _, err := p.kubelet.DeviceOwners(ctx); {
	case err == nil:
		return nil, ErrKubelet
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return map[string]string{}, nil
	default:
		return nil, err
	}
}

// digestOf is the SHA-256 of what is read, in lower case hexadecimal.
func digestOf(r io.Reader) (string, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
