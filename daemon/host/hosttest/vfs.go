package hosttest

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

func vfSpecs() []Spec {
	return []Spec{
		{Label: "sriov_numvfs: from 0 to N makes N VFs", run: createsVFs},
		{Label: "sriov_numvfs: the same value again is accepted and changes nothing", run: sameNumVFs},
		{Label: "sriov_numvfs: from N to another M is EBUSY and changes nothing", run: changedNumVFs},
		{Label: "sriov_numvfs: the refusal is in the kernel log", Needs: []Capability{KernelLog}, OfFunctions: true, run: refusalIsLogged},
		{Label: "sriov_numvfs: more than sriov_totalvfs is ERANGE", OfFunctions: true, run: tooManyVFs},
		{Label: "sriov_numvfs: what is no number is EINVAL", run: noNumber},
		{Label: "sriov_numvfs: 0 takes all VFs away", OfFunctions: true, run: removesVFs},
		{Label: "sriov_numvfs: with the PF's netdev down it is accepted and ignored", Needs: []Capability{UpForVFs}, run: ignoredWhileDown},
		{Label: "VFs: virtfnN and physfn point to each other", OfFunctions: true, run: virtfnAndPhysfn},
		{Label: "VFs: addresses follow sriov_offset and sriov_stride", OfFunctions: true, run: addressesFollowOffset},
		{Label: "VFs: have the vendor of the PF and the device id of sriov_vf_device", OfFunctions: true, run: vfIDs},
		{Label: "sriov_drivers_autoprobe: 0 leaves new VFs without driver", OfFunctions: true, run: autoprobeOff},
		{Label: "sriov_drivers_autoprobe: 1 binds new VFs to their driver", OfFunctions: true, run: autoprobeOn},
		{Label: "VFs: have no SR-IOV attributes", OfFunctions: true, run: vfHasNoSRIOV},
	}
}

func createsVFs(s *session) {
	s.createVFs(3, true)
	if got := s.number(s.pf("sriov_numvfs")); got != 3 {
		s.Errorf("sriov_numvfs is %d", got)
	}
	if s.can(WithoutFunctions) {
		return
	}
	names, err := s.h.FS.ReadDir(s.ctx, s.pfDir())
	s.must(err)
	if got := strings.Count(strings.Join(names, " "), "virtfn"); got != 3 {
		s.Errorf("%d virtfn links in %v", got, names)
	}
}

func sameNumVFs(s *session) {
	s.createVFs(2, true)
	if s.can(WithoutFunctions) {
		s.must(s.write(s.pf("sriov_numvfs"), "2"))
		return
	}
	before := s.vf(1)
	s.must(s.write(s.pf("sriov_numvfs"), "2"))
	if got := s.vf(1); got != before || s.driver(got) != s.dev.VFDriver {
		s.Errorf("VF 1 is %s with driver %q, was %s", got, s.driver(got), before)
	}
}

func changedNumVFs(s *session) {
	s.createVFs(2, true)
	s.refused(s.write(s.pf("sriov_numvfs"), "3"), syscall.EBUSY)
	s.refused(s.write(s.pf("sriov_numvfs"), "1"), syscall.EBUSY)
	if got := s.number(s.pf("sriov_numvfs")); got != 2 {
		s.Errorf("sriov_numvfs is %d", got)
	}
	if s.can(WithoutFunctions) {
		return
	}
	if got := s.driver(s.vf(1)); got != s.dev.VFDriver {
		s.Errorf("VF 1 has driver %q", got)
	}
}

func refusalIsLogged(s *session) {
	s.createVFs(2, true)
	s.refused(s.write(s.pf("sriov_numvfs"), "3"), syscall.EBUSY)
	const want = "2 VFs already enabled. Disable before enabling 3 VFs"
	s.eventually("the log says: "+want, func() bool {
		lines, err := s.h.Log.Recent(s.ctx, s.dev.PF, 5)
		s.must(err)
		return strings.Contains(strings.Join(lines, "\n"), want)
	})
}

func tooManyVFs(s *session) {
	s.refused(s.write(s.pf("sriov_numvfs"), "70000"), syscall.EINVAL)
	total := s.number(s.pf("sriov_totalvfs"))
	s.refused(s.write(s.pf("sriov_numvfs"), fmt.Sprint(total+1)), syscall.ERANGE)
	s.createVFs(1, true)
	s.refused(s.write(s.pf("sriov_numvfs"), fmt.Sprint(total+1)), syscall.ERANGE)
	if got := s.number(s.pf("sriov_numvfs")); got != 1 {
		s.Errorf("sriov_numvfs is %d", got)
	}
}

func noNumber(s *session) {
	for _, data := range []string{"three", "-1"} {
		s.refused(s.write(s.pf("sriov_numvfs"), data), syscall.EINVAL)
	}
}

func removesVFs(s *session) {
	s.createVFs(3, true)
	vf := s.vf(2)
	s.must(s.write(s.pf("sriov_numvfs"), "0"))
	if got := s.number(s.pf("sriov_numvfs")); got != 0 {
		s.Errorf("sriov_numvfs is %d", got)
	}
	if _, err := s.h.FS.ReadLink(s.ctx, s.pf("virtfn0")); !errors.Is(err, fs.ErrNotExist) {
		s.Errorf("virtfn0: %v", err)
	}
	if _, err := s.h.FS.ReadFile(s.ctx, attr(vf, "vendor")); !errors.Is(err, fs.ErrNotExist) {
		s.Errorf("%s: %v", vf, err)
	}
	if got := s.vfLinks(vf); len(got) > 0 {
		s.Errorf("left over: %v", got)
	}
}

func ignoredWhileDown(s *session) {
	down := func() { s.must(s.h.Links.SetUp(s.ctx, s.pfLink().Index, false)) }
	down()
	s.must(s.write(s.pf("sriov_numvfs"), "2"))
	if got := s.number(s.pf("sriov_numvfs")); got != 0 {
		s.Errorf("sriov_numvfs is %d", got)
	}
	s.must(s.h.Links.SetUp(s.ctx, s.pfLink().Index, true))
	s.createVFs(2, false)
	down()
	s.must(s.write(s.pf("sriov_numvfs"), "0"))
	if got := s.number(s.pf("sriov_numvfs")); got != 2 {
		s.Errorf("sriov_numvfs is %d", got)
	}
}

func virtfnAndPhysfn(s *session) {
	s.createVFs(3, true)
	for i := range 3 {
		back, err := s.base(attr(s.vf(i), "physfn"))
		s.must(err)
		if back != s.dev.PF {
			s.Errorf("physfn of VF %d is %s", i, back)
		}
	}
}

func addressesFollowOffset(s *session) {
	s.createVFs(3, true)
	offset, stride := s.number(s.pf("sriov_offset")), s.number(s.pf("sriov_stride"))
	first := s.routingID(s.dev.PF) + offset
	for i := range 3 {
		if got, want := s.routingID(s.vf(i)), first+i*stride; got != want {
			s.Errorf("VF %d is %s: routing id %#x, want %#x", i, s.vf(i), got, want)
		}
	}
}

// routingID is bus, slot and function of an address as one number.
func (s *session) routingID(address string) int {
	s.Helper()
	var domain, bus, slot, function int
	_, err := fmt.Sscanf(address, "%x:%x:%x.%x", &domain, &bus, &slot, &function)
	s.must(err)
	return bus<<8 | slot<<3 | function
}

func vfIDs(s *session) {
	s.createVFs(1, true)
	vf := s.vf(0)
	if got, want := s.read(attr(vf, "vendor")), s.read(s.pf("vendor")); got != want {
		s.Errorf("vendor %s, PF %s", got, want)
	}
	want := s.dev.VFDevice
	if got := s.read(s.pf("sriov_vf_device")); got != want {
		s.Errorf("sriov_vf_device %s, want %s", got, want)
	}
	if got := s.read(attr(vf, "device")); got != "0x"+want {
		s.Errorf("device %s, want 0x%s", got, want)
	}
}

func autoprobeOff(s *session) {
	s.createVFs(2, false)
	for i := range 2 {
		vf := s.vf(i)
		if got := s.driver(vf); got != "" {
			s.Errorf("VF %d has driver %s", i, got)
		}
		if got := s.vfLinks(vf); len(got) > 0 {
			s.Errorf("VF %d has %v", i, got)
		}
	}
}

func autoprobeOn(s *session) {
	s.createVFs(2, true)
	for i := range 2 {
		s.eventually("the VF has its driver", func() bool { return s.driver(s.vf(i)) == s.dev.VFDriver })
	}
}

func vfHasNoSRIOV(s *session) {
	s.createVFs(1, true)
	_, err := s.h.FS.ReadFile(s.ctx, attr(s.vf(0), "sriov_totalvfs"))
	s.refused(err, syscall.ENOENT)
}
