package plan

import (
	"maps"
	"slices"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// seat is the place of a PF in the bonds of a plan.
type seat struct {
	// in names the bonds that the PF may be a member of while it is changed.
	in map[string]bool
	// leaves and joins a bond in the course of the plan; both to be looked at again
	// by its NIC.
	leaves, joins bool
	// unbinds: the VFs lose their drivers before anything else.
	unbinds bool
	// holds: the VFs get no drivers, because nobody offloads the bond yet.
	holds bool
}

// team are PFs that are changed together, because bonds tie them.
type team struct {
	// pfs by PCI address, ordered.
	pfs   []string
	bonds []*bondWork
	// subjects are the PFs that are there, ordered.
	subjects []*subject
}

type teams []*team

// of returns the team of a PF, or nil.
func (ts teams) of(pf string) *team {
	for _, t := range ts {
		if slices.Contains(t.pfs, pf) {
			return t
		}
	}
	return nil
}

// teams finds the bonds that are wanted or to be removed, and the PFs that they
// tie. Bonds of the ledger that are gone are released.
func (p *Plan) teams(in *Input) teams {
	var out teams
	for i := range in.Spec.Bonds {
		want := &in.Spec.Bonds[i]
		if len(want.Members) == 0 {
			p.Blockers = append(p.Blockers, blocker("", CodeBondMembers, "bond %s has no members", want.Name))
			continue
		}
		noted, ok := in.Owned.Bonds[want.Name]
		w := &bondWork{
			name: want.Name, want: want, now: in.Observed.Bond(want.Name), members: slices.Sorted(slices.Values(want.Members)),
			owned: ok && !noted.Stale(in.Observed.BootID),
		}
		if ok && (w.adopted() || !w.owned) {
			p.ReleasedBonds = append(p.ReleasedBonds, want.Name)
		}
		out = out.with(w)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Owned.Bonds)) {
		if slices.ContainsFunc(in.Spec.Bonds, func(b sriovv1.Bond) bool { return b.Name == name }) {
			continue
		}
		noted, now := in.Owned.Bonds[name], in.Observed.Bond(name)
		if noted.Stale(in.Observed.BootID) || now == nil && in.Observed.BondsUnknown == "" {
			p.ReleasedBonds = append(p.ReleasedBonds, name)
			continue
		}
		w := &bondWork{name: name, now: now, members: slices.Clone(noted.Members), owned: true}
		for i := range in.Observed.PFs {
			if pf := &in.Observed.PFs[i]; pf.Netdev != nil && pf.Netdev.Master == name && !slices.Contains(w.members, pf.PCIAddress) {
				w.members = append(w.members, pf.PCIAddress)
			}
		}
		slices.Sort(w.members)
		out = out.with(w)
	}
	slices.Sort(p.ReleasedBonds)
	return out
}

// with adds a bond: to the teams of its members, which become one, or as a new one.
func (ts teams) with(w *bondWork) teams {
	joined := &team{pfs: slices.Clone(w.members)}
	var out teams
	for _, t := range ts {
		if slices.ContainsFunc(w.members, func(pf string) bool { return slices.Contains(t.pfs, pf) }) {
			joined.pfs = append(joined.pfs, t.pfs...)
			joined.bonds = append(joined.bonds, t.bonds...)
			continue
		}
		out = append(out, t)
	}
	slices.Sort(joined.pfs)
	joined.pfs = slices.Compact(joined.pfs)
	joined.bonds = append(joined.bonds, w)
	return append(out, joined)
}

// join adds a PF that is there.
func (t *team) join(s *subject) {
	s.seat.in = map[string]bool{}
	for _, w := range t.bonds {
		s.seat.in[w.name] = w.owned || w.adopted()
	}
	t.subjects = append(t.subjects, s)
	slices.SortFunc(t.subjects, func(a, b *subject) int { return strings.Compare(a.desired.pf, b.desired.pf) })
}

// subject returns the PF with this address, or nil.
func (t *team) subject(pf string) *subject {
	i := slices.IndexFunc(t.subjects, func(s *subject) bool { return s.desired.pf == pf })
	if i < 0 {
		return nil
	}
	return t.subjects[i]
}

// addTeam plans the PFs of a team and their bonds. A blocker on one of them stops
// all of them: they are changed together.
func (p *Plan) addTeam(in *Input, t *team) {
	t.addBystanders(in)
	blockers := t.check(in)
	if len(blockers) == 0 {
		blockers = t.decide()
	}
	if len(blockers) > 0 || len(t.subjects) == 0 {
		p.Blockers = append(p.Blockers, t.spread(in, blockers)...)
		return
	}
	works := make([]work, 0, len(t.subjects)+len(t.bonds))
	var found []Blocker
	idle := true
	for _, s := range t.subjects {
		found = append(found, s.partBlockers()...)
		w, waiting := s.plan()
		works = append(works, w)
		if len(waiting) > 0 {
			p.Waiting = append(p.Waiting, Waiting{PF: s.desired.pf, VFs: waiting})
			idle = false
		}
	}
	binds := bindsVFs(works)
	for _, w := range t.bonds {
		works = append(works, w.work(t, binds))
		found = append(found, w.hold...)
	}
	p.Blockers = append(p.Blockers, found...)
	stages := inStep(works...)
	if len(stages) > 0 {
		p.Chains = append(p.Chains, Chain{PFs: t.addresses(), Stages: stages, Parts: partsOf(works...)})
	}
	if idle && len(stages) == 0 && len(found) == 0 {
		p.Released = append(p.Released, t.givenBack(in)...)
	}
}

// givenBack are the PFs of the ledger that nobody wants any more.
func (t *team) givenBack(in *Input) []string {
	var out []string
	for _, s := range t.subjects {
		if _, owned := in.Owned.PFs[s.desired.pf]; owned && s.spec == nil {
			out = append(out, s.desired.pf)
		}
	}
	return out
}

// addresses are the PFs that are there.
func (t *team) addresses() []string {
	out := make([]string, 0, len(t.subjects))
	for _, s := range t.subjects {
		out = append(out, s.desired.pf)
	}
	return out
}

// addBystanders adds PFs of bonds to be removed that are neither wanted nor in the
// ledger: their VFs are unbound for it, and bound again.
func (t *team) addBystanders(in *Input) {
	for _, w := range t.bonds {
		if w.want != nil {
			continue
		}
		for _, address := range w.members {
			pf := in.Observed.PF(address)
			if pf == nil || t.subject(address) != nil || in.wants(address) {
				continue
			}
			d := desired{pf: address, numVFs: valueOr(pf.NumVFs, 0), mode: modeOf(pf)}
			d.vfs = make([]vfWant, d.numVFs)
			t.join(newSubject(in, d, in.Drivers.For(pf.Driver), pf))
		}
	}
}

// wants tells whether the spec has a PF.
func (in *Input) wants(pf string) bool {
	return slices.ContainsFunc(in.Spec.Interfaces, func(i sriovv1.Interface) bool { return i.PCIAddress == pf })
}

// check returns the blockers that stop all work on the team.
func (t *team) check(in *Input) []Blocker {
	var out []Blocker
	for _, w := range t.bonds {
		out = append(out, w.check(in, t)...)
	}
	for _, s := range t.subjects {
		blockers := s.check()
		if len(blockers) == 0 && s.bridges.attached() {
			// A bond takes no port of a bridge.
			blockers = s.bridges.planRemoval(false)
		}
		out = append(out, blockers...)
	}
	return out
}

// decide finds out what is to be done to the bonds, and what that means for the
// PFs.
func (t *team) decide() []Blocker {
	var out []Blocker
	unbinds := false
	for _, w := range t.bonds {
		unbinds = w.decide(t) || unbinds
		out = append(out, w.checkNodeNetwork(t)...)
	}
	for _, s := range t.subjects {
		s.seat.unbinds = unbinds
		if n := len(s.pf.VFs); unbinds && n > 0 {
			// Those that nobody wants anything of are unbound as well.
			s.vfs = append(s.vfs, make([]vfWant, max(0, s.pf.VFs[n-1].Index+1-len(s.vfs)))...)
		}
		// To bind a VF again, its driver must be known.
		out = append(out, s.checkFacts()...)
	}
	return out
}

// spread tells the other PFs of a team that is blocked.
func (t *team) spread(in *Input, blockers []Blocker) []Blocker {
	blocked := map[string]bool{}
	for _, b := range blockers {
		blocked[b.PF] = true
	}
	for _, pf := range t.pfs {
		// That it is not there is said elsewhere.
		blocked[pf] = blocked[pf] || in.Observed.PF(pf) == nil
	}
	maps.DeleteFunc(blocked, func(_ string, is bool) bool { return !is })
	by := strings.Join(slices.Sorted(maps.Keys(blocked)), " and ")
	for _, s := range t.subjects {
		if !blocked[s.desired.pf] {
			blockers = append(blockers, blocker(s.desired.pf, CodeBondMember, "it shares bond %s with %s, which is blocked", t.bonds[len(t.bonds)-1].name, by))
		}
	}
	return blockers
}

// bindsVFs tells whether any VF gets a driver.
func bindsVFs(works []work) bool {
	for _, w := range works {
		for _, stage := range w[bind] {
			if slices.ContainsFunc(stage, func(s Step) bool { _, ok := s.(BindVF); return ok }) {
				return true
			}
		}
	}
	return false
}

// leaveSeat writes down what a PF does before its bond is taken apart.
func (b *chainBuilder) leaveSeat() {
	if b.seat.unbinds {
		b.in = unseat
		b.add(b.removeVDPAs()...)
		b.add(b.unbindAll()...)
		b.unbound = true
	}
	if b.seat.leaves {
		// bond_release leaves it down.
		b.up = false
	}
}

// restored is what is wanted of a VF that is to be left alone, and that was unbound
// for the sake of a bond: what it has now. Should we not come to bind it, it stays
// unbound: nobody remembers its driver then.
func (b *chainBuilder) restored(vf *inventory.VF, w vfWant) vfWant {
	if vf.Driver == "" || w.binding != leave {
		return w
	}
	w = vfWant{binding: named, driver: vf.Driver, override: ptr(vf.DriverOverride)}
	if vf.VDPA != nil {
		w.vdpa = vf.VDPA.Type
	}
	if !userspace(vf.Driver) {
		w.binding = kernelDriver
		if vf.Netdev != nil {
			w.mtu = vf.Netdev.MTU
		}
	}
	return w
}

// SameNIC tells whether two PFs are ports of one NIC: functions of one PCI device,
// or ports of one eswitch.
func SameNIC(a, b *inventory.PF) bool {
	device := func(pf *inventory.PF) string { before, _, _ := strings.Cut(pf.PCIAddress, "."); return before }
	if device(a) == device(b) {
		return true
	}
	return a.Netdev != nil && b.Netdev != nil && a.Netdev.SwitchID != "" && a.Netdev.SwitchID == b.Netdev.SwitchID
}
