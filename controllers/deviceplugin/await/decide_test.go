package await

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

type (
	state  = sriovv1.SriovNetworkNodeState
	config = corev1.ConfigMap
)

// done is a node that is what generation 3 of its state asks for, with its ConfigMap.
func done() (*state, *config) {
	s := &state{ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "u1", Generation: 3}}
	s.Spec.ComputedFrom = "hash"
	s.Status.ObservedGeneration = 3
	s.Status.Conditions = []metav1.Condition{{Type: sriovv1.ConditionReady, Status: metav1.ConditionTrue, ObservedGeneration: 3}}
	return s, &config{
		ObjectMeta: metav1.ObjectMeta{
			Name: "device-plugin-config-n1", OwnerReferences: []metav1.OwnerReference{{UID: "u1"}},
			Annotations: map[string]string{sriovv1.AnnotationStateGeneration: "3"},
		},
		Data: map[string]string{sriovv1.DevicePluginConfigKey: "{}"},
	}
}

func TestDecide(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*state, *config)
		wait   string
	}{
		{"all is done", func(*state, *config) {}, ""},
		{"nothing computed", func(s *state, _ *config) { s.Spec.ComputedFrom = "" }, "not computed"},
		{"the daemon is behind", func(s *state, _ *config) { s.Status.ObservedGeneration = 2 }, "seen generation 2"},
		{"no condition", func(s *state, _ *config) { s.Status.Conditions = nil }, "has not said"},
		{"a condition of an earlier spec", func(s *state, _ *config) { s.Status.Conditions[0].ObservedGeneration = 2 }, "has not said"},
		{"a failed node", func(s *state, _ *config) {
			s.Status.Conditions[0] = metav1.Condition{Type: "Ready", Status: "False", Reason: "Blocked", Message: "no IOMMU", ObservedGeneration: 3}
		}, "Blocked: no IOMMU"},
		{"unknown is not ready", func(s *state, _ *config) { s.Status.Conditions[0].Status = metav1.ConditionUnknown }, "not ready"},
		{"a ConfigMap of an earlier spec", func(_ *state, c *config) { c.Annotations[sriovv1.AnnotationStateGeneration] = "2" }, `generation "2"`},
		{"a ConfigMap of nobody knows which spec", func(_ *state, c *config) { c.Annotations = nil }, `generation ""`},
		{"a ConfigMap of an earlier state", func(_ *state, c *config) { c.OwnerReferences[0].UID = "u0" }, "earlier node state"},
		{"an empty ConfigMap", func(_ *state, c *config) { c.Data = nil }, "no config.json"},
	} {
		s, c := done()
		test.change(s, c)
		file, wait := Decide(s, c)
		if (wait == "") != (test.wait == "") || !strings.Contains(wait, test.wait) || (file == "") == (wait == "") {
			t.Errorf("%s: file %q, waits for %q; want %q", test.name, file, wait, test.wait)
		}
	}
	s, _ := done()
	if file, wait := Decide(s, nil); file != "" || !strings.Contains(wait, "no ConfigMap device-plugin-config-n1") {
		t.Errorf("without a ConfigMap: %q, %q", file, wait)
	}
	if file, wait := Decide(nil, nil); file != "" || wait == "" {
		t.Errorf("without a state: %q, %q", file, wait)
	}
}

// TestWriteFile: what was there is replaced, nothing else is left, anybody may read it.
func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	for _, want := range []string{"first, longer", "second"} {
		if err := writeFile(path, want); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Fatalf("file %q, %v; want %q", got, err, want)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("folder has %v, %v", entries, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != fileMode {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	missing := filepath.Join(t.TempDir(), "absent", "config.json")
	if err := writeFile(missing, ""); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("error %v", err)
	}
}
