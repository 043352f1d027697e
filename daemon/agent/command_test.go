package agent

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// machine writes a folder with the sysfs tree of one PF without a driver.
func machine(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	device := filepath.Join(root, "sys", "bus", "pci", "devices", "0000:3b:00.0")
	for name, content := range map[string]string{
		"vendor": "0x15b3\n", "device": "0x101d\n", "class": "0x020000\n", "numa_node": "1\n",
		"sriov_totalvfs": "16\n", "sriov_numvfs": "0\n", "sriov_drivers_autoprobe": "1\n",
	} {
		writeFile(t, filepath.Join(device, name), content)
	}
	writeFile(t, filepath.Join(root, "proc", "sys", "kernel", "random", "boot_id"), "c0ffee\n")
	return root
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// contents is every file below a folder.
func contents(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		out[path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := NewCommand()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestDryRunPrintsInventoryAndPlanAndTouchesNothing(t *testing.T) {
	root := machine(t)
	specFile := filepath.Join(t.TempDir(), "state.yaml")
	writeFile(t, specFile, `
spec:
  interfaces:
  - pciAddress: "0000:3b:00.0"
    numVfs: 4
    vfGroups: [{vfRange: 0-3, resourceName: vfs}]
`)
	before := contents(t, root)
	out, err := execute(t, "--once", "--dry-run", "--host-root", root, "--node", "here", "--spec", specFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, contents(t, root)); diff != "" {
		t.Errorf("the dry run changed the host:\n%s", diff)
	}
	var state sriovv1.SriovNetworkNodeState
	if err := yaml.UnmarshalStrict([]byte(out), &state); err != nil {
		t.Fatalf("output is not a node state: %v\n%s", err, out)
	}
	if state.Name != "here" || len(state.Status.Interfaces) != 1 {
		t.Fatalf("unexpected state:\n%s", out)
	}
	pf := state.Status.Interfaces[0]
	if pf.PCIAddress != "0000:3b:00.0" || pf.Vendor != "15b3" || pf.DeviceID != "101d" || pf.TotalVfs != 16 || *pf.NUMANode != 1 {
		t.Errorf("unexpected PF: %+v", pf)
	}
	if len(pf.Blockers) != 1 || pf.Blockers[0].Code != plan.CodeNoDriver || pf.Blockers[0].Remedy == "" {
		t.Errorf("blockers = %+v, want %s", pf.Blockers, plan.CodeNoDriver)
	}
}

func TestCommandRefusesWhatMakesNoSense(t *testing.T) {
	t.Setenv("NODE_NAME", "")
	t.Setenv("HOST_IP", "")
	root := machine(t)
	tests := map[string]struct {
		args []string
		want string
	}{
		"once alone":    {[]string{"--once"}, "--once and --dry-run go together"},
		"dry run alone": {[]string{"--dry-run"}, "--once and --dry-run go together"},
		"spec alone":    {[]string{"--spec", "x"}, "--spec is for"},
		"no node":       {[]string{"--host-root", root, "--namespace", "x"}, "--node is not set"},
		"no namespace":  {[]string{"--host-root", root, "--node", "x"}, "--namespace is not set"},
		"no such root":  {[]string{"--host-root", filepath.Join(root, "nowhere"), "--node", "x"}, "nowhere"},
		"bad node IP":   {[]string{"--host-root", root, "--once", "--dry-run", "--node-ip", "192.0.2.1/24"}, "--node-ip (or the environment variable HOST_IP) must be one IP address: ParseAddr(\"192.0.2.1/24\")"},
		"no such spec":  {[]string{"--host-root", root, "--once", "--dry-run", "--spec", filepath.Join(root, "none.yaml")}, "none.yaml"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := execute(t, tt.args...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestNodeIPComesFromTheEnvironment(t *testing.T) {
	root := machine(t)
	t.Setenv("HOST_IP", "2001:db8::1")
	if out, err := execute(t, "--once", "--dry-run", "--host-root", root); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Setenv("HOST_IP", "node-1")
	if _, err := execute(t, "--once", "--dry-run", "--host-root", root); err == nil || !strings.Contains(err.Error(), `"node-1"`) {
		t.Errorf("error = %v, want the bad address", err)
	}
	if out, err := execute(t, "--once", "--dry-run", "--host-root", root, "--node-ip", "192.0.2.1"); err != nil {
		t.Errorf("the flag does not win: %v\n%s", err, out)
	}
}
