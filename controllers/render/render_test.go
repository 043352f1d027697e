package render_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/controllers/render"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// run executes the command as a user would.
func run(stdin string, args ...string) (stdout, stderr string, err error) {
	var out, notes bytes.Buffer
	cmd := render.NewCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&notes)
	cmd.SetArgs(args)
	err = cmd.ExecuteContext(context.Background())
	return out.String(), notes.String(), err
}

// TestGolden renders what stands in testdata/CASE/in.
func TestGolden(t *testing.T) {
	for _, name := range []string{"kube-ovn-mellanox", "fleet"} {
		for _, format := range []string{"yaml", "json"} {
			t.Run(name+"."+format, func(t *testing.T) {
				dir := filepath.Join("testdata", name)
				stdout, stderr, err := run("", "-R", "-f", filepath.Join(dir, "in"), "-o", format)
				if err != nil {
					t.Fatal(err)
				}
				golden(t, filepath.Join(dir, "want."+format), stdout)
				golden(t, filepath.Join(dir, "want.notes"), stderr)
			})
		}
	}
}

// TestOrderOfFilesDoesNotMatter: neither does the way they come in.
func TestOrderOfFilesDoesNotMatter(t *testing.T) {
	in := "testdata/kube-ovn-mellanox/in/"
	want, _, err := run("", "-f", in)
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := os.ReadFile(in + "cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"-f", in + "policy.yaml", "-f", in + "cluster.yaml"},
		{"-f", in + "cluster.yaml", "-f", in + "policy.yaml"},
		{"-f", in + "policy.yaml", "-f", "-"},
	} {
		got, _, err := run(string(cluster), args...)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", args, diff)
		}
	}
}

// TestRenderedIsInput: what is printed can be read again, and what a node state
// says is computed again from the same manifests.
func TestRenderedIsInput(t *testing.T) {
	rendered, _, err := run("", "-f", "testdata/kube-ovn-mellanox/in")
	if err != nil {
		t.Fatal(err)
	}
	_, notes, err := run(rendered, "-f", "-")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(notes, "RenderReport: ignored") || !strings.Contains(notes, "ConfigMap kube-system/device-plugin-config-node1: ignored") {
		t.Errorf("notes: %s", notes)
	}
}

// TestInvalid compares everything that is reported about bad manifests.
func TestInvalid(t *testing.T) {
	files, err := filepath.Glob("testdata/invalid/*.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if filepath.Ext(file) == ".err" {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			stdout, _, err := run("", "-f", file)
			if code := render.ExitCode(err); code != 2 || stdout != "" {
				t.Fatalf("exit code %d, error %v, output:\n%s", code, err, stdout)
			}
			golden(t, file+".err", err.Error()+"\n")
		})
	}
}

func TestBadCommandLine(t *testing.T) {
	empty := t.TempDir()
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no file", nil, "no manifests; name files or directories with -f, or - for standard input"},
		{"unknown format", []string{"-f", ".", "-o", "xml"}, `output format "xml": it has to be yaml or json`},
		{"unknown flag", []string{"--nope"}, "unknown flag: --nope"},
		{"argument", []string{"file.yaml"}, "unexpected argument file.yaml; name files with -f"},
		{"missing file", []string{"-f", "testdata/absent.yaml"}, "testdata/absent.yaml: no such file or directory"},
		{"empty directory", []string{"-f", empty}, empty + ": the directory has no *.yaml, *.yml or *.json file"},
		{"directories are not searched unless asked", []string{"-f", "testdata"}, "testdata: the directory has no *.yaml, *.yml or *.json file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stdout, _, err := run("", tt.args...)
			if err == nil || err.Error() != tt.want || render.ExitCode(err) != 2 || stdout != "" {
				t.Errorf("error %v, exit code %d, output %q; want error %q", err, render.ExitCode(err), stdout, tt.want)
			}
		})
	}
}

// TestNetworks: networks need no nodes, and one that cannot be rendered is a
// mistake in the input.
func TestNetworks(t *testing.T) {
	network := "apiVersion: sriovnetwork.openshift.io/v1\nkind: OVSNetwork\nmetadata: {name: net}\nspec: {resourceName: cx, ipam: '%s'}\n"
	stdout, notes, err := run(fmt.Sprintf(network, ""), "-f", "-")
	if err != nil || notes != "" || !strings.Contains(stdout, "kind: NetworkAttachmentDefinition") || !strings.Contains(stdout, "openshift.io/cx") {
		t.Errorf("error %v, notes %q, output %q", err, notes, stdout)
	}
	stdout, _, err = run(fmt.Sprintf(network, "{"), "-f", "-")
	want := "OVSNetwork default/net: spec.ipam: is not a JSON object: it ends too early; a bracket or quote is not closed"
	if render.ExitCode(err) != 2 || err.Error() != want || stdout != "" {
		t.Errorf("error %v, want %s; output %q", err, want, stdout)
	}
}

// TestLinkToDirectory: -f may be a link to a directory, as in a checkout that
// is mounted; problems are reported by the name that the user knows.
func TestLinkToDirectory(t *testing.T) {
	in, err := filepath.Abs("testdata/fleet/in")
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "manifests")
	if err := os.Symlink(in, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{link, link + "/"} {
		want, wantNotes, err := run("", "-R", "-f", in)
		if err != nil {
			t.Fatal(err)
		}
		got, notes, err := run("", "-R", "-f", name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(strings.ReplaceAll(wantNotes, in, link), notes); diff != "" {
			t.Errorf("%s: notes (-want +got):\n%s", name, diff)
		}
	}
}

func TestNamespaceFlagChooses(t *testing.T) {
	stdout, notes, err := run("", "-f", "testdata/invalid/namespaces.yaml", "-n", "two")
	if err != nil {
		t.Fatal(err)
	}
	if want := "SriovNetworkNodePolicy one/a: ignored, it is not in namespace two\n"; notes != want {
		t.Errorf("notes %q, want %q", notes, want)
	}
	if strings.Count(stdout, "- name: a\n") != 1 {
		t.Errorf("policy a is to be reported once:\n%s", stdout)
	}
}

type brokenWriter struct{}

var errFull = errors.New("disk full")

func (brokenWriter) Write([]byte) (int, error) { return 0, errFull }

func TestExitCode(t *testing.T) {
	err := render.Run(context.Background(), render.Options{Files: []string{"testdata/kube-ovn-mellanox/in"}, Output: render.OutputYAML}, brokenWriter{})
	if !errors.Is(err, errFull) || render.ExitCode(err) != 1 {
		t.Errorf("error %v, exit code %d", err, render.ExitCode(err))
	}
	if render.ExitCode(nil) != 0 {
		t.Error("no error is success")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err = render.Run(ctx, render.Options{Files: []string{"testdata/kube-ovn-mellanox/in"}, Output: render.OutputYAML}, &bytes.Buffer{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want canceled", err)
	}
}

// FuzzManifest: any input gives an output or an error, never a panic.
func FuzzManifest(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.*")
	if err != nil {
		f.Fatal(err)
	}
	nested, err := filepath.Glob("testdata/*/in/*.*")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, nested...) {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(content))
	}
	f.Fuzz(func(t *testing.T, content string) {
		var out bytes.Buffer
		err := render.Run(context.Background(), render.Options{Files: []string{render.Stdin}, Output: render.OutputYAML, Stdin: strings.NewReader(content)}, &out)
		if (err == nil) != (out.Len() > 0) || render.ExitCode(err) == 1 {
			t.Fatalf("error %v with %d bytes of output", err, out.Len())
		}
	})
}
