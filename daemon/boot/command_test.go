package boot

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// root is a folder with the sysfs tree of one PF without a driver, and a state.
func root(t *testing.T, content string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"sys/bus/pci/devices/" + pfA + "/vendor": "0x15b3\n", "sys/bus/pci/devices/" + pfA + "/device": "0x1017\n",
		"sys/bus/pci/devices/" + pfA + "/class": "0x020000\n", "sys/bus/pci/devices/" + pfA + "/sriov_totalvfs": "8\n",
		"sys/bus/pci/devices/" + pfA + "/sriov_numvfs": "0\n", "sys/bus/pci/devices/" + pfA + "/sriov_drivers_autoprobe": "1\n",
		"proc/sys/kernel/random/boot_id": "b00t\n", statePath: content,
	} {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func sysfsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(filepath.Join(dir, "sys"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		out[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func execute(t *testing.T, args ...string) (code int, err error) {
	t.Helper()
	cmd := NewCommand("var/lib/sriov-offload-operator/ledger.json")
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(t.Context())
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode(), err
	}
	return 0, err
}

// On a real root: what the command ends with, that it touches no NIC without a
// state that it can use, and that the result is readable by root alone.
func TestCommand(t *testing.T) {
	good := string(encoded(t, state()))
	for name, tt := range map[string]struct {
		state, phase string
		code         int
		want         string
	}{
		"a PF without a driver":  {good, "early", 1, pfA + ": the PF is bound to no driver"},
		"a damaged state":        {good[:100], "early", 2, "nothing was touched"},
		"a state that is not ok": {strings.Replace(good, `"numVfs": 2`, `"numVfs": 8`, 1), "late", 2, "digest"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := root(t, tt.state)
			before := sysfsOf(t, dir)
			code, err := execute(t, "--phase", tt.phase, "--host-root", dir, "--patience", "10ms")
			if code != tt.code || err == nil || !strings.Contains(err.Error(), "the "+tt.phase+" part of the boot: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("status %d, %v; want %d, %q", code, err, tt.code, tt.want)
			}
			if diff := cmp.Diff(before, sysfsOf(t, dir)); diff != "" {
				t.Errorf("sysfs has changed:\n%s", diff)
			}
			result := filepath.Join(dir, Phase(tt.phase).resultPath())
			data, err := os.ReadFile(result)
			if err != nil || !strings.Contains(string(data), `"bootID": "b00t"`) {
				t.Errorf("result is %s, %v", data, err)
			}
			if info, err := os.Stat(result); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("result has mode %v, %v", info.Mode(), err)
			}
		})
	}
	if _, err := execute(t, "--phase", "middle"); err == nil || !strings.Contains(err.Error(), "--phase must be early or late") {
		t.Errorf("a phase that is none: %v", err)
	}
}

// The socket that the state names is the one that is asked, and one that was left
// behind is none.
func TestCommandAsksTheKubelet(t *testing.T) {
	s := state()
	s.KubeletSocket = "run/kubelet.sock"
	dir := root(t, string(encoded(t, s)))
	if err := os.MkdirAll(filepath.Join(dir, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, s.KubeletSocket), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	code, err := execute(t, "--phase", "late", "--host-root", dir, "--patience", "10ms")
	if code != 1 || !strings.Contains(err.Error(), "bound to no driver") {
		t.Errorf("with a socket that was left behind: status %d, %v", code, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "var/lib/sriov-offload-operator/ledger.json")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a ledger was written for nothing: %v", err)
	}
}
