package hosttest

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// Files checks the rules of host.Files on a machine whose etc/udev/rules.d is
// there and empty; it leaves nothing behind.
func Files(t *testing.T, h host.Host) {
	t.Helper()
	for _, spec := range []struct {
		label string
		run   func(*files)
	}{
		{"what was put is read, and replaced as a whole", putAndReplace},
		{"what was copied is read, digested, and replaced as a whole", copyAndDigest},
		{"missing folders are made, named, and removed when they are empty", madeFolders},
		{"a link is made and replaced, and never in the place of a file", links},
		{"removing what is not there is no error", removeMissing},
		{"a path outside is refused", outside},
	} {
		t.Run(spec.label, func(t *testing.T) { spec.run(&files{T: t, h: h}) })
	}
}

type files struct {
	*testing.T
	h host.Host
}

const (
	rules  = "etc/udev/rules.d"
	rule   = rules + "/70-a.rules"
	folder = "etc/one"
	deep   = folder + "/two/b.conf"
)

func (s *files) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// holds compares the content of a file, through links; empty means none.
func (s *files) holds(name, want string) {
	s.Helper()
	data, err := s.h.FS.ReadFile(s.Context(), name)
	if errors.Is(err, fs.ErrNotExist) && want == "" {
		return
	}
	if err != nil || string(data) != want {
		s.Errorf("%s holds %q, %v; want %q", name, data, err, want)
	}
}

func putAndReplace(s *files) {
	for _, content := range []string{"first and longer\n", "second\n"} {
		made, err := s.h.Files.Put(s.Context(), rule, []byte(content), false)
		s.must(err)
		if len(made) > 0 {
			s.Errorf("made %v", made)
		}
		s.holds(rule, content)
	}
	if names, err := s.h.FS.ReadDir(s.Context(), rules); err != nil || !slices.Equal(names, []string{"70-a.rules"}) {
		s.Errorf("folder has %v, %v", names, err)
	}
	s.must(s.h.Files.Remove(s.Context(), rule))
	s.holds(rule, "")
}

func copyAndDigest(s *files) {
	if _, err := s.h.Files.Digest(s.Context(), rule); !errors.Is(err, fs.ErrNotExist) {
		s.Errorf("digest of what is not there: %v", err)
	}
	for content, digest := range map[string]string{
		"":    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	} {
		made, err := s.h.Files.Copy(s.Context(), rule, strings.NewReader(content), 0o700)
		s.must(err)
		if len(made) > 0 {
			s.Errorf("made %v", made)
		}
		if data, err := s.h.FS.ReadFile(s.Context(), rule); err != nil || string(data) != content {
			s.Errorf("%s holds %q, %v; want %q", rule, data, err, content)
		}
		if got, err := s.h.Files.Digest(s.Context(), rule); err != nil || got != digest {
			s.Errorf("digest of %q is %s, %v; want %s", content, got, err, digest)
		}
	}
	before, err := s.h.FS.ReadFile(s.Context(), rule)
	s.must(err)
	broken := iotest.ErrReader(errors.New("the source is gone"))
	if _, err := s.h.Files.Copy(s.Context(), rule, broken, 0o700); err == nil {
		s.Error("half a file was taken for a whole one")
	}
	if after, err := s.h.FS.ReadFile(s.Context(), rule); err != nil || !slices.Equal(before, after) {
		s.Errorf("a copy that failed left %q, %v", after, err)
	}
	s.must(s.h.Files.Remove(s.Context(), rule))
}

func madeFolders(s *files) {
	made, err := s.h.Files.Put(s.Context(), deep, []byte("x"), true)
	s.must(err)
	if want := []string{folder, folder + "/two"}; !slices.Equal(made, want) {
		s.Errorf("made %v, want %v", made, want)
	}
	s.must(s.h.Files.RemoveDir(s.Context(), folder+"/two"))
	s.holds(deep, "x")
	s.must(s.h.Files.Remove(s.Context(), deep))
	for _, name := range []string{folder + "/two", folder} {
		s.must(s.h.Files.RemoveDir(s.Context(), name))
	}
	if _, err := s.h.FS.ReadDir(s.Context(), folder); !errors.Is(err, fs.ErrNotExist) {
		s.Errorf("the folder is still there: %v", err)
	}
}

func links(s *files) {
	const link = rules + "/link"
	_, err := s.h.Files.Put(s.Context(), rule, []byte("target"), false)
	s.must(err)
	for _, target := range []string{"nowhere", "70-a.rules"} {
		_, err := s.h.Files.Link(s.Context(), link, target)
		s.must(err)
		if got, err := s.h.FS.ReadLink(s.Context(), link); err != nil || got != target {
			s.Errorf("link leads to %q, %v; want %q", got, err, target)
		}
	}
	s.holds(link, "target")
	if _, err := s.h.Files.Link(s.Context(), rule, "nowhere"); !errors.Is(err, syscall.EEXIST) {
		s.Errorf("linking over a file: %v", err)
	}
	s.holds(rule, "target")
	s.must(s.h.Files.Remove(s.Context(), link))
	s.holds(rule, "target")
	s.must(s.h.Files.Remove(s.Context(), rule))
}

func removeMissing(s *files) {
	s.must(s.h.Files.Remove(s.Context(), rule))
	s.must(s.h.Files.Remove(s.Context(), deep))
	s.must(s.h.Files.RemoveDir(s.Context(), folder))
}

func outside(s *files) {
	for _, name := range []string{"../x", "/etc/x", "", ".", "etc/../../x"} {
		if _, err := s.h.Files.Put(s.Context(), name, nil, false); err == nil {
			s.Errorf("%q was taken", name)
		}
		if err := s.h.Files.Remove(s.Context(), name); err == nil {
			s.Errorf("%q was removed", name)
		}
	}
}
