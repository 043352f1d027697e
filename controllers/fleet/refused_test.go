package fleet_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/fleet"
)

func TestSpecWritten(t *testing.T) {
	f := fleet.New()
	p := policy("p", 1, nil)
	s := f.Snapshot([]sriovv1.SriovNetworkNodePolicy{p})
	f.Record(s, fleet.Node{Name: "n", Policies: matches("p")}, nil)
	changed := changes(f)
	states := schema.GroupResource{Resource: "sriovnetworknodestates"}
	steps := []struct {
		name    string
		err     error
		refused string
		changed []string
	}{
		{"success at first", nil, "", nil},
		{"no answer", errors.New("connection refused"), "", nil},
		{"lost race", apierrors.NewConflict(states, "n", errors.New("changed")), "", nil},
		{"overload", apierrors.NewTooManyRequests("later", 1), "", nil},
		{"refused", fmt.Errorf("applying: %w", apierrors.NewBadRequest("too many groups")), "too many groups", []string{"p"}},
		{"refused again", apierrors.NewBadRequest("too many groups"), "too many groups", nil},
		{"no answer does not mean that it is taken", errors.New("connection refused"), "too many groups", nil},
		{"another reason", apierrors.NewForbidden(states, "n", errors.New("by webhook")), `sriovnetworknodestates "n" is forbidden: by webhook`, []string{"p"}},
		{"success", nil, "", []string{"p"}},
	}
	for _, step := range steps {
		f.SpecWritten("n", step.err)
		node, found := f.Of(&p, "n")
		if !found || node.Refused != step.refused {
			t.Errorf("%s: refused %q, want %q", step.name, node.Refused, step.refused)
		}
		if diff := cmp.Diff(step.changed, changed()); diff != "" {
			t.Errorf("%s: changed policies (-want +got):\n%s", step.name, diff)
		}
	}
	f.SpecWritten("n", apierrors.NewBadRequest("no"))
	f.Forget("n")
	f.Record(s, fleet.Node{Name: "n", Policies: matches("p")}, nil)
	if node, _ := f.Of(&p, "n"); node.Refused != "" {
		t.Errorf("a node that left and came back is refused: %s", node.Refused)
	}
}
