package apirules_test

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/config/crd"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
)

// schemaOf is the schema of a kind as it is generated.
func schemaOf(t *testing.T, plural string) *apiextensionsv1.JSONSchemaProps {
	t.Helper()
	files, err := fs.Glob(crd.Definitions(), "*/*_"+plural+".yaml")
	if err != nil || len(files) != 1 {
		t.Fatalf("definitions of %s: %v, %v", plural, files, err)
	}
	data, err := fs.ReadFile(crd.Definitions(), files[0])
	if err != nil {
		t.Fatal(err)
	}
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(data, definition); err != nil {
		t.Fatal(err)
	}
	return definition.Spec.Versions[0].Schema.OpenAPIV3Schema
}

// at goes down a path; [] stands for the items of a list.
func at(t *testing.T, schema *apiextensionsv1.JSONSchemaProps, path string) *apiextensionsv1.JSONSchemaProps {
	t.Helper()
	for step := range strings.SplitSeq(path, ".") {
		if step == "[]" {
			schema = schema.Items.Schema
			continue
		}
		next, found := schema.Properties[step]
		if !found {
			t.Fatalf("%s: there is no %s", path, step)
		}
		schema = &next
	}
	return schema
}

// TestLimitsAreThoseOfTheSchema: code keeps limits by constants, the API server
// by markers, which take literals only.
func TestLimitsAreThoseOfTheSchema(t *testing.T) {
	state, policy := schemaOf(t, "sriovnetworknodestates"), schemaOf(t, "sriovnetworknodepolicies")
	items := func(s *apiextensionsv1.JSONSchemaProps, path string) any { return at(t, s, path).MaxItems }
	length := func(s *apiextensionsv1.JSONSchemaProps, path string) any { return at(t, s, path).MaxLength }
	for _, test := range []struct {
		what string
		got  any
		want int64
	}{
		{"PFs of a spec", items(state, "spec.interfaces"), v1.MaxInterfaces},
		{"PFs of a status", items(state, "status.interfaces"), v1.MaxInterfaces},
		{"bridges", items(state, "spec.bridges.ovs"), v1.MaxInterfaces},
		{"bonds", items(state, "spec.bonds"), v1.MaxBonds},
		{"VF groups", items(state, "spec.interfaces.[].vfGroups"), v1.MaxVFGroups},
		{"VFs", items(state, "status.interfaces.[].Vfs"), v1.MaxVFs},
		{"address in a spec", length(state, "spec.interfaces.[].pciAddress"), v1.MaxPCIAddressLength},
		{"address in a status", length(state, "status.interfaces.[].pciAddress"), v1.MaxPCIAddressLength},
		{"address in a bond", length(state, "spec.bonds.[].members.[]"), v1.MaxPCIAddressLength},
		{"address in a bridge", length(state, "spec.bridges.ovs.[].uplinks.[].pciAddress"), v1.MaxPCIAddressLength},
		{"address in a conflict", length(policy, "status.conflicts.[].pciAddress"), v1.MaxPCIAddressLength},
		{"name", length(state, "status.interfaces.[].name"), v1.MaxNameLength},
		{"name in a bridge", length(state, "spec.bridges.ovs.[].uplinks.[].name"), v1.MaxNameLength},
		{"altNames", items(state, "status.interfaces.[].altNames"), v1.MaxAltNames},
		{"altName", length(state, "status.interfaces.[].altNames.[]"), v1.MaxAltNameLength},
		{"ports", items(state, "status.interfaces.[].ports"), v1.MaxPorts},
		{"altNames of a port", items(state, "status.interfaces.[].ports.[].altNames"), v1.MaxAltNames},
		{"notes", items(state, "status.interfaces.[].notes"), v1.MaxNotes},
		{"note", length(state, "status.interfaces.[].notes.[]"), v1.MaxNoteLength},
		{"blockers", items(state, "status.interfaces.[].blockers"), v1.MaxBlockers},
		{"message of a blocker", length(state, "status.interfaces.[].blockers.[].message"), v1.MaxMessageLength},
		{"reason of a bond", length(state, "status.bonds.[].reason"), v1.MaxMessageLength},
		{"lastSyncError", length(state, "status.lastSyncError"), v1.MaxMessageLength},
		{"steps", items(state, "status.plan.steps"), v1.MaxPlanSteps},
		{"step", length(state, "status.plan.steps.[]"), v1.MaxStepLength},
		{"affected pods", items(state, "status.plan.affectedPods"), v1.MaxAffectedPods},
		{"conflicts", items(policy, "status.conflicts"), v1.MaxConflicts},
		{"reason of a conflict", length(policy, "status.conflicts.[].reason"), v1.MaxReasonLength},
		{"message of what is unmatched", length(policy, "status.unmatched.[].message"), v1.MaxReasonLength},
	} {
		if diff := cmp.Diff(any(&test.want), test.got); diff != "" {
			t.Errorf("%s (-constant +schema):\n%s", test.what, diff)
		}
	}
}

// TestStatusOfANodeIsBounded: a node writes this status, and all nodes' statuses
// are in the manager's memory, so nothing in it may grow without end.
func TestStatusOfANodeIsBounded(t *testing.T) {
	status := at(t, schemaOf(t, "sriovnetworknodestates"), "status")
	for _, path := range unbounded("status", status) {
		t.Errorf("%s has no limit", path)
	}
	for _, list := range []string{"conflicts", "unmatched"} {
		for _, path := range unbounded(list, at(t, schemaOf(t, "sriovnetworknodepolicies"), "status."+list)) {
			t.Errorf("%s has no limit", path)
		}
	}
}

// unbounded are the paths of strings, lists and maps without a limit.
func unbounded(path string, s *apiextensionsv1.JSONSchemaProps) []string {
	var found []string
	switch s.Type {
	case "string":
		if s.MaxLength == nil && len(s.Enum) == 0 && s.Format != "date-time" {
			found = append(found, path)
		}
	case "array":
		if s.MaxItems == nil {
			found = append(found, path)
		}
		found = append(found, unbounded(path+".[]", s.Items.Schema)...)
	case "object":
		if s.AdditionalProperties != nil {
			// What a key and a value may be is said by a rule.
			if s.MaxProperties == nil || len(s.XValidations) == 0 {
				found = append(found, path)
			}
		}
		for name := range s.Properties {
			property := s.Properties[name]
			found = append(found, unbounded(path+"."+name, &property)...)
		}
	}
	return found
}

var _ = Describe("A merged spec at its limits", func() {
	It("is taken by the API server", func(ctx SpecContext) {
		var ranges []string
		for i := range 400 {
			ranges = append(ranges, "all#"+strconv.Itoa(2*i))
		}
		columns := map[string]string{}
		for i := range 32 {
			columns[fmt.Sprintf("%063d", i)] = strings.Repeat("v", 256)
		}
		merged := merge.Compile([]v1.SriovNetworkNodePolicy{{
			ObjectMeta: metav1.ObjectMeta{Name: "greedy"},
			Spec: v1.SriovNetworkNodePolicySpec{
				ResourceName: "r", NumVfs: 1000, EswitchMode: v1.EswitchModeSwitchdev, NicSelector: v1.NicSelector{PfNames: ranges},
				Bridge: v1.Bridge{OVS: &v1.OVSConfig{Bridge: v1.OVSBridgeConfig{ExternalIDs: columns, OtherConfig: columns}}},
			},
		}})
		for _, n := range []int{1, 8, v1.MaxInterfaces + 1} {
			node := merge.Node{Name: "n"}
			for i := range n {
				node.Interfaces = append(node.Interfaces, v1.InterfaceStatus{PCIAddress: fmt.Sprintf("0000:%02x:%02x.0", i/32, i%32), AltNames: []string{"all"}, Name: "eth" + strconv.Itoa(i)})
			}
			result := merged.Merge(node)
			Expect(result.Policies["greedy"].Conflicts).NotTo(BeEmpty())
			state := &v1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "limits"}, Spec: result.Spec}
			Expect(api.Create(ctx, state, client.DryRunAll)).To(Succeed(), "%d PFs", n)
		}
	})
})
