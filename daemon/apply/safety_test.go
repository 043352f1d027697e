package apply_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// everything is lost by a cut.
func everything(c simhost.Cut) simhost.Cut {
	c.APIServer, c.Gateways, c.Carriers = true, true, true
	return c
}

// blockers of a plan, "PF Code".
func blockersOf(p *plan.Plan) []string {
	var out []string
	for _, b := range p.Blockers {
		out = append(out, b.PF+" "+b.Code)
	}
	return out
}

// wide is a spec that raises the MTU of a PF in legacy mode.
func wide(mtu int, pf string) sriovv1.SriovNetworkNodeStateSpec {
	return sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test", Interfaces: []sriovv1.Interface{{PCIAddress: pf, MTU: mtu}}}
}

// onlyRoute lets the node's network run over the first port, and nothing else.
func onlyRoute(_ context.Context, k *simhost.Kernel) error {
	k.SetNodeNetwork("eno1", "")
	k.SetNodeNetwork("ens41f0np0", "carries the default route")
	return nil
}

// allowing gives the permission to every PF of a spec.
func allowing(spec sriovv1.SriovNetworkNodeStateSpec) sriovv1.SriovNetworkNodeStateSpec {
	for i := range spec.Interfaces {
		spec.Interfaces[i].AllowNodeNetwork = true
	}
	return spec
}

// A change that costs the node a connection is taken back, at whatever step and
// whatever connection it is, also on a PF that the node's network does not run
// over. The other port is carried out. The same is not tried again, also not by a
// daemon that has just started; something else is.
func TestConnectivityLost(t *testing.T) {
	for name, c := range map[string]struct {
		cut    simhost.Cut
		before func(context.Context, *simhost.Kernel) error
		spec   sriovv1.SriovNetworkNodeStateSpec
		words  string
	}{
		"by VFs, the API server":          {cut: simhost.Cut{VFs: 1, APIServer: true}, spec: guide(3, pf0, pf1), words: "the API server"},
		"by VFs, the gateway":             {cut: simhost.Cut{VFs: 1, Gateways: true}, spec: guide(3, pf0, pf1), words: "gateway 192.0.2.1 over 0000:00:1f.6"},
		"by VFs, the carrier":             {cut: simhost.Cut{VFs: 1, Carriers: true}, spec: guide(3, pf0, pf1), words: "the carrier of 0000:00:1f.6"},
		"by the mode":                     {cut: everything(simhost.Cut{Mode: "switchdev"}), spec: guide(3, pf0, pf1), words: "the API server"},
		"by an MTU":                       {cut: everything(simhost.Cut{MTU: 9000}), spec: wide(9000, pf0), words: "the API server"},
		"by the mode, of the only route":  {cut: everything(simhost.Cut{Mode: "switchdev"}), before: onlyRoute, spec: allowing(guide(3, pf0, pf1)), words: "over " + pf0},
		"by more VFs than it has":         {cut: everything(simhost.Cut{VFs: 3}), before: converged(guide(2, pf0)), spec: guide(3, pf0, pf1), words: "the API server"},
		"by VFs, from switchdev and smfs": {cut: everything(simhost.Cut{VFs: 3}), before: converged(steered("smfs", guide(2, pf0))), spec: guide(3, pf0, pf1), words: "the API server"},
	} {
		t.Run(name, func(t *testing.T) {
			on(t, func(ctx context.Context, k *simhost.Kernel) error {
				k.PermitNodeNetwork()
				if c.before != nil {
					if err := c.before(ctx, k); err != nil {
						return err
					}
				}
				k.Settle()
				before := sectionOf(k.Dump(), pf0)
				c.cut.PF = pf0
				k.Cut(c.cut)
				return losesOnce(ctx, k, c.spec, before, c.words)
			})
		})
	}
}

func losesOnce(ctx context.Context, k *simhost.Kernel, spec sriovv1.SriovNetworkNodeStateSpec, before, words string) error {
	first, err := take(ctx, k, spec)
	if err != nil {
		return err
	}
	k.Settle()
	message := first.losses[pf0].Message
	switch {
	case !k.Connected():
		return fmt.Errorf("the node is not connected: %v\n%s", first.losses, k.Dump())
	case !slices.Contains(codes(&first), pf0+" ConnectivityLost") || slices.Contains(codes(&first), pf1+" ConnectivityLost"):
		return fmt.Errorf("failures are %v", codes(&first))
	case !strings.Contains(message, words) || !strings.Contains(message, "the connections of the node are back"):
		return fmt.Errorf("message is %q", message)
	}
	if diff := cmp.Diff(before, sectionOf(k.Dump(), pf0)); diff != "" {
		return fmt.Errorf("the PF is not what it was:\n%s", diff)
	}
	if err := stabilize(ctx, k, spec); err != nil {
		return err
	}
	again, err := take(ctx, k, spec)
	if err != nil {
		return err
	}
	if diff := cmp.Diff([]string{pf0 + " ConnectivityLost"}, blockersOf(&again.plan)); diff != "" {
		return fmt.Errorf("blockers of the next turn:\n%s", diff)
	}
	if !again.plan.Empty() {
		return fmt.Errorf("left to do: %v", again.plan.Steps())
	}
	if diff := cmp.Diff(before, sectionOf(k.Dump(), pf0)); diff != "" {
		return fmt.Errorf("the PF did not stay what it was:\n%s", diff)
	}
	k.Mend()
	spec.Interfaces[0].NumVfs, spec.Interfaces[0].VfGroups, spec.Interfaces[0].MTU = 1, nil, 2000
	if err := stabilize(ctx, k, spec); err != nil {
		return err
	}
	other, err := take(ctx, k, spec)
	if err != nil {
		return err
	}
	led, err := ledger.Open(ctx, k.Store())
	if err != nil {
		return err
	}
	if r := led.Record(); len(r.Losses)+len(r.Probations) > 0 {
		return fmt.Errorf("the ledger still has %v %v", r.Losses, r.Probations)
	}
	return errors.Join(nothingLeft(&other), reached(ctx, k, spec, &other))
}

// sectionOf returns what a dump says of one PF. That the MACs of VFs are kept is
// left out: VFs that are made anew may have other MACs.
func sectionOf(dump, pf string) string {
	var out []string
	in := false
	for line := range strings.Lines(dump) {
		if !strings.HasPrefix(line, " ") {
			in = strings.HasPrefix(line, pf)
		}
		if in {
			line, _, _ = strings.Cut(line, " admin MAC ")
			out = append(out, strings.TrimSuffix(line, "\n"))
		}
	}
	return strings.Join(out, "\n")
}

// What does not come back with the PF's state is said to be lost still, and the
// daemon goes on with the rest.
func TestLostForGood(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		before := sectionOf(k.Dump(), pf0)
		k.Cut(simhost.Cut{PF: pf0, VFs: 1, APIServer: true, Stays: true})
		got, err := take(ctx, k, guide(3, pf0))
		if err != nil {
			return err
		}
		if m := got.losses[pf0].Message; !strings.Contains(m, "it is still lost: the API server") {
			return fmt.Errorf("message is %q", m)
		}
		if diff := cmp.Diff(before, sectionOf(k.Dump(), pf0)); diff != "" {
			return fmt.Errorf("the PF is not what it was:\n%s", diff)
		}
		other, err := take(ctx, k, guide(3, pf0, pf1))
		if err != nil {
			return err
		}
		return errors.Join(other.result.Err(), reached(ctx, k, guide(3, pf1), &turn{}))
	})
}

// A step that fails while the link is down leaves the node cut off, and the chain
// would be tried again and again: the PF goes back instead.
func TestStepFailsWhileCutOff(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		k.PermitNodeNetwork()
		if err := onlyRoute(ctx, k); err != nil {
			return err
		}
		before := sectionOf(k.Dump(), pf0)
		k.Fail(simhost.Fault{Op: "links.SetUp ens41f0np0 = up", Errno: 5})
		got, err := take(ctx, k, allowing(guide(3, pf0)))
		if err != nil {
			return err
		}
		k.Settle()
		if diff := cmp.Diff(before, sectionOf(k.Dump(), pf0)); diff != "" || !k.Connected() {
			return fmt.Errorf("connected %t, the PF is not what it was:\n%s\n%w", k.Connected(), diff, got.result.Err())
		}
		return nil
	})
}

// The node's own network may be interrupted with the permission of the user, and
// then the work is done; without it, or while pods hold VFs, it is not begun.
func TestAllowNodeNetwork(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		if err := onlyRoute(ctx, k); err != nil {
			return err
		}
		refused, err := take(ctx, k, guide(3, pf0))
		if err != nil {
			return err
		}
		if diff := cmp.Diff([]string{pf0 + " NodeNetwork"}, blockersOf(&refused.plan)); diff != "" || !refused.plan.Empty() {
			return fmt.Errorf("without permission: %v\n%s", refused.plan.Steps(), diff)
		}
		k.PermitNodeNetwork()
		spec := allowing(guide(3, pf0))
		spec.Interfaces[0].MTU = 4000
		done, err := take(ctx, k, spec)
		if err != nil {
			return err
		}
		if d, _ := plan.Disruption(done.run, done.observed); d != sriovv1.DisruptionNode {
			return fmt.Errorf("disruption is %s", d)
		}
		if err := errors.Join(done.result.Err(), reached(ctx, k, spec, &turn{})); err != nil {
			return err
		}
		if err := k.AssignVF(vf1, "default/user"); err != nil {
			return err
		}
		held, err := take(ctx, k, allowing(guide(2, pf0)))
		if err != nil {
			return err
		}
		onPF := func(c plan.Chain) bool { return !c.OfNode() }
		if !slices.ContainsFunc(held.plan.Chains, onPF) || slices.ContainsFunc(held.run.Chains, onPF) {
			return fmt.Errorf("a pod holds a VF: %v runs of %v", held.run.Steps(), held.plan.Steps())
		}
		return k.ReleaseVF(vf1)
	})
}

// A PF that leaves the spec goes back over the node's own network only with the
// permission of the pool.
func TestGiveBackNodeNetwork(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		k.PermitNodeNetwork()
		k.Settle()
		before := k.Dump()
		if err := all(converged(guide(3, pf0)), onlyRoute)(ctx, k); err != nil {
			return err
		}
		nothing := sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}
		refused, err := take(ctx, k, nothing)
		if diff := cmp.Diff([]string{pf0 + " NodeNetwork"}, blockersOf(&refused.plan)); err != nil || diff != "" {
			return fmt.Errorf("without permission: %w\n%s", err, diff)
		}
		nothing.AllowNodeNetwork = true
		if err := stabilize(ctx, k, nothing); err != nil {
			return err
		}
		if diff := cmp.Diff(sectionOf(before, pf0), sectionOf(k.Dump(), pf0)); diff != "" {
			return fmt.Errorf("the PF is not what it was:\n%s", diff)
		}
		return nil
	})
}

// cuts draws ways to lose connections by changes of some PFs.
func cuts(t *rapid.T, ports []port) []simhost.Cut {
	var out []simhost.Cut
	for range rapid.IntRange(1, 2).Draw(t, "cuts") {
		c := simhost.Cut{PF: rapid.SampledFrom(ports).Draw(t, "cut by").address}
		switch rapid.IntRange(0, 3).Draw(t, "cut while") {
		case 0:
			c.Mode = "switchdev"
		case 1:
			c.MTU = rapid.SampledFrom([]int{2000, 4000, 9000}).Draw(t, "cut by MTU")
		case 2:
			c.Mode, c.VFs = "switchdev", rapid.IntRange(1, 3).Draw(t, "cut by VFs in switchdev")
		default:
			c.VFs = rapid.IntRange(1, 3).Draw(t, "cut by VFs")
		}
		switch rapid.IntRange(0, 3).Draw(t, "cut of") {
		case 0:
			c.APIServer = true
		case 1:
			c.Gateways = true
		case 2:
			c.Carriers = true
		default:
			c = everything(c)
		}
		c.Stays = rapid.IntRange(0, 9).Draw(t, "stays") == 9
		out = append(out, c)
	}
	return out
}

// cutScenarios draws a machine, with its node's network on some link, what is
// wanted of it, and what that costs.
func cutScenarios() *rapid.Generator[*cutScenario] {
	return rapid.Custom(func(t *rapid.T) *cutScenario {
		s := &cutScenario{scenario: scenarios(2, true).Draw(t, "scenario")}
		s.before = withoutPods(s.before)
		s.cuts = cuts(t, s.ports)
		if rapid.Bool().Draw(t, "only route") {
			s.route = rapid.SampledFrom(s.ports).Draw(t, "route").netdev
		}
		for i := range s.specs {
			if rapid.IntRange(0, 3).Draw(t, "allowed") > 0 {
				s.specs[i] = allowing(s.specs[i])
				s.specs[i].AllowNodeNetwork = true
			}
		}
		return s
	})
}

type cutScenario struct {
	*scenario
	cuts  []simhost.Cut
	route string
}

func (s *cutScenario) GoString() string { return "scenario" }

func (s *cutScenario) String() string {
	text := s.scenario.String()
	for _, c := range s.cuts {
		text += fmt.Sprintf("cut: %+v\n", c)
	}
	for i := range s.specs {
		text += fmt.Sprintf("spec %d allowed %t\n", i, s.specs[i].AllowNodeNetwork)
	}
	return text + "route: " + s.route + "\n"
}

func (s *cutScenario) boot(ctx context.Context) *simhost.Kernel {
	k := s.scenario.boot(ctx)
	k.PermitNodeNetwork()
	if s.route != "" {
		k.SetNodeNetwork("eno1", "")
		k.SetNodeNetwork(s.route, "carries the default route")
		_ = onLink(s.route, func(ctx context.Context, l host.Links, index int) error { return l.SetUp(ctx, index, true) })(ctx, k)
	}
	k.Settle()
	for _, c := range s.cuts {
		k.Cut(c)
	}
	return k
}

// Whatever changes cost the node, in the end it has its connections again, or a
// loss says that it has not; and PFs that nothing is wanted of are untouched.
func TestCuts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := cutScenarios().Draw(rt, "scenario")
		if err := bubble(t, func(ctx context.Context) error { return keepsNode(ctx, s, nil) }); err != nil {
			rt.Fatalf("%v\n%s", err, s)
		}
	})
}

// The same with a daemon that dies at any operation, and with a step that fails.
func TestCutsAndCrash(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := cutScenarios().Draw(rt, "scenario")
		c := crashes().Draw(rt, "crash")
		arm := func(k *simhost.Kernel) { c.arm(k, simhost.Ops{Reads: 400, Writes: 60}) }
		if rapid.IntRange(0, 3).Draw(rt, "fault instead") == 3 {
			f := faults().Draw(rt, "fault")
			f.Times = 1
			arm = func(k *simhost.Kernel) { k.Fail(f) }
		}
		if err := bubble(t, func(ctx context.Context) error { return keepsNode(ctx, s, arm) }); err != nil {
			rt.Fatalf("%v\n%+v\n%s", err, c, s)
		}
	})
}

func keepsNode(ctx context.Context, s *cutScenario, disturb func(*simhost.Kernel)) error {
	k := s.boot(ctx)
	defer k.Close()
	before, connected := k.Dump(), k.Connected()
	if disturb != nil {
		disturb(k)
	}
	wanted := map[string]bool{}
	for _, spec := range s.specs {
		for i := range spec.Interfaces {
			wanted[spec.Interfaces[i].PCIAddress] = true
		}
		if err := stabilize(ctx, k, spec); err != nil && disturb == nil {
			return err
		}
		k.CrashAfter(0)
		k.ClearFaults()
		if err := stabilize(ctx, k, spec); err != nil {
			return err
		}
		led, err := ledger.Open(ctx, k.Store())
		if err != nil {
			return err
		}
		record := led.Record()
		if len(record.Probations) > 0 {
			return fmt.Errorf("probations are left: %v", record.Probations)
		}
		said := slices.ContainsFunc(s.cuts, func(c simhost.Cut) bool { return c.Stays })
		for _, loss := range record.Losses {
			// Whoever made the driver load another firmware, it would load it again.
			said = said || strings.Contains(loss.Message, "could not be put back") && strings.Contains(loss.Message, "the application firmware of")
		}
		if connected && !k.Connected() && !said {
			return fmt.Errorf("the node was lost: %v\nbefore:\n%s\nnow:\n%s", record.Losses, before, k.Dump())
		}
	}
	for _, p := range s.ports {
		if !wanted[p.address] {
			if diff := cmp.Diff(sectionOf(before, p.address), sectionOf(k.Dump(), p.address)); diff != "" {
				return fmt.Errorf("%s is in no spec, and changed:\n%s", p.address, diff)
			}
		}
	}
	if f := k.Forbidden(); len(f) > 0 {
		return fmt.Errorf("forbidden: %s", strings.Join(f, "; "))
	}
	return nil
}
