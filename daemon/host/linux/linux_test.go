package linux_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"errors"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/linux"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
)

// TestThisMachine observes the machine that runs the test.
func TestThisMachine(t *testing.T) {
	h, closer, err := linux.Open(linux.Options{KubeletSocket: filepath.Join(t.TempDir(), "kubelet.sock")})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closer.Close() }()
	node, err := observe.Node(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	if len(node.BootID) != 36 || !strings.Contains(node.PodsUnknown, "socket is missing") {
		t.Errorf("node is %+v", node)
	}
	for _, pf := range node.PFs {
		if len(pf.Vendor) != 4 || len(pf.DeviceID) != 4 || pf.TotalVFs == nil {
			t.Errorf("PF is %+v", pf)
		}
	}
}

// TestRoot keeps files below another root, where the kubelet's socket is as well.
func TestRoot(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"proc/sys/kernel/random", "sys/bus"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "proc/sys/kernel/random/boot_id"), []byte("b00t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, closer, err := linux.Open(linux.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = closer.Close() }()
	node, err := observe.Node(t.Context(), h)
	if err != nil || node.BootID != "b00t" || len(node.PFs) != 0 {
		t.Errorf("Node = %+v, %v", node, err)
	}
	if want := filepath.Join(root, linux.KubeletSocket); !strings.Contains(node.PodsUnknown, want) {
		t.Errorf("PodsUnknown %q does not name %s", node.PodsUnknown, want)
	}
	if err := os.RemoveAll(filepath.Join(root, "sys")); err != nil {
		t.Fatal(err)
	}
	if node, err := observe.Node(t.Context(), h); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without sysfs: %+v, %v", node, err)
	}
	if _, err := h.Log.Recent(t.Context(), "pci", 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("log of a root without /dev: %v", err)
	}
}

func TestBadRoot(t *testing.T) {
	if _, _, err := linux.Open(linux.Options{Root: "relative"}); err == nil {
		t.Error("a relative root was taken")
	}
	if _, _, err := linux.Open(linux.Options{Root: filepath.Join(t.TempDir(), "no")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing root: %v", err)
	}
}
