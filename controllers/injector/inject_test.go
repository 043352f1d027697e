package injector

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
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

// TestAsked: what counts as asked for already, container by container.
func TestAsked(t *testing.T) {
	const name = corev1.ResourceName("example.com/vf")
	one := corev1.ResourceList{name: resource.MustParse("1")}
	always := corev1.ContainerRestartPolicyAlways
	limit := corev1.Container{Resources: corev1.ResourceRequirements{Limits: one}}
	request := corev1.Container{Resources: corev1.ResourceRequirements{Requests: one}}
	sidecar := *limit.DeepCopy()
	sidecar.RestartPolicy = &always
	for what, test := range map[string]struct {
		spec corev1.PodSpec
		want int64
	}{
		"a limit":                      {corev1.PodSpec{Containers: []corev1.Container{{}, limit}}, 1},
		"a request":                    {corev1.PodSpec{Containers: []corev1.Container{{}, request}}, 1},
		"an init container hands back": {corev1.PodSpec{Containers: []corev1.Container{{}}, InitContainers: []corev1.Container{limit}}, 0},
		"one that goes on keeps":       {corev1.PodSpec{Containers: []corev1.Container{{}}, InitContainers: []corev1.Container{limit, sidecar}}, 1},
	} {
		pod := &corev1.Pod{Spec: test.spec}
		if got := asked(pod, name); got != test.want {
			t.Errorf("%s: %d, not %d", what, got, test.want)
		}
		before := pod.DeepCopy()
		inject(pod, map[corev1.ResourceName]int64{name: 2})
		if diff := cmp.Diff(before.Spec.InitContainers, pod.Spec.InitContainers); diff != "" {
			t.Errorf("%s: init containers were changed:\n%s", what, diff)
		}
		if got := asked(pod, name); got != 2 {
			t.Errorf("%s: %d after injection, not 2", what, got)
		}
	}
}

// TestResourceOf: a definition that the cache has not seen yet is read from the
// API server.
func TestResourceOf(t *testing.T) {
	h := &Handler{cached: definitions{}, live: definitions{"ns/new": "example.com/vf"}}
	wanted, warnings, err := h.wanted(t.Context(), []types.NamespacedName{{Namespace: "ns", Name: "new"}, {Namespace: "ns", Name: "new"}, {Namespace: "ns", Name: "absent"}})
	if err != nil || len(warnings) != 1 {
		t.Errorf("warnings %q, %v", warnings, err)
	}
	if diff := cmp.Diff(map[corev1.ResourceName]int64{"example.com/vf": 2}, wanted); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// definitions are the resources of NetworkAttachmentDefinitions by NAMESPACE/NAME.
type definitions map[string]string

func (d definitions) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	resource, there := d[key.String()]
	if !there {
		return apierrors.NewNotFound(nadv1.Resource("network-attachment-definitions"), key.Name)
	}
	obj.SetAnnotations(map[string]string{sriovv1.AnnotationResourceName: resource})
	return nil
}

func (d definitions) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("nobody lists definitions")
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
