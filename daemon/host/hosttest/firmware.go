package hosttest

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// ApplicationFirmware says that the PF's driver loads the firmware nic or flower from
// lib/firmware/netronome when it is bound; both are there, and nothing else
// chooses between them than the link named after the PCI address.
const ApplicationFirmware Capability = "application firmware"

func firmwareSpecs() []Spec {
	need := []Capability{ApplicationFirmware}
	return []Spec{
		{Label: "ethtool: the firmware version can be asked for on every netdev", run: firmwareVersion},
		{Label: "firmware: the driver loads what the link of the PCI address leads to", Needs: need, run: linkedFirmware},
		{Label: "firmware: a link to nowhere is passed over", Needs: need, run: brokenFirmware},
		{Label: "firmware: a driver that finds none gives the PF up, and takes it again later", Needs: need, run: damagedFirmware},
		{Label: "firmware: the parameters that decide on it are numbers", Needs: need, run: firmwareParams},
		{Label: "firmware: a parameter that the driver lacks is EINVAL", Needs: []Capability{Devlink}, run: missingParam},
	}
}

func (s *session) firmwareLink() string {
	return "lib/firmware/netronome/pci-" + s.dev.PF + ".nffw"
}

// link lets the firmware link lead somewhere for the time of a spec.
func (s *session) link(target string) {
	s.Helper()
	before, err := s.h.FS.ReadLink(s.ctx, s.firmwareLink())
	if err != nil {
		before = ""
	}
	_, err = s.h.Files.Link(s.ctx, s.firmwareLink(), target)
	s.must(err)
	s.Cleanup(func() {
		s.ctx = context.WithoutCancel(s.ctx)
		if before == "" {
			s.must(s.h.Files.Remove(s.ctx, s.firmwareLink()))
		} else {
			_, err := s.h.Files.Link(s.ctx, s.firmwareLink(), before)
			s.must(err)
		}
		if s.driver(s.dev.PF) != "" {
			s.must(s.write(s.pf("driver/unbind"), s.dev.PF))
		}
		s.must(s.rebind())
		s.must(s.h.Links.SetUp(s.ctx, s.pfLink().Index, true))
	})
}

func (s *session) rebind() error {
	return s.write("sys/bus/pci/drivers/"+s.dev.Driver+"/bind", s.dev.PF)
}

// runs demands the last word of the firmware version.
func (s *session) runs(app string) {
	s.Helper()
	text, err := s.h.Ethtool.FirmwareVersion(s.ctx, s.pfLink().Name)
	s.must(err)
	words := strings.Fields(text)
	if len(words) == 0 || words[len(words)-1] != app {
		s.Errorf("firmware is %q, want %s", text, app)
	}
	_, err = s.h.Devlink.Eswitch(s.ctx, host.DevlinkOf(s.dev.PF))
	if app == "flower" {
		s.must(err)
	} else {
		s.refused(err, syscall.EOPNOTSUPP)
	}
}

func firmwareVersion(s *session) {
	text, err := s.h.Ethtool.FirmwareVersion(s.ctx, s.pfLink().Name)
	s.must(err)
	if len(text) > 31 {
		s.Errorf("the version %q is longer than the kernel has room for", text)
	}
	_, err = s.h.Ethtool.FirmwareVersion(s.ctx, "no-such-netdev")
	s.refused(err, syscall.ENODEV)
}

func (s *session) file(app string) string {
	names, err := s.h.FS.ReadDir(s.ctx, "lib/firmware/netronome/"+app)
	s.must(err)
	return app + "/" + names[len(names)-1]
}

func linkedFirmware(s *session) {
	for _, app := range []string{"flower", "nic", "flower"} {
		s.link(s.file(app))
		s.must(s.write(s.pf("driver/unbind"), s.dev.PF))
		s.must(s.rebind())
		s.runs(app)
	}
}

func brokenFirmware(s *session) {
	s.link("nowhere/nic.nffw")
	s.must(s.write(s.pf("driver/unbind"), s.dev.PF))
	s.must(s.rebind())
	s.runs("nic")
}

func damagedFirmware(s *session) {
	const damaged = "lib/firmware/netronome/damaged.nffw"
	_, err := s.h.Files.Put(s.ctx, damaged, []byte("damaged"), false)
	s.must(err)
	s.Cleanup(func() { s.must(s.h.Files.Remove(context.WithoutCancel(s.ctx), damaged)) })
	s.link("damaged.nffw")
	s.must(s.write(s.pf("driver/unbind"), s.dev.PF))
	err = s.rebind()
	if _, ok := errors.AsType[*host.Error](err); !ok {
		s.Errorf("binding with a damaged firmware: %v", err)
	}
	if bound := s.driver(s.dev.PF); bound != "" {
		s.Errorf("the PF is bound to %s", bound)
	}
	if _, err := s.h.Devlink.Eswitch(s.ctx, host.DevlinkOf(s.dev.PF)); !errors.Is(err, syscall.ENODEV) {
		s.Errorf("the devlink instance of a PF without driver: %v", err)
	}
}

func firmwareParams(s *session) {
	for _, name := range []string{"fw_load_policy", "reset_dev_on_drv_probe"} {
		if n, err := s.h.Devlink.PermanentParam(s.ctx, host.DevlinkOf(s.dev.PF), name); err != nil || n < 0 || n > 3 {
			s.Errorf("%s is %d, %v", name, n, err)
		}
	}
}

func missingParam(s *session) {
	_, err := s.h.Devlink.PermanentParam(s.ctx, host.DevlinkOf(s.dev.PF), "no_such_parameter")
	s.refused(err, syscall.EINVAL)
}
