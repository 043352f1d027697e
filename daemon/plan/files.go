package plan

import (
	"maps"
	"slices"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/hostfile"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// wholeNode stands in the place of a PF's address for what concerns the node as a
// whole, in chains and steps as in blockers.
const wholeNode = ""

// OfNode tells that a chain is work on the node as a whole. Such a chain is run
// before those of PFs; they are run whatever becomes of it, because none of its
// effects is a condition for theirs.
func (c *Chain) OfNode() bool { return slices.Equal(c.PFs, []string{wholeNode}) }

// addFiles plans the files on the host. They are for the PFs that the plan makes
// or keeps VFs on, and for those that it gives back until they are given back.
func (p *Plan) addFiles(in *Input) {
	stage := p.deviceFiles(in)
	mode := in.Spec.System.RdmaMode
	if in.Observed.Machine.RDMAMode == "" && in.Observed.Machine.RDMAModeUnknown == "" {
		mode = ""
	}
	if step := p.addFile(in, hostfile.Modprobe(mode), nil); step != nil {
		stage = append(stage, step)
	}
	if len(stage) > 0 {
		p.Chains = append(p.Chains, Chain{PFs: []string{wholeNode}, Stages: []Stage{stage}})
	}
}

// deviceFiles plans the files that are about PFs.
func (p *Plan) deviceFiles(in *Input) Stage {
	wanted, givenBack := p.devices(in)
	if len(wanted) == 0 && len(givenBack) > 0 {
		// What is there stays until they are given back, and goes then.
		return nil
	}
	devices := slices.Concat(wanted, givenBack)
	files, problems := hostfile.Render(devices, in.Observed.NetworkManager)
	for _, problem := range problems {
		p.Warnings = append(p.Warnings, blocker(problem.PCIAddress, CodeNameUnusable, "%s", problem.Message))
	}
	var stage Stage
	for _, f := range files {
		if step := p.addFile(in, f, devices); step != nil {
			stage = append(stage, step)
		}
	}
	return stage
}

// addFile returns the step that a file needs, nil if it needs none or can have
// none.
func (p *Plan) addFile(in *Input, want hostfile.File, devices []hostfile.Device) Step {
	there := in.Observed.File(want.Path)
	owned, known := in.Owned.Files[want.Path]
	switch {
	case want.Content == "" && !known:
		return nil
	case there.Unreadable != "":
		p.Blockers = append(p.Blockers, blocker(wholeNode, CodeFactUnreadable, "/%s could not be read: %s", want.Path, there.Unreadable))
		return nil
	case want.Content == "" && there.ReadOnly && there.Exists && hostfile.Ours(there.Content):
		p.Blockers = append(p.Blockers, blocker(wholeNode, CodeHostReadOnly, "/%s is to be removed, and its file system is mounted read-only", want.Path))
		return nil
	case want.Content == "":
		return RemoveHostFile{Path: want.Path}
	case there.Exists && !hostfile.Ours(there.Content):
		p.Blockers = append(p.Blockers, blocker(wholeNode, CodeForeignFile, "/%s was not written by this operator, and its place is needed", want.Path))
		return nil
	case there.Exists && there.Content == want.Content && known && !owned.Pending:
		return nil
	case there.ReadOnly:
		for _, d := range devices {
			p.Warnings = append(p.Warnings, blocker(d.PCIAddress, CodeHostReadOnly, "/%s cannot be written: its file system is mounted read-only", want.Path))
		}
		return nil
	}
	return PutHostFile{Path: want.Path, Content: want.Content}
}

// devices are the PFs that files on the host are about: those of the spec, and
// those that still have to be given back.
func (p *Plan) devices(in *Input) (wanted, givenBack []hostfile.Device) {
	inSpec := map[string]bool{}
	for i := range in.Spec.Interfaces {
		iface := &in.Spec.Interfaces[i]
		inSpec[iface.PCIAddress] = true
		if p.concerned(in, iface) {
			wanted = append(wanted, wantedDevice(in, iface))
		}
	}
	for _, address := range slices.Sorted(maps.Keys(in.Owned.PFs)) {
		pf := in.Observed.PF(address)
		gives := !inSpec[address] && in.Owned.PFs[address].OwnsVFs && !slices.Contains(p.Released, address)
		if gives && pf != nil && valueOr(pf.NumVFs, 0) > 0 {
			givenBack = append(givenBack, newDevice(in, address, *pf.NumVFs, modeOf(pf)))
		}
	}
	return wanted, givenBack
}

// concerned tells whether a PF of the spec has something to do with files on the
// host. NetworkManager must not be told to leave alone what others made and still
// need: where nothing can be done about a PF of which nothing is ours in this boot,
// and where the node's own network may run over one of its VFs. A PF that is not
// there (yet) keeps its name.
func (p *Plan) concerned(in *Input, iface *sriovv1.Interface) bool {
	if iface.ExternallyManaged || iface.NumVfs <= 0 {
		return false
	}
	pf := in.Observed.PF(iface.PCIAddress)
	owned, known := in.Owned.PFs[iface.PCIAddress]
	known = known && (pf == nil || !owned.Stale(IdentityOf(&in.Observed, pf)))
	switch {
	case pf == nil || len(p.BlockersOf(iface.PCIAddress)) > 0 && !p.worksOn(iface.PCIAddress):
		return known
	case pf.NodeNetwork != "":
		return !slices.ContainsFunc(pf.VFs, func(vf inventory.VF) bool { return isUp(&vf) })
	}
	return true
}

func (p *Plan) worksOn(pf string) bool {
	return slices.ContainsFunc(p.Chains, func(c Chain) bool { return slices.Contains(c.PFs, pf) })
}

func wantedDevice(in *Input, iface *sriovv1.Interface) hostfile.Device {
	mode := iface.EswitchMode
	if pf := in.Observed.PF(iface.PCIAddress); pf != nil && mode == "" && in.Drivers.For(pf.Driver).Order == driver.ModeFixed {
		mode = modeOf(pf)
		if iface.FirmwareApp != "" {
			// All that can be wanted are in switchdev mode by themselves.
			mode = sriovv1.EswitchModeSwitchdev
		}
	}
	return newDevice(in, iface.PCIAddress, iface.NumVfs, mode)
}

// newDevice describes a PF that has, or is to have, VFs in an eswitch mode. Its
// name is that of the first contact, before we changed the mode. A driver whose
// mode is not ours to change may have several netdevs for a PF, and none of them
// gets another name by what we do.
func newDevice(in *Input, address string, vfs int, mode string) hostfile.Device {
	d := hostfile.Device{PCIAddress: address, VFs: vfs}
	pf := in.Observed.PF(address)
	owned, known := in.Owned.PFs[address]
	switch {
	case known && owned.Initial.Netdev != "" && (pf == nil || !owned.Stale(IdentityOf(&in.Observed, pf))):
		d.Netdev = owned.Initial.Netdev
	case pf != nil && pf.Netdev != nil:
		d.Netdev = pf.Netdev.Name
	}
	if mode == sriovv1.EswitchModeSwitchdev {
		d.Representors = vfs
		d.Pin = d.Netdev != "" && (pf == nil || in.Drivers.For(pf.Driver).Order != driver.ModeFixed)
	}
	return d
}
