package connectivity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// Kinds of checks.
const (
	// APIServer: a connection to the API server can be made.
	APIServer = "APIServer"
	// Gateway: a default route leads to a gateway, which answers.
	Gateway = "Gateway"
	// Carrier: a link over which the node's own network runs has a carrier.
	Carrier = "Carrier"
)

// bound of one check. A gateway in the kernel's state PROBE is asked three times,
// a second apart (net/ipv4/neighbour defaults: ucast_solicit, retrans_time).
const bound = 4 * time.Second

// most checks are chosen: a host has few default routes and few links below them.
const most = 32

// Problem is a check that does not pass.
type Problem struct {
	Check ledger.Check
	// Unknown: it could not be asked.
	Unknown bool
	Err     error
}

// String says what is lost: "gateway 192.0.2.1 over 0000:3b:00.0: no answer".
func (p Problem) String() string {
	what := ""
	switch p.Check.Kind {
	case APIServer:
		what = "the API server"
	case Gateway:
		what = fmt.Sprintf("gateway %s over %s", p.Check.Address, p.Check.Link)
	case Carrier:
		what = "the carrier of " + p.Check.Link
	}
	return fmt.Sprintf("%s: %v", what, p.Err)
}

// Passing returns the checks that the machine passes now, in a fixed order.
func Passing(ctx context.Context, h host.Host) []ledger.Check {
	known := look(ctx, h)
	candidates := []ledger.Check{{Kind: APIServer}}
	for _, g := range known.gateways {
		c := ledger.Check{Kind: Gateway, Address: g.Address, Link: g.Link}
		if !slices.Contains(candidates, c) {
			candidates = append(candidates, c)
		}
	}
	for _, link := range known.carriers() {
		candidates = append(candidates, ledger.Check{Kind: Carrier, Link: link})
	}
	problems := failing(ctx, h, known, candidates)
	passing := slices.DeleteFunc(candidates, func(c ledger.Check) bool {
		return slices.ContainsFunc(problems, func(p Problem) bool { return p.Check == c })
	})
	return passing[:min(len(passing), most)]
}

// Failing returns those of the checks that do not pass now, in their order.
func Failing(ctx context.Context, h host.Host, checks []ledger.Check) []Problem {
	return failing(ctx, h, look(ctx, h), checks)
}

func failing(ctx context.Context, h host.Host, known facts, checks []ledger.Check) []Problem {
	found := make([]*Problem, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { found[i] = check(ctx, h, known, c) })
	}
	wg.Wait()
	var out []Problem
	for _, p := range found {
		if p != nil {
			out = append(out, *p)
		}
	}
	return out
}

// facts are what several checks go by.
type facts struct {
	gateways    []host.Gateway
	gatewaysErr error
	links       []host.Link
	network     map[int]string
	linksErr    error
}

func look(ctx context.Context, h host.Host) facts {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	var f facts
	var wg sync.WaitGroup
	wg.Go(func() { f.gateways, f.gatewaysErr = h.Probes.Gateways(ctx) })
	wg.Go(func() {
		if f.links, f.linksErr = h.Links.List(ctx); f.linksErr == nil {
			f.network, f.linksErr = h.Links.NodeNetwork(ctx)
		}
	})
	wg.Wait()
	return f
}

// carriers returns the links over which the node's own network runs and that are
// hardware: what is built on them has no other carrier than theirs. VF
// representors come and go with their VFs, also where they may be part of the
// node's network because Open vSwitch has them.
func (f *facts) carriers() []string {
	var out []string
	for _, l := range f.links {
		hardware := l.ParentDevice != "" || l.Kind == ""
		if f.network[l.Index] != "" && hardware && !isVFPort(l.PortName) && !slices.Contains(out, keyOf(l)) {
			out = append(out, keyOf(l))
		}
	}
	slices.Sort(out)
	return out
}

// hasCarrier tells whether a link is up and has a carrier.
func (f *facts) hasCarrier(key string) bool {
	return slices.ContainsFunc(f.links, func(l host.Link) bool {
		return keyOf(l) == key && !isVFPort(l.PortName) && l.Up && l.Carrier
	})
}

// keyOf is what a link is known by before and after a change: its device, since
// netdevs get other names and are made anew.
func keyOf(l host.Link) string {
	if l.ParentDevice != "" {
		return l.ParentDevice
	}
	return l.Name
}

// isVFPort tells whether a port name is that of a VF's representor: pf0vf3.
func isVFPort(name string) bool {
	_, rest, found := strings.Cut(name, "pf")
	return found && strings.Contains(rest, "vf")
}

// check returns nil when a check passes.
func check(ctx context.Context, h host.Host, known facts, c ledger.Check) *Problem {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	switch c.Kind {
	case APIServer:
		if err := h.Probes.APIServer(ctx); err != nil {
			return &Problem{Check: c, Err: err}
		}
	case Gateway:
		return checkGateway(ctx, h, known, c)
	case Carrier:
		switch {
		case known.linksErr != nil:
			return &Problem{Check: c, Unknown: true, Err: known.linksErr}
		case !known.hasCarrier(c.Link):
			return &Problem{Check: c, Err: errors.New("it is gone")}
		}
	default:
		return &Problem{Check: c, Unknown: true, Err: fmt.Errorf("check %s is not known", c.Kind)}
	}
	return nil
}

func checkGateway(ctx context.Context, h host.Host, known facts, c ledger.Check) *Problem {
	if known.gatewaysErr != nil {
		return &Problem{Check: c, Unknown: true, Err: known.gatewaysErr}
	}
	i := slices.IndexFunc(known.gateways, func(g host.Gateway) bool { return g.Address == c.Address && g.Link == c.Link })
	if i < 0 {
		return &Problem{Check: c, Err: errors.New("the default route is gone")}
	}
	if err := h.Probes.AskGateway(ctx, known.gateways[i]); err != nil {
		return &Problem{Check: c, Unknown: !errors.Is(err, host.ErrSilent), Err: err}
	}
	return nil
}
