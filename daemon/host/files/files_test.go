package files_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/files"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/hosttest"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/sysfs"
)

func open(t *testing.T) (string, host.Host) {
	t.Helper()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc/udev/rules.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	read, err := sysfs.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	own, err := files.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = own.Close(), read.Close() })
	return root, host.Host{FS: read, Files: own}
}

func TestConformance(t *testing.T) {
	_, h := open(t)
	hosttest.Files(t, h)
}

// The mode is what was asked for, whatever the umask; links that lead out of the
// root are not followed; what a crash left behind is replaced and removed.
func TestOnDisk(t *testing.T) {
	root, h := open(t)
	defer syscall.Umask(syscall.Umask(0o077))
	for name, want := range map[string]os.FileMode{"etc/plain": 0o644, "etc/tool": 0o755} {
		left := filepath.Join(root, name+".sriov-offload-new")
		if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Files.Put(t.Context(), name, []byte("x"), want == 0o755); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v; want %v", name, info.Mode(), err, want)
		}
		if _, err := os.Lstat(left); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", left, err)
		}
	}
	elsewhere := t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(root, "out")); err != nil {
		t.Fatal(err)
	}
	_, err := h.Files.Put(t.Context(), "out/x", []byte("x"), false)
	if err == nil || !strings.Contains(err.Error(), "/out/x") {
		t.Errorf("writing through a link that leads out: %v", err)
	}
	if names, _ := os.ReadDir(elsewhere); len(names) > 0 {
		t.Errorf("something was written outside: %v", names)
	}
}

// A copy has the mode that was asked for, whatever the umask. With SELinux on the
// machine a program gets the label of programs, and nothing else does.
func TestCopyOnDisk(t *testing.T) {
	root, h := open(t)
	defer syscall.Umask(syscall.Umask(0o077))
	labelOf := func(name string) string {
		buf := make([]byte, 100)
		n, err := syscall.Getxattr(filepath.Join(root, name), "security.selinux", buf)
		if err != nil {
			return ""
		}
		return string(buf[:n])
	}
	put := func(name string, mode os.FileMode) {
		t.Helper()
		if _, err := h.Files.Copy(t.Context(), name, strings.NewReader("x"), mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, %v; want %v", name, info.Mode(), err, mode)
		}
	}
	put("var/lib/state", 0o600)
	put("var/lib/tool", 0o755)
	if got := labelOf("var/lib/tool"); got != "" {
		t.Errorf("label without SELinux is %q", got)
	}
	if err := os.MkdirAll(filepath.Join(root, "sys/fs/selinux"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "sys/fs/selinux/enforce"), []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	put("var/lib/state", 0o600)
	put("var/lib/tool", 0o755)
	if got := labelOf("var/lib/state"); got != "" {
		t.Errorf("label of a state file is %q", got)
	}
	if got := labelOf("var/lib/tool"); got != "system_u:object_r:bin_t:s0" {
		t.Errorf("label of a program is %q", got)
	}
}
