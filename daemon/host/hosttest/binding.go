package hosttest

import (
	"syscall"
)

const (
	driversProbe = "sys/bus/pci/drivers_probe"
	vfioDriver   = "vfio-pci"
)

func driverFile(driver, name string) string { return "sys/bus/pci/drivers/" + driver + "/" + name }

func bindingSpecs() []Spec {
	return []Spec{
		{Label: "drivers_probe: binds an unbound VF", OfFunctions: true, run: probeBinds},
		{Label: "drivers_probe: a bound VF stays as it is", OfFunctions: true, run: probeOfBound},
		{Label: "drivers_probe: an unknown device is ENODEV", OfFunctions: true, run: probeOfUnknown},
		{Label: "drivers_probe: with autoprobe 0 it is accepted and binds nothing", OfFunctions: true, run: probeWithoutAutoprobe},
		{Label: "bind: with autoprobe 0 it is ENODEV", OfFunctions: true, run: bindWithoutAutoprobe},
		{Label: "bind: with autoprobe 0 a driver_override lets it through", OfFunctions: true, run: overrideBeatsAutoprobe},
		{Label: "bind: a bound VF is EBUSY", OfFunctions: true, run: bindOfBound},
		{Label: "bind: a driver that does not match is ENODEV", Needs: []Capability{VFIO}, OfFunctions: true, run: bindOfOther},
		{Label: "unbind: takes driver and netdev away", OfFunctions: true, run: unbinds},
		{Label: "unbind: a device of no or another driver is ENODEV", OfFunctions: true, run: unbindOfUnbound},
		{Label: "driver_override: reads (null) when it is not set", OfFunctions: true, run: emptyOverride},
		{Label: "driver_override: a driver that is not there binds nothing", OfFunctions: true, run: overrideToNothing},
		{Label: "vfio-pci: binds with driver_override", Needs: []Capability{VFIO, IOMMU}, OfFunctions: true, run: bindsVFIO},
		{Label: "vfio-pci: a new VF has no driver_override", Needs: []Capability{VFIO, IOMMU}, OfFunctions: true, run: overrideEndsWithVF},
		{Label: "vfio-pci: without an IOMMU group it fails with EINVAL and leaves no driver", Needs: []Capability{VFIO}, Lacks: []Capability{IOMMU}, OfFunctions: true, run: vfioWithoutIOMMU},
		{Label: "VF netdev: comes some time after its driver", Needs: []Capability{VFNetdev}, OfFunctions: true, run: netdevComes},
	}
}

func (s *session) unbind(vf string) {
	s.Helper()
	s.must(s.write(attr(vf, "driver/unbind"), vf))
}

func (s *session) wantDriver(address, want string) {
	s.Helper()
	if got := s.driver(address); got != want {
		s.Errorf("%s has driver %q, want %q", address, got, want)
	}
}

func probeBinds(s *session) {
	s.createVFs(2, false)
	s.must(s.write(driversProbe, s.vf(1)))
	s.wantDriver(s.vf(1), s.dev.VFDriver)
	s.wantDriver(s.vf(0), "")
}

func probeOfBound(s *session) {
	s.createVFs(1, true)
	s.must(s.write(driversProbe, s.vf(0)))
	s.wantDriver(s.vf(0), s.dev.VFDriver)
}

func probeOfUnknown(s *session) {
	s.refused(s.write(driversProbe, "ffff:ff:1f.7"), syscall.ENODEV)
}

func probeWithoutAutoprobe(s *session) {
	s.createVFs(1, false)
	s.must(s.write(s.pf("sriov_drivers_autoprobe"), "0"))
	s.must(s.write(driversProbe, s.vf(0)))
	s.wantDriver(s.vf(0), "")
	s.must(s.write(s.pf("sriov_drivers_autoprobe"), "1"))
	s.must(s.write(driversProbe, s.vf(0)))
	s.wantDriver(s.vf(0), s.dev.VFDriver)
}

func bindWithoutAutoprobe(s *session) {
	s.createVFs(1, false)
	s.must(s.write(s.pf("sriov_drivers_autoprobe"), "0"))
	s.refused(s.write(driverFile(s.dev.VFDriver, "bind"), s.vf(0)), syscall.ENODEV)
	s.wantDriver(s.vf(0), "")
}

func overrideBeatsAutoprobe(s *session) {
	s.createVFs(1, false)
	vf := s.vf(0)
	s.must(s.write(s.pf("sriov_drivers_autoprobe"), "0"))
	s.must(s.write(attr(vf, "driver_override"), s.dev.VFDriver))
	s.must(s.write(driversProbe, vf))
	s.wantDriver(vf, s.dev.VFDriver)
}

func bindOfBound(s *session) {
	s.createVFs(1, true)
	s.refused(s.write(driverFile(s.dev.VFDriver, "bind"), s.vf(0)), syscall.EBUSY)
	s.wantDriver(s.vf(0), s.dev.VFDriver)
}

func bindOfOther(s *session) {
	s.createVFs(1, false)
	s.refused(s.write(driverFile(vfioDriver, "bind"), s.vf(0)), syscall.ENODEV)
	s.wantDriver(s.vf(0), "")
}

func unbinds(s *session) {
	s.createVFs(1, true)
	vf := s.vf(0)
	s.unbind(vf)
	s.wantDriver(vf, "")
	if got := s.vfLinks(vf); len(got) > 0 {
		s.Errorf("left over: %v", got)
	}
}

func unbindOfUnbound(s *session) {
	s.createVFs(2, false)
	s.refused(s.write(driverFile(s.dev.VFDriver, "unbind"), s.vf(0)), syscall.ENODEV)
	s.refused(s.write(attr(s.vf(0), "driver/unbind"), s.vf(0)), syscall.ENOENT)
}

func emptyOverride(s *session) {
	s.createVFs(1, false)
	path := attr(s.vf(0), "driver_override")
	if got := s.read(path); got != "(null)" {
		s.Errorf("driver_override is %q", got)
	}
	s.must(s.write(path, vfioDriver))
	if got := s.read(path); got != vfioDriver {
		s.Errorf("driver_override is %q", got)
	}
	s.must(s.write(path, "\n"))
	if got := s.read(path); got != "(null)" {
		s.Errorf("driver_override is %q", got)
	}
}

func overrideToNothing(s *session) {
	s.createVFs(1, false)
	vf := s.vf(0)
	s.must(s.write(attr(vf, "driver_override"), "no-such-driver"))
	s.must(s.write(driversProbe, vf))
	s.wantDriver(vf, "")
	s.refused(s.write(driverFile(s.dev.VFDriver, "bind"), vf), syscall.ENODEV)
}

func (s *session) bindVFIO(vf string) {
	s.Helper()
	s.must(s.write(attr(vf, "driver_override"), vfioDriver))
	s.must(s.write(driversProbe, vf))
}

func bindsVFIO(s *session) {
	s.createVFs(1, true)
	vf := s.vf(0)
	s.unbind(vf)
	s.bindVFIO(vf)
	s.wantDriver(vf, vfioDriver)
	if got := s.vfLinks(vf); len(got) > 0 {
		s.Errorf("netdevs under vfio-pci: %v", got)
	}
	s.unbind(vf)
	s.must(s.write(attr(vf, "driver_override"), "\n"))
	s.must(s.write(driversProbe, vf))
	s.wantDriver(vf, s.dev.VFDriver)
}

func overrideEndsWithVF(s *session) {
	s.createVFs(1, false)
	s.bindVFIO(s.vf(0))
	s.must(s.write(s.pf("sriov_numvfs"), "0"))
	s.createVFs(1, true)
	s.wantDriver(s.vf(0), s.dev.VFDriver)
}

func vfioWithoutIOMMU(s *session) {
	s.createVFs(1, false)
	vf := s.vf(0)
	s.bindVFIO(vf)
	s.wantDriver(vf, "")
	s.refused(s.write(driverFile(vfioDriver, "bind"), vf), syscall.EINVAL)
	s.wantDriver(vf, "")
	s.must(s.write(attr(vf, "driver_override"), "\n"))
	s.must(s.write(driversProbe, vf))
	s.wantDriver(vf, s.dev.VFDriver)
}

func netdevComes(s *session) {
	s.createVFs(1, false)
	vf := s.vf(0)
	s.must(s.write(driversProbe, vf))
	s.eventually("the VF has a netdev", func() bool { return len(s.vfLinks(vf)) == 1 })
	names, err := s.h.FS.ReadDir(s.ctx, attr(vf, "net"))
	s.must(err)
	if got := s.vfLinks(vf)[0].Name; len(names) != 1 || names[0] != got {
		s.Errorf("the link is %s, sysfs has %v", got, names)
	}
}
