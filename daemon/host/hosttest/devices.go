package hosttest

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// Capabilities of what VFs have besides a netdev.
const (
	// RDMA: functions have RDMA devices.
	RDMA Capability = "RDMA"
	// VFNodeGUID: the node GUID of a VF's RDMA device is made of its admin MAC.
	VFNodeGUID Capability = "node GUID of the admin MAC"
	// Infiniband: the port is InfiniBand, and its VFs get GUIDs through the PF.
	Infiniband Capability = "InfiniBand"
	// VDPA: vDPA devices can be made of VFs, and both drivers of the vdpa bus are there.
	VDPA Capability = "vDPA"
)

func deviceSpecs() []Spec {
	ib := []Capability{Infiniband}
	vdpa := []Capability{VDPA}
	return []Spec{
		{Label: "RDMA: a bound VF has a device, an unbound one has none", Needs: []Capability{RDMA}, run: rdmaWithDriver},
		{Label: "RDMA: a VF takes its node GUID from the admin MAC at its next probe", Needs: []Capability{RDMA, VFNodeGUID}, run: guidAtProbe},
		{Label: "GUID: what is set through the PF is read back, and taken at the next probe", Needs: ib, run: setsGUID},
		{Label: "GUID: VFs come without", Needs: ib, run: noGUID},
		{Label: "GUID: a VF beyond sriov_numvfs is EINVAL", Needs: ib, run: guidBeyond},
		{Label: "GUID: through a link that is not InfiniBand it is EOPNOTSUPP", Lacks: ib, run: guidOfEthernet},
		{Label: "vDPA: a VF is a manager while it has its driver", Needs: vdpa, run: vdpaManagers},
		{Label: "vDPA: a device is made of a manager and bound", Needs: vdpa, run: makesVDPA},
		{Label: "vDPA: a second device of a VF is ENOSPC", Needs: vdpa, run: secondVDPA},
		{Label: "vDPA: of what is no manager it is ENODEV", Needs: vdpa, run: vdpaOfNothing},
		{Label: "vDPA: a device goes from one driver to the other", Needs: vdpa, run: rebindsVDPA},
		{Label: "vDPA: a device ends with the VF's driver", Needs: vdpa, run: vdpaEndsWithDriver},
		{Label: "vDPA: removing takes the device away, once", Needs: vdpa, run: removesVDPA},
	}
}

// nodeGUID of a function's RDMA device, empty if it has no device.
func (s *session) nodeGUID(address string) string {
	s.Helper()
	names, err := s.h.FS.ReadDir(s.ctx, attr(address, "infiniband"))
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	s.must(err)
	if len(names) != 1 {
		s.Fatalf("%s has RDMA devices %v", address, names)
	}
	return strings.ReplaceAll(s.read(attr(address, "infiniband/"+names[0]+"/node_guid")), ":", "")
}

const noNodeGUID = "0000000000000000"

func rdmaWithDriver(s *session) {
	s.createVFs(2, false)
	if got := s.nodeGUID(s.vf(1)); got != "" {
		s.Errorf("an unbound VF has an RDMA device with node GUID %s", got)
	}
	s.must(s.write(driversProbe, s.vf(1)))
	s.eventually("the VF has an RDMA device", func() bool { return s.nodeGUID(s.vf(1)) != "" })
	if got := s.nodeGUID(s.dev.PF); got == "" || got == noNodeGUID {
		s.Errorf("the PF's node GUID is %q", got)
	}
	s.unbind(s.vf(1))
	if got := s.nodeGUID(s.vf(1)); got != "" {
		s.Errorf("an unbound VF has an RDMA device with node GUID %s", got)
	}
}

// probed binds a VF and waits for its RDMA device.
func (s *session) probed(vf string) {
	s.Helper()
	s.must(s.write(driversProbe, vf))
	s.eventually("the VF has an RDMA device", func() bool { return s.nodeGUID(vf) != "" })
}

func guidAtProbe(s *session) {
	s.createVFs(1, false)
	vf := s.vf(0)
	s.probed(vf)
	if got := s.nodeGUID(vf); got != noNodeGUID {
		s.Errorf("without an admin MAC the node GUID is %s", got)
	}
	s.must(s.h.Links.SetVFMAC(s.ctx, s.pfLink().Index, 0, adminMAC))
	if got := s.nodeGUID(vf); got != noNodeGUID {
		s.Errorf("the node GUID of a bound VF has become %s", got)
	}
	s.unbind(vf)
	s.probed(vf)
	if got := s.nodeGUID(vf); got != "021122fffe334455" {
		s.Errorf("the node GUID is %s", got)
	}
}

const vfGUID = "0a:11:22:00:01:33:44:55"

func setsGUID(s *session) {
	s.createVFs(2, false)
	s.must(s.h.Links.SetVFGUID(s.ctx, s.pfLink().Index, 1, vfGUID))
	if got := s.reportedVF(1); got.GUID != vfGUID || got.NodeGUID != vfGUID || !got.ReportsGUID {
		s.Errorf("VF 1 is %+v", got)
	}
	if got := s.reportedVF(0).GUID; got != "" {
		s.Errorf("VF 0 has GUID %s", got)
	}
	s.probed(s.vf(1))
	if got := s.nodeGUID(s.vf(1)); got != strings.ReplaceAll(vfGUID, ":", "") {
		s.Errorf("the node GUID is %s", got)
	}
}

func noGUID(s *session) {
	s.createVFs(1, true)
	s.eventually("the VF has an RDMA device", func() bool { return s.nodeGUID(s.vf(0)) != "" })
	if got := s.nodeGUID(s.vf(0)); got != noNodeGUID {
		s.Errorf("the node GUID is %s", got)
	}
	if got := s.reportedVF(0).GUID; got != "" {
		s.Errorf("the GUID is %s", got)
	}
}

func guidBeyond(s *session) {
	s.createVFs(1, false)
	s.refused(s.h.Links.SetVFGUID(s.ctx, s.pfLink().Index, 1, vfGUID), syscall.EINVAL)
}

func guidOfEthernet(s *session) {
	s.createVFs(1, false)
	s.refused(s.h.Links.SetVFGUID(s.ctx, s.pfLink().Index, 0, vfGUID), syscall.EOPNOTSUPP)
}

const vdpaName = "vdpa:test"

// managed returns a VF that is bound and a manager.
func (s *session) managed() host.DevlinkHandle {
	s.Helper()
	s.createVFs(1, true)
	h := host.DevlinkOf(s.vf(0))
	s.eventually("the VF is a manager", func() bool { return s.manager(h) })
	return h
}

func (s *session) manager(h host.DevlinkHandle) bool {
	s.Helper()
	all, err := s.h.VDPA.Managers(s.ctx)
	s.must(err)
	for _, m := range all {
		if m == h {
			return true
		}
	}
	return false
}

// vdpa returns the vDPA devices of a manager.
func (s *session) vdpa(h host.DevlinkHandle) []string {
	s.Helper()
	all, err := s.h.VDPA.Devices(s.ctx)
	s.must(err)
	var out []string
	for _, d := range all {
		if d.Manager == h {
			out = append(out, d.Name)
		}
	}
	return out
}

func vdpaFile(name string) string { return "sys/bus/vdpa/" + name }

// vdpaDriver is the driver of the device, empty if there is none.
func (s *session) vdpaDriver() string {
	s.Helper()
	name, err := s.base(vdpaFile("devices/" + vdpaName + "/driver"))
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	s.must(err)
	return name
}

func vdpaManagers(s *session) {
	h := s.managed()
	s.unbind(h.Device)
	if s.manager(h) {
		s.Error("an unbound VF is a manager")
	}
}

func makesVDPA(s *session) {
	h := s.managed()
	s.must(s.h.VDPA.Create(s.ctx, vdpaName, h))
	if got := s.vdpa(h); len(got) != 1 || got[0] != vdpaName {
		s.Errorf("the VF has vDPA devices %v", got)
	}
	now := s.vdpaDriver()
	if now == "" {
		s.Fatal("the device is bound to no driver")
	}
	s.refused(s.write(vdpaFile("drivers/"+now+"/bind"), vdpaName), syscall.EBUSY)
}

func secondVDPA(s *session) {
	h := s.managed()
	s.must(s.h.VDPA.Create(s.ctx, vdpaName, h))
	s.refused(s.h.VDPA.Create(s.ctx, vdpaName+"2", h), syscall.ENOSPC)
}

func vdpaOfNothing(s *session) {
	s.createVFs(1, false)
	s.refusedWith(s.h.VDPA.Create(s.ctx, vdpaName, host.DevlinkOf(s.vf(0))), syscall.ENODEV, "management device")
}

func rebindsVDPA(s *session) {
	h := s.managed()
	s.must(s.h.VDPA.Create(s.ctx, vdpaName, h))
	for _, driver := range []string{host.DriverVhostVDPA, host.DriverVirtioVDPA} {
		if now := s.vdpaDriver(); now != driver {
			s.must(s.write(vdpaFile("drivers/"+now+"/unbind"), vdpaName))
			s.must(s.write(vdpaFile("devices/"+vdpaName+"/driver_override"), driver+"\n"))
			s.refused(s.write(vdpaFile("drivers/"+now+"/bind"), vdpaName), syscall.ENODEV)
			s.must(s.write(vdpaFile("drivers/"+driver+"/bind"), vdpaName))
		}
		if now := s.vdpaDriver(); now != driver {
			s.Errorf("the device is bound to %q, want %s", now, driver)
		}
	}
}

func vdpaEndsWithDriver(s *session) {
	h := s.managed()
	s.must(s.h.VDPA.Create(s.ctx, vdpaName, h))
	s.unbind(h.Device)
	if got := s.vdpa(h); len(got) > 0 || s.vdpaDriver() != "" {
		s.Errorf("the unbound VF has vDPA devices %v", got)
	}
}

func removesVDPA(s *session) {
	h := s.managed()
	s.must(s.h.VDPA.Create(s.ctx, vdpaName, h))
	s.must(s.h.VDPA.Delete(s.ctx, vdpaName))
	if got := s.vdpa(h); len(got) > 0 {
		s.Errorf("the VF has vDPA devices %v", got)
	}
	s.refusedWith(s.h.VDPA.Delete(s.ctx, vdpaName), syscall.ENODEV, "device not found")
	if s.driver(h.Device) != s.dev.VFDriver {
		s.Error("the VF has lost its driver")
	}
}
