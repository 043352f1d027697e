package agent

import (
	"fmt"
	"slices"
	"strings"
	"time"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// bondRetry is how soon VFs that wait for somebody else's bond are looked at again:
// that a NIC offloads a bond is no event.
const bondRetry = 5 * time.Second

// waitsForBond tells whether VFs wait for a bond that somebody else makes.
func waitsForBond(p plan.Plan) bool {
	return slices.ContainsFunc(p.Blockers, func(b plan.Blocker) bool {
		return b.Code == plan.CodeBondNotReady || b.Code == plan.CodeLAGInactive
	})
}

// bonds are those with a PF as a member, and those that are wanted, there or not.
func bonds(f Facts) []sriovv1.BondStatus {
	var out []sriovv1.BondStatus
	for i := range f.Observed.Bonds {
		b := &f.Observed.Bonds[i]
		wanted := wantedBond(f.Spec, b.Name)
		if wanted == nil && !slices.ContainsFunc(b.Members, func(name string) bool { return f.Observed.ByNetdev(name) != nil }) {
			continue
		}
		out = append(out, bondStatus(f.Observed, b, wanted))
	}
	for i := range f.Spec.Bonds {
		want := &f.Spec.Bonds[i]
		if f.Observed.BondsUnknown == "" && f.Observed.Bond(want.Name) == nil {
			out = append(out, sriovv1.BondStatus{Name: want.Name, VFLAG: sriovv1.VFLAGInactive, Reason: "there is no bond of this name"})
		}
	}
	slices.SortFunc(out, func(a, b sriovv1.BondStatus) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func wantedBond(spec sriovv1.SriovNetworkNodeStateSpec, name string) *sriovv1.Bond {
	i := slices.IndexFunc(spec.Bonds, func(b sriovv1.Bond) bool { return b.Name == name })
	if i < 0 {
		return nil
	}
	return &spec.Bonds[i]
}

func bondStatus(n *inventory.Node, b *inventory.Bond, wanted *sriovv1.Bond) sriovv1.BondStatus {
	carrier := b.Carrier
	s := sriovv1.BondStatus{
		Name: b.Name, Mode: b.Mode, Members: memberAddresses(n, b.Members), ActiveMembers: memberAddresses(n, b.ActiveMembers),
		MTU: b.MTU, LinkAdminState: "down", Carrier: &carrier,
	}
	if b.Up {
		s.LinkAdminState = "up"
	}
	if b.LACP != nil {
		s.LACP = &sriovv1.BondLACP{Ports: b.LACP.Ports}
		if b.LACP.Answered() {
			s.LACP.PartnerMAC = b.LACP.PartnerMAC
		}
	}
	s.VFLAG, s.Reason = vfLAG(n, b)
	if s.VFLAG != sriovv1.VFLAGActive && wanted == nil {
		s.Reason += "; no policy wants this bond"
	}
	s.Reason = sriovv1.Clip(s.Reason, sriovv1.MaxMessageLength)
	return s
}

// vfLAG tells whether the NIC offloads a bond, and if not, why not.
func vfLAG(n *inventory.Node, b *inventory.Bond) (state, reason string) {
	active := 0
	unknown := ""
	for _, name := range b.Members {
		pf := n.ByNetdev(name)
		switch {
		case pf == nil || pf.LAG == nil:
		case !pf.LAG.Known:
			unknown = pf.LAG.Reason
		case pf.LAG.Active:
			active++
		}
	}
	reason = whyNoLAG(n, b)
	switch {
	case reason != "":
		return sriovv1.VFLAGInactive, reason
	case unknown != "":
		return sriovv1.VFLAGUnknown, unknown
	case active == len(b.Members):
		return sriovv1.VFLAGActive, ""
	}
	return sriovv1.VFLAGInactive, "the driver does not say why; see the kernel log"
}

// whyNoLAG names the fact that keeps any NIC from offloading a bond: its members
// are not the two ports of one NIC, or they are not in switchdev mode.
func whyNoLAG(n *inventory.Node, b *inventory.Bond) string {
	var pfs []*inventory.PF
	for _, name := range b.Members {
		pf := n.ByNetdev(name)
		if pf == nil {
			return fmt.Sprintf("its member %s is no PF", name)
		}
		pfs = append(pfs, pf)
	}
	switch {
	case len(pfs) != 2:
		return fmt.Sprintf("it has %d members, and a NIC offloads a bond of its two ports", len(pfs))
	case !plan.SameNIC(pfs[0], pfs[1]):
		return "its members are ports of different NICs"
	case !slices.Contains([]string{sriovv1.BondModeActiveBackup, sriovv1.BondModeXOR, sriovv1.BondModeLACP}, b.Mode):
		return "no NIC offloads a bond of mode " + b.Mode
	}
	for _, pf := range pfs {
		if pf.Eswitch.Known && pf.Eswitch.Mode != sriovv1.EswitchModeSwitchdev {
			return fmt.Sprintf("%s is not in switchdev mode", pf.PCIAddress)
		}
	}
	return ""
}

// bondsMissing says what keeps the bonds of a spec from being offloaded, as far as
// the kernel tells.
func bondsMissing(f Facts) string {
	if len(f.Spec.Bonds) > 0 && f.Observed.BondsUnknown != "" {
		return "the bonds could not be read: " + f.Observed.BondsUnknown
	}
	for i := range f.Spec.Bonds {
		want := &f.Spec.Bonds[i]
		b := f.Observed.Bond(want.Name)
		if b == nil {
			return fmt.Sprintf("bond %s is not there", want.Name)
		}
		members := memberAddresses(f.Observed, b.Members)
		slices.Sort(members)
		if wanted := slices.Sorted(slices.Values(want.Members)); !slices.Equal(members, wanted) {
			return fmt.Sprintf("bond %s has the members %s instead of %s", want.Name, strings.Join(members, ", "), strings.Join(wanted, ", "))
		}
		if !b.Up {
			return fmt.Sprintf("bond %s is down", want.Name)
		}
		if state, reason := vfLAG(f.Observed, b); state == sriovv1.VFLAGInactive {
			return fmt.Sprintf("VF-LAG of bond %s is not active: %s", want.Name, reason)
		}
	}
	return ""
}

// bondsText says what is known of the bonds of a spec that miss nothing.
func bondsText(f Facts) string {
	text := ""
	for i := range f.Spec.Bonds {
		name := f.Spec.Bonds[i].Name
		if state, reason := vfLAG(f.Observed, f.Observed.Bond(name)); state == sriovv1.VFLAGUnknown {
			text += fmt.Sprintf("; whether the NIC offloads bond %s is not known: %s", name, reason)
			continue
		}
		text += fmt.Sprintf("; the NIC offloads bond %s", name)
	}
	return text
}
