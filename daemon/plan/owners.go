package plan

import (
	"slices"

	"github.com/sriov-offload/sriov-offload-operator/daemon/conflict"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// checkOwners blocks a PF whose VFs or mode somebody else sets: two owners undo
// each other's work, at the latest when one of them starts again. What we made is
// given back all the same.
func (s *subject) checkOwners() []Blocker {
	if s.spec == nil || s.external {
		return nil
	}
	var out []Blocker
	for _, c := range s.node.Claims {
		if c.Sets && conflict.Fits(c.Of, s.pf) {
			out = append(out, blocker(s.desired.pf, CodeOwnedElsewhere, "%s", claimText(c)))
		}
	}
	return out
}

func claimText(c inventory.Claim) string {
	return c.Owner + " has " + c.Setting + " in /" + c.Source
}

// addWarnings tells about every PF of the spec what else is configured for it. A
// setting for no PF in particular may be for each of them.
func (p *Plan) addWarnings(in *Input) {
	for i := range in.Spec.Interfaces {
		iface := &in.Spec.Interfaces[i]
		pf := in.Observed.PF(iface.PCIAddress)
		if pf == nil {
			continue
		}
		for _, c := range in.Observed.Claims {
			fits := conflict.Fits(c.Of, pf)
			own := c.Sets && fits
			if own && !iface.ExternallyManaged || !fits && !c.Of.Anything() {
				continue
			}
			// Whoever manages the PF is expected to set its VFs.
			if !own {
				p.Warnings = append(p.Warnings, blocker(iface.PCIAddress, CodeAlsoConfigured, "%s", claimText(c)))
			}
		}
		for _, u := range in.Observed.Unreadable {
			p.Warnings = append(p.Warnings, blocker(iface.PCIAddress, CodeConfigUnknown, "/%s: %s", u.Fact, u.Reason))
		}
	}
	sortBlockers(p.Warnings)
	p.Warnings = slices.CompactFunc(p.Warnings, func(a, b Blocker) bool { return a == b })
}
