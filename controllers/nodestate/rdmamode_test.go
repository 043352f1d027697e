package nodestate

import (
	"context"
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// What is not known of a node's pools never changes its RDMA mode.
func TestRdmaModeOfPools(t *testing.T) {
	pool := func(mode string, selector *metav1.LabelSelector) sriovv1.SriovNetworkPoolConfig {
		return sriovv1.SriovNetworkPoolConfig{Spec: sriovv1.SriovNetworkPoolConfigSpec{RdmaMode: mode, NodeSelector: selector}}
	}
	here := &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
	elsewhere := &metav1.LabelSelector{MatchLabels: map[string]string{"a": "c"}}
	broken := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Sometimes"}}}
	for name, c := range map[string]struct {
		pools []sriovv1.SriovNetworkPoolConfig
		want  string
	}{
		"no pool":              {nil, ""},
		"its pool":             {[]sriovv1.SriovNetworkPoolConfig{pool("exclusive", here), pool("shared", elsewhere)}, "exclusive"},
		"two pools":            {[]sriovv1.SriovNetworkPoolConfig{pool("exclusive", here), pool("exclusive", nil)}, "shared"},
		"a broken pool":        {[]sriovv1.SriovNetworkPoolConfig{pool("exclusive", broken)}, "shared"},
		"another broken pool":  {[]sriovv1.SriovNetworkPoolConfig{pool("exclusive", here), pool("shared", broken)}, "exclusive"},
		"pools of other nodes": {[]sriovv1.SriovNetworkPoolConfig{pool("exclusive", elsewhere)}, ""},
	} {
		if got := RdmaMode(map[string]string{"a": "b"}, c.pools, "shared"); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Pools that cannot be listed end the reconcile before anything is computed.
func TestPoolsThatCannotBeListed(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := sriovv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("the API server is away")
	c := interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).Build(), interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, ok := list.(*sriovv1.SriovNetworkPoolConfigList); ok {
				return refused
			}
			return c.List(ctx, list, opts...)
		},
	})
	r := &Reconciler{Client: c, Namespace: "operator"}
	state := &sriovv1.SriovNetworkNodeState{Spec: sriovv1.SriovNetworkNodeStateSpec{System: sriovv1.System{RdmaMode: "exclusive"}}}
	if _, in, err := r.gather(t.Context(), &metav1.PartialObjectMetadata{}, state); !errors.Is(err, refused) || in.RdmaMode != "exclusive" {
		t.Errorf("gather: mode %q, %v", in.RdmaMode, err)
	}
}
