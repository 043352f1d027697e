package nodes_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/nodes"
)

func managed(manager, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1(fields)}
}

const capable = `{"f:metadata":{"f:labels":{"f:` + sriovv1.LabelCapable + `":{}}}}`

func TestTransform(t *testing.T) {
	n := nodes.New()
	n.ObjectMeta = metav1.ObjectMeta{
		Name: "n", UID: "u", ResourceVersion: "3", Labels: map[string]string{"a": "b"},
		Annotations: map[string]string{"large": "thing"}, Finalizers: []string{"f"},
		ManagedFields: []metav1.ManagedFieldsEntry{
			managed("kubelet", `{"f:metadata":{"f:labels":{"f:kubernetes.io/os":{}}}}`),
			managed("nfd-master", `{"f:metadata":{"f:annotations":{"f:x":{}},"f:labels":{"f:`+sriovv1.LabelCapable+`":{},"f:other":{}}}}`),
			{Manager: "nothing"},
		},
	}
	got, err := nodes.Transform(n)
	if err != nil {
		t.Fatal(err)
	}
	want := nodes.New()
	want.ObjectMeta = metav1.ObjectMeta{
		Name: "n", UID: "u", ResourceVersion: "3", Labels: map[string]string{"a": "b"},
		ManagedFields: []metav1.ManagedFieldsEntry{managed("nfd-master", capable)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err := nodes.Transform("tombstone"); got != "tombstone" || err != nil {
		t.Errorf("what is no object became %v, %v", got, err)
	}
}

func TestCapableLabelOwner(t *testing.T) {
	n := nodes.New()
	for _, step := range []struct {
		entry metav1.ManagedFieldsEntry
		want  string
	}{
		{managed("kubelet", `{"f:metadata":{}}`), ""},
		{managed("us", capable), ""},
		{managed("nfd-master", capable), "nfd-master"},
	} {
		n.ManagedFields = append(n.ManagedFields, step.entry)
		if got := nodes.CapableLabelOwner(n, "us"); got != step.want {
			t.Errorf("with %s: owner %q, want %q", step.entry.Manager, got, step.want)
		}
	}
}

func TestLabelsChanged(t *testing.T) {
	p := nodes.LabelsChanged()
	before, heartbeat, relabelled := nodes.New(), nodes.New(), nodes.New()
	heartbeat.ResourceVersion = "2"
	relabelled.Labels = map[string]string{"a": "b"}
	if p.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: heartbeat}) {
		t.Error("a heartbeat passes")
	}
	if !p.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: relabelled}) {
		t.Error("a change of labels does not pass")
	}
	if !p.Create(event.CreateEvent{Object: before}) || !p.Delete(event.DeleteEvent{Object: before}) {
		t.Error("coming and going does not pass")
	}
}
