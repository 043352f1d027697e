package plan

import (
	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// vfSteps are steps on VFs that are, or become, bound, in the order of the stages.
type vfSteps struct {
	// unmake removes vDPA devices: before their VF loses its driver.
	unmake []Step
	// guids are set through the PF: before the driver's probe.
	guids []Step
	// settings need the driver, and survive its next probe.
	settings []Step
	// rebinds probe once more, mtus come after that.
	rebinds, mtus []Step
	// make makes vDPA devices.
	make []Step
}

func (s *vfSteps) add(more vfSteps) {
	s.unmake = append(s.unmake, more.unmake...)
	s.guids = append(s.guids, more.guids...)
	s.settings = append(s.settings, more.settings...)
	s.rebinds = append(s.rebinds, more.rebinds...)
	s.mtus = append(s.mtus, more.mtus...)
	s.make = append(s.make, more.make...)
}

// observedVF is a VF as it is, nil if it is not there or made anew.
func (b *chainBuilder) observedVF(index int) *inventory.VF {
	if b.fresh {
		return nil
	}
	return b.pf.VF(index)
}

// devices returns the steps for MAC, GUID, MTU, RDMA and vDPA device of a VF. A VF
// that somebody uses keeps its own settings, even if its netdev is here: it belongs
// to the pod, and its release is an event. A vDPA device is another matter: like
// another driver, it is what the VF is handed out as.
func (b *chainBuilder) devices(index int, w vfWant, binds bool) vfSteps {
	out := b.settings(index, w, binds)
	vf := b.observedVF(index)
	waits := len(out.guids)+len(out.settings)+len(out.rebinds)+len(out.mtus) > 0
	if waits && vf != nil && !binds && inUse(vf) {
		b.waiting = append(b.waiting, index)
		out = vfSteps{}
	}
	b.vdpa(&out, index, w, binds || len(out.rebinds) > 0)
	return out
}

// settings returns the steps that set a VF's MAC, GUID and MTU, and probe it once
// more if its RDMA device came too early for them.
func (b *chainBuilder) settings(index int, w vfWant, binds bool) vfSteps {
	var out vfSteps
	pf, vf := b.desired.pf, b.observedVF(index)
	if b.needsGUID(vf, w, binds) {
		out.guids = []Step{SetVFGUID{PF: pf, VF: index, GUID: vfGUID(portGUID(b.pf.Netdev.MAC), index)}}
	}
	if w.binding != kernelDriver {
		return out
	}
	if b.needsMAC(vf, w) {
		out.settings = []Step{SetVFAdminMAC{PF: pf, VF: index}}
	}
	if vf == nil || binds {
		// The first probe is what tells the VF's own MAC.
		if w.rdma && len(out.settings) > 0 {
			out.rebinds = []Step{b.rebind(index, w)}
		}
	} else if b.probedTooEarly(vf, w) {
		out.rebinds = []Step{b.rebind(index, w)}
	}
	rebinds := len(out.rebinds) > 0
	// The MTU of a netdev in another namespace is not known; a probe resets it.
	if w.mtu > 0 && (vf == nil || binds || rebinds || vf.Netdev == nil || vf.Netdev.MTU != w.mtu) {
		set := SetVFMTU{PF: pf, VF: index, MTU: w.mtu}
		if rebinds {
			out.mtus = []Step{set}
		} else {
			out.settings = append(out.settings, set)
		}
	}
	return out
}

func (b *chainBuilder) rebind(index int, w vfWant) Step {
	return RebindVF{PF: b.desired.pf, VF: index, Driver: w.driver, GUID: b.givesGUID(w)}
}

// needsMAC tells whether a VF's own MAC is to become its administrative one.
func (s *subject) needsMAC(vf *inventory.VF, w vfWant) bool {
	return w.adminMAC && s.ethernet() && (vf == nil || vf.AdminMAC == "")
}

func (s *subject) ethernet() bool { return s.pf.Netdev.LinkType == sriovv1.LinkTypeEthernet }

// needsGUID tells whether a VF is to get a GUID. Kernels before 5.5 do not report
// what was set: then the RDMA device of a bound VF tells, and one that is bound
// now gets what it would have got before.
func (s *subject) needsGUID(vf *inventory.VF, w vfWant, binds bool) bool {
	switch {
	case !w.guid || !s.infiniband():
		return false
	case vf == nil:
		return true
	case validGUID(vf.GUID) || vf.RDMA != nil && validGUID(vf.RDMA.NodeGUID):
		return false
	}
	return binds || vf.RDMA != nil || vf.ReportsGUID
}

// givesGUID tells whether we give VFs what makes the node GUID of their RDMA
// device: a GUID, or on Ethernet an administrative MAC.
func (s *subject) givesGUID(w vfWant) bool {
	return w.guid && s.infiniband() || w.adminMAC && s.ethernet()
}

// probedTooEarly tells whether a VF on its driver must be probed once more: it has
// no RDMA device that it must have, or one without the node GUID that it would get
// now. InfiniBand is of no use without one.
func (s *subject) probedTooEarly(vf *inventory.VF, w vfWant) bool {
	if w.binding != kernelDriver || !s.bound(vf, w) || !w.rdma && !s.infiniband() {
		return false
	}
	if vf.RDMA == nil {
		return w.rdma
	}
	return s.givesGUID(w) && !validGUID(vf.RDMA.NodeGUID)
}

// vdpa adds the steps for the vDPA device of a VF. Its driver takes the device
// along when it goes. One that is not wanted is removed if it has the name that we
// give; who made another one will know why.
func (b *chainBuilder) vdpa(out *vfSteps, index int, w vfWant, probes bool) {
	pf := b.desired.pf
	var now *inventory.VDPA
	if vf := b.observedVF(index); vf != nil && vf.VDPA != nil && !b.unbound {
		now = vf.VDPA
		if probes || w.vdpa == "" && now.Ours(vf.PCIAddress) {
			out.unmake = append(out.unmake, RemoveVDPA{PF: pf, VF: index})
			now = nil
		}
	}
	switch {
	case w.vdpa == "" || now != nil && now.Type == w.vdpa:
	case now == nil:
		out.make = append(out.make, CreateVDPA{PF: pf, VF: index, Type: w.vdpa})
	default:
		out.make = append(out.make, BindVDPA{PF: pf, VF: index, Type: w.vdpa})
	}
}

// removeVDPAs removes the vDPA devices of VFs that are about to go, or to lose their
// drivers.
func (b *chainBuilder) removeVDPAs() []Step {
	if b.unbound {
		return nil
	}
	var steps []Step
	for i := range b.pf.VFs {
		if b.pf.VFs[i].VDPA != nil {
			steps = append(steps, RemoveVDPA{PF: b.desired.pf, VF: b.pf.VFs[i].Index})
		}
	}
	return steps
}
