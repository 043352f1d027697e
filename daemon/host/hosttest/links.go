package hosttest

import (
	"errors"
	"io/fs"
	"slices"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

func linkSpecs() []Spec {
	return []Spec{
		{Label: "links: List and sysfs agree about the PF's netdev", run: linkAndSysfsAgree},
		{Label: "links: up and down can be set, also twice", run: upAndDown},
		{Label: "links: MTU can be set up to the device's maximum", run: setsMTU},
		{Label: "links: an MTU beyond the maximum is EINVAL with the kernel's words", run: mtuTooLarge},
		{Label: "links: an unknown ifindex is ENODEV", run: unknownIndex},
		{Label: "admin MAC: is reported by the PF's link and used by the driver when it binds", Needs: []Capability{AdminMAC, VFNetdev}, run: setsAdminMAC},
		{Label: "admin MAC: of a VF beyond sriov_numvfs is EINVAL", Needs: []Capability{AdminMAC}, run: adminMACBeyond},
		{Label: "admin MAC: a group address is EINVAL", Needs: []Capability{AdminMAC}, run: adminMACOfGroup},
		{Label: "admin MAC: is lost with the VFs", Needs: []Capability{AdminMAC}, OfFunctions: true, run: adminMACIsLost},
		{Label: "VFs: every VF is in the PF's VF list", run: vfList},
		{Label: "hw-tc-offload: can be changed", Needs: []Capability{HWTCOffload}, run: changesOffload},
		{Label: "hw-tc-offload: changing a fixed feature is EOPNOTSUPP", Lacks: []Capability{HWTCOffload}, run: fixedOffload},
		{Label: "ethtool: an unknown netdev is ENODEV, an unknown feature fs.ErrNotExist", run: noFeature},
	}
}

func linkAndSysfsAgree(s *session) {
	l := s.pfLink()
	dir := "sys/class/net/" + l.Name + "/"
	if got := s.read(dir + "address"); got != l.MAC {
		s.Errorf("address %s, link %s", got, l.MAC)
	}
	if got := s.number(dir + "mtu"); got != l.MTU {
		s.Errorf("mtu %d, link %d", got, l.MTU)
	}
	if got := s.number(dir + "ifindex"); got != l.Index {
		s.Errorf("ifindex %d, link %d", got, l.Index)
	}
	if got, err := s.base(dir + "device"); err != nil || got != s.dev.PF {
		s.Errorf("device is %s (%v), want %s", got, err, s.dev.PF)
	}
	names, err := s.h.FS.ReadDir(s.ctx, s.pf("net"))
	s.must(err)
	if !slices.Contains(names, l.Name) {
		s.Errorf("%s is not in %v", l.Name, names)
	}
}

func upAndDown(s *session) {
	index := s.pfLink().Index
	for _, up := range []bool{false, false, true, true} {
		s.must(s.h.Links.SetUp(s.ctx, index, up))
		if got := s.pfLink().Up; got != up {
			s.Errorf("up is %t after setting %t", got, up)
		}
	}
	s.eventually("the link has its carrier back", func() bool { return s.pfLink().Carrier })
}

func setsMTU(s *session) {
	l := s.pfLink()
	for _, mtu := range []int{s.dev.MaxMTU, l.MTU} {
		s.must(s.h.Links.SetMTU(s.ctx, l.Index, mtu))
		if got := s.pfLink().MTU; got != mtu {
			s.Errorf("MTU is %d, want %d", got, mtu)
		}
	}
}

func mtuTooLarge(s *session) {
	l := s.pfLink()
	err := s.h.Links.SetMTU(s.ctx, l.Index, s.dev.MaxMTU+1)
	s.refusedWith(err, syscall.EINVAL, "mtu greater than device maximum")
	if got := s.pfLink().MTU; got != l.MTU {
		s.Errorf("MTU is %d, was %d", got, l.MTU)
	}
}

// noIndex is no interface's.
const noIndex = 1 << 30

func unknownIndex(s *session) {
	s.refused(s.h.Links.SetUp(s.ctx, noIndex, true), syscall.ENODEV)
	s.refused(s.h.Links.SetMTU(s.ctx, noIndex, 1500), syscall.ENODEV)
	_, err := s.h.Links.VFs(s.ctx, noIndex)
	s.refused(err, syscall.ENODEV)
}

// reportedVF is what the PF's link says of a VF.
func (s *session) reportedVF(index int) host.LinkVF {
	s.Helper()
	vfs, err := s.h.Links.VFs(s.ctx, s.pfLink().Index)
	s.must(err)
	for _, vf := range vfs {
		if vf.Index == index {
			return vf
		}
	}
	s.Fatalf("VF %d is not in %v", index, vfs)
	return host.LinkVF{}
}

const adminMAC = "02:11:22:33:44:55"

func setsAdminMAC(s *session) {
	s.createVFs(2, false)
	s.must(s.h.Links.SetVFMAC(s.ctx, s.pfLink().Index, 1, adminMAC))
	if got := s.reportedVF(1).MAC; got != adminMAC {
		s.Errorf("admin MAC is %q", got)
	}
	vf := s.vf(1)
	s.must(s.write(driversProbe, vf))
	s.eventually("the VF has a netdev", func() bool { return len(s.vfLinks(vf)) == 1 })
	if got := s.vfLinks(vf)[0].MAC; got != adminMAC {
		s.Errorf("the netdev has MAC %s", got)
	}
}

func adminMACBeyond(s *session) {
	s.createVFs(2, false)
	s.refused(s.h.Links.SetVFMAC(s.ctx, s.pfLink().Index, 2, adminMAC), syscall.EINVAL)
}

func adminMACOfGroup(s *session) {
	s.createVFs(1, false)
	s.refused(s.h.Links.SetVFMAC(s.ctx, s.pfLink().Index, 0, "01:00:5e:00:00:01"), syscall.EINVAL)
}

func adminMACIsLost(s *session) {
	s.createVFs(1, false)
	s.must(s.h.Links.SetVFMAC(s.ctx, s.pfLink().Index, 0, adminMAC))
	s.must(s.write(s.pf("sriov_numvfs"), "0"))
	s.createVFs(1, false)
	if got := s.reportedVF(0).MAC; got == adminMAC {
		s.Errorf("the admin MAC %s is still there", got)
	}
}

func vfList(s *session) {
	for n := range 3 {
		if n > 0 {
			s.createVFs(n, false)
		}
		vfs, err := s.h.Links.VFs(s.ctx, s.pfLink().Index)
		s.must(err)
		if len(vfs) != n {
			s.Errorf("%d VFs: the PF's link lists %v", n, vfs)
		}
		for i, vf := range vfs {
			if vf.Index != i {
				s.Errorf("VF %d has index %d", i, vf.Index)
			}
		}
		s.must(s.write(s.pf("sriov_numvfs"), "0"))
	}
}

func (s *session) feature(netdev string) host.Feature {
	s.Helper()
	f, err := s.h.Ethtool.Feature(s.ctx, netdev, host.FeatureHWTCOffload)
	s.must(err)
	return f
}

func changesOffload(s *session) {
	name := s.pfLink().Name
	for _, on := range []bool{true, false, true} {
		s.must(s.h.Ethtool.SetFeature(s.ctx, name, host.FeatureHWTCOffload, on))
		if got := s.feature(name); got.On != on || got.Fixed {
			s.Errorf("the feature is %+v after setting %t", got, on)
		}
	}
}

func fixedOffload(s *session) {
	name := s.pfLink().Name
	if got := s.feature(name); !got.Fixed || got.On {
		s.Errorf("the feature is %+v, want fixed off", got)
	}
	s.refused(s.h.Ethtool.SetFeature(s.ctx, name, host.FeatureHWTCOffload, true), syscall.EOPNOTSUPP)
	s.must(s.h.Ethtool.SetFeature(s.ctx, name, host.FeatureHWTCOffload, false))
	if got := s.feature(name); got.On {
		s.Error("a fixed feature changed")
	}
}

func noFeature(s *session) {
	_, err := s.h.Ethtool.Feature(s.ctx, "no-such-netdev", host.FeatureHWTCOffload)
	s.refused(err, syscall.ENODEV)
	_, err = s.h.Ethtool.Feature(s.ctx, s.pfLink().Name, "no-such-feature")
	if !errors.Is(err, fs.ErrNotExist) {
		s.Errorf("an unknown feature: %v", err)
	}
}
