package plan

import (
	"fmt"
	"slices"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// bondWork is one bond of a plan: what is wanted, what is there, and what is done.
type bondWork struct {
	name string
	// want is nil when the bond is to be removed, now when it is not there.
	want *sriovv1.Bond
	now  *inventory.Bond
	// owned: we made the bond that is there, or were about to make it.
	owned bool
	// members are the PFs that it is for, by PCI address, ordered.
	members []string

	// What is done, found by decide. Members that leave and join are marked in
	// their seats, too.
	leavers, joiners []string
	others           []string
	set              BondOptions
	down, up         bool
	mtu              int
	// hold are blockers that keep the VFs from being bound and nothing else.
	hold []Blocker
}

// adopted: the host's network manager makes the bond.
func (w *bondWork) adopted() bool {
	return w.want != nil && w.want.Ownership == sriovv1.OwnershipAdopted
}

func (w *bondWork) managed() bool { return w.want != nil && !w.adopted() }

// of names the bond and its PFs that are there.
func (w *bondWork) of(t *team) BondOf {
	pfs := slices.DeleteFunc(slices.Clone(w.members), func(pf string) bool { return t.subject(pf) == nil })
	if len(pfs) == 0 {
		pfs = t.addresses()
	}
	return BondOf{Name: w.name, PFs: pfs}
}

// check returns the blockers that stop all work on the bond, on each of its members.
func (w *bondWork) check(in *Input, t *team) []Blocker {
	var out []Blocker
	each := func(code, format string, args ...any) []Blocker {
		for _, pf := range w.members {
			out = append(out, blocker(pf, code, format, args...))
		}
		return out
	}
	if in.Observed.BondsUnknown != "" {
		return each(CodeFactUnreadable, "the bonds of the host could not be read: %s", in.Observed.BondsUnknown)
	}
	if w.want == nil {
		return nil
	}
	if len(w.members) != 2 || w.members[0] == w.members[1] {
		return each(CodeBondMembers, "bond %s of policy %s is to have the members %s, and not two different ones", w.name, w.want.PolicyName, namesText(w.members))
	}
	for _, other := range t.bonds {
		shared := slices.ContainsFunc(other.members, func(pf string) bool { return slices.Contains(w.members, pf) })
		if other != w && other.want != nil && shared {
			return each(CodeBondMembers, "bond %s is to have a member of bond %s", w.name, other.name)
		}
	}
	if out := w.checkMembers(in, t); len(out) > 0 {
		return out
	}
	if w.managed() && w.now != nil && !w.owned {
		return each(CodeBondNotOurs, "bond %s of policy %s is there already, with the members %s", w.name, w.want.PolicyName, namesText(w.now.Members))
	}
	return nil
}

// checkMembers looks at each of the two members, and at both.
func (w *bondWork) checkMembers(in *Input, t *team) []Blocker {
	var out []Blocker
	for _, address := range w.members {
		if s := t.subject(address); s != nil {
			out = append(out, w.checkMember(s)...)
		} else if !in.wants(address) {
			out = append(out, blocker(address, CodeBondMembers, "bond %s is to have %s, which no policy configures", w.name, address))
		}
	}
	a, b := t.subject(w.members[0]), t.subject(w.members[1])
	if a == nil || b == nil {
		// One is not there, which is a blocker of its own: the bond must not do without.
		return append(out, w.missing(t)...)
	}
	if len(out) == 0 && !SameNIC(a.pf, b.pf) {
		for _, pf := range w.members {
			out = append(out, blocker(pf, CodeBondMembers, "bond %s is to have ports of different NICs: %s and %s", w.name, w.members[0], w.members[1]))
		}
	}
	return out
}

// missing blocks the members that are there when the other one is not.
func (w *bondWork) missing(t *team) []Blocker {
	var out []Blocker
	for _, pf := range w.members {
		if t.subject(pf) != nil {
			out = append(out, blocker(pf, CodeBondMember, "it shares bond %s with another port, which is not there", w.name))
		}
	}
	return out
}

func (w *bondWork) checkMember(s *subject) []Blocker {
	lag := s.strategy.LAG
	switch {
	case s.spec == nil || s.external || !s.switchdev():
		return s.blocks(CodeBondMembers, "bond %s of policy %s needs it in switchdev mode and managed by this operator", w.name, w.want.PolicyName)
	case s.pf.Driver == "" || userspace(s.pf.Driver) || s.pf.Netdev == nil:
		// Said by the PF's own checks.
		return nil
	case lag == nil:
		return s.blocks(CodeLAGUnsupported, "bond %s of policy %s is wanted, and driver %s offloads none", w.name, w.want.PolicyName, s.pf.Driver)
	case !slices.Contains(lag.Modes, w.want.Mode):
		return s.blocks(CodeBondMode, "bond %s of policy %s is to have mode %s; driver %s offloads %s",
			w.name, w.want.PolicyName, w.want.Mode, s.pf.Driver, strings.Join(lag.Modes, ", "))
	}
	if most := lag.MaxVFs[s.pf.DeviceID]; most > 0 && s.numVFs > most {
		return s.blocks(CodeLAGTooManyVFs, "%d VFs are wanted on a port of bond %s; %s offloads a bond with at most %d", s.numVFs, w.name, s.model(), most)
	}
	master := s.pf.Netdev.Master
	if w.managed() && master != "" && master != w.name && !s.seat.in[master] {
		return s.blocks(CodePFHasMaster, "bond %s is to have it, but its netdev %s is a member of %s", w.name, s.pf.Netdev.Name, masterText(s.pf.Netdev))
	}
	return nil
}

// decide finds out what is to be done to the bond, and marks the seats of its
// members. It tells whether the VFs of the team have to be unbound for it.
func (w *bondWork) decide(t *team) (unbinds bool) {
	switch {
	case w.want == nil:
		w.leavers = w.seated(t)
	case w.adopted():
		return w.decideAdopted(t)
	default:
		w.decideManaged(t)
	}
	for _, pf := range w.leavers {
		t.subject(pf).seat.leaves = true
	}
	for _, pf := range w.joiners {
		t.subject(pf).seat.joins = true
	}
	return len(w.leavers)+len(w.joiners)+len(w.others) > 0
}

// decideManaged finds out what makes the bond what is wanted. When the mode, or the
// VFs or the mode of a port are to change, or the NIC does not offload the bond that
// it has, the members leave it and join again: then the NIC looks at it again.
func (w *bondWork) decideManaged(t *team) {
	options := wantedOptions(w.want)
	seated := w.seated(t)
	w.others = w.strangers(t)
	whole := len(seated) == len(w.members) && len(w.others) == 0
	again := w.rebuilds(t) || whole && w.lag(t) == lagInactive
	w.up = true
	if w.now != nil {
		again = again || w.now.Mode != options.Mode
		w.set = options.beyond(w.now)
		w.down = w.now.Up && (w.set.Mode != "" || w.set.LACPRate != "")
		w.up = !w.now.Up || w.down
	}
	for _, pf := range w.members {
		if again && slices.Contains(seated, pf) {
			w.leavers = append(w.leavers, pf)
		}
		if again || !slices.Contains(seated, pf) {
			w.joiners = append(w.joiners, pf)
		}
	}
	w.decideMTU(t)
}

// decideMTU gives the bond the largest MTU that is wanted of it or of a member: a
// member has that of its bond.
func (w *bondWork) decideMTU(t *team) {
	want := w.want.MTU
	for _, pf := range w.members {
		s := t.subject(pf)
		want = max(want, s.mtu)
		s.mtu = 0
	}
	now := defaultMTU
	if w.now != nil {
		now = w.now.MTU
	}
	if want > 0 && want != now {
		w.mtu = want
	}
}

// defaultMTU is that of a bond that was just made.
const defaultMTU = 1500

// decideAdopted holds the VFs back until the bond is there and offloaded. A change
// of the ports' mode makes the NIC look at the bond again.
func (w *bondWork) decideAdopted(t *team) (unbinds bool) {
	lag := w.lag(t)
	reason := w.notReady(t)
	switch {
	case reason != "":
		w.holdBack(t, CodeBondNotReady, "bond %s of policy %s is adopted, and %s", w.name, w.want.PolicyName, reason)
		return true
	case w.rebuilds(t):
		return true
	case lag == lagInactive:
		w.holdBack(t, CodeLAGInactive, "bond %s of policy %s is there with both ports, and the NIC does not offload it", w.name, w.want.PolicyName)
		return true
	}
	return false
}

func (w *bondWork) holdBack(t *team, code, format string, args ...any) {
	for _, pf := range w.members {
		w.hold = append(w.hold, blocker(pf, code, format, args...))
		t.subject(pf).seat.holds = true
	}
}

// notReady says why a bond that somebody else makes cannot be offloaded.
func (w *bondWork) notReady(t *team) string {
	if w.now == nil {
		return "there is no bond of this name"
	}
	modes := t.subject(w.members[0]).strategy.LAG.Modes
	seated := w.seated(t)
	for _, pf := range w.members {
		if !slices.Contains(seated, pf) {
			return pf + " is not a member of it"
		}
	}
	if others := w.strangers(t); len(others) > 0 {
		return "it has other members besides the two ports: " + strings.Join(others, ", ")
	}
	if !slices.Contains(modes, w.now.Mode) {
		return fmt.Sprintf("its mode is %s; the NIC offloads %s", w.now.Mode, strings.Join(modes, ", "))
	}
	return ""
}

// seated are the PFs that are members now.
func (w *bondWork) seated(t *team) []string {
	var out []string
	for _, pf := range w.members {
		if s := t.subject(pf); s != nil && w.now != nil && s.pf.Netdev != nil && s.pf.Netdev.Master == w.name {
			out = append(out, pf)
		}
	}
	return out
}

// strangers are the netdevs in the bond that are none of the PFs it is for.
func (w *bondWork) strangers(t *team) []string {
	if w.now == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(w.now.Members), func(name string) bool {
		return slices.ContainsFunc(w.members, func(pf string) bool {
			s := t.subject(pf)
			return s != nil && s.pf.Netdev != nil && s.pf.Netdev.Name == name
		})
	})
}

// rebuilds tells whether VFs or mode of a member are to change.
func (w *bondWork) rebuilds(t *team) bool {
	return slices.ContainsFunc(w.members, func(pf string) bool { return t.subject(pf).rebuilds() })
}

// lagState is what the NIC makes of a bond.
type lagState int

const (
	lagUnknown lagState = iota
	lagInactive
	lagActive
)

// lag is the state that both ports tell.
func (w *bondWork) lag(t *team) lagState {
	state := lagActive
	for _, pf := range w.members {
		lag := t.subject(pf).pf.LAG
		switch {
		case lag == nil || !lag.Known:
			state = min(state, lagUnknown)
		case !lag.Active:
			return lagInactive
		}
	}
	return state
}

// checkNodeNetwork keeps the bond from being changed under the node's own network:
// to move addresses and routes is not ours.
func (w *bondWork) checkNodeNetwork(t *team) []Blocker {
	touches := len(w.leavers)+len(w.joiners)+len(w.others) > 0 || w.down || w.mtu > 0 || w.want == nil
	if w.adopted() || !touches {
		return nil
	}
	var out []Blocker
	for _, address := range w.members {
		s := t.subject(address)
		switch {
		case s == nil:
		case s.pf.NodeNetwork != "":
			out = append(out, blocker(address, CodeNodeNetwork, "bond %s is to be %s, but the PF %s", w.name, w.change(), s.pf.NodeNetwork))
		case w.now != nil && w.now.NodeNetwork != "":
			out = append(out, blocker(address, CodeNodeNetwork, "bond %s is to be %s, but it %s", w.name, w.change(), w.now.NodeNetwork))
		}
	}
	return out
}

// change says in a word what is done to the bond.
func (w *bondWork) change() string {
	switch {
	case w.want == nil:
		return "removed"
	case w.now == nil:
		return "made"
	default:
		return "changed"
	}
}

// work writes down what is done to the bond. Nothing in it is left to chance: the
// first member gives the bond its MAC.
func (w *bondWork) work(t *team, binds bool) work {
	var out work
	add := func(in phase, step Step) { out[in] = append(out[in], Stage{step}) }
	bond := w.of(t)
	for _, pf := range w.leavers {
		add(detach, ReleaseMember{PF: pf, Bond: w.name})
	}
	for _, netdev := range w.others {
		add(detach, ReleaseOther{BondOf: bond, Netdev: netdev})
	}
	if w.want == nil {
		if w.now != nil {
			add(detach, DeleteBond{bond})
		}
		return out
	}
	if w.managed() {
		w.establish(bond, add)
	}
	awaits := len(w.joiners)+len(w.others) > 0 || binds && w.lag(t) != lagActive || w.adopted() && w.rebuilds(t)
	if awaits && len(w.hold) == 0 {
		add(attach, AwaitLAG{bond})
	}
	return out
}

// establish writes down what makes the bond what is wanted.
func (w *bondWork) establish(bond BondOf, add func(phase, Step)) {
	if w.now == nil {
		add(attach, CreateBond{BondOf: bond, Options: wantedOptions(w.want)})
	} else if w.set != (BondOptions{}) {
		add(attach, SetBond{BondOf: bond, Options: w.set, Down: w.down})
	}
	if w.mtu > 0 {
		add(attach, SetBondMTU{BondOf: bond, MTU: w.mtu, Lowers: w.now != nil && w.mtu < w.now.MTU})
	}
	for _, pf := range w.joiners {
		add(attach, EnslaveMember{PF: pf, Bond: w.name})
	}
	if w.up {
		add(attach, SetBondUp{bond})
	}
}

// Defaults of a bond: what the API says of a field that is not set.
const (
	defaultMiimon = 100
	defaultHash   = "layer3+4"
	defaultRate   = "slow"
)

// wantedOptions are all options that matter to a bond of this mode.
func wantedOptions(b *sriovv1.Bond) BondOptions {
	o := BondOptions{Mode: b.Mode, MiimonMilliseconds: valueOr(b.MiimonMilliseconds, defaultMiimon)}
	if b.Mode == sriovv1.BondModeActiveBackup {
		return o
	}
	o.XmitHashPolicy = orElse(b.XmitHashPolicy, defaultHash)
	if b.Mode == sriovv1.BondModeLACP {
		o.LACPRate = orElse(b.LacpRate, defaultRate)
	}
	return o
}

// beyond leaves only the options that are not in force.
func (o BondOptions) beyond(now *inventory.Bond) BondOptions {
	if o.Mode == now.Mode {
		o.Mode = ""
	}
	if o.MiimonMilliseconds == now.MiimonMilliseconds {
		o.MiimonMilliseconds = 0
	}
	if o.XmitHashPolicy == now.XmitHashPolicy {
		o.XmitHashPolicy = ""
	}
	if o.LACPRate == now.LACPRate {
		o.LACPRate = ""
	}
	return o
}

func orElse(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func namesText(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
