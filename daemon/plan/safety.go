package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// Allowed tells whether a PF may be interrupted although the node's own network
// runs over it. A PF that no policy configures any more has the permission of the
// node's pool alone.
func Allowed(spec *sriovv1.SriovNetworkNodeStateSpec, pf string) bool {
	i := slices.IndexFunc(spec.Interfaces, func(i sriovv1.Interface) bool { return i.PCIAddress == pf })
	if i < 0 {
		return spec.AllowNodeNetwork
	}
	return spec.Interfaces[i].AllowNodeNetwork
}

// TakesVFs tells whether a chain touches VFs that somebody uses or may use.
func TakesVFs(c Chain, observed inventory.Node) bool {
	pods := map[string]bool{}
	for _, stage := range c.Stages {
		for _, step := range stage {
			for _, address := range devices(step) {
				pf := observed.PF(address)
				if pf != nil && loses(pf, step.touches(), observed.PodsUnknown != "", pods) {
					return true
				}
			}
		}
	}
	return false
}

// TouchesLink tells whether the chain interrupts the link of a PF.
func (c *Chain) TouchesLink() bool { return slices.ContainsFunc(c.Stages, touchesLink) }

func touchesLink(stage Stage) bool {
	return slices.ContainsFunc(stage, func(s Step) bool { return s.touches().link })
}

// Verify tells whether the node must have its connections after a stage of the
// chain: a link was interrupted since they were asked for last, and none is down
// because of it. A PF comes out of a change of the eswitch mode down, see
// chainBuilder.setMode; what follows without its link is not yet to be judged,
// unless nothing follows.
func (c *Chain) Verify(stage int) bool {
	pending := false
	down := map[string]bool{}
	for i := range c.Stages[:stage+1] {
		pending = pending || touchesLink(c.Stages[i])
		for _, s := range c.Stages[i] {
			switch s.(type) {
			case SetEswitchMode, SetLinkDown, ReleaseMember:
				down[s.Device()] = true
			// A bond sets its members up.
			case SetLinkUp, EnslaveMember:
				delete(down, s.Device())
			}
		}
		if i < stage && len(down) == 0 {
			pending = false
		}
	}
	return pending && (len(down) == 0 || stage == len(c.Stages)-1)
}

// judge takes the chains out of a plan that have cost the node a connection
// before, and finds the losses that say nothing any more.
func (p *Plan) judge(in *Input) {
	for i := range p.Chains {
		for _, pf := range p.Chains[i].PFs {
			p.Chains[i].Wants = append(p.Chains[i].Wants, wantOf(&in.Spec, pf))
		}
	}
	lost := map[string]string{}
	for _, address := range slices.Sorted(maps.Keys(in.Owned.Losses)) {
		loss := in.Owned.Losses[address]
		pf := in.Observed.PF(address)
		switch {
		case pf == nil:
		case loss.Concerns(IdentityOf(&in.Observed, pf), wantOf(&in.Spec, address)):
			lost[address] = loss.Message
		default:
			p.Outlived = append(p.Outlived, address)
		}
	}
	p.Chains = slices.DeleteFunc(p.Chains, func(c Chain) bool {
		if !c.TouchesLink() {
			return false
		}
		repeats := false
		for _, pf := range c.PFs {
			if message, found := lost[pf]; found {
				p.Blockers = append(p.Blockers, blocker(pf, CodeConnectivityLost, "%s", message))
				repeats = true
			}
		}
		return repeats
	})
}

// wantOf identifies what is wanted of a PF: equal for equal wishes.
func wantOf(spec *sriovv1.SriovNetworkNodeStateSpec, pf string) string {
	var wish struct {
		Interfaces []sriovv1.Interface
		Bonds      []sriovv1.Bond
		Bridges    []sriovv1.OVSConfigExt
	}
	for i := range spec.Interfaces {
		if spec.Interfaces[i].PCIAddress == pf {
			// Drivers and udev rename netdevs while the eswitch mode changes.
			unnamed := spec.Interfaces[i]
			unnamed.Name = ""
			wish.Interfaces = append(wish.Interfaces, unnamed)
		}
	}
	for i := range spec.Bonds {
		if slices.Contains(spec.Bonds[i].Members, pf) {
			wish.Bonds = append(wish.Bonds, spec.Bonds[i])
		}
	}
	for i := range spec.Bridges.OVS {
		if slices.ContainsFunc(spec.Bridges.OVS[i].Uplinks, func(u sriovv1.OVSUplinkConfigExt) bool { return u.PCIAddress == pf }) {
			unnamed := *spec.Bridges.OVS[i].DeepCopy()
			for j := range unnamed.Uplinks {
				unnamed.Uplinks[j].Name = ""
			}
			wish.Bridges = append(wish.Bridges, unnamed)
		}
	}
	data, err := json.Marshal(wish)
	if err != nil {
		panic("plan: encoding an API type: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// Before is what PFs that were changed together were before.
type Before struct {
	// PFs by PCI address.
	PFs map[string]ledger.Initial
	// Bonds that were made of them are dissolved; Bridges that they had stay.
	Bonds, Bridges []string
	// Firmware are PFs whose application firmware goes back to the first one.
	Firmware []string
}

// Restore plans the way of PFs back to what they were. Nothing but missing facts,
// and what the kernel cannot do, keeps them from it: the node has lost its
// connections otherwise. It is what giving PFs back is, with other first states;
// the spec of the input does not matter, and no other PF is touched.
//
// A bond or bridge that was there before is not taken apart, but for a bridge whose
// uplink's VFs are made anew.
func Restore(in Input, before Before) Plan {
	in.Spec = sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "restore", AllowNodeNetwork: true}
	owned := ledger.Record{Orders: in.Owned.Orders, PFs: map[string]ledger.PF{}, Bonds: map[string]ledger.Bond{}}
	for _, name := range before.Bonds {
		if bond, noted := in.Owned.Bonds[name]; noted {
			owned.Bonds[name] = bond
		}
	}
	owned.Firmware = maps.Clone(in.Owned.Firmware)
	maps.DeleteFunc(owned.Firmware, func(pf string, _ ledger.Firmware) bool { return !slices.Contains(before.Firmware, pf) })
	var missing []Blocker
	for address, initial := range before.PFs {
		pf := in.Observed.PF(address)
		if pf == nil {
			missing = append(missing, blocker(address, CodePFNotFound, "there is no PF with PCI address %s on this node", address))
			continue
		}
		owned.PFs[address] = ledger.PF{Identity: IdentityOf(&in.Observed, pf), Initial: initial, OwnsVFs: true}
	}
	in.Owned = owned
	in.Observed = before.withoutBridges(in.Observed)
	p := Compute(in)
	// Files on the host, and what a bond of others ties to the PFs.
	p.Chains = slices.DeleteFunc(p.Chains, func(c Chain) bool {
		return slices.ContainsFunc(c.PFs, func(pf string) bool { _, concerned := before.PFs[pf]; return !concerned })
	})
	p.Blockers = slices.DeleteFunc(p.Blockers, func(b Blocker) bool { _, concerned := before.PFs[b.PF]; return !concerned })
	p.Blockers = append(missing, p.Blockers...)
	return p
}

// withoutBridges is a node on which bridges that are not to be removed cannot be
// seen, nor that the uplinks are in them: they stay where they are.
func (b *Before) withoutBridges(node inventory.Node) inventory.Node {
	stays := func(bridge inventory.Bridge) bool {
		_, concerned := b.PFs[bridge.Owner]
		return !concerned || slices.Contains(b.Bridges, bridge.Name) && !b.rebuilds(node.PF(bridge.Owner))
	}
	node.PFs = slices.Clone(node.PFs)
	for i := range node.PFs {
		pf := &node.PFs[i]
		in := func(bridge inventory.Bridge) bool { return stays(bridge) && bridge.Owner == pf.PCIAddress }
		if pf.Netdev != nil && pf.Netdev.MasterKind == masterOVS && slices.ContainsFunc(node.OVS.Bridges, in) {
			netdev := *pf.Netdev
			netdev.Master, netdev.MasterKind = "", ""
			pf.Netdev = &netdev
		}
	}
	node.OVS.Bridges = slices.DeleteFunc(slices.Clone(node.OVS.Bridges), stays)
	return node
}

// rebuilds tells whether the way back makes the VFs of a PF anew. A bridge goes
// first then: the eswitch keeps its mode while Open vSwitch offloads to it.
func (b *Before) rebuilds(pf *inventory.PF) bool {
	if pf == nil {
		return false
	}
	initial := b.PFs[pf.PCIAddress]
	return valueOr(pf.NumVFs, 0) != initial.NumVFs || pf.Eswitch.Mode != initial.EswitchMode
}

// unguarded tells whether the PF's link may be interrupted for all that the node's
// own network has to say.
func (s *subject) unguarded() bool { return s.pf.NodeNetwork == "" || s.allowed }
