package network_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/network"
)

var update = flag.Bool("update", false, "rewrite what is expected")

const operator = "sriov-offload-operator"

var defaults = network.Defaults{Namespace: operator}

// TestGolden renders the network in each file of testdata/render:
//
//	network.yaml     the network
//	definition.yaml  what it becomes, or
//	error            why it becomes nothing
//	pod.yaml         for an OffloadNetwork, what a pod has to carry
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/render/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			n := decodeNetwork(t, archive.Files[0].Data)
			got := &txtar.Archive{Comment: archive.Comment, Files: archive.Files[:1:1]}
			nad, err := network.Render(n, defaults)
			if err != nil {
				got.Files = append(got.Files, txtar.File{Name: "error", Data: []byte(err.Error() + "\n")})
			} else {
				checkLoads(t, nad.Spec.Config)
				got.Files = append(got.Files, txtar.File{Name: "definition.yaml", Data: mustYAML(t, nad)})
				if offload, is := n.(*sriovv1.OffloadNetwork); is {
					pod, err := network.PodTemplate(offload, defaults)
					if err != nil {
						t.Fatal(err)
					}
					got.Files = append(got.Files, txtar.File{Name: "pod.yaml", Data: mustYAML(t, pod)})
				}
			}
			compare(t, file, archive, got)
		})
	}
}

func compare(t *testing.T, file string, want, got *txtar.Archive) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, txtar.Format(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(txtar.Format(want)), string(txtar.Format(got))); diff != "" {
		t.Errorf("%s (-golden +got):\n%s", file, diff)
	}
}

// TestEveryOptionIsCovered: no field of a spec is without a golden file.
func TestEveryOptionIsCovered(t *testing.T) {
	files, err := filepath.Glob("testdata/render/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var raw map[string]any
		if err := yaml.Unmarshal(archive.Files[0].Data, &raw); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(archive.Files, func(f txtar.File) bool { return f.Name == "definition.yaml" }) {
			collect(used, raw["kind"].(string), raw["spec"])
		}
	}
	for kind, definition := range definitions(t) {
		collectSchema(t, used, kind, definition)
	}
}

func collect(used map[string]bool, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			used[path+"."+key] = true
			collect(used, path+"."+key, member)
		}
	case []any:
		for _, element := range v {
			collect(used, path, element)
		}
	}
}

// checkLoads loads a configuration as Multus does.
func checkLoads(t *testing.T, config string) {
	t.Helper()
	if strings.Contains(config, `"plugins":[`) {
		if _, err := libcni.NetworkConfFromBytes([]byte(config)); err != nil {
			t.Errorf("libcni: %v", err)
		}
		return
	}
	one, err := libcni.NetworkPluginConfFromBytes([]byte(config))
	if err != nil {
		t.Fatalf("libcni: %v", err)
	}
	if one.Network.Name == "" || one.Network.CNIVersion == "" {
		t.Errorf("no name or version: %s", config)
	}
}

func mustYAML(t *testing.T, v any) []byte {
	t.Helper()
	data, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decodeNetwork(t *testing.T, data []byte) sriovv1.Network {
	t.Helper()
	var kind metav1.TypeMeta
	if err := yaml.Unmarshal(data, &kind); err != nil {
		t.Fatal(err)
	}
	n := newNetwork(kind.Kind)
	if n == nil {
		t.Fatalf("there is no kind %s", kind.Kind)
	}
	if err := yaml.UnmarshalStrict(data, n); err != nil {
		t.Fatal(err)
	}
	return n
}

func newNetwork(kind string) sriovv1.Network {
	switch kind {
	case "SriovNetwork":
		return &sriovv1.SriovNetwork{}
	case "SriovIBNetwork":
		return &sriovv1.SriovIBNetwork{}
	case "OVSNetwork":
		return &sriovv1.OVSNetwork{}
	case "OffloadNetwork":
		return &sriovv1.OffloadNetwork{}
	}
	return nil
}

// TestInvalidIsTold: a network that cannot be rendered is no error of the cluster.
func TestInvalidIsTold(t *testing.T) {
	_, err := network.Render(&sriovv1.SriovNetwork{
		ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: "n"},
		Spec:       sriovv1.SriovNetworkSpec{ResourceName: "r", IPAM: "{"},
	}, defaults)
	var bad *network.InvalidError
	if !errors.As(err, &bad) || bad.Field != "spec.ipam" {
		t.Errorf("got %v", err)
	}
}

// TestOwnerReference: only what is in the same namespace can name its owner.
func TestOwnerReference(t *testing.T) {
	n := &sriovv1.OVSNetwork{
		ObjectMeta: metav1.ObjectMeta{Namespace: operator, Name: "n", UID: "u"},
		Spec:       sriovv1.OVSNetworkSpec{ResourceName: "r"},
	}
	nad, err := network.Render(n, defaults)
	if err != nil {
		t.Fatal(err)
	}
	if len(nad.OwnerReferences) != 1 || nad.OwnerReferences[0].UID != "u" || nad.OwnerReferences[0].Kind != "OVSNetwork" {
		t.Errorf("owner references %v", nad.OwnerReferences)
	}
	n.Spec.NetworkNamespace = "elsewhere"
	if nad, err = network.Render(n, defaults); err != nil || len(nad.OwnerReferences) != 0 || nad.Namespace != "elsewhere" {
		t.Errorf("%v, %v", nad, err)
	}
}
