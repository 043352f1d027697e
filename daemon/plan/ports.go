package plan

import (
	"fmt"

	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// AllPorts names every physical port of a PF, for a step on a PF whose ports are
// not known yet.
const AllPorts = "*"

// portText names the ports of a step in its text; empty for the PF's own netdev.
func portText(port string) string {
	switch port {
	case "":
		return ""
	case AllPorts:
		return " of every port"
	}
	return fmt.Sprintf(" of port %s", port)
}

// portWant is what is wanted of one further port when the PF is given back.
type portWant struct {
	mtu  int
	hwtc *bool
}

// portOf names a port in steps: the PF's own netdev has no name.
func (s *subject) portOf(n *inventory.Netdev) string {
	if n == s.pf.Netdev {
		return ""
	}
	return n.PortName
}

// mtuOf is the MTU that is wanted of a port, 0 for any.
func (s *subject) mtuOf(n *inventory.Netdev) int {
	if port := s.portOf(n); port != "" && s.firstPorts != nil {
		return s.firstPorts[port].mtu
	}
	return s.mtu
}

// reached tells whether a port's MTU is good enough.
func (s *subject) reached(n *inventory.Netdev) bool {
	want := s.mtuOf(n)
	if s.mtuExact {
		return want == 0 || want == n.MTU
	}
	return n.MTU >= want
}

// offloadOf is the hw-tc-offload that is wanted of a port, nil for any, where
// otherwise says what it is of the PF's own netdev.
func (s *subject) offloadOf(n *inventory.Netdev, otherwise *bool) *bool {
	if port := s.portOf(n); port != "" && s.firstPorts != nil {
		return s.firstPorts[port].hwtc
	}
	return otherwise
}

// member returns the first port that has a master, else the PF's own netdev.
func (s *subject) member() *inventory.Netdev {
	for _, n := range s.pf.Ports() {
		if n.Master != "" {
			return n
		}
	}
	return s.pf.Netdev
}

// targets are the ports that a step is needed for. What was observed of them is
// worth nothing after a change of the mode or of the driver.
func (b *chainBuilder) targets(needs func(*inventory.Netdev) bool) []string {
	switch {
	case b.reloaded || b.portsFresh && len(b.pf.FurtherPorts) > 0:
		return []string{AllPorts}
	case b.portsFresh:
		return []string{""}
	}
	var out []string
	for _, n := range b.pf.Ports() {
		if needs(n) {
			out = append(out, b.portOf(n))
		}
	}
	return out
}

func (b *chainBuilder) setUp() {
	if b.up {
		return
	}
	var steps []Step
	ports := b.targets(func(n *inventory.Netdev) bool { return !n.Up })
	// Leaving a bond has set the link down since it was observed.
	if len(ports) == 0 {
		ports = []string{""}
	}
	for _, port := range ports {
		steps = append(steps, SetLinkUp{PF: b.desired.pf, Port: port})
	}
	b.add(steps...)
	b.up = true
}

// setOffload turns hw-tc-offload of the ports on or off. A further port without
// the feature stays as it is.
func (b *chainBuilder) setOffload(want *bool) {
	if want == nil || b.hwtcSet != nil && *b.hwtcSet == *want {
		return
	}
	var steps []Step
	for _, port := range b.targets(func(n *inventory.Netdev) bool {
		wanted, f := b.offloadOf(n, want), n.HWTCOffload
		// What another firmware could do, this one need not.
		fixed := f != nil && f.Fixed && (b.spec == nil || n != b.pf.Netdev)
		if fixed || f == nil && n != b.pf.Netdev || wanted == nil {
			return false
		}
		return f == nil || f.On != *wanted
	}) {
		on := *want
		if first, ok := b.firstPorts[port]; ok && first.hwtc != nil {
			on = *first.hwtc
		}
		steps = append(steps, SetHWTCOffload{PF: b.desired.pf, Port: port, On: on})
	}
	b.add(steps...)
	b.hwtcSet = want
}

// setMTUs sets the MTU of the ports that do not have it. After the driver was
// bound anew it is the driver's default: with what is wanted of single ports, it
// is settled once they are seen.
func (b *chainBuilder) setMTUs() {
	if b.reloaded {
		if b.mtu > 0 && !b.mtuExact {
			b.add(SetMTU{PF: b.desired.pf, Port: AllPorts, MTU: b.mtu})
		}
		return
	}
	var steps []Step
	for _, n := range b.pf.Ports() {
		if !b.reached(n) {
			want := b.mtuOf(n)
			steps = append(steps, SetMTU{PF: b.desired.pf, Port: b.portOf(n), MTU: want, Lowers: want < n.MTU})
		}
	}
	b.add(steps...)
}
