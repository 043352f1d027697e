package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// subject is one PF of the plan: what is wanted, what is there, how its driver
// wants to be treated.
type subject struct {
	desired
	pf       *inventory.PF
	node     *inventory.Node
	strategy driver.Strategy
	// order of VFs and mode; trial tells that it may be the wrong one.
	order driver.Order
	trial bool
	// seat is the PF's place in bonds.
	seat seat
	// bridges of the PF; pf is the PF without them.
	bridges bridging
	// claims of others on the host, for any PF.
	claims []inventory.Claim
	// fw is what has to be done about the application firmware, firstApp the
	// application that ran when we came.
	fw       firmwareWork
	firstApp string
	// unbound: VFs are made without drivers in any case.
	unbound bool
	// allowed: the PF may be interrupted although the node's own network runs over it.
	allowed bool
}

func newSubject(in *Input, want desired, strategy driver.Strategy, pf *inventory.PF) *subject {
	s := &subject{
		desired: want, pf: pf, node: &in.Observed, strategy: strategy, order: strategy.Order, bridges: newBridging(in, want.pf, pf),
		claims:  in.Observed.Claims,
		unbound: in.Unbound,
		allowed: Allowed(&in.Spec, want.pf),
	}
	s.pf = s.bridges.freed()
	if s.order == driver.Trial {
		s.trial, s.order = true, driver.VFsFirst
		if known := in.Owned.Orders[pf.Driver]; known != "" {
			s.order = driver.Order(known)
		}
	}
	s.prepareFirmware(in)
	return s
}

// createsUnbound tells whether VFs are made without drivers: the driver is known
// to want it, or the mode changes after them.
func (s *subject) createsUnbound() bool {
	return s.unbound || s.strategy.CreateUnbound || s.switchdev() && s.order == driver.VFsFirst
}

// check returns the blockers that stop all work on the PF. Facts come first:
// with one of them missing, the rest would be guesses.
func (s *subject) check() []Blocker {
	for _, check := range []func() []Blocker{
		s.checkFacts, s.checkOwners, s.checkDevice, s.checkFeatures, s.checkFirmware, s.checkExternal, s.checkCapacity, s.checkMode, s.checkNeeds,
		s.checkBridges, s.checkInterruption,
	} {
		if blockers := check(); len(blockers) > 0 {
			return blockers
		}
	}
	return nil
}

// partBlockers returns the blockers that stop part of the work on the PF, and
// leaves what they are about as it is. The PF has passed check.
func (s *subject) partBlockers() []Blocker {
	return slices.Concat(s.skipUnreadableVFs(), s.needBlockers(), s.groupBlockers(), s.bridgeBlockers())
}

func (s *subject) blocks(code, format string, args ...any) []Blocker {
	return []Blocker{blocker(s.desired.pf, code, format, args...)}
}

// checkFacts blocks on facts of the PF that exist and could not be read. Facts of
// one VF block that VF alone (see skipUnreadableVFs), unless all VFs are made anew.
func (s *subject) checkFacts() []Blocker {
	var blockers []Blocker
	known := map[string]bool{}
	for _, u := range s.pf.Unreadable {
		_, ofVF := vfOf(u.Fact)
		if !s.needs(u.Fact) || known[u.Fact] || ofVF && !s.rebuilds() && !s.seat.unbinds {
			continue
		}
		known[u.Fact] = true
		blockers = append(blockers, blocker(s.desired.pf, CodeFactUnreadable, "%s could not be read: %s", u.Fact, u.Reason))
	}
	if len(blockers) > 0 {
		return blockers
	}
	switch {
	case s.pf.NumVFs == nil:
		return s.blocks(CodeFactUnreadable, "%s is missing", inventory.FactNumVFs)
	case !s.pf.Eswitch.Known:
		return s.blocks(CodeFactUnreadable, "%s is not known", inventory.FactEswitch)
	}
	return nil
}

// needs tells whether a decision on the PF depends on a fact.
func (s *subject) needs(fact string) bool {
	kind, part, _ := strings.Cut(fact, " of ")
	switch kind {
	case inventory.FactNUMANode, inventory.FactSpeed, inventory.FactClass:
		return false
	case inventory.FactApplication, inventory.FactFirmwareParams, inventory.FactFirmwareFiles, inventory.FactSerial, inventory.FactFirmware:
		return s.fw.concerned && hasApplication(s.strategy)
	case inventory.FactVendor, inventory.FactDeviceID:
		// What is given back must be the NIC that was taken.
		return s.spec == nil && part == ""
	case inventory.FactSteeringMode:
		return s.steering != ""
	case inventory.FactHWTCOffload, inventory.FactPorts:
		return s.hwtc != nil || s.structure && s.switchdev()
	case inventory.FactIOMMUGroup:
		return s.anyVF(func(w vfWant) bool { return w.binding == vfio })
	case inventory.FactAdmin:
		return s.anyVF(func(w vfWant) bool { return w.adminMAC || w.guid && s.infiniband() })
	case inventory.FactRDMA:
		return s.anyVF(func(w vfWant) bool { return w.rdma || w.guid && s.infiniband() })
	case inventory.FactVDPA:
		// A VF keeps its driver while there is a vDPA device made of it.
		takes := len(s.pf.VFs) > 0 && (s.rebuilds() || s.seat.unbinds)
		return takes || s.anyVF(func(w vfWant) bool { return w.vdpa != "" })
	case inventory.FactNodeNetwork:
		return !s.external || s.changesUpVF()
	case inventory.FactAutoprobe, inventory.FactTotalVFs:
		return !s.external
	}
	return true
}

// changesUpVF tells whether another driver or MTU is wanted for a VF over which
// the host itself may communicate.
func (s *subject) changesUpVF() bool {
	for i, w := range s.vfs {
		if vf := s.pf.VF(i); isUp(vf) && s.interrupts(vf, w) {
			return true
		}
	}
	return false
}

// isUp tells whether the host itself may communicate over a VF.
func isUp(vf *inventory.VF) bool { return vf != nil && vf.Netdev != nil && vf.Netdev.Up }

// interrupts tells whether what is wanted of a VF with a netdev is another driver
// or MTU.
func (s *subject) interrupts(vf *inventory.VF, w vfWant) bool {
	return !s.bound(vf, w) || w.mtu > 0 && w.mtu != vf.Netdev.MTU || s.probedTooEarly(vf, w)
}

func (s *subject) anyVF(is func(vfWant) bool) bool {
	for _, w := range s.vfs {
		if is(w) {
			return true
		}
	}
	return false
}

// vfOf returns the VF index in "driver of VF 3".
func vfOf(fact string) (int, bool) {
	_, part, ok := strings.Cut(fact, " of ")
	if !ok {
		return 0, false
	}
	number, ok := strings.CutPrefix(part, "VF ")
	if !ok {
		return 0, false
	}
	index, err := strconv.Atoi(number)
	return index, err == nil
}

// skipUnreadableVFs leaves VFs alone of which a fact is not known.
func (s *subject) skipUnreadableVFs() []Blocker {
	var blockers []Blocker
	for _, u := range s.pf.Unreadable {
		index, ofVF := vfOf(u.Fact)
		if !ofVF || !s.needs(u.Fact) || index >= len(s.vfs) {
			continue
		}
		s.vfs[index] = vfWant{}
		blockers = append(blockers, blocker(s.desired.pf, CodeFactUnreadable, "%s could not be read: %s", u.Fact, u.Reason))
	}
	return blockers
}

func (s *subject) checkDevice() []Blocker {
	switch {
	case s.pf.Driver == "":
		return s.blocks(CodeNoDriver, "the PF is bound to no driver")
	case userspace(s.pf.Driver):
		return s.blocks(CodeNoDriver, "the PF is bound to %s, which is no network driver", s.pf.Driver)
	case s.pf.Netdev == nil:
		return s.blocks(CodeNoNetdev, "driver %s is bound, but the PF has no netdev in the host's network namespace", s.pf.Driver)
	case s.linkType != "" && s.pf.Netdev.LinkType != s.linkType:
		return s.blocks(CodeLinkTypeMismatch, "link type %s is wanted, the port's is %s", s.linkType, s.pf.Netdev.LinkType)
	}
	return nil
}

// checkFeatures blocks on what has to be done before VFs exist and cannot be done.
func (s *subject) checkFeatures() []Blocker {
	if s.spec == nil {
		// A steering mode that the device had at first contact and has no more.
		if s.pf.SteeringMode == "" {
			s.steering = ""
		}
		return nil
	}
	var blockers []Blocker
	if s.steering != "" && s.pf.SteeringMode == "" {
		blockers = append(blockers, blocker(s.desired.pf, CodeSteeringUnsupported, "flow steering mode %s is wanted, and %s has none to choose", s.steering, s.model()))
	}
	return blockers
}

// model names the device in messages.
func (s *subject) model() string {
	if n, ok := driver.Model(s.pf.Vendor, s.pf.DeviceID); ok {
		return n.Name
	}
	return "the device"
}

func (s *subject) checkExternal() []Blocker {
	if !s.external {
		return nil
	}
	needed := s.numVFs
	for i, w := range s.vfs {
		if w.binding != leave {
			needed = max(needed, i+1)
		}
	}
	if found := *s.pf.NumVFs; found < needed {
		return s.blocks(CodeExternalVFs, "%d VFs are wanted, %d exist", needed, found)
	}
	if s.mode != "" && s.mode != modeOf(s.pf) {
		return s.blocks(CodeExternalMode, "eswitch mode %s is wanted, %s is in force", s.mode, modeOf(s.pf))
	}
	if s.steeringDiffers() {
		return s.blocks(CodeExternalSteering, "flow steering mode %s is wanted, %s is in force", s.steering, s.pf.SteeringMode)
	}
	return nil
}

func (s *subject) checkCapacity() []Blocker {
	if s.external || s.numVFs == 0 {
		return nil
	}
	total := valueOr(s.pf.TotalVFs, 0)
	switch {
	case s.fw.reload != nil && s.pf.Autoprobe != nil:
		// How many VFs another firmware allows shows when it runs.
		return nil
	case total == 0:
		return s.blocks(CodeSRIOVDisabled, "sriov_totalvfs is 0")
	case s.numVFs > total:
		return s.blocks(CodeTooManyVFs, "%d VFs are wanted, sriov_totalvfs is %d", s.numVFs, total)
	case s.pf.Autoprobe == nil && !s.pf.WithoutFunctions:
		return s.blocks(CodeAutoprobeMissing, "there is no sriov_drivers_autoprobe")
	}
	return nil
}

func (s *subject) checkMode() []Blocker {
	if !s.structure {
		return nil
	}
	observed := s.modeAfter()
	switch {
	case s.mode != observed && s.order == driver.ModeFixed:
		return s.blocks(CodeEswitchModeFixed, "eswitch mode %s is wanted, and the firmware %s on %s keeps it in mode %s", s.mode, s.firmwareText(), s.model(), observed)
	case s.mode != observed && !s.pf.Eswitch.Supported:
		return s.blocks(CodeEswitchUnsupported, "eswitch mode %s is wanted, and %s has no eswitch to set", s.mode, s.model())
	}
	f := s.pf.Netdev.HWTCOffload
	if s.fw.reload == nil && s.switchdev() && (f == nil || f.Fixed && !f.On) {
		return s.blocks(CodeOffloadUnsupported, "netdev %s cannot turn hw-tc-offload on", s.pf.Netdev.Name)
	}
	return nil
}

// checkInterruption keeps changes of VFs and mode away from a PF whose link
// somebody needs: they reset the PF on some drivers, and its netdev goes down
// on others.
func (s *subject) checkInterruption() []Blocker {
	if !s.rebuilds() {
		return nil
	}
	change := s.change()
	n := s.member()
	switch {
	case s.pf.NodeNetwork != "" && !s.allowed:
		return s.blocks(CodeNodeNetwork, "%s is wanted, but the PF %s", change, s.pf.NodeNetwork)
	case n.Master != "" && !s.seat.in[n.Master]:
		return s.blocks(CodePFHasMaster, "%s is wanted, but the PF's netdev %s is a member of %s", change, n.Name, masterText(n))
	}
	return nil
}

// change says in words why the VFs are made anew.
func (s *subject) change() string {
	switch {
	case s.fw.reload != nil:
		return fmt.Sprintf("a change of the application firmware from %s to %s", s.fw.reload.From, s.appAfter())
	case s.mode != modeOf(s.pf):
		return fmt.Sprintf("a change of the eswitch mode from %s to %s", modeOf(s.pf), s.mode)
	case s.numVFs != *s.pf.NumVFs:
		return fmt.Sprintf("a change from %d to %s", *s.pf.NumVFs, countVFs(s.numVFs))
	case s.steeringDiffers():
		return fmt.Sprintf("a change of the flow steering mode from %s to %s", s.pf.SteeringMode, s.steering)
	case s.inlineDiffers():
		return fmt.Sprintf("a change of the inline mode from %s to %s", s.pf.Eswitch.InlineMode, s.inline)
	default:
		return "making lost VFs anew"
	}
}

// rebuilds tells whether all VFs are removed and made anew: their number or the
// mode differs, one of them has left the bus, or the eswitch has to leave its
// mode for a while.
func (s *subject) rebuilds() bool {
	if !s.structure || s.pf.NumVFs == nil || !s.pf.Eswitch.Known {
		return false
	}
	return s.fw.reload != nil || *s.pf.NumVFs != s.numVFs || modeOf(s.pf) != s.mode || s.lostVF() || s.needsLegacy()
}

// needsLegacy tells whether something is to be set that can be set in legacy mode
// only, while the eswitch is in another one.
func (s *subject) needsLegacy() bool {
	return modeOf(s.pf) != sriovv1.EswitchModeLegacy && (s.steeringDiffers() || s.inlineDiffers())
}

func (s *subject) steeringDiffers() bool {
	return s.steering != "" && s.pf.SteeringMode != "" && s.steering != s.pf.SteeringMode
}

func (s *subject) inlineDiffers() bool {
	return s.switchdev() && s.inline != "" && s.pf.Eswitch.InlineMode != "" && s.inline != s.pf.Eswitch.InlineMode
}

func (s *subject) lostVF() bool {
	known := map[int]bool{}
	for i := range s.pf.VFs {
		known[s.pf.VFs[i].Index] = true
	}
	for _, u := range s.pf.Unreadable {
		if index, ok := vfOf(u.Fact); ok {
			known[index] = true
		}
	}
	return len(known) < *s.pf.NumVFs
}

// groupBlockers finds VFs that cannot become what is wanted and leaves them alone.
func (s *subject) groupBlockers() []Blocker {
	var without, narrow, unprobed, needed []int
	for i := range s.vfs {
		w := &s.vfs[i]
		vf := s.pf.VF(i)
		switch {
		// The inventory says only that the node's network runs over the PF or one of
		// its VFs; it may be any that is up.
		case s.pf.NodeNetwork != "" && !s.allowed && isUp(vf) && s.interrupts(vf, *w):
			needed = append(needed, i)
			*w = vfWant{}
		case w.binding == vfio && vf != nil && vf.IOMMUGroup == nil:
			without = append(without, i)
			*w = vfWant{}
		case s.external && w.mtu > s.pf.Netdev.MTU && !s.seat.leaves:
			narrow = append(narrow, i)
			w.mtu = 0
		}
		if s.external && w.binding == kernelDriver && vf != nil && !s.bound(vf, *w) && !valueOr(s.pf.Autoprobe, false) {
			unprobed = append(unprobed, i)
			*w = vfWant{}
		}
	}
	var out []Blocker
	if len(needed) > 0 {
		out = append(out, blocker(s.desired.pf, CodeNodeNetwork, "another driver or MTU is wanted for %s, but the PF %s", vfsText(needed), s.pf.NodeNetwork))
	}
	if len(without) > 0 {
		out = append(out, blocker(s.desired.pf, CodeNoIOMMUGroup, "vfio-pci is wanted for %s, without an IOMMU group", vfsText(without)))
	}
	if len(narrow) > 0 {
		out = append(out, blocker(s.desired.pf, CodeExternalMTU, "an MTU above the PF's %d is wanted for %s", s.pf.Netdev.MTU, vfsText(narrow)))
	}
	if len(unprobed) > 0 {
		out = append(out, blocker(s.desired.pf, CodeExternalAutoprobe, "the kernel driver is wanted for %s, and autoprobe is off or not known", vfsText(unprobed)))
	}
	return append(out, s.mtuBlockers()...)
}

// mtuBlockers keeps a new MTU away from a PF that carries the node's network,
// because most drivers restart the port for it, and from a member of a bond or
// bridge, because that one sets its members' MTU.
func (s *subject) mtuBlockers() []Blocker {
	n := s.mtuBlocked()
	if s.seat.leaves || n == nil {
		return nil
	}
	// What was a member's MTU when we came, its master has changed since.
	if s.mtuExact && n.Master != "" {
		s.mtu, s.firstPorts = 0, nil
		return nil
	}
	want := s.mtuOf(n)
	found := blocker(s.desired.pf, CodeNodeNetwork, "an MTU of %d instead of %d is wanted, but the PF %s", want, n.MTU, s.pf.NodeNetwork)
	if s.unguarded() {
		found = blocker(s.desired.pf, CodePFHasMaster, "an MTU of %d instead of %d is wanted, but the PF's netdev %s is a member of %s", want, n.MTU, n.Name, masterText(n))
	}
	s.mtu = 0
	for i := range s.vfs {
		if s.vfs[i].mtu > n.MTU {
			s.vfs[i].mtu = 0
		}
	}
	return []Blocker{found}
}

func masterText(n *inventory.Netdev) string {
	return strings.TrimSpace(n.MasterKind + " " + n.Master)
}

// mtuBlocked returns the first port with another MTU than is wanted that is not
// ours alone; nil if there is none.
func (s *subject) mtuBlocked() *inventory.Netdev {
	for _, n := range s.pf.Ports() {
		if !s.reached(n) && (!s.unguarded() || n.Master != "") {
			return n
		}
	}
	return nil
}

// firmwareText names the application firmware that decides on the mode.
func (s *subject) firmwareText() string {
	switch {
	case s.fw.reload != nil:
		return s.appAfter() + " that is wanted"
	case s.pf.Application != nil && s.pf.Application.Running != "":
		return s.pf.Application.Running + " that runs"
	}
	return "that runs"
}

// bound tells whether a VF's driver is what is wanted.
func (s *subject) bound(vf *inventory.VF, w vfWant) bool {
	switch w.binding {
	case leave:
		return true
	case unbound:
		return vf.Driver == ""
	case kernelIfUnbound:
		return vf.Driver != ""
	case kernelDriver:
		if w.driver != "" {
			return vf.Driver == w.driver
		}
		return vf.Driver != "" && !userspace(vf.Driver)
	}
	return vf.Driver == w.driver
}
