package ssa_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/api/ssa"
)

// offline returns a client that knows kinds and no server.
func offline(t *testing.T) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, sriovv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.New(&rest.Config{Host: "http://localhost:1"}, client.Options{
		Scheme: scheme,
		Mapper: meta.NewDefaultRESTMapper(nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type object = map[string]any

func TestObject(t *testing.T) {
	now := metav1.NewTime(time.Unix(1, 0))
	tests := map[string]struct {
		in   client.Object
		want object
	}{
		"spec with ranges as text, no status and no server fields": {
			in: &sriovv1.SriovNetworkNodeState{
				ObjectMeta: metav1.ObjectMeta{
					Name: "n", Namespace: "ns", UID: "u", ResourceVersion: "7", Generation: 3, CreationTimestamp: now,
					Annotations:   map[string]string{"a": "b"},
					ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}},
				},
				Spec: sriovv1.SriovNetworkNodeStateSpec{Interfaces: []sriovv1.Interface{{
					PCIAddress: "0000:5f:00.0", NumVfs: 3,
					VfGroups: []sriovv1.VfGroup{{ResourceName: "r", VfRange: sriovv1.VFRange{First: 0, Last: 2}}},
				}}},
				Status: sriovv1.SriovNetworkNodeStateStatus{ObservedGeneration: 1},
			},
			want: object{
				"apiVersion": "sriovnetwork.openshift.io/v1", "kind": "SriovNetworkNodeState",
				"metadata": object{"name": "n", "namespace": "ns", "uid": "u", "annotations": object{"a": "b"}},
				"spec": object{"interfaces": []any{object{
					"pciAddress": "0000:5f:00.0", "numVfs": int64(3),
					"vfGroups": []any{object{"resourceName": "r", "vfRange": "0-2"}},
				}}},
			},
		},
		"empty top-level structs are left out": {
			in: &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"l": "v"}}},
			want: object{
				"apiVersion": "v1", "kind": "Node",
				"metadata": object{"name": "n", "labels": object{"l": "v"}},
			},
		},
		"data, owners and finalizers are kept": {
			in: &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{
					Name: "c", Namespace: "ns", Finalizers: []string{"f"},
					OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "K", Name: "o", UID: "x"}},
				},
				Data: map[string]string{"k": ""},
			},
			want: object{
				"apiVersion": "v1", "kind": "ConfigMap",
				"metadata": object{
					"name": "c", "namespace": "ns", "finalizers": []any{"f"},
					"ownerReferences": []any{object{"apiVersion": "v1", "kind": "K", "name": "o", "uid": "x"}},
				},
				"data": object{"k": ""},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := test.in.DeepCopyObject()
			got, err := ssa.Object(offline(t), test.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got.Object); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, test.in); diff != "" {
				t.Errorf("the argument was changed:\n%s", diff)
			}
		})
	}
}

func TestStatus(t *testing.T) {
	policy := &sriovv1.SriovNetworkNodePolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns", Labels: map[string]string{"l": "v"}},
		Spec:       sriovv1.SriovNetworkNodePolicySpec{NumVfs: 3},
		Status:     sriovv1.SriovNetworkNodePolicyStatus{ObservedGeneration: 2},
	}
	got, err := ssa.Status(offline(t), policy)
	if err != nil {
		t.Fatal(err)
	}
	want := object{
		"apiVersion": "sriovnetwork.openshift.io/v1", "kind": "SriovNetworkNodePolicy",
		"metadata": object{"name": "p", "namespace": "ns"},
		"status":   object{"observedGeneration": int64(2), "matchedNodes": int64(0), "readyNodes": int64(0)},
	}
	if diff := cmp.Diff(want, got.Object); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnknownKind(t *testing.T) {
	if _, err := ssa.Object(offline(t), &metav1.PartialObjectMetadata{}); err == nil {
		t.Error("no error for an object of no kind")
	}
}

func TestLatest(t *testing.T) {
	key := client.ObjectKey{Namespace: "ns", Name: "c"}
	at := func(resourceVersion string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c", ResourceVersion: resourceVersion}}
	}
	var l ssa.Latest[*corev1.ConfigMap]
	check := func(what string, cached *corev1.ConfigMap, inCache bool, want string, wantFound bool) {
		t.Helper()
		got, found := l.Of(key, cached, inCache)
		if found != wantFound || found && got.ResourceVersion != want {
			t.Errorf("%s: got %q, %v; want %q, %v", what, got.ResourceVersion, found, want, wantFound)
		}
	}
	check("nothing written, nothing cached", at(""), false, "", false)
	check("nothing written", at("3"), true, "3", true)
	l.Wrote(at("10"))
	check("not in the cache yet", at(""), false, "10", true)
	check("cache is behind", at("9"), true, "10", true)
	check("cache is behind still", at("9"), true, "10", true)
	check("cache is ahead", at("11"), true, "11", true)
	check("remembered no longer", at("9"), true, "9", true)
	l.Wrote(at("12"))
	check("cache has caught up", at("12"), true, "12", true)
	l.Wrote(at("13"))
	l.Forget(key)
	check("deleted", at(""), false, "", false)
}
