package hosttest

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// Systemd checks the rules of host.Systemd on a machine whose etc/systemd/system
// is there and has no unit of ours; it leaves nothing behind.
func Systemd(t *testing.T, h host.Host) {
	t.Helper()
	for _, spec := range []struct {
		label string
		run   func(*services)
	}{
		{"a unit without a file is not found, and cannot be enabled", unitMissing},
		{"a unit is enabled by a link from what wants it, once", unitEnabled},
		{"a changed file needs a reload", unitChanged},
	} {
		t.Run(spec.label, func(t *testing.T) { spec.run(&services{files{T: t, h: h}}) })
	}
}

type services struct{ files }

const (
	unitName  = "sriov-offload-conformance.service"
	unitFile  = "etc/systemd/system/" + unitName
	unitWants = "etc/systemd/system/multi-user.target.wants"
	unitText  = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n\n[Install]\nWantedBy=multi-user.target\n"
	unitText2 = "# another\n" + unitText
)

func (s *services) state(want host.UnitState) {
	s.Helper()
	got, err := s.h.Systemd.Unit(s.Context(), unitName)
	if err != nil {
		s.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("state of the unit (-want +got):\n%s", diff)
	}
}

func (s *services) put(text string) {
	s.Helper()
	_, err := s.h.Files.Put(s.Context(), unitFile, []byte(text), false)
	s.must(err)
}

// remove takes the unit away again.
func (s *services) remove() {
	s.Helper()
	s.must(s.h.Systemd.Disable(s.Context(), unitName))
	s.must(s.h.Files.Remove(s.Context(), unitFile))
	s.must(s.h.Systemd.Reload(s.Context()))
	s.state(host.UnitState{Load: "not-found", Active: "inactive"})
}

func unitMissing(s *services) {
	s.state(host.UnitState{Load: "not-found", Active: "inactive"})
	err := s.h.Systemd.Enable(s.Context(), unitName)
	var refused *host.Error
	if !errors.Is(err, syscall.ENOENT) || !errors.As(err, &refused) || refused.Text == "" {
		s.Errorf("enabling a unit without a file: %v", err)
	}
	s.must(s.h.Systemd.Disable(s.Context(), unitName))
}

func unitEnabled(s *services) {
	s.put(unitText)
	s.state(host.UnitState{Load: "loaded", Active: "inactive", Result: "success", File: "disabled"})
	for range 2 {
		s.must(s.h.Systemd.Enable(s.Context(), unitName))
	}
	s.must(s.h.Systemd.Reload(s.Context()))
	s.state(host.UnitState{Load: "loaded", Active: "inactive", Result: "success", File: "enabled"})
	if names, err := s.h.FS.ReadDir(s.Context(), unitWants); err != nil || !slices.Equal(names, []string{unitName}) {
		s.Errorf("links are %v, %v", names, err)
	}
	s.must(s.h.Systemd.Disable(s.Context(), unitName))
	s.state(host.UnitState{Load: "loaded", Active: "inactive", Result: "success", File: "disabled"})
	s.remove()
}

func unitChanged(s *services) {
	s.put(unitText)
	s.must(s.h.Systemd.Reload(s.Context()))
	s.state(host.UnitState{Load: "loaded", Active: "inactive", Result: "success", File: "disabled"})
	s.put(unitText2)
	s.state(host.UnitState{Load: "loaded", Active: "inactive", Result: "success", File: "disabled", NeedsReload: true})
	s.must(s.h.Systemd.Reload(s.Context()))
	s.state(host.UnitState{Load: "loaded", Active: "inactive", Result: "success", File: "disabled"})
	s.remove()
}
