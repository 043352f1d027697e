package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// machineVar says how this program ends when boot takes it for QEMU.
const machineVar = "LAB_TEST_MACHINE"

func TestMain(m *testing.M) {
	if kind := os.Getenv(machineVar); kind != "" {
		os.Exit(machine(kind))
	}
	os.Exit(m.Run())
}

// machine writes a console and ends like a machine of that kind.
func machine(kind string) int {
	fmt.Println("    --- PASS: TestConformance/one_rule (0.01s)\r")
	switch kind {
	case "passes":
		return statusPassed
	case "fails":
		fmt.Println("    --- FAIL: TestConformance/another_rule (0.01s)\r")
		return statusFailed
	case "panics":
		// With -no-reboot and panic=-1, QEMU ends with 0.
		fmt.Println("Kernel panic - not syncing: on purpose\r")
		return 0
	case "refuses":
		fmt.Fprintln(os.Stderr, "qemu: no such device")
		return 1
	}
	fmt.Println("watchdog: BUG: soft lockup\r")
	for {
		// A signal of the runtime ends the call, and nothing else does.
		if err := syscall.Pause(); !errors.Is(err, syscall.EINTR) {
			return 2
		}
	}
}

// A machine passes only when it says so; every other end is a failure that shows
// the end of its console.
func TestEndsOfMachines(t *testing.T) {
	for kind, want := range map[string]struct {
		result
		words []string
	}{
		"passes":  {result: result{passed: 1}},
		"fails":   {result{passed: 1, failed: 1}, []string{"a spec failed", "another_rule"}},
		"panics":  {result{passed: 1}, []string{"died without a word", "Kernel panic - not syncing: on purpose"}},
		"hangs":   {result{passed: 1}, []string{"did not end within", "soft lockup"}},
		"refuses": {result{passed: 1}, []string{"exit status 1", "no such device"}},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Setenv(machineVar, kind)
			l := &lab{dir: t.TempDir(), release: "none"}
			pretendQEMU(t, l)
			g := guest{name: kind, limit: 10 * time.Minute}
			if kind == "hangs" {
				g.limit = 10 * time.Second
			}
			found, err := l.boot(t.Context(), g, "image", filepath.Join(l.dir, "log"))
			if found != want.result {
				t.Errorf("found %+v, want %+v", found, want.result)
			}
			if (err != nil) != (len(want.words) > 0) {
				t.Fatalf("boot: %v", err)
			}
			for _, word := range want.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q is not in %v", word, err)
				}
			}
		})
	}
}

// pretendQEMU puts this program where boot starts QEMU.
func pretendQEMU(t *testing.T, l *lab) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	loader := l.path("qemu/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
	if err := os.MkdirAll(filepath.Dir(loader), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, loader); err != nil {
		t.Fatal(err)
	}
}
