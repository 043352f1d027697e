package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/hostfile"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// What stands in the place of a PF's address for work on the machine: what can only
// be done with a reboot, what the boot loader is to forget, the RDMA subsystem, and
// modules of the kernel. They fail and are tried again each for itself.
const (
	ofMachine = "machine"
	ofLoader  = "boot-loader"
	ofRDMA    = "rdma"
	ofModules = "modules"
)

// OfMachine tells that a chain is work on the machine, and on none of its PFs.
func (c *Chain) OfMachine() bool {
	return slices.ContainsFunc([]string{ofMachine, ofLoader, ofRDMA, ofModules}, func(name string) bool { return slices.Equal(c.PFs, []string{name}) })
}

// Reboots tells whether the chain ends with a restart of the machine.
func (c *Chain) Reboots() bool {
	return c.has(ofMachine, func(s Step) bool { _, ok := s.(Reboot); return ok })
}

// WithoutMachine is the plan without the work on the machine.
func (p Plan) WithoutMachine() Plan {
	p.Chains = slices.DeleteFunc(slices.Clone(p.Chains), func(c Chain) bool { return c.OfMachine() })
	return p
}

// argument of the kernel's command line that something needs.
type argument struct {
	text, why string
	// active: it is needed now, and missing is a reason to restart the machine.
	active bool
	// rides along with another one: it is no reason of its own.
	rides bool
}

// Arguments that are set.
const (
	argIOMMU       = "intel_iommu=on"
	argPassthrough = "iommu=pt"
	argRealloc     = "pci=realloc"
)

// addMachine plans what concerns the machine as a whole. It is called when the rest
// of the plan is known.
func (p *Plan) addMachine(in *Input) {
	m := machineWork{plan: p, in: in, known: true}
	m.modules()
	m.arguments()
	m.rdmaMode()
	m.drivers()
	m.finish()
}

// machineWork collects what there is to do.
type machineWork struct {
	plan *Plan
	in   *Input
	// add are arguments that the boot loader is to be told of first.
	add     []string
	reasons []Reason
	// keep are keys of reasons that may come back: their reboots are remembered.
	keep []string
	// known is false when a fact is missing, without which no reason can be called
	// gone.
	known bool
}

func (m *machineWork) block(code, format string, args ...any) {
	m.plan.Blockers = append(m.plan.Blockers, blocker(wholeNode, code, format, args...))
}

func (m *machineWork) chain(device string, stages ...Stage) {
	m.plan.Chains = append(m.plan.Chains, Chain{PFs: []string{device}, Stages: stages})
}

// modules plans to load those that VF groups need and that are not there. What they
// are needed for is a blocker until then.
func (m *machineWork) modules() {
	buses := m.in.Observed.Buses
	wants := map[string]bool{}
	for i := range m.in.Spec.Interfaces {
		iface := &m.in.Spec.Interfaces[i]
		if m.in.Observed.PF(iface.PCIAddress) == nil {
			continue
		}
		for _, g := range iface.VfGroups {
			wants["vfio_pci"] = wants["vfio_pci"] || g.DeviceType == sriovv1.DeviceTypeVFIO && lacks(buses[inventory.BusPCI], driverVFIO)
			if driver := inventory.VDPADriver(g.VdpaType); g.VdpaType != "" && lacks(buses[inventory.BusVDPA], driver) {
				wants[driver] = true
			}
			wants["vhost_net"], wants["tun"] = wants["vhost_net"] || g.NeedVhostNet, wants["tun"] || g.NeedVhostNet
		}
	}
	var stage Stage
	for _, module := range m.in.Observed.Machine.Loadable {
		if wants[module] {
			stage = append(stage, LoadModule{Module: module})
		}
	}
	if len(stage) > 0 {
		m.chain(ofModules, stage)
	}
}

func lacks(b inventory.Bus, driver string) bool { return b.Unknown == "" && !b.Has(driver) }

// arguments compares those that are needed with those that the kernel was started
// with, and with ours.
func (m *machineWork) arguments() {
	machine := &m.in.Observed.Machine
	owned := m.in.Owned.Machine.Arguments
	wanted := m.wanted()
	if machine.CommandLineUnknown != "" && len(wanted)+len(owned) > 0 {
		m.known = false
		m.block(CodeFactUnreadable, "the kernel's command line could not be read: %s", machine.CommandLineUnknown)
		return
	}
	var unset []string
	for _, a := range wanted {
		if machine.Started(a.text) {
			continue
		}
		key := "argument " + a.text
		m.keep = append(m.keep, key)
		if !a.active {
			continue
		}
		if known, ours := owned[a.text]; !ours || known.Pending {
			unset = append(unset, a.text)
		}
		if !a.rides {
			m.reasons = append(m.reasons, Reason{Key: key, Text: fmt.Sprintf("the kernel needs the argument %s: %s", a.text, a.why)})
		}
	}
	m.unset(unset)
	m.takeBack(wanted)
}

// unset are arguments that the boot loader has not been told of yet.
func (m *machineWork) unset(arguments []string) {
	if len(arguments) == 0 {
		return
	}
	if m.in.Observed.Machine.BootLoader != "" {
		m.add = arguments
		return
	}
	text := strings.Join(arguments, " ")
	for _, r := range m.reasons {
		m.block(CodeKernelArguments, "%s, and no tool is there that tells the boot loader; add %q to the kernel's command line and reboot", r.Text, text)
	}
	m.reasons = nil
}

// wanted are the arguments that the spec needs, whether or not they are there.
func (m *machineWork) wanted() []argument {
	var out []argument
	machine := &m.in.Observed.Machine
	vfio, lacking := m.vfioPFs()
	values, set := machine.Argument("intel_iommu")
	// Somebody has turned it off, or chosen something else: that is for them to change.
	foreign := set && !slices.Contains(values, "on")
	if len(vfio) > 0 && (machine.VTd || m.ours(argIOMMU)) && !foreign {
		why := "vfio-pci is wanted on " + strings.Join(vfio, ", ") + ", and the IOMMU is off"
		out = append(out, argument{text: argIOMMU, why: why, active: len(lacking) > 0})
		if _, chosen := machine.Argument("iommu"); m.ours(argPassthrough) || !chosen {
			out = append(out, argument{text: argPassthrough, active: len(lacking) > 0 && !machine.Started(argIOMMU), rides: true})
		}
	}
	for _, pf := range slices.Sorted(maps.Keys(m.in.Owned.Machine.Needs)) {
		need := m.in.Owned.Machine.Needs[pf]
		switch {
		case need.Kind != ledger.NeedMemorySpace:
		case !m.wantsVFs(pf):
			m.plan.Unneeded = append(m.plan.Unneeded, pf)
		case !m.busy(pf) && !m.ours(argRealloc):
			// It came out right by itself.
			m.plan.Unneeded = append(m.plan.Unneeded, pf)
		default:
			why := "there is no memory space for the VFs of " + pf
			out = append(out, argument{text: argRealloc, why: why, active: m.busy(pf) && need.BootID == m.in.Observed.BootID})
		}
	}
	return out
}

// vfioPFs are PFs with a group that wants vfio-pci, and those of them that are in no
// IOMMU group.
func (m *machineWork) vfioPFs() (all, lacking []string) {
	for i := range m.in.Spec.Interfaces {
		iface := &m.in.Spec.Interfaces[i]
		pf := m.in.Observed.PF(iface.PCIAddress)
		wants := func(g sriovv1.VfGroup) bool { return g.DeviceType == sriovv1.DeviceTypeVFIO }
		if pf == nil || !slices.ContainsFunc(iface.VfGroups, wants) {
			continue
		}
		all = append(all, iface.PCIAddress)
		unknown := slices.ContainsFunc(pf.Unreadable, func(u inventory.Unreadable) bool { return u.Fact == inventory.FactIOMMUGroup })
		if pf.IOMMUGroup == nil && !unknown {
			lacking = append(lacking, iface.PCIAddress)
		}
	}
	return all, lacking
}

// busy tells whether something is to be done on a PF, or would be.
func (m *machineWork) busy(pf string) bool {
	return m.plan.worksOn(pf) || len(m.plan.BlockersOf(pf)) > 0
}

func (m *machineWork) ours(argument string) bool {
	_, ours := m.in.Owned.Machine.Arguments[argument]
	return ours
}

func (m *machineWork) wantsVFs(pf string) bool {
	return slices.ContainsFunc(m.in.Spec.Interfaces, func(i sriovv1.Interface) bool {
		return i.PCIAddress == pf && i.NumVfs > 0 && !i.ExternallyManaged
	})
}

// takeBack plans to take arguments of ours from the boot loader that nobody needs
// any more. The machine is not restarted for that.
func (m *machineWork) takeBack(wanted []argument) {
	owned := m.in.Owned.Machine.Arguments
	byTool := map[string][]string{}
	for _, a := range slices.Sorted(maps.Keys(owned)) {
		if !slices.ContainsFunc(wanted, func(w argument) bool { return w.text == a }) {
			byTool[owned[a].Tool] = append(byTool[owned[a].Tool], a)
		}
	}
	for _, tool := range slices.Sorted(maps.Keys(byTool)) {
		if tool != m.in.Observed.Machine.BootLoader {
			m.block(CodeArgumentsLeft, "%s is to be taken from the kernel's command line, and %s, which set it, is not there any more", strings.Join(byTool[tool], " "), tool)
			continue
		}
		m.chain(ofLoader, Stage{SetKernelArguments{Tool: tool, Remove: byTool[tool]}})
	}
}

// rdmaMode sets the mode at run time, which the kernel grants only while there is
// no second network namespace; else the file for modprobe does at the next boot.
func (m *machineWork) rdmaMode() {
	want, machine := m.in.Spec.System.RdmaMode, &m.in.Observed.Machine
	key := "rdma-mode " + want
	switch {
	case want == "" || machine.RDMAMode == want:
	case machine.RDMAModeUnknown != "":
		m.known = false
		m.block(CodeFactUnreadable, "the RDMA namespace mode could not be read: %s", machine.RDMAModeUnknown)
	case machine.RDMAMode == "":
		m.block(CodeRDMAModeUnsupported, "RDMA namespace mode %s is wanted, and the kernel has no RDMA subsystem with such modes", want)
	case m.in.Owned.Machine.RDMARefused != m.in.Observed.BootID:
		m.keep = append(m.keep, key)
		m.chain(ofRDMA, Stage{SetRDMAMode{Mode: want}})
	case m.in.Observed.File(hostfile.ModprobeConf).ReadOnly:
		m.keep = append(m.keep, key)
		m.block(CodeHostReadOnly, "/%s cannot be written, which would set RDMA namespace mode %s at the next boot: its file system is mounted read-only", hostfile.ModprobeConf, want)
	default:
		m.keep = append(m.keep, key)
		if m.in.Observed.File(hostfile.ModprobeConf).Content != hostfile.Modprobe(want).Content {
			// A reboot without the file would change nothing.
			return
		}
		m.reasons = append(m.reasons, Reason{Key: key, Text: fmt.Sprintf("RDMA namespace mode %s is wanted, it is %s, and the kernel does not change it while there are other network namespaces", want, machine.RDMAMode)})
	}
}

// drivers are those that only a reboot helps. While a PF is not as it is wanted, the
// reboot for it is remembered.
func (m *machineWork) drivers() {
	for _, pf := range slices.Sorted(maps.Keys(m.in.Owned.Machine.Needs)) {
		need := m.in.Owned.Machine.Needs[pf]
		if need.Kind != ledger.NeedDriver {
			continue
		}
		key := driverKey(&m.in.Spec, pf)
		switch {
		case !m.in.wants(pf), !m.busy(pf) && need.BootID != m.in.Observed.BootID:
			m.plan.Unneeded = append(m.plan.Unneeded, pf)
			continue
		case need.BootID == m.in.Observed.BootID:
			m.reasons = append(m.reasons, Reason{Key: key, Text: fmt.Sprintf("%s: %s", pf, need.Message)})
		}
		m.keep = append(m.keep, key)
	}
}

// driverKey is the key of a reboot for a PF's driver.
func driverKey(spec *sriovv1.SriovNetworkNodeStateSpec, pf string) string {
	return "driver " + pf + " " + wantOf(spec, pf)
}

// finish plans the reboot for the reasons that have not had one yet. A reason that
// is still there after its reboot is a blocker: another one would not help.
func (m *machineWork) finish() {
	reboots := m.in.Owned.Machine.Reboots
	var fresh []Reason
	for _, r := range m.reasons {
		if m.survived(r.Key) {
			m.block(CodeRebootIneffective, "the node was rebooted for it, and it is still so: %s. The kernel was started with: %s",
				r.Text, strings.Join(m.in.Observed.Machine.CommandLine, " "))
			continue
		}
		fresh = append(fresh, r)
	}
	var stages []Stage
	if len(fresh) > 0 && len(m.add) > 0 {
		stages = append(stages, Stage{SetKernelArguments{Tool: m.in.Observed.Machine.BootLoader, Add: m.add}})
	}
	if len(fresh) > 0 {
		m.chain(ofMachine, append(stages, Stage{Reboot{Reasons: fresh}})...)
	}
	if !m.known {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(reboots)) {
		if !slices.Contains(m.keep, key) {
			m.plan.Answered = append(m.plan.Answered, key)
		}
	}
}

// survived tells whether the machine was restarted for a reason in an earlier boot.
func (m *machineWork) survived(key string) bool {
	done, found := m.in.Owned.Machine.Reboots[key]
	return found && done.BootID != m.in.Observed.BootID
}

// machineCodes are the codes about what only a reboot brings.
func machineCodes() []BlockerCode {
	return []BlockerCode{
		{CodeKernelArguments, "The kernel needs arguments, and the node has none of the tools that tell its boot loader (rpm-ostree, grubby, update-grub).",
			"Add the arguments that the message names by hand, or install grubby, and reboot the node; see docs/reboot.md."},
		{CodeArgumentsLeft, "Kernel arguments of ours are to be taken back, and the tool that set them is gone.",
			"Remove the arguments that the message names by hand; see docs/reboot.md."},
		{CodeRebootIneffective, "The node was rebooted for a reason, and the reason is still there. It is not rebooted again for it.",
			"Compare the message with the boot loader's configuration and the BIOS; see docs/reboot.md. Once the reason is gone, or no longer wanted, the reboot is forgotten."},
		{CodeRDMAModeUnsupported, "An RDMA namespace mode is wanted, and the kernel has none to set.",
			"Load the module ib_core (Linux 5.2 or newer), or remove rdmaMode from the pool."},
	}
}
