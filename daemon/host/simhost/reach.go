package simhost

import (
	"context"
	"fmt"
	"strings"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// Cut makes the node lose connections while a PF is in a state: a switch that
// does not learn the MACs of VFs, a port that goes down with another MTU, a flow
// rule that the uplink representor does not have. Conditions that are set must
// all hold; one of them at least should be set.
type Cut struct {
	// PF by its PCI address.
	PF string
	// Mode of its eswitch, VFs and MTU: so many of it, or more.
	Mode string
	VFs  int
	MTU  int
	// APIServer, Gateways and Carriers are the connections that are lost. Carriers
	// are those of links over which the node's network runs.
	APIServer, Gateways, Carriers bool
	// Stays: what is lost once does not come back with the state, until Mend.
	Stays bool
}

type reach struct {
	cuts []*Cut
	// lost are cuts that stay.
	lost map[*Cut]bool
	// permitted: it is no mistake to interrupt the node's own network.
	permitted bool
}

// Cut adds a way to lose connections. It is a fact of the machine's surroundings:
// a reboot does not change it.
func (k *Kernel) Cut(c Cut) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reach.cuts = append(k.reach.cuts, &c)
}

// Mend removes all cuts.
func (k *Kernel) Mend() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reach.cuts, k.reach.lost = nil, nil
}

// PermitNodeNetwork tells that the user has permitted changes that interrupt the
// node's own network: they are not forbidden any more.
func (k *Kernel) PermitNodeNetwork() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reach.permitted = true
}

// Connected tells whether the API server can be reached, all gateways answer, and
// every link over which the node's network runs has a carrier.
func (k *Kernel) Connected() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.apiServer() != nil {
		return false
	}
	for _, l := range k.links.ordered {
		if k.nodeNetwork[l.name] != "" && (!k.carrier(l) || k.lostBy(func(c *Cut) bool { return c.Gateways })) {
			return false
		}
	}
	return true
}

// lostBy tells whether a cut of a kind is in force.
func (k *Kernel) lostBy(kind func(*Cut) bool) bool {
	lost := false
	for _, c := range k.reach.cuts {
		holds := k.reach.lost[c] || k.holds(c)
		if holds && c.Stays {
			if k.reach.lost == nil {
				k.reach.lost = map[*Cut]bool{}
			}
			k.reach.lost[c] = true
		}
		lost = lost || holds && kind(c)
	}
	return lost
}

// holds tells whether the PF is in the state of a cut.
func (k *Kernel) holds(c *Cut) bool {
	fn := k.functions[c.PF]
	if fn == nil || fn.pf == nil {
		return false
	}
	return (c.Mode == "" || fn.pf.mode == c.Mode) &&
		fn.pf.numVFs >= c.VFs &&
		(c.MTU == 0 || fn.netdev != nil && fn.netdev.mtu >= c.MTU)
}

// cutOff tells whether a link of the node's network has lost its carrier.
func (k *Kernel) cutOff(l *link) bool {
	return len(k.reach.cuts) > 0 && k.nodeNetworkOf(l) != "" && k.lostBy(func(c *Cut) bool { return c.Carriers })
}

// apiServer is a connection to the API server: over any default route.
func (k *Kernel) apiServer() error {
	if k.lostBy(func(c *Cut) bool { return c.APIServer }) {
		return context.DeadlineExceeded
	}
	for _, l := range k.links.ordered {
		if k.hasDefaultRoute(l) && k.carrier(l) {
			return nil
		}
	}
	return fmt.Errorf("network is unreachable")
}

// hasDefaultRoute: the kernel drops routes over a link that is set down, and the
// host's network manager adds them again when it is up.
func (k *Kernel) hasDefaultRoute(l *link) bool {
	return l.up && strings.Contains(k.nodeNetwork[l.name], "default route")
}

type probesDoor struct{ *handle }

// APIServer implements host.Probes.
func (d probesDoor) APIServer(ctx context.Context) error {
	c := call{kind: "probes.APIServer", object: "cluster", words: "connecting", device: "the API server"}
	_, err := run(ctx, d.handle, c, func() (nothing, error) { return nothing{}, d.k.apiServer() })
	return err
}

// gatewayAddress is that of all gateways.
const gatewayAddress = "192.0.2.1"

// Gateways implements host.Probes.
func (d probesDoor) Gateways(ctx context.Context) ([]host.Gateway, error) {
	c := call{kind: "probes.Gateways", object: "all", words: "listing default routes", device: "rtnetlink"}
	return run(ctx, d.handle, c, func() ([]host.Gateway, error) {
		var out []host.Gateway
		for _, l := range d.k.links.ordered {
			if !d.k.hasDefaultRoute(l) {
				continue
			}
			g := host.Gateway{Address: gatewayAddress, Index: l.index, Link: l.name}
			if l.fn != nil {
				g.Link = l.fn.address
			}
			out = append(out, g)
		}
		return out, nil
	})
}

// AskGateway implements host.Probes.
func (d probesDoor) AskGateway(ctx context.Context, g host.Gateway) error {
	c := call{kind: "probes.AskGateway", object: g.Link, words: "asking for its hardware address", device: "gateway " + g.Address}
	_, err := run(ctx, d.handle, c, func() (nothing, error) {
		l := d.k.links.byIndex[g.Index]
		if l == nil || !d.k.carrier(l) || d.k.lostBy(func(c *Cut) bool { return c.Gateways }) {
			return nothing{}, host.ErrSilent
		}
		return nothing{}, nil
	})
	return err
}
