package hosttest

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

func doorSpecs() []Spec {
	return []Spec{
		{Label: "files: a missing attribute is fs.ErrNotExist", run: missingAttribute},
		{Label: "files: a folder is listed in order", OfFunctions: true, run: orderedFolder},
		{Label: "files: what is no link is EINVAL for ReadLink", run: noLink},
		{Label: "files: boot_id is there", run: bootID},
		{Label: "events: a change of VFs is announced", OfFunctions: true, run: vfEvents},
		{Label: "events: a change of a link is announced", run: linkEvents},
		{Label: "events: the channel closes when its context ends", run: eventsEnd},
		{Label: "context: an ended one ends every operation", run: endedContext},
	}
}

func missingAttribute(s *session) {
	_, err := s.h.FS.ReadFile(s.ctx, s.pf("no_such_attribute"))
	if !errors.Is(err, fs.ErrNotExist) {
		s.Errorf("ReadFile: %v", err)
	}
	s.refused(err, syscall.ENOENT)
	_, err = s.h.FS.ReadDir(s.ctx, "sys/bus/pci/no_such_folder")
	s.refused(err, syscall.ENOENT)
	_, err = s.h.FS.ReadLink(s.ctx, s.pf("physfn"))
	s.refused(err, syscall.ENOENT)
	err = s.write(s.pf("no_such_attribute"), "1")
	if _, ok := errors.AsType[*host.Error](err); !ok {
		s.Errorf("WriteFile: %v", err)
	}
}

func orderedFolder(s *session) {
	names, err := s.h.FS.ReadDir(s.ctx, "sys/bus/pci/devices")
	s.must(err)
	found := false
	for i, name := range names {
		found = found || name == s.dev.PF
		if i > 0 && names[i-1] >= name {
			s.Errorf("%s comes after %s", name, names[i-1])
		}
	}
	if !found {
		s.Errorf("%s is not in %v", s.dev.PF, names)
	}
}

func noLink(s *session) {
	_, err := s.h.FS.ReadLink(s.ctx, s.pf("uevent"))
	s.refused(err, syscall.EINVAL)
}

func bootID(s *session) {
	if got := s.read("proc/sys/kernel/random/boot_id"); strings.Count(got, "-") != 4 {
		s.Errorf("boot_id is %q", got)
	}
}

// awaitEvent demands an event after a change.
func (s *session) awaitEvent(change func()) {
	s.Helper()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	events, err := s.h.Events.Subscribe(ctx)
	s.must(err)
	change()
	select {
	case e := <-events:
		if e.Source == "" || e.Device == "" {
			s.Errorf("event %+v", e)
		}
	case <-time.After(patience):
		s.Error("no event came")
	}
}

func vfEvents(s *session) {
	s.awaitEvent(func() { s.createVFs(1, false) })
}

func linkEvents(s *session) {
	index := s.pfLink().Index
	s.awaitEvent(func() { s.must(s.h.Links.SetUp(s.ctx, index, false)) })
}

func eventsEnd(s *session) {
	ctx, cancel := context.WithCancel(s.ctx)
	events, err := s.h.Events.Subscribe(ctx)
	s.must(err)
	cancel()
	closed := time.After(patience)
	for {
		select {
		case _, open := <-events:
			if !open {
				return
			}
		case <-closed:
			s.Fatal("the channel is still open")
		}
	}
}

func endedContext(s *session) {
	index := s.pfLink().Index
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, readErr := s.h.FS.ReadFile(ctx, s.pf("uevent"))
	_, listErr := s.h.Links.List(ctx)
	_, devlinkErr := s.h.Devlink.Eswitch(ctx, host.DevlinkOf(s.dev.PF))
	for what, err := range map[string]error{
		"ReadFile":  readErr,
		"WriteFile": s.h.FS.WriteFile(ctx, s.pf("sriov_numvfs"), []byte("1")),
		"List":      listErr,
		"SetUp":     s.h.Links.SetUp(ctx, index, false),
		"Eswitch":   devlinkErr,
	} {
		if !errors.Is(err, context.Canceled) {
			s.Errorf("%s: %v", what, err)
		}
	}
	if got := s.number(s.pf("sriov_numvfs")); got != 0 || !s.pfLink().Up {
		s.Error("an operation with an ended context took effect")
	}
}
