package injector

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

func TestAttachments(t *testing.T) {
	name := func(namespace, name string) types.NamespacedName {
		return types.NamespacedName{Namespace: namespace, Name: name}
	}
	for _, test := range []struct {
		annotations map[string]string
		want        []types.NamespacedName
		bad         bool
	}{
		{map[string]string{annotationNetworks: "a, other/b@net1"}, []types.NamespacedName{name("pods", "a"), name("other", "b")}, false},
		{map[string]string{annotationNetworks: `[{"name":"a"},null,{"name":"a","namespace":"x"}]`}, nil, true},
		{map[string]string{annotationNetworks: `[{"name":"a"},{"name":"a","namespace":"x"}]`}, []types.NamespacedName{name("pods", "a"), name("x", "a")}, false},
		{map[string]string{annotationDefaultNetwork: "default"}, []types.NamespacedName{name("kube-system", "default")}, false},
		{map[string]string{annotationDefaultNetwork: "ns/d,ignored", annotationNetworks: "d"}, []types.NamespacedName{name("ns", "d"), name("pods", "d")}, false},
		{map[string]string{annotationNetworks: "a/b/c"}, nil, true},
		{nil, nil, false},
	} {
		got, err := attachments(test.annotations, "pods", "kube-system")
		if (err != nil) != test.bad {
			t.Errorf("%v: %v", test.annotations, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.annotations, diff)
		}
	}
}

// TestInject: a pod asks for at least what is wanted, requests are as limits
// are, nothing is taken away, and a second time changes nothing.
func TestInject(t *testing.T) {
	const name = corev1.ResourceName("example.com/vf")
	rapid.Check(t, func(t *rapid.T) {
		pod := &corev1.Pod{}
		before := int64(0)
		for range rapid.IntRange(1, 3).Draw(t, "containers") {
			c := corev1.Container{}
			if n := rapid.Int64Range(0, 3).Draw(t, "asked"); n > 0 {
				c.Resources.Limits = corev1.ResourceList{name: *resource.NewQuantity(n, resource.DecimalSI)}
				before += n
			}
			pod.Spec.Containers = append(pod.Spec.Containers, c)
		}
		wanted := map[corev1.ResourceName]int64{name: rapid.Int64Range(0, 6).Draw(t, "wanted")}
		changed := inject(pod, wanted)
		if got := asked(pod, name); got != max(before, wanted[name]) || changed != (wanted[name] > before) {
			t.Fatalf("asked %d before, %d now, wanted %d, changed %v", before, got, wanted[name], changed)
		}
		first := pod.Spec.Containers[0].Resources
		if changed && !first.Requests[name].Equal(first.Limits[name]) {
			t.Fatalf("requests %v, limits %v", first.Requests, first.Limits)
		}
		if inject(pod, wanted) {
			t.Fatal("injected twice")
		}
	})
}

// TestOperations: a patch sets resources only, whatever else is in the pod.
func TestOperations(t *testing.T) {
	list := corev1.ResourceList{"example.com/vf": resource.MustParse("1")}
	c := &corev1.Container{Resources: corev1.ResourceRequirements{Requests: list, Limits: list}}
	for raw, want := range map[string]string{
		`{"spec":{"containers":[{"resources":{},"newer":1}]}}`: `[{"op":"add","path":"/spec/containers/0/resources/limits","value":{"example.com/vf":"1"}},{"op":"add","path":"/spec/containers/0/resources/requests","value":{"example.com/vf":"1"}}]`,
		`{"spec":{"containers":[{}]}}`:                         `[{"op":"add","path":"/spec/containers/0/resources","value":{}},{"op":"add","path":"/spec/containers/0/resources/limits","value":{"example.com/vf":"1"}},{"op":"add","path":"/spec/containers/0/resources/requests","value":{"example.com/vf":"1"}}]`,
	} {
		got, err := json.Marshal(operations([]byte(raw), c))
		if err != nil || string(got) != want {
			t.Errorf("%s, %v", got, err)
		}
	}
}
