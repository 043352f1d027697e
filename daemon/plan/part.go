package plan

import "slices"

// A machine that boots is configured in two parts, see daemon/boot: VFs, modes and
// links before the network comes up, drivers of VFs after it. Chain says how far
// its stages go in each.

// Parts counts stages of a chain from its beginning.
type Parts struct {
	// Made: the stages up to here take away and make VFs and modes.
	Made int
	// Linked: the stages up to here also settle the links. What follows gives VFs
	// their drivers.
	Linked int
}

// lastMaking is the last phase that takes away or makes VFs or modes, lastEarly
// the last one before VFs get drivers.
const (
	lastMaking = create
	lastEarly  = links
)

// partsOf counts the stages that inStep makes of the phases of works.
func partsOf(works ...work) Parts {
	count := func(last phase) int {
		n := 0
		for p := range last + 1 {
			most := 0
			for _, w := range works {
				most = max(most, len(w[p]))
			}
			n += most
		}
		return n
	}
	return Parts{Made: count(lastMaking), Linked: count(lastEarly)}
}

// Early returns the part of a plan that comes before the network: everything but
// the drivers and settings of VFs. Made from an Input with Unbound, it binds no VF.
func (p Plan) Early() Plan {
	return p.part(func(c Chain) []Stage { return c.Stages[:c.Parts.Linked] })
}

// Late returns the part of a plan that comes after the network: links and drivers
// of VFs, on PFs that have the VFs and the mode that are wanted. A chain that has
// something to make is not in it, nor is work on the machine.
func (p Plan) Late() Plan {
	return p.part(func(c Chain) []Stage {
		if c.Parts.Made > 0 {
			return nil
		}
		return c.Stages
	})
}

// part keeps what of each chain keeps; chains without a stage left are dropped.
func (p Plan) part(keeps func(Chain) []Stage) Plan {
	out := p
	out.Chains = nil
	for _, c := range p.Chains {
		if c.OfMachine() {
			continue
		}
		if stages := slices.Clip(keeps(c)); len(stages) > 0 {
			c.Parts = Parts{Made: min(c.Parts.Made, len(stages)), Linked: min(c.Parts.Linked, len(stages))}
			c.Stages = stages
			out.Chains = append(out.Chains, c)
		}
	}
	return out
}

// InForce tells whether a PF of the spec has the VFs and the mode that are wanted,
// whatever else is to be done on it. It is false while that is not known.
func (in *Input) InForce(pciAddress string) bool {
	pf := in.Observed.PF(pciAddress)
	if pf == nil || pf.NumVFs == nil || !pf.Eswitch.Known {
		return false
	}
	for i := range in.Spec.Interfaces {
		iface := &in.Spec.Interfaces[i]
		if iface.PCIAddress != pciAddress {
			continue
		}
		want, _ := fromSpec(iface, in.Drivers.For(pf.Driver), pf)
		if want.external {
			return *pf.NumVFs >= len(want.vfs) && (want.mode == "" || want.mode == modeOf(pf))
		}
		return !newSubject(in, want, in.Drivers.For(pf.Driver), pf).rebuilds()
	}
	return false
}
