package apply

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/connectivity"
	"github.com/sriov-offload/sriov-offload-operator/daemon/failure"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// reconnectDeadline is how long connections may take to come back after a link
// was interrupted: it negotiates, a switch port goes through spanning tree or
// LACP, the host's network manager sets routes again.
const reconnectDeadline = 30 * time.Second

// guard watches over the node's connections while chains run.
type guard struct {
	// checks that passed before the run; none if no chain interrupts a link.
	checks []ledger.Check
	// lost: one of them does not pass any more because of some chain.
	lost atomic.Bool
}

// choose finds the connections that the node has.
func (g *guard) choose(ctx context.Context, h host.Host, p plan.Plan) {
	for i := range p.Chains {
		if p.Chains[i].TouchesLink() {
			g.checks = connectivity.Passing(ctx, h)
			return
		}
	}
}

// stopped is an error when another chain has cost the node a connection: nothing
// more is begun before that is in order again.
func (g *guard) stopped() error {
	if g.lost.Load() {
		return faultf(failure.FaultOutdated, "a change of another PF has cost the node a connection")
	}
	return nil
}

// guards tells whether a chain is on probation.
func (g *guard) guards(c plan.Chain) bool { return len(g.checks) > 0 && c.TouchesLink() }

// order tells which chains of PFs, by index, run together, and which alone after them:
// the node may be without connections while those work on a PF over which its own
// network runs, and nobody could tell whose doing it is. A reboot is the last of all.
func (r *runner) order(chains []plan.Chain) (together, alone []int) {
	var last []int
	for i, c := range chains {
		switch {
		case c.OfNode():
		case c.Reboots():
			last = append(last, i)
		case c.TouchesLink() && r.carriesNode(c):
			alone = append(alone, i)
		default:
			together = append(together, i)
		}
	}
	return together, append(alone, last...)
}

// carriesNode tells whether the node's own network runs over a PF of a chain.
func (r *runner) carriesNode(c plan.Chain) bool {
	for _, address := range c.PFs {
		if pf := r.observed.PF(address); pf != nil && pf.NodeNetwork != "" {
			return true
		}
	}
	return false
}

// begin puts the PFs of a chain on probation before the first effect.
func (r *runner) begin(ctx context.Context, led *ledger.Ledger, c plan.Chain) error {
	if !r.guard.guards(c) {
		return nil
	}
	probations := map[string]ledger.Probation{}
	for i, address := range c.PFs {
		p := ledger.Probation{Checks: r.guard.checks}
		if pf := r.observed.PF(address); pf != nil {
			p.Identity, p.Before = plan.IdentityOf(r.observed, pf), initial(pf)
			p.Member, p.App = bondOf(pf), appOf(pf)
		}
		if i < len(c.Wants) {
			p.Want = c.Wants[i]
		}
		p.With, p.Bonds, p.Bridges = c.PFs, bondsMade(c), r.bridgesOf(address)
		p.Firmware = r.leavesFirst(c, address)
		probations[address] = p
	}
	if err := led.Begin(ctx, probations); err != nil {
		return &fault{kind: failure.FaultLedger, text: "writing the ledger", err: err}
	}
	return nil
}

// leavesFirst tells whether a chain lets a PF's driver load another firmware than
// the one of the first contact. It is asked after that was noted.
func (r *runner) leavesFirst(c plan.Chain, address string) bool {
	first := r.ledger.Record().Firmware[address].App
	for _, stage := range c.Stages {
		for _, step := range stage {
			if s, ok := step.(plan.ReloadDriver); ok && s.PF == address && s.From == first {
				return true
			}
		}
	}
	return false
}

// bondOf is the bond that a PF is a member of; empty if none.
func bondOf(pf *inventory.PF) string {
	if pf == nil || pf.Netdev == nil || pf.Netdev.MasterKind != "bond" {
		return ""
	}
	return pf.Netdev.Master
}

// appOf is the application firmware that runs on a PF; empty if none is known.
func appOf(pf *inventory.PF) string {
	if pf == nil || pf.Application == nil {
		return ""
	}
	return pf.Application.Running
}

// bondsMade are the bonds that a chain makes.
func bondsMade(c plan.Chain) []string {
	var out []string
	for _, stage := range c.Stages {
		for _, step := range stage {
			if s, ok := step.(plan.CreateBond); ok {
				out = append(out, s.Name)
			}
		}
	}
	return out
}

// bridgesOf are the bridges that we made for a PF.
func (r *runner) bridgesOf(address string) []string {
	var out []string
	for i := range r.observed.OVS.Bridges {
		if b := &r.observed.OVS.Bridges[i]; b.Owner == address {
			out = append(out, b.Name)
		}
	}
	return out
}

// newChainRun begins the run of a chain on these PFs.
func (r *runner) newChainRun(ctx context.Context, pfs []string) *chainRun {
	return &chainRun{runner: r, pfs: pfs, logBefore: r.kernelLogs(ctx, pfs), tailBefore: r.kernelLog(ctx, "", tailLines)}
}

// mayGoOn tells whether a later stage may begin.
func (c *chainRun) mayGoOn(ctx context.Context, whole plan.Chain, next int) error {
	if err := c.guard.stopped(); err != nil {
		return err
	}
	return c.recheck(ctx, whole, next)
}

// verify waits until the node has its connections again after a stage.
func (c *chainRun) verify(ctx context.Context, stage plan.Stage) error {
	if len(c.guard.checks) == 0 {
		return nil
	}
	problems, err := c.reconnected(ctx, c.guard.checks, reconnectDeadline)
	if err != nil || len(problems) == 0 {
		return err
	}
	c.guard.lost.Store(true)
	return faultf(failure.FaultDisconnected, "after the step %q: %s", stage[0], strings.Join(problems, "; "))
}

// conclude ends the probation of a chain whose end the node has its connections
// after. Whatever else leaves it open, and with it what Recover needs: a lost
// connection, here or by another chain, and a daemon that is told to stop.
func (c *chainRun) conclude(ctx context.Context, led *ledger.Ledger, whole plan.Chain, result *Result) {
	if !c.guard.guards(whole) {
		return
	}
	// A chain that ended before its time may have left a link down.
	if len(result.Failures) > 0 && !c.guard.lost.Load() && ctx.Err() == nil {
		reached := plan.Stage{result.Failures[0].Step}
		if reached[0] == nil {
			reached = whole.Stages[0]
		}
		if err := c.verify(ctx, reached); err != nil {
			result.Failures = append(result.Failures, c.failure(ctx, nil, err))
		}
	}
	if c.guard.lost.Load() || ctx.Err() != nil {
		return
	}
	if err := led.End(ctx, whole.PFs, nil); err != nil {
		err = &fault{kind: failure.FaultLedger, text: "writing the ledger", err: err}
		result.Failures = append(result.Failures, c.failure(ctx, nil, err))
	}
}

// reconnected waits until all checks pass, and returns what is lost if they do
// not in time. They are asked for once at least. What cannot be asked is not lost;
// the end of ctx is an error.
func (r *runner) reconnected(ctx context.Context, checks []ledger.Check, within time.Duration) (lost []string, err error) {
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	// Checks have bounds of their own: cut off by the deadline, they would fail for
	// no fault of the connections.
	err = r.await(limited, "the connections of the node", func(context.Context) (bool, error) {
		found := connectivity.Failing(ctx, r.host, checks)
		lost = nil
		for _, p := range found {
			if !p.Unknown {
				lost = append(lost, p.String())
			}
		}
		return len(found) == 0, nil
	})
	if ctx.Err() != nil {
		return nil, fmt.Errorf("waiting for the connections of the node: %w", ctx.Err())
	}
	if err == nil {
		return nil, nil
	}
	return lost, nil
}
