package hosttest

import (
	"fmt"
	"slices"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

func eswitchSpecs() []Spec {
	need := func(more ...Capability) []Capability { return append([]Capability{Devlink, Switchdev}, more...) }
	return []Spec{
		{Label: "devlink: a device without instance is ENODEV", Lacks: []Capability{Devlink}, run: noDevlink},
		{Label: "devlink: a device without eswitch is EOPNOTSUPP", Needs: []Capability{Devlink}, Lacks: []Capability{Switchdev, FixedSwitchdev}, run: noEswitch},
		{Label: "devlink: the PF says its driver and firmware", Needs: []Capability{Devlink}, run: devlinkInfo},
		{Label: "devlink: the PF has a physical port with its netdev", Needs: []Capability{Devlink}, run: physicalPort},
		{Label: "devlink: an unknown parameter is EINVAL", Needs: []Capability{Devlink}, run: unknownParam},
		{Label: "eswitch: there is no switch id in legacy mode", Needs: need(), OfFunctions: true, run: startsLegacy},
		{Label: "eswitch: starts in legacy mode", Needs: need(), run: startsInLegacyMode},
		{Label: "eswitch: of a simulated device falls back to legacy mode with its VFs", Needs: need(WithoutFunctions), run: modeGoes},
		{Label: "eswitch: the mode that it has is accepted and changes nothing", Needs: need(), Lacks: []Capability{SameModeRefused}, run: sameMode},
		{Label: "eswitch: the mode that it has is EINVAL", Needs: need(SameModeRefused), run: sameModeRefused},
		{Label: "eswitch: an unknown mode is EINVAL", Needs: need(), run: unknownMode},
		{Label: "eswitch: in switchdev mode every VF has a representor", Needs: need(), run: switchdevMode},
		{Label: "eswitch: a mode of the firmware's choice is there from the start and cannot be set", Needs: []Capability{FixedSwitchdev}, run: fixedMode},
		{Label: "eswitch: a change of the mode with VFs is EOPNOTSUPP", Needs: need(), Lacks: []Capability{ModeWithVFs}, run: modeWithVFs},
		{Label: "eswitch: switchdev mode without VFs is EINVAL", Needs: need(), Lacks: []Capability{ModeWithoutVFs}, run: modeWithoutVFs},
		{Label: "eswitch: VFs that are made in switchdev mode get representors", Needs: need(ModeWithoutVFs), run: vfsInSwitchdev},
		{Label: "eswitch: a representor is a devlink port of flavour pcivf", Needs: need(RepresentorPorts), run: representorPorts},
		{Label: "eswitch: VFs can be bound in switchdev mode", Needs: need(), OfFunctions: true, run: bindInSwitchdev},
		{Label: "eswitch: legacy takes the representors away and keeps the VFs", Needs: need(ModeWithVFs), run: backToLegacy},
		{Label: "eswitch: representors go with the VFs, the mode stays", Needs: need(), OfFunctions: true, run: representorsGo},
		{Label: "eswitch: hw-tc-offload can be changed on uplink and representors", Needs: need(HWTCOffload), run: offloadInSwitchdev},
		{Label: "eswitch: the inline mode can be set and is read back", Needs: need(InlineMode), OfFunctions: true, run: setsInline},
		{Label: "eswitch: an inline mode that cannot be set is EOPNOTSUPP", Needs: need(), Lacks: []Capability{InlineMode}, run: fixedInline},
	}
}

func (s *session) handle() host.DevlinkHandle { return host.DevlinkOf(s.dev.PF) }

func (s *session) mode() string {
	s.Helper()
	e, err := s.h.Devlink.Eswitch(s.ctx, s.handle())
	s.must(err)
	return e.Mode
}

// enterSwitchdev makes unbound VFs, changes the mode, in the driver's order, and
// waits for what comes of it.
func (s *session) enterSwitchdev(vfs int) {
	s.Helper()
	switch {
	case s.can(FixedSwitchdev):
		s.createVFs(vfs, false)
	case s.can(ModeWithVFs):
		s.createVFs(vfs, false)
		s.must(s.h.Devlink.SetEswitchMode(s.ctx, s.handle(), "switchdev"))
	default:
		s.must(s.h.Devlink.SetEswitchMode(s.ctx, s.handle(), "switchdev"))
		s.createVFs(vfs, false)
	}
	s.eventually("every VF has a representor", func() bool { return len(s.representors()) == vfs })
}

func noDevlink(s *session) {
	_, err := s.h.Devlink.Eswitch(s.ctx, s.handle())
	s.refused(err, syscall.ENODEV)
	s.refused(s.h.Devlink.SetEswitchMode(s.ctx, s.handle(), "switchdev"), syscall.ENODEV)
	_, err = s.h.Devlink.Info(s.ctx, s.handle())
	s.refused(err, syscall.ENODEV)
	_, err = s.h.Devlink.Param(s.ctx, s.handle(), "flow_steering_mode")
	s.refused(err, syscall.ENODEV)
	ports, err := s.h.Devlink.Ports(s.ctx)
	s.must(err)
	for _, p := range ports {
		if p.Handle == s.handle() {
			s.Errorf("port %+v", p)
		}
	}
}

func noEswitch(s *session) {
	_, err := s.h.Devlink.Eswitch(s.ctx, s.handle())
	s.refused(err, syscall.EOPNOTSUPP)
	s.refused(s.h.Devlink.SetEswitchMode(s.ctx, s.handle(), "switchdev"), syscall.EOPNOTSUPP)
}

func devlinkInfo(s *session) {
	info, err := s.h.Devlink.Info(s.ctx, s.handle())
	s.must(err)
	if info.Driver != s.dev.Driver || len(info.Running) == 0 {
		s.Errorf("info is %+v", info)
	}
}

func (s *session) ports(flavour string) []host.DevlinkPort {
	s.Helper()
	all, err := s.h.Devlink.Ports(s.ctx)
	s.must(err)
	return slices.DeleteFunc(all, func(p host.DevlinkPort) bool {
		return p.Handle != s.handle() || p.Flavour != flavour
	})
}

func physicalPort(s *session) {
	ports, l := s.ports("physical"), s.pfLink()
	if len(ports) == 0 || ports[0].NetdevIndex != l.Index || ports[0].NetdevName != l.Name {
		s.Errorf("ports %+v, netdev %+v", ports, l)
	}
}

func unknownParam(s *session) {
	_, err := s.h.Devlink.Param(s.ctx, s.handle(), "no_such_parameter")
	s.refused(err, syscall.EINVAL)
}

func startsInLegacyMode(s *session) {
	if got := s.mode(); got != "legacy" {
		s.Errorf("mode is %q", got)
	}
}

// modeGoes: nsim_bus_dev_vfs_disable of drivers/net/netdevsim/bus.c.
func modeGoes(s *session) {
	s.enterSwitchdev(2)
	s.must(s.write(s.pf("sriov_numvfs"), "0"))
	s.eventually("the representors are gone", func() bool { return len(s.representors()) == 0 })
	if got := s.mode(); got != "legacy" {
		s.Errorf("mode is %q", got)
	}
}

func startsLegacy(s *session) {
	l := s.pfLink()
	if l.SwitchID != "" {
		s.Errorf("switch id is %q", l.SwitchID)
	}
	_, err := s.h.FS.ReadFile(s.ctx, "sys/class/net/"+l.Name+"/phys_switch_id")
	s.refused(err, syscall.EOPNOTSUPP)
}

func sameMode(s *session) {
	s.must(s.h.Devlink.SetEswitchMode(s.ctx, s.handle(), "legacy"))
	s.enterSwitchdev(1)
	before := s.representors()
	s.must(s.h.Devlink.SetEswitchMode(s.ctx, s.handle(), "switchdev"))
	if after := s.representors(); len(after) != 1 || after[0].Index != before[0].Index {
		s.Errorf("representors were %v, are %v", before, after)
	}
}

func sameModeRefused(s *session) {
	s.refused(s.h.Devlink.SetEswitchMode(s.ctx, s.handle(), "legacy"), syscall.EINVAL)
	s.enterSwitchdev(1)
	s.refused(s.h.Devlink.SetEswitchMode(s.ctx, s.handle(), "switchdev"), syscall.EINVAL)
	if got := s.mode(); got != "switchdev" || len(s.representors()) != 1 {
		s.Errorf("mode is %q with representors %v", got, s.representors())
	}
}

func fixedMode(s *session) {
	for _, mode := range []string{"legacy", "switchdev"} {
		s.refused(s.h.Devlink.SetEswitchMode(s.ctx, s.handle(), mode), syscall.EOPNOTSUPP)
	}
	switchdevMode(s)
	s.must(s.write(s.pf("sriov_numvfs"), "0"))
	s.eventually("the representors are gone", func() bool { return len(s.representors()) == 0 })
	if got := s.mode(); got != "switchdev" || s.pfLink().SwitchID == "" {
		s.Errorf("mode is %q, the uplink is %+v", got, s.pfLink())
	}
}

func modeWithVFs(s *session) {
	const words = "Changing eswitch mode is allowed only if there is no VFs created"
	s.createVFs(2, false)
	s.refusedWith(s.h.Devlink.SetEswitchMode(s.ctx, s.handle(), "switchdev"), syscall.EOPNOTSUPP, words)
	s.must(s.write(s.pf("sriov_numvfs"), "0"))
	s.enterSwitchdev(2)
	s.refusedWith(s.h.Devlink.SetEswitchMode(s.ctx, s.handle(), "legacy"), syscall.EOPNOTSUPP, words)
	if got := s.mode(); got != "switchdev" || len(s.representors()) != 2 {
		s.Errorf("mode is %q with representors %v", got, s.representors())
	}
}

func modeWithoutVFs(s *session) {
	s.refusedWith(s.h.Devlink.SetEswitchMode(s.ctx, s.handle(), "switchdev"), syscall.EINVAL, "SRIOV legacy not enabled")
	if got := s.mode(); got != "legacy" {
		s.Errorf("mode is %q", got)
	}
}

func (s *session) inline() string {
	s.Helper()
	e, err := s.h.Devlink.Eswitch(s.ctx, s.handle())
	s.must(err)
	return e.InlineMode
}

func setsInline(s *session) {
	s.createVFs(2, true)
	s.refusedWith(s.h.Devlink.SetInlineMode(s.ctx, s.handle(), "transport"), syscall.EINVAL, "Failed to set min inline on vport")
	for i := range 2 {
		s.unbind(s.vf(i))
	}
	for _, mode := range []string{"transport", "network", "transport"} {
		s.must(s.h.Devlink.SetInlineMode(s.ctx, s.handle(), mode))
		if got := s.inline(); got != mode {
			s.Errorf("inline mode is %q after setting %s", got, mode)
		}
	}
	s.must(s.h.Devlink.SetEswitchMode(s.ctx, s.handle(), "switchdev"))
	if got := s.inline(); got != "transport" {
		s.Errorf("inline mode is %q in switchdev mode", got)
	}
}

func fixedInline(s *session) {
	before := s.inline()
	s.refused(s.h.Devlink.SetInlineMode(s.ctx, s.handle(), "transport"), syscall.EOPNOTSUPP)
	if got := s.inline(); got != before {
		s.Errorf("inline mode is %q, was %q", got, before)
	}
}

func unknownMode(s *session) {
	if err := s.h.Devlink.SetEswitchMode(s.ctx, s.handle(), "sideways"); err == nil {
		s.Error("an unknown mode was accepted")
	}
	if got := s.mode(); got != "legacy" {
		s.Errorf("mode is %q", got)
	}
}

func switchdevMode(s *session) {
	s.enterSwitchdev(3)
	if got := s.mode(); got != "switchdev" {
		s.Errorf("mode is %q", got)
	}
	if got := s.number(s.pf("sriov_numvfs")); got != 3 {
		s.Errorf("sriov_numvfs is %d", got)
	}
	uplink := s.pfLink()
	if uplink.SwitchID == "" || s.read("sys/class/net/"+uplink.Name+"/phys_switch_id") != uplink.SwitchID {
		s.Errorf("switch id of the uplink is %q", uplink.SwitchID)
	}
	seen := map[string]bool{}
	for _, rep := range s.representors() {
		seen[rep.PortName] = true
		if rep.SwitchID != uplink.SwitchID {
			s.Errorf("%s has switch id %s, the uplink %s", rep.Name, rep.SwitchID, uplink.SwitchID)
		}
	}
	if len(seen) != 3 {
		s.Errorf("port names %v", seen)
	}
	s.must(s.h.Links.SetUp(s.ctx, uplink.Index, true))
	s.eventually("the uplink has its carrier back", func() bool { return s.pfLink().Carrier })
}

func vfsInSwitchdev(s *session) {
	s.must(s.h.Devlink.SetEswitchMode(s.ctx, s.handle(), "switchdev"))
	s.createVFs(2, false)
	s.eventually("every VF has a representor", func() bool { return len(s.representors()) == 2 })
}

func representorPorts(s *session) {
	s.enterSwitchdev(2)
	names := map[string]string{}
	for _, rep := range s.representors() {
		names[rep.Name] = rep.PortName
	}
	ports := s.ports("pcivf")
	if len(ports) != 2 {
		s.Fatalf("ports %+v", ports)
	}
	for _, p := range ports {
		if p.PFNumber == nil || p.VFNumber == nil {
			s.Errorf("port without numbers: %+v", p)
			continue
		}
		if want := fmt.Sprintf("pf%dvf%d", *p.PFNumber, *p.VFNumber); names[p.NetdevName] != want {
			s.Errorf("netdev %s of port %s has port name %q", p.NetdevName, want, names[p.NetdevName])
		}
	}
}

func bindInSwitchdev(s *session) {
	s.enterSwitchdev(2)
	for i := range 2 {
		vf := s.vf(i)
		s.must(s.write(driversProbe, vf))
		s.eventually("the VF has a netdev", func() bool { return len(s.vfLinks(vf)) == 1 })
	}
	if got := len(s.representors()); got != 2 {
		s.Errorf("%d representors", got)
	}
}

func backToLegacy(s *session) {
	s.enterSwitchdev(2)
	s.must(s.h.Devlink.SetEswitchMode(s.ctx, s.handle(), "legacy"))
	s.eventually("the representors are gone", func() bool { return len(s.representors()) == 0 })
	if got := s.mode(); got != "legacy" {
		s.Errorf("mode is %q", got)
	}
	if got := s.number(s.pf("sriov_numvfs")); got != 2 {
		s.Errorf("sriov_numvfs is %d", got)
	}
}

func representorsGo(s *session) {
	s.enterSwitchdev(2)
	s.must(s.write(s.pf("sriov_numvfs"), "0"))
	s.eventually("the representors are gone", func() bool { return len(s.representors()) == 0 })
	if got := s.mode(); got != "switchdev" {
		s.Errorf("mode is %q", got)
	}
}

func offloadInSwitchdev(s *session) {
	s.enterSwitchdev(2)
	for _, l := range append(s.representors(), s.pfLink()) {
		for _, on := range []bool{false, true} {
			s.must(s.h.Ethtool.SetFeature(s.ctx, l.Name, host.FeatureHWTCOffload, on))
			if got := s.feature(l.Name); got.On != on {
				s.Errorf("%s: the feature is %+v after setting %t", l.Name, got, on)
			}
		}
	}
}
