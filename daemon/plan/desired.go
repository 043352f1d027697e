package plan

import (
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// binding is what is wanted of a VF's driver.
type binding int

const (
	// leave the VF alone.
	leave binding = iota
	// kernelIfUnbound: any driver will do, but the VF must not stay unbound. For
	// VFs in no group, so that they look the same whether they were made bound
	// or unbound.
	kernelIfUnbound
	// kernelDriver: the VF's network driver.
	kernelDriver
	// vfio: vfio-pci.
	vfio
	// named: the driver in vfWant.driver.
	named
	// unbound: no driver.
	unbound
)

// vfWant is what is wanted of one VF.
type vfWant struct {
	binding binding
	driver  string
	// mtu in bytes; 0 leaves it alone.
	mtu int
	// adminMAC tells to keep the VF's MAC.
	adminMAC bool
	// guid tells to give an InfiniBand VF a GUID if it has none.
	guid bool
	// rdma tells that the VF must have an RDMA device.
	rdma bool
	// vdpa is the type of the VF's vDPA device, empty for none.
	vdpa string
	// override is what driver_override must be; nil when only one that
	// contradicts the driver is to be cleared.
	override *string
}

// desired is what is wanted of one PF, from the spec or from the ledger.
type desired struct {
	pf string
	// structure tells that numVFs and mode are ours to set.
	structure bool
	numVFs    int
	mode      string
	// inline and steering are empty when they are to be left alone.
	inline, steering string
	// autoprobe is nil when it is to be left alone.
	autoprobe *bool
	// up tells that the link must be up; nothing is ever set down.
	up bool
	// mtu of the PF in bytes, 0 to leave it alone; it is only raised, unless
	// mtuExact.
	mtu      int
	mtuExact bool
	// hwtc is the uplink's hw-tc-offload, nil to leave it alone.
	hwtc *bool
	// vfs by index.
	vfs []vfWant
	// firstPorts are the further ports by port name, when the PF is given back.
	firstPorts map[string]portWant
	// linkType ETH or IB, empty for any.
	linkType string
	external bool
	// spec is nil when the PF is given back.
	spec *sriovv1.Interface
}

func ptr[T any](v T) *T { return &v }

// switchdev tells whether the PF is wanted in switchdev mode.
func (d *desired) switchdev() bool { return d.mode == sriovv1.EswitchModeSwitchdev }

// fromSpec reads what the spec wants of a PF; blockers concern single groups.
func fromSpec(iface *sriovv1.Interface, s driver.Strategy, pf *inventory.PF) (desired, []Blocker) {
	numVFs := max(iface.NumVfs, 0)
	d := desired{
		pf:        iface.PCIAddress,
		structure: !iface.ExternallyManaged,
		external:  iface.ExternallyManaged,
		numVFs:    numVFs,
		mode:      iface.EswitchMode,
		steering:  iface.FlowSteeringMode,
		linkType:  strings.ToUpper(iface.LinkType),
		vfs:       make([]vfWant, numVFs),
		spec:      iface,
	}
	if !d.external {
		switch {
		case d.mode != "":
		case s.Order == driver.ModeFixed:
			d.mode = modeOf(pf)
		default:
			d.mode = sriovv1.EswitchModeLegacy
		}
		d.autoprobe = ptr(true)
		d.up = true
		d.mtu = iface.MTU
		if d.switchdev() {
			d.hwtc = ptr(true)
			d.inline = s.InlineModes[pf.DeviceID]
		}
		for i := range d.vfs {
			d.vfs[i] = vfWant{binding: kernelIfUnbound}
		}
	}
	return d, d.addGroups(iface.VfGroups, s)
}

// addGroups sets what the groups want of their VFs.
func (d *desired) addGroups(groups []sriovv1.VfGroup, s driver.Strategy) []Blocker {
	var blockers []Blocker
	for _, g := range groups {
		if d.external {
			for len(d.vfs) <= g.VfRange.Last {
				d.vfs = append(d.vfs, vfWant{})
			}
		}
		if g.VfRange.Last >= len(d.vfs) {
			blockers = append(blockers, blocker(d.pf, CodeVFRangeInvalid,
				"VFs %s are wanted by policy %s, but numVfs is %d", g.VfRange, g.PolicyName, d.numVFs))
			continue
		}
		want := d.groupWant(g, s)
		for i := g.VfRange.First; i <= g.VfRange.Last; i++ {
			d.vfs[i] = want
		}
		if !d.external {
			d.mtu = max(d.mtu, g.MTU)
		}
	}
	return blockers
}

// groupWant is what a group wants of each of its VFs. On a PF of somebody else,
// what is set through the PF is left alone.
func (d *desired) groupWant(g sriovv1.VfGroup, s driver.Strategy) vfWant {
	guid := s.GUIDs && !d.external
	if g.DeviceType == sriovv1.DeviceTypeVFIO {
		return vfWant{binding: vfio, driver: driverVFIO, guid: guid}
	}
	return vfWant{
		binding: kernelDriver, driver: s.VFDriver, mtu: g.MTU, adminMAC: s.AdminMAC && !d.external,
		guid: guid, rdma: g.IsRdma, vdpa: g.VdpaType,
	}
}

// fromLedger reads what a PF looked like at first contact.
func fromLedger(address string, owned ledger.PF, s driver.Strategy, pf *inventory.PF) desired {
	initial := owned.Initial
	d := desired{
		pf:        address,
		structure: owned.OwnsVFs,
		numVFs:    initial.NumVFs,
		mode:      initial.EswitchMode,
		steering:  initial.SteeringMode,
		autoprobe: initial.Autoprobe,
		mtu:       initial.MTU,
		mtuExact:  true,
		hwtc:      initial.HWTCOffload,
	}
	if !owned.OwnsVFs || s.Order == driver.ModeFixed {
		d.mode = modeOf(pf)
	}
	if !owned.OwnsVFs {
		d.numVFs = valueOr(pf.NumVFs, 0)
		// In another mode than legacy, it could be set only by taking VFs away.
		if d.mode != sriovv1.EswitchModeLegacy {
			d.steering = ""
		}
	}
	if d.structure && s.InlineModes[pf.DeviceID] != "" {
		d.inline = initial.InlineMode
	}
	d.firstPorts = map[string]portWant{}
	for _, port := range initial.Ports {
		d.firstPorts[port.Name] = portWant{port.MTU, port.HWTCOffload}
	}
	// A netdev comes out of a mode change down, and VFs need their PF up.
	d.up = d.structure && (d.numVFs > 0 || initial.Up != nil && *initial.Up)
	d.vfs = make([]vfWant, d.numVFs)
	for i := range d.vfs {
		v, ok := initial.VF(i)
		switch {
		case !ok:
			d.vfs[i] = vfWant{binding: leave}
		case v.Driver == "":
			d.vfs[i] = vfWant{binding: unbound}
		case userspace(v.Driver):
			d.vfs[i] = vfWant{binding: named, driver: v.Driver}
		default:
			d.vfs[i] = vfWant{binding: kernelDriver, driver: v.Driver, mtu: v.MTU, vdpa: v.VDPAType}
		}
		if ok {
			d.vfs[i].override = ptr(v.Override)
		}
	}
	return d
}

// modeOf is the PF's eswitch mode, empty when it is not known. A device without
// an eswitch behaves as legacy.
func modeOf(pf *inventory.PF) string {
	switch {
	case !pf.Eswitch.Known:
		return ""
	case !pf.Eswitch.Supported:
		return sriovv1.EswitchModeLegacy
	default:
		return pf.Eswitch.Mode
	}
}

// userspace tells whether a driver hands its device to user space.
func userspace(name string) bool {
	return name == "uio_pci_generic" || name == "igb_uio" || strings.Contains(name, "vfio")
}

func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
