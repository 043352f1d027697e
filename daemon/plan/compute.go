package plan

import (
	"maps"
	"slices"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// Compute returns what has to be done, PF by PF. It never plans on a fact that
// it does not know: such a PF has a blocker instead. A spec that was not
// computed yet means nothing and leads to an empty plan.
func Compute(in Input) Plan {
	var p Plan
	if in.Spec.ComputedFrom == "" {
		return p
	}
	p.Blockers = specBridges(&in.Spec)
	teams := p.teams(&in)
	wanted := map[string]bool{}
	for i := range in.Spec.Interfaces {
		iface := &in.Spec.Interfaces[i]
		wanted[iface.PCIAddress] = true
		p.addWanted(&in, iface, teams.of(iface.PCIAddress))
	}
	owned := map[string]bool{}
	for address := range in.Owned.PFs {
		owned[address] = true
	}
	for address := range in.Owned.Firmware {
		owned[address] = true
	}
	for _, address := range slices.Sorted(maps.Keys(owned)) {
		if !wanted[address] {
			p.addGivenBack(&in, address, teams.of(address))
		}
	}
	for _, t := range teams {
		p.addTeam(&in, t)
	}
	p.addLeftBridges(&in, wanted)
	p.addFiles(&in)
	p.addMachine(&in)
	p.addWarnings(&in)
	slices.SortStableFunc(p.Chains, func(a, b Chain) int { return strings.Compare(a.PFs[0], b.PFs[0]) })
	slices.SortStableFunc(p.Waiting, func(a, b Waiting) int { return strings.Compare(a.PF, b.PF) })
	slices.Sort(p.Released)
	p.judge(&in)
	sortBlockers(p.Blockers)
	return p
}

// addWanted plans a PF of the spec.
func (p *Plan) addWanted(in *Input, iface *sriovv1.Interface, t *team) {
	pf := in.Observed.PF(iface.PCIAddress)
	if pf == nil {
		p.Blockers = append(p.Blockers, blocker(iface.PCIAddress, CodePFNotFound, "there is no PF with PCI address %s on this node", iface.PCIAddress))
		return
	}
	if p.rebinding(in, pf, iface.FirmwareApp) {
		return
	}
	strategy := in.Drivers.For(pf.Driver)
	want, blockers := fromSpec(iface, strategy, pf)
	p.Blockers = append(p.Blockers, blockers...)
	// From now on the VFs are somebody else's: they must not be removed when the
	// PF leaves the spec.
	if want.external && in.Owned.PFs[iface.PCIAddress].OwnsVFs {
		p.Released = append(p.Released, iface.PCIAddress)
	}
	s := newSubject(in, want, strategy, pf)
	if t != nil {
		t.join(s)
		return
	}
	p.add(s)
}

// addGivenBack plans a PF that is ours and no longer in the spec. A PF that is
// not there stays in the ledger: the NIC may come back. What we made in another
// boot or on another NIC is gone; what is there now is somebody else's.
func (p *Plan) addGivenBack(in *Input, address string, t *team) {
	pf := in.Observed.PF(address)
	if pf == nil {
		return
	}
	owned, known := in.Owned.PFs[address]
	if owned.Stale(IdentityOf(&in.Observed, pf)) {
		p.Released = append(p.Released, address)
		owned, known = ledger.PF{}, false
	}
	// A link to firmware outlives a boot.
	if _, linked := in.Owned.Firmware[address]; !known && !linked || p.rebinding(in, pf, "") {
		return
	}
	strategy := in.Drivers.For(pf.Driver)
	want := fromLedger(address, owned, strategy, pf)
	s := newSubject(in, want, strategy, pf)
	if t != nil {
		t.join(s)
		return
	}
	if idle := p.add(s); idle && known {
		p.Released = append(p.Released, address)
	}
}

// IdentityOf is what the ledger knows a PF of a node by.
func IdentityOf(node *inventory.Node, pf *inventory.PF) ledger.Identity {
	return ledger.Identity{BootID: node.BootID, Vendor: pf.Vendor, DeviceID: pf.DeviceID}
}

// add plans one PF and tells whether nothing stands between observed and desired.
func (p *Plan) add(s *subject) (idle bool) {
	if blockers := s.check(); len(blockers) > 0 {
		p.Blockers = append(p.Blockers, blockers...)
		if s.fw.nextBoot && s.fw.link != nil {
			p.Chains = append(p.Chains, Chain{PFs: []string{s.desired.pf}, Stages: []Stage{{*s.fw.link}}})
		}
		return false
	}
	blockers := s.partBlockers()
	p.Blockers = append(p.Blockers, blockers...)
	w, waiting := s.plan()
	stages := inStep(w)
	if len(stages) > 0 {
		p.Chains = append(p.Chains, Chain{PFs: []string{s.desired.pf}, Stages: stages, Parts: partsOf(w)})
	}
	if len(waiting) > 0 {
		p.Waiting = append(p.Waiting, Waiting{PF: s.desired.pf, VFs: waiting})
	}
	return len(stages) == 0 && len(waiting) == 0 && len(blockers) == 0
}

// Disruption derives from the steps of a plan what it takes from workloads, and
// the pods (namespace/name, sorted) that lose a VF.
//
// VFPods without pods means that VFs are touched which may be in use, by whom is
// not known: the kubelet could not be asked (Node.PodsUnknown), or the netdev of
// a bound VF is in a namespace that is not the host's.
func Disruption(p Plan, observed inventory.Node) (sriovv1.Disruption, []string) {
	pods := map[string]bool{}
	disruption := sriovv1.DisruptionNone
	for _, step := range p.Steps() {
		if _, ok := step.(Reboot); ok {
			disruption = sriovv1.DisruptionReboot
		}
		t := step.touches()
		for _, address := range devices(step) {
			pf := observed.PF(address)
			if pf == nil {
				continue
			}
			if Worse(sriovv1.DisruptionNode, disruption) && pf.NodeNetwork != "" && (t.link || touchesUpVF(pf, t)) {
				disruption = sriovv1.DisruptionNode
			}
			if loses(pf, t, observed.PodsUnknown != "", pods) && disruption == sriovv1.DisruptionNone {
				disruption = sriovv1.DisruptionVFPods
			}
		}
	}
	return disruption, slices.Sorted(maps.Keys(pods))
}

// TouchesVFs tells whether a chain touches a VF that was observed, in use or not.
func TouchesVFs(c Chain, observed inventory.Node) bool {
	for _, stage := range c.Stages {
		for _, step := range stage {
			t := step.touches()
			for _, address := range devices(step) {
				pf := observed.PF(address)
				if pf != nil && slices.ContainsFunc(pf.VFs, func(vf inventory.VF) bool { return t.all || slices.Contains(t.vfs, vf.Index) }) {
					return true
				}
			}
		}
	}
	return false
}

// touchesUpVF tells whether a step touches a VF over which the host itself may
// communicate.
func touchesUpVF(pf *inventory.PF, t touched) bool {
	return slices.ContainsFunc(t.vfs, func(index int) bool { return isUp(pf.VF(index)) })
}

// loses tells whether a user, known or not, may lose a VF, and notes the pods.
func loses(pf *inventory.PF, t touched, podsUnknown bool, pods map[string]bool) bool {
	lost := false
	for i := range pf.VFs {
		vf := &pf.VFs[i]
		if !t.all && !slices.Contains(t.vfs, vf.Index) {
			continue
		}
		if vf.Pod != "" {
			pods[vf.Pod] = true
		}
		// A VF without a driver is of no use to a pod until it is bound again.
		unknown := podsUnknown && (t.all || vf.Driver != "")
		lost = lost || unknown || inUse(vf)
	}
	return lost
}

// inUse tells whether a VF has a user: a pod holds it, or it is on a kernel
// driver and its netdev is in a namespace that is not the host's.
func inUse(vf *inventory.VF) bool {
	return vf.Pod != "" || vf.Driver != "" && !userspace(vf.Driver) && vf.Netdev == nil
}
