package hosttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// Capability is something that not every device can do.
type Capability string

// Capabilities of devices.
const (
	// Devlink: the PF has a devlink instance.
	Devlink Capability = "devlink"
	// Switchdev: the PF's eswitch can be put into switchdev mode with VFs unbound.
	Switchdev Capability = "switchdev"
	// ModeWithVFs: the mode can be changed while there are VFs.
	ModeWithVFs Capability = "mode changes with VFs"
	// ModeWithoutVFs: switchdev mode can be entered before there are VFs.
	ModeWithoutVFs Capability = "mode changes without VFs"
	// SameModeRefused: the mode that is in force is refused.
	SameModeRefused Capability = "same mode refused"
	// FixedSwitchdev: the firmware keeps the PF in switchdev mode.
	FixedSwitchdev Capability = "fixed switchdev mode"
	// RepresentorPorts: VF representors are devlink ports.
	RepresentorPorts Capability = "representor ports"
	// UpForVFs: VFs are made and removed only while the PF's netdev is up.
	UpForVFs Capability = "VFs need the PF up"
	// SteeringMode: the PF has the parameter flow_steering_mode.
	SteeringMode Capability = "flow_steering_mode"
	// CompatSteering: the PF's netdev has compat/devlink/steering_mode instead.
	CompatSteering Capability = "compat/devlink/steering_mode"
	// InlineMode: the eswitch's inline mode can be set.
	InlineMode Capability = "inline mode"
	// HWTCOffload: hw-tc-offload can be changed.
	HWTCOffload Capability = "hw-tc-offload"
	// IOMMU: VFs are in IOMMU groups, and vfio-pci is there.
	IOMMU Capability = "IOMMU"
	// VFIO: the driver vfio-pci is there.
	VFIO Capability = "vfio-pci"
	// AdminMAC: the MAC of a VF can be set through the PF.
	AdminMAC Capability = "admin MAC"
	// VFNetdev: VFs have netdevs when their kernel driver is bound.
	VFNetdev Capability = "VF netdevs"
	// Bonding: the kernel makes bonds.
	Bonding Capability = "bonding"
	// WithoutFunctions: the VFs are no functions of a bus, and have no driver: they
	// are those of the kernel's simulated device, netdevsim.
	WithoutFunctions Capability = "VFs without functions"
	// KernelLog: the kernel log can be read.
	KernelLog Capability = "kernel log"
)

// Device is a PF on a machine.
type Device struct {
	// Open returns the machine. It is called once per spec, within Around.
	Open func(t *testing.T) host.Host
	// Around runs the body of a spec, e.g. synctest.Test; nil runs it directly.
	Around func(t *testing.T, body func(t *testing.T))
	// PF is the PCI address of the PF; it must be able to have 3 VFs.
	PF string
	// Driver and VFDriver are the kernel drivers, VFDevice the PCI id of VFs.
	Driver, VFDriver, VFDevice string
	// MaxMTU of the PF.
	MaxMTU int
	// SteeringModes that the device supports, if it has a steering mode.
	SteeringModes []string
	Capabilities  []Capability
}

// Spec is one rule of the kernel.
type Spec struct {
	// Label names the rule.
	Label string
	// Needs and Lacks are what a device must and must not be capable of for the
	// rule to apply.
	Needs, Lacks []Capability
	// OfFunctions: the rule is about VFs that are functions of a bus.
	OfFunctions bool
	run         func(s *session)
}

// Specs returns all rules in a fixed order.
func Specs() []Spec {
	return slices.Concat(
		vfSpecs(), bindingSpecs(), linkSpecs(), bondSpecs(), eswitchSpecs(), steeringSpecs(), deviceSpecs(), doorSpecs(), ueventSpecs(),
		firmwareSpecs(),
	)
}

// Applies tells whether the rule is one for a device with these capabilities.
func (sp Spec) Applies(have []Capability) bool {
	if sp.OfFunctions && slices.Contains(have, WithoutFunctions) {
		return false
	}
	for _, c := range sp.Needs {
		if !slices.Contains(have, c) {
			return false
		}
	}
	for _, c := range sp.Lacks {
		if slices.Contains(have, c) {
			return false
		}
	}
	return true
}

// Run checks every rule that applies to the device. It leaves the PF in legacy
// mode, without VFs and up.
func Run(t *testing.T, dev Device) {
	t.Helper()
	around := dev.Around
	if around == nil {
		around = func(t *testing.T, body func(t *testing.T)) { body(t) }
	}
	for _, sp := range Specs() {
		if !sp.Applies(dev.Capabilities) {
			continue
		}
		t.Run(sp.Label, func(t *testing.T) {
			around(t, func(t *testing.T) {
				s := &session{T: t, dev: dev, h: dev.Open(t), ctx: t.Context()}
				s.restore()
				t.Cleanup(func() {
					s.ctx = context.WithoutCancel(s.ctx)
					s.restore()
				})
				sp.run(s)
			})
		})
	}
}

// session is one spec on one device.
type session struct {
	*testing.T
	dev Device
	h   host.Host
	ctx context.Context
}

// patience bounds how long a spec waits for what the kernel does on its own.
const patience = 20 * time.Second

// attr is the path of an attribute of a PCI function.
func attr(address, name string) string { return host.DeviceDir(address) + "/" + name }

func (s *session) pf(name string) string { return attr(s.dev.PF, name) }

// pfDir is the PF's folder.
func (s *session) pfDir() string { return host.DeviceDir(s.dev.PF) }

// can tells whether the device has a capability.
func (s *session) can(c Capability) bool { return slices.Contains(s.dev.Capabilities, c) }

// restore brings the PF back to legacy mode without VFs, in an order that every
// driver takes.
func (s *session) restore() {
	s.Helper()
	s.must(s.h.Links.SetUp(s.ctx, s.pfLink().Index, true))
	for i := range s.functions() {
		if vf := s.vf(i); s.driver(vf) != "" {
			s.must(s.write(attr(vf, "driver/unbind"), vf))
		}
	}
	s.must(s.write(s.pf("sriov_numvfs"), "0"))
	if s.switchdev() && !s.can(FixedSwitchdev) {
		s.must(s.h.Devlink.SetEswitchMode(s.ctx, host.DevlinkOf(s.dev.PF), "legacy"))
	}
	s.setAutoprobe(true)
	s.must(s.h.Links.SetUp(s.ctx, s.pfLink().Index, true))
}

// functions is how many VFs are functions of a bus.
func (s *session) functions() int {
	if s.can(WithoutFunctions) {
		return 0
	}
	return s.number(s.pf("sriov_numvfs"))
}

// setAutoprobe tells the kernel whether to bind new VFs, where they can be bound.
func (s *session) setAutoprobe(on bool) {
	s.Helper()
	if !s.can(WithoutFunctions) {
		s.must(s.write(s.pf("sriov_drivers_autoprobe"), map[bool]string{true: "1", false: "0"}[on]))
	}
}

func (s *session) switchdev() bool {
	e, err := s.h.Devlink.Eswitch(s.ctx, host.DevlinkOf(s.dev.PF))
	return err == nil && e.Mode == "switchdev"
}

func (s *session) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// refused demands this errno in a *host.Error that names what was tried.
func (s *session) refused(err error, errno syscall.Errno) {
	s.Helper()
	s.refusedWith(err, errno, "")
}

// refusedWith demands the kernel's words as well.
func (s *session) refusedWith(err error, errno syscall.Errno, text string) {
	s.Helper()
	he, ok := errors.AsType[*host.Error](err)
	switch {
	case !ok:
		s.Fatalf("got %v, want a refusal with %s", err, errno.Error())
	case he.Errno != errno:
		s.Fatalf("got %v, want %s", err, errno.Error())
	case he.Op == "" || he.Object == "":
		s.Errorf("the error does not say what was tried on what: %#v", he)
	case !strings.Contains(he.Text, text):
		s.Errorf("the kernel's words are %q, want %q", he.Text, text)
	}
}

func (s *session) write(path, data string) error {
	return s.h.FS.WriteFile(s.ctx, path, []byte(data))
}

// read returns an attribute without its newline.
func (s *session) read(path string) string {
	s.Helper()
	data, err := s.h.FS.ReadFile(s.ctx, path)
	s.must(err)
	return strings.TrimSuffix(string(data), "\n")
}

func (s *session) number(path string) int {
	s.Helper()
	var n int
	_, err := fmt.Sscan(s.read(path), &n)
	s.must(err)
	return n
}

// base returns the last element of a link's target.
func (s *session) base(path string) (string, error) {
	target, err := s.h.FS.ReadLink(s.ctx, path)
	return target[strings.LastIndexByte(target, '/')+1:], err
}

// vf returns the address of a VF.
func (s *session) vf(index int) string {
	s.Helper()
	address, err := s.base(s.pf(fmt.Sprintf("virtfn%d", index)))
	s.must(err)
	return address
}

// driver returns the driver bound to a function; empty if none.
func (s *session) driver(address string) string {
	s.Helper()
	name, err := s.base(attr(address, "driver"))
	if errors.Is(err, syscall.ENOENT) {
		return ""
	}
	s.must(err)
	return name
}

// createVFs makes VFs, bound or not, and waits until their functions are there.
func (s *session) createVFs(n int, bound bool) {
	s.Helper()
	s.setAutoprobe(bound)
	s.must(s.write(s.pf("sriov_numvfs"), fmt.Sprint(n)))
	if s.can(WithoutFunctions) {
		return
	}
	s.eventually("all VFs have appeared", func() bool {
		_, err := s.h.FS.ReadLink(s.ctx, s.pf(fmt.Sprintf("virtfn%d", n-1)))
		return err == nil
	})
	s.setAutoprobe(true)
	if bound {
		s.eventually("all VFs are bound", func() bool { return s.driver(s.vf(n-1)) == s.dev.VFDriver })
	}
}

// eventually polls until cond holds.
func (s *session) eventually(what string, cond func() bool) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-ctx.Done():
			s.Fatalf("waited in vain until %s", what)
		case <-tick.C:
		}
	}
}

// links lists the links that satisfy a condition.
func (s *session) links(cond func(l host.Link) bool) []host.Link {
	s.Helper()
	all, err := s.h.Links.List(s.ctx)
	s.must(err)
	return slices.DeleteFunc(all, func(l host.Link) bool { return !cond(l) })
}

// pfLink is the PF's netdev: in switchdev mode the uplink representor among
// all netdevs that belong to the PF, the first of several physical ports.
func (s *session) pfLink() host.Link {
	s.Helper()
	found := s.links(func(l host.Link) bool {
		return l.ParentDevice == s.dev.PF && (l.PortName == "" || portNumber(l) < none)
	})
	slices.SortFunc(found, func(a, b host.Link) int { return portNumber(a) - portNumber(b) })
	if len(found) == 0 || len(found) > 1 && portNumber(found[0]) == portNumber(found[1]) {
		s.Fatalf("want one netdev for PF %s, got %v", s.dev.PF, found)
	}
	return found[0]
}

// none is the port number of a link that is no physical port.
const none = 1 << 16

func portNumber(l host.Link) int {
	var n int
	if _, err := fmt.Sscanf(l.PortName, "p%d", &n); err != nil {
		return none
	}
	return n
}

// vfLinks are the netdevs of a VF.
func (s *session) vfLinks(address string) []host.Link {
	s.Helper()
	return s.links(func(l host.Link) bool { return l.ParentDevice == address })
}

// representors are those of the PF's VFs.
func (s *session) representors() []host.Link {
	s.Helper()
	return s.links(func(l host.Link) bool {
		return l.ParentDevice == s.dev.PF && l.SwitchID != "" && strings.Contains(l.PortName, "vf")
	})
}
