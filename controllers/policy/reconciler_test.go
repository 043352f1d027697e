package policy

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/fleet"
)

// A policy has a status from the start. One that it has already is not replaced
// by "not known yet" each time that the manager starts.
func TestStatusWaitsForTheMerge(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{sriovv1.AddToScheme, corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	before := []metav1.Condition{{Type: sriovv1.ConditionReady, Status: metav1.ConditionTrue, Reason: sriovv1.ReasonAllNodesReady, LastTransitionTime: metav1.Unix(1, 0)}}
	for _, test := range []struct {
		name       string
		conditions []metav1.Condition
		want       string
	}{
		{"a new policy", nil, sriovv1.ReasonUnknown},
		{"a policy with a status", before, sriovv1.ReasonAllNodesReady},
	} {
		t.Run(test.name, func(t *testing.T) {
			policy := &sriovv1.SriovNetworkNodePolicy{
				ObjectMeta: metav1.ObjectMeta{Namespace: "operator", Name: "p", UID: "p", Generation: 2},
				Spec:       sriovv1.SriovNetworkNodePolicySpec{ResourceName: "r", NumVfs: 1, NodeSelector: map[string]string{}},
				Status:     sriovv1.SriovNetworkNodePolicyStatus{Conditions: test.conditions},
			}
			c := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(policy).
				WithObjects(policy, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}).Build()
			r := &Reconciler{Client: c, Namespace: "operator", Fleet: fleet.New()}
			key := client.ObjectKeyFromObject(policy)
			if _, err := r.Reconcile(context.Background(), reconcile.Request{NamespacedName: key}); err != nil {
				t.Fatal(err)
			}
			if err := c.Get(context.Background(), key, policy); err != nil {
				t.Fatal(err)
			}
			if got := policy.Status.Conditions; len(got) == 0 || got[0].Reason != test.want {
				t.Errorf("conditions: %+v, want the reason %s", got, test.want)
			}
		})
	}
}
