package plan

import (
	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/firmware"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// firmwareWork is what has to be done so that a card runs the wanted application,
// or the one that it ran before we came.
type firmwareWork struct {
	unlink *UnlinkFirmware
	link   *LinkFirmware
	reload *ReloadDriver
	// release: nothing is left to be done, and nothing to be remembered.
	release bool
	// refusal is why the wanted application cannot be had.
	refusal *firmware.Refusal
	// concerned tells that the card's firmware is, or was, ours to choose.
	concerned bool
	// nextBoot: the driver does not take the firmware in this boot; the link is for
	// the next one.
	nextBoot bool
}

// firmwareOf compares the application that is wanted of a PF, empty for none,
// with the one that runs and with our link.
func firmwareOf(in *Input, pf *inventory.PF, app string, spec *sriovv1.Interface) firmwareWork {
	record, ours := in.Owned.Firmware[pf.PCIAddress]
	switch {
	case spec != nil && spec.ExternallyManaged:
		return firmwareWork{}
	case app != "":
		return firmwareWanted(in, pf, app, record)
	case ours:
		return firmwareBack(in, pf, record)
	}
	return firmwareWork{}
}

// firmwareWanted is the way to an application.
func firmwareWanted(in *Input, pf *inventory.PF, app string, record ledger.Firmware) firmwareWork {
	out := firmwareWork{concerned: true}
	if pf.Application == nil {
		return out
	}
	disk := in.Observed.Firmware
	choice, refusal := firmware.Choose(disk, pf.Application.Card, app)
	if refusal != nil {
		// What runs already, from the card's own memory or a file of its serial
		// number, needs no link.
		if reloads(in, pf, app, record) {
			out.refusal = refusal
		}
		return out
	}
	// A link of ours in another place, from before the files were compressed or
	// the folder became read-only, would be in the way.
	if record.Link != "" && record.Link != choice.Link {
		out.unlink = unlinking(disk, pf.PCIAddress, record)
		return out
	}
	now, there := disk.At(choice.Link)
	reload := reloads(in, pf, app, record)
	if need := in.Owned.Machine.Needs[pf.PCIAddress]; reload && need.Kind == ledger.NeedDriver && need.BootID == in.Observed.BootID {
		// The driver did not take it in this boot: the next one brings it. If it was to
		// be this one already, nothing more can be done.
		if done, tried := in.Owned.Machine.Reboots[driverKey(&in.Spec, pf.PCIAddress)]; tried && done.BootID != in.Observed.BootID {
			return out
		}
		reload, out.nextBoot = false, true
	}
	link := LinkFirmware{
		PF: pf.PCIAddress, App: app, Link: choice.Link, Target: choice.Target, SearchPath: choice.SearchPath, Before: now.Target,
		RunsBefore: runs(in, pf),
	}
	if dropIn, ok := firmware.Initramfs(disk, pf.PCIAddress, choice); ok {
		link.DropIn = &dropIn
	}
	link.Folders = disk.MissingFolders(choice)
	linked := there && now.Target == choice.Target && (choice.SearchPath == "" || disk.SearchPath == choice.SearchPath)
	if !linked || record.Link != "" && link.DropIn != nil && record.DropIn != link.DropIn.Path {
		out.link = &link
	}
	if reload {
		out.reload = &ReloadDriver{PF: pf.PCIAddress, Driver: pf.Driver, App: firmware.Runs(app), Name: app, From: pf.Application.Running, RunsBefore: runs(in, pf), Link: choice.Link, Before: now.Target}
		// The link is somebody else's: we only bind the driver anew.
		if linked && record.Link == "" {
			out.reload.Link, out.reload.Before = "", ""
		}
	}
	return out
}

// reloads tells whether the driver has to load the firmware anew. The driver
// knows flower and its next version by one name: which of them runs is the one
// that the card's link led to, unless that was changed and the driver not bound
// since.
func reloads(in *Input, pf *inventory.PF, app string, record ledger.Firmware) bool {
	if pf.Application.Running != firmware.Runs(app) || record.Pending != "" && record.Pending == in.Observed.BootID {
		return true
	}
	linked := firmware.Linked(in.Observed.Firmware, pf.PCIAddress)
	if firmware.Runs(linked) != firmware.Runs(app) {
		return app != firmware.Runs(app)
	}
	return linked != app
}

// runs names the application that a card runs by its folder: the one that its
// link leads to, if the driver's name for it fits, else that name.
func runs(in *Input, pf *inventory.PF) string {
	if linked := firmware.Linked(in.Observed.Firmware, pf.PCIAddress); firmware.Runs(linked) == pf.Application.Running {
		return linked
	}
	return pf.Application.Running
}

// firmwareBack is the way back: our link goes, and if the card runs another
// application than when we came, its driver is bound anew. VFs that are not ours
// are not removed for that.
func firmwareBack(in *Input, pf *inventory.PF, record ledger.Firmware) firmwareWork {
	out := firmwareWork{concerned: true}
	pending := record.Pending != "" && record.Pending == in.Observed.BootID
	differs := pf.Application != nil && (pf.Application.Running != firmware.Runs(record.App) || record.Loaded != "" && record.Loaded != record.App)
	if record.Link != "" {
		out.unlink = unlinking(in.Observed.Firmware, pf.PCIAddress, record)
	}
	owned := in.Owned.PFs[pf.PCIAddress]
	ours := owned.OwnsVFs && !owned.Stale(IdentityOf(&in.Observed, pf)) || valueOr(pf.NumVFs, 0) == 0
	if (pending || differs && record.Link != "") && pf.Application != nil && ours {
		out.reload = &ReloadDriver{PF: pf.PCIAddress, Driver: pf.Driver, From: pf.Application.Running, RunsBefore: record.App}
	}
	out.release = true
	return out
}

// unlinking removes what a record says of the disk. A link that leads elsewhere
// meanwhile is somebody else's, and stays.
func unlinking(disk firmware.Disk, pf string, record ledger.Firmware) *UnlinkFirmware {
	step := &UnlinkFirmware{PF: pf, DropIn: record.DropIn, Folders: record.Folders}
	if now, ok := disk.At(record.Link); ok && record.Ours(now.Target) {
		step.Link, step.Before = record.Link, record.Before
	}
	if record.SearchPath != "" && disk.SearchPath == record.SearchPath {
		step.SearchPath = record.SearchPath
	}
	return step
}

// lastSearchPath keeps firmware_class.path as it is while another card needs it.
func lastSearchPath(in *Input, pf string, step *UnlinkFirmware) {
	if step == nil {
		return
	}
	for address, other := range in.Owned.Firmware {
		if address != pf && other.SearchPath != "" && other.Link != "" {
			step.SearchPath = ""
		}
	}
}

// modeAfter is the eswitch mode once the driver has loaded its firmware anew: it
// is the application's, and never set.
func (s *subject) modeAfter() string {
	if s.fw.reload == nil {
		return modeOf(s.pf)
	}
	if s.appAfter() == appFlower {
		return sriovv1.EswitchModeSwitchdev
	}
	return sriovv1.EswitchModeLegacy
}

const appFlower = "flower"

// appAfter is the application that will run after the driver is bound anew.
func (s *subject) appAfter() string {
	if s.fw.reload.App != "" {
		return s.fw.reload.App
	}
	return s.firstApp
}

// prepareFirmware lets the mode follow the application.
func (s *subject) prepareFirmware(in *Input) {
	app := ""
	if s.spec != nil {
		app = s.spec.FirmwareApp
	}
	s.fw = firmwareOf(in, s.pf, app, s.spec)
	s.firstApp = firmware.Runs(in.Owned.Firmware[s.pf.PCIAddress].App)
	lastSearchPath(in, s.pf.PCIAddress, s.fw.unlink)
	if s.fw.reload == nil {
		return
	}
	if s.spec == nil || s.spec.EswitchMode == "" {
		s.mode = s.modeAfter()
	}
	if s.spec == nil && !s.structure {
		// Without VFs; firmwareBack has looked.
		s.structure, s.numVFs = true, 0
	}
	if s.spec != nil && s.switchdev() {
		s.hwtc = ptr(true)
	}
}

// checkFirmware blocks when the wanted application cannot be had.
func (s *subject) checkFirmware() []Blocker {
	if s.spec == nil || s.spec.FirmwareApp == "" || s.external {
		return nil
	}
	app := s.spec.FirmwareApp
	if s.pf.Application == nil {
		return s.blocks(CodeFirmwareUnsupported, "application firmware %s is wanted, and %s has no application firmware", app, s.model())
	}
	r := s.fw.refusal
	if r == nil {
		return nil
	}
	code := map[firmware.Kind]string{
		firmware.NoBoard: CodeFirmwareBoard, firmware.NoFile: CodeFirmwareMissing, firmware.Preferred: CodeFirmwarePreferred,
		firmware.Defeated: CodeFirmwareDefeated, firmware.ReadOnly: CodeFirmwareReadOnly,
	}[r.Kind]
	found := s.blocks(code, "application firmware %s is wanted, and %s", app, r.Message)
	if r.Remedy != "" {
		found[0].Remedy = r.Remedy
	}
	return found
}

// loadFirmware writes down the link and the new binding of the driver. What was
// known of the PF's netdevs is then worth nothing.
func (b *chainBuilder) loadFirmware() {
	if b.fw.unlink != nil {
		b.add(*b.fw.unlink)
	}
	if b.fw.link != nil {
		b.add(*b.fw.link)
	}
	if b.fw.reload != nil {
		b.add(*b.fw.reload)
		b.fresh, b.portsFresh, b.reloaded = true, true, true
		b.up, b.hwtcSet, b.mode = false, nil, b.modeAfter()
	}
}

// rebinding is the work on a PF that has lost its driver in the middle of a new
// binding: a crash between unbind and bind.
func (p *Plan) rebinding(in *Input, pf *inventory.PF, app string) bool {
	record, ok := in.Owned.Firmware[pf.PCIAddress]
	if !ok || pf.Driver != "" || record.Driver == "" || record.Pending == "" || record.Pending != in.Observed.BootID {
		return false
	}
	step := ReloadDriver{PF: pf.PCIAddress, Driver: record.Driver, App: firmware.Runs(app), Name: app}
	if now, ok := in.Observed.Firmware.At(record.Link); ok && record.Ours(now.Target) {
		step.Link, step.Before = record.Link, record.Before
	}
	p.Chains = append(p.Chains, Chain{PFs: []string{pf.PCIAddress}, Stages: []Stage{{step}}})
	return true
}

// hasApplication tells whether the driver is one whose cards load a firmware.
func hasApplication(s driver.Strategy) bool { return s.Order == driver.ModeFixed }

// firmwareBlockerCodes are the codes about application firmware.
func firmwareBlockerCodes() []BlockerCode {
	return []BlockerCode{
		{CodeFirmwareUnsupported, "An application firmware is wanted of a NIC that has none.",
			"Remove firmwareApp from the policy, or select Agilio NICs only (driver nfp)."},
		{CodeFirmwareBoard, "The NIC does not say which board it is, so that no firmware can be chosen for it.",
			"Update the NIC's management firmware, and see the devlink information (devlink dev info) for board.id."},
		{CodeFirmwareMissing, "There is no file with the wanted application firmware for this NIC.",
			"Install the firmware of the NIC's vendor, or linux-firmware, below /lib/firmware/netronome."},
		{CodeFirmwarePreferred, "The driver would load another file than the one that the operator links.",
			"Remove the file that the message names, or remove firmwareApp from the policy."},
		{CodeFirmwareDefeated, "A devlink parameter of the NIC keeps its driver from loading firmware from the disk.",
			"Set fw_load_policy and reset_dev_on_drv_probe to disk with devlink dev param set."},
		{CodeFirmwareReadOnly, "No folder that the kernel loads firmware from can be written.",
			"Make /lib/firmware writable, or clear firmware_class.path so that the operator can use its own folder below /var/lib/sriov-offload-operator."},
	}
}
