package plan

import (
	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
)

// phase is a part of the work on a PF. PFs that depend on each other go through
// the phases in step, see inStep.
type phase int

const (
	// unseat: the VFs of PFs whose bond changes are unbound.
	unseat phase = iota
	// detach: bonds are taken apart.
	detach
	// release: the bridge is removed, VFs are unbound and removed, the eswitch goes
	// back to legacy mode.
	release
	// device: what is set without VFs and in legacy mode.
	device
	// create: VFs and switchdev mode come about.
	create
	// links: the PF's own link and the representors.
	links
	// attach: bonds are made, and offloaded by their NIC.
	attach
	// bind: VFs get their drivers and settings.
	bind
	// finish: what must come after all work on VFs.
	finish
	// plug: the uplink becomes a port of its bridge. An Open vSwitch that fails
	// holds up nothing else.
	plug

	phases
)

// work is what is to be done on one PF, phase by phase.
type work [phases][]Stage

// inStep orders the work on PFs that depend on each other: none enters a phase
// before all have left the one before it. Within a phase they go side by side.
func inStep(works ...work) []Stage {
	var out []Stage
	for p := range phases {
		for i := 0; ; i++ {
			var together Stage
			for _, w := range works {
				if i < len(w[p]) {
					together = append(together, w[p][i]...)
				}
			}
			if len(together) == 0 {
				break
			}
			out = append(out, together)
		}
	}
	return out
}

// chainBuilder writes down the stages of one PF and follows what they make of
// it, so that a step which changes nothing is not written down.
type chainBuilder struct {
	*subject
	work work
	// in is the phase that stages are added to.
	in phase

	// What is true of the PF after the stages so far. hwtcSet is what all ports were
	// set to, nil while they were not; autoprobe is nil while not known.
	// desired.mode is the wanted mode, mode the one in force.
	up           bool
	hwtcSet      *bool
	autoprobeNow *bool
	mode         string
	// fresh: the VFs and representors observed are gone, others took their place.
	fresh bool
	// unbound: the VFs observed have lost their drivers.
	unbound bool
	// portsFresh: what was observed of the ports is worth nothing; reloaded: not
	// even how many there are is known.
	portsFresh, reloaded bool
	// waiting are VFs in use that are left as they are.
	waiting []int
}

// plan returns the work on the PF, and the VFs that are left as they are until
// their users are gone.
func (s *subject) plan() (w work, waiting []int) {
	// A PF without a netdev is blocked.
	b := &chainBuilder{subject: s, autoprobeNow: s.pf.Autoprobe, up: true, mode: modeOf(s.pf)}
	for _, n := range s.pf.Ports() {
		b.up = b.up && n.Up
	}
	b.leaveSeat()
	b.in = release
	b.add(s.bridges.remove...)
	if s.rebuilds() {
		b.takeAway()
		b.fresh, b.unbound = true, false
	}
	b.in = device
	b.loadFirmware()
	b.setSteering()
	b.setInlineBack()
	if b.fresh {
		b.in = create
		b.createVFs()
	}
	b.in = links
	b.settleLinks()
	if s.seat.holds {
		return b.work, nil
	}
	b.in = bind
	b.settleVFs()
	b.in = finish
	b.setAutoprobe(s.autoprobe)
	if s.fw.release {
		b.add(ReleaseFirmware{PF: s.desired.pf})
	}
	b.in = plug
	if s.bridges.ensure != nil {
		b.add(s.bridges.ensure)
	}
	return b.work, b.waiting
}

// add appends a stage, unless it is empty.
func (b *chainBuilder) add(steps ...Step) {
	if len(steps) > 0 {
		b.work[b.in] = append(b.work[b.in], steps)
	}
}

// createVFs makes VFs and switchdev mode, in the order of the driver: the rules
// are at driver.Default.
func (b *chainBuilder) createVFs() {
	pf := b.desired.pf
	if b.numVFs > 0 {
		b.setAutoprobe(ptr(!b.createsUnbound()))
		b.setUp()
	}
	if b.switchdev() {
		b.setOffload(ptr(true))
	}
	if b.order == driver.ModeFirst {
		b.enter()
	}
	if b.numVFs > 0 {
		b.setUp()
		b.add(CreateVFs{PF: pf, Count: b.numVFs})
	}
	b.enter()
	if b.switchdev() {
		b.add(AwaitRepresentors{PF: pf, Count: b.numVFs})
	}
}

// takeAway removes the VFs and leaves the mode for legacy, unless none are made
// anew, or can be made in it. With a driver that is not known the VFs go first:
// that no driver refuses.
func (b *chainBuilder) takeAway() {
	stays := b.desired.mode == b.mode && !b.needsLegacy() && (b.order != driver.VFsFirst || b.numVFs == 0)
	// Where the firmware decides on the mode, it is never set.
	leaves := b.mode != sriovv1.EswitchModeLegacy && !stays && b.order != driver.ModeFixed
	modeFirst := b.order == driver.VFsFirst && !b.trial
	b.add(b.removeVDPAs()...)
	if leaves && modeFirst {
		if !b.unbound {
			b.add(b.unbindAll()...)
		}
		b.setMode(SetEswitchMode{Mode: sriovv1.EswitchModeLegacy})
	}
	if n := *b.pf.NumVFs; n > 0 {
		if b.strategy.UpForVFs {
			b.setUp()
		}
		b.add(RemoveVFs{PF: b.desired.pf, Count: n})
	}
	if leaves && !modeFirst {
		b.setMode(SetEswitchMode{Mode: sriovv1.EswitchModeLegacy})
	}
}

// enter switches to switchdev mode, unless it is in force or not wanted.
func (b *chainBuilder) enter() {
	if !b.switchdev() || b.mode == b.desired.mode || b.order == driver.ModeFixed {
		return
	}
	// The vports of new VFs have the device's default, whatever the eswitch says.
	if b.inline != "" && b.pf.Eswitch.InlineMode != "" {
		b.add(SetInlineMode{PF: b.desired.pf, Mode: b.inline})
	}
	set := SetEswitchMode{Mode: b.desired.mode}
	if b.trial {
		set.Trial = b.order
	}
	b.setMode(set)
}

// setInlineBack gives the eswitch of a PF that goes back to legacy mode its first
// inline mode. With bound VFs the driver refuses it, and nobody needs it.
func (b *chainBuilder) setInlineBack() {
	back := b.spec == nil && b.mode == sriovv1.EswitchModeLegacy && !b.switchdev()
	if back && b.inline != "" && b.pf.Eswitch.InlineMode != "" && b.inline != b.pf.Eswitch.InlineMode && (b.fresh || len(b.unbindAll()) == 0) {
		b.add(SetInlineMode{PF: b.desired.pf, Mode: b.inline})
	}
}

func (b *chainBuilder) setSteering() {
	if b.steeringDiffers() {
		b.add(SetSteeringMode{PF: b.desired.pf, Mode: b.steering})
	}
}

func (b *chainBuilder) unbindAll() []Step {
	var steps []Step
	for i := range b.pf.VFs {
		if b.pf.VFs[i].Driver != "" {
			steps = append(steps, UnbindVF{PF: b.desired.pf, VF: b.pf.VFs[i].Index})
		}
	}
	return steps
}

// setMode sets the eswitch mode. The netdev may come out of it down, and its
// features may be the driver's defaults again.
func (b *chainBuilder) setMode(step SetEswitchMode) {
	step.PF = b.desired.pf
	b.add(step)
	b.mode, b.up, b.hwtcSet, b.portsFresh = step.Mode, false, nil, true
}

func (b *chainBuilder) setAutoprobe(want *bool) {
	// Without the attribute the kernel always binds.
	if want == nil || b.pf.Autoprobe == nil || b.autoprobeNow != nil && *b.autoprobeNow == *want {
		return
	}
	b.add(SetAutoprobe{PF: b.desired.pf, On: *want})
	b.autoprobeNow = ptr(*want)
}

// settleLinks brings the PF's own link and the representors to what is wanted.
func (b *chainBuilder) settleLinks() {
	if b.desired.up && !b.seat.joins {
		b.setUp()
	}
	pf := b.desired.pf
	missing, off := b.representors()
	if missing {
		b.add(AwaitRepresentors{PF: pf, Count: b.numVFs})
	}
	if b.reloaded && b.switchdev() || !b.reloaded && b.pf.Netdev.HWTCOffload != nil {
		b.setOffload(b.hwtc)
	}
	if len(off) > 0 {
		b.add(SetRepresentorHWTCOffload{PF: pf, VFs: off})
	}
	if b.seat.leaves && !b.seat.joins && b.mtu > 0 {
		// The kernel gives it the MTU from before the bond, which nobody knows.
		b.add(SetMTU{PF: pf, MTU: b.mtu, AtLeast: !b.mtuExact})
	} else {
		b.setMTUs()
	}
	if b.seat.joins && b.up {
		b.add(SetLinkDown{PF: pf})
		b.up = false
	}
}

// representors tells whether some are missing, and which ones do not, or may
// not, offload.
func (b *chainBuilder) representors() (missing bool, off []int) {
	if !b.structure || !b.switchdev() || b.hwtc == nil || !*b.hwtc {
		return false, nil
	}
	on := map[int]bool{}
	found := 0
	if !b.fresh {
		for i := range b.pf.Representors {
			r := &b.pf.Representors[i]
			if r.VF < b.numVFs {
				found++
			}
			f := r.Netdev.HWTCOffload
			// One without the feature, or with a fixed one, stays as it is.
			on[r.VF] = f == nil || f.On || f.Fixed
		}
	}
	for i := range b.numVFs {
		if !on[i] {
			off = append(off, i)
		}
	}
	return !b.fresh && found < b.numVFs, off
}

// settleVFs brings each VF to what is wanted. VFs that go to user space come
// last: that is where a missing IOMMU group shows, and it must not keep the
// others from being bound.
func (b *chainBuilder) settleVFs() {
	if b.pf.WithoutFunctions {
		return
	}
	var kernel, user, late []Step
	var all vfSteps
	for i, w := range b.vfs {
		vf := b.observedVF(i)
		if b.unbound && vf != nil {
			w = b.restored(vf, w)
		}
		if vf == nil && !b.fresh || w.binding == leave {
			continue
		}
		step := b.bindStep(i, w)
		switch {
		case step == nil:
		case w.binding == kernelDriver || w.binding == kernelIfUnbound:
			kernel = append(kernel, step)
		default:
			user = append(user, step)
		}
		// An override is set after the bind that it must not disturb.
		switch change := b.override(i, w, step != nil); {
		case change == nil:
		case w.binding == vfio || w.binding == named:
			late = append(late, change)
		default:
			all.settings = append(all.settings, change)
		}
		all.add(b.devices(i, w, step != nil))
	}
	b.add(all.unmake...)
	b.add(all.guids...)
	if len(kernel)+len(all.rebinds) > 0 {
		// The kernel refuses to bind a VF without override while autoprobe is off.
		b.setAutoprobe(ptr(true))
	}
	b.add(kernel...)
	b.add(all.settings...)
	b.add(all.rebinds...)
	b.add(all.mtus...)
	b.add(all.make...)
	b.add(user...)
	b.add(late...)
}

// override returns the step that makes a VF's driver_override what it should be,
// nil if it is, or becomes so by the bind. On its kernel driver, a VF must not
// have an override that sends it elsewhere at the next bind.
func (b *chainBuilder) override(index int, w vfWant, binds bool) Step {
	now, vf := "", b.pf.VF(index)
	switch {
	case binds && w.binding != unbound:
		// BindVF has set it.
		if w.binding != kernelDriver && w.binding != kernelIfUnbound {
			now = w.driver
		}
	case !b.fresh:
		now = vf.DriverOverride
	}
	want := now
	switch {
	case w.override != nil:
		want = *w.override
	case w.binding == kernelDriver && !binds && !b.fresh && now != vf.Driver:
		want = ""
	}
	if want == now {
		return nil
	}
	return SetVFOverride{PF: b.desired.pf, VF: index, Driver: want}
}

// bindStep returns the step that gives a VF the wanted driver, nil if it has it.
func (b *chainBuilder) bindStep(index int, w vfWant) Step {
	pf := b.desired.pf
	vf := b.pf.VF(index)
	if b.fresh {
		vf = nil
	}
	if vf != nil && !b.unbound && b.bound(vf, w) {
		return nil
	}
	switch w.binding {
	case unbound:
		if b.fresh && b.createsUnbound() || b.unbound {
			return nil
		}
		return UnbindVF{PF: pf, VF: index}
	case kernelIfUnbound:
		return BindVF{PF: pf, VF: index, Driver: b.strategy.VFDriver, KernelDefault: true}
	case kernelDriver:
		return BindVF{PF: pf, VF: index, Driver: w.driver, KernelDefault: true, RDMA: w.rdma}
	}
	return BindVF{PF: pf, VF: index, Driver: w.driver}
}
