package cleanup_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sriov-offload/sriov-offload-operator/daemon/cleanup"
	"github.com/sriov-offload/sriov-offload-operator/daemon/hostfile"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := cleanup.NewCommand()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// host is a folder like the root of a machine without a NIC.
func host(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func TestCommandWhereWeHaveNeverBeen(t *testing.T) {
	root := host(t, nil)
	out, err := execute(t, "--host-root", root)
	if err != nil || out != "Nothing on this node is ours.\n" {
		t.Errorf("%q, %v", out, err)
	}
	if exists(filepath.Join(root, "var")) {
		t.Error("it has left something behind")
	}
}

// A file on a real file system goes with its folders and the ledger, once nobody
// else has the lock.
func TestCommand(t *testing.T) {
	root := host(t, map[string]string{
		"proc/sys/kernel/random/boot_id": "b\n", "sys/bus/pci/devices/none/class": "0x060000\n", "etc/os-release": "",
		hostfile.UdevRules: "# Written by sriov-offload-operator. Changes are overwritten.\n",
		ledger.DefaultPath: `{"version": 3, "files": {"` + hostfile.UdevRules + `": {"folders": ["etc/udev", "etc/udev/rules.d"]}}}`,
	})
	store := ledger.FileStore{Path: filepath.Join(root, ledger.DefaultPath)}
	lock, err := store.Lock()
	if err != nil {
		t.Fatal(err)
	}
	_, err = execute(t, "--host-root", root)
	stopped(t, err, cleanup.Locked, "stop the daemon")
	if out, err := execute(t, "--host-root", root, "--dry-run"); err != nil || !strings.Contains(out, "remove /"+hostfile.UdevRules) {
		t.Errorf("dry run beside a daemon: %v\n%s", err, out)
	}
	if err := lock.Unlock(); err != nil || !exists(store.Path) {
		t.Fatalf("the ledger has gone with the lock: %v", err)
	}
	out, err := execute(t, "--host-root", root)
	if err != nil || !strings.Contains(out, "Done: remove /"+hostfile.UdevRules) {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"etc/udev", filepath.Dir(ledger.DefaultPath)} {
		if exists(filepath.Join(root, name)) {
			t.Errorf("%s is still there", name)
		}
	}
	if !exists(filepath.Join(root, "etc")) || !exists(filepath.Join(root, "var/lib")) {
		t.Error("what was not ours has gone")
	}
}

func TestCommandRefuses(t *testing.T) {
	if _, err := execute(t, "--host-root", t.TempDir(), "--node-ip", "x"); err == nil || !strings.Contains(err.Error(), "--node-ip") {
		t.Errorf("got %v", err)
	}
	root := host(t, map[string]string{ledger.DefaultPath: "{"})
	_, err := execute(t, "--host-root", root)
	stopped(t, err, cleanup.Failed, ledger.DefaultPath)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cmd := cleanup.NewCommand()
	cmd.SetArgs([]string{"extra"})
	if err := cmd.ExecuteContext(ctx); err == nil {
		t.Error("an argument was taken")
	}
}
