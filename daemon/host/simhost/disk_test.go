package simhost_test

import (
	"errors"
	"maps"
	"slices"
	"syscall"
	"testing"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/hosttest"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

func TestFilesConformance(t *testing.T) {
	k := simhost.New(simhost.Options{})
	defer k.Close()
	hosttest.Files(t, k.Host())
}

// Files survive a reboot; a read-only file system refuses; links of folders are
// followed.
func TestDisk(t *testing.T) {
	k := simhost.New(simhost.Options{ReadOnly: []string{"usr"}})
	defer k.Close()
	if err := k.PutFile("usr/lib/firmware/a", "blob"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Host().Files.Link(t.Context(), "etc/firmware", "../usr/lib/firmware"); err != nil {
		t.Fatal(err)
	}
	k.Reboot()
	if data, err := k.Host().FS.ReadFile(t.Context(), "etc/firmware/a"); err != nil || string(data) != "blob" {
		t.Errorf("through the link: %q, %v", data, err)
	}
	if _, err := k.Host().Files.Put(t.Context(), "usr/lib/b", nil, false); !errors.Is(err, syscall.EROFS) {
		t.Errorf("writing to a read-only file system: %v", err)
	}
	if err := k.Host().Files.Remove(t.Context(), "usr/lib/firmware/a"); !errors.Is(err, syscall.EROFS) {
		t.Errorf("removing from a read-only file system: %v", err)
	}
	if got, want := slices.Sorted(maps.Keys(k.Files())), []string{"etc/firmware", "usr/lib/firmware/a"}; !slices.Equal(got, want) {
		t.Errorf("files are %v, want %v", got, want)
	}
}
