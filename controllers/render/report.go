package render

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// ReportVersion is the apiVersion of a Report.
var ReportVersion = schema.GroupVersion{Group: "render." + sriovv1.Group, Version: "v1"}.String()

// ReportKind is the kind of a Report.
const ReportKind = "RenderReport"

// Report is the last document of the output: what the specs do not show. It is
// no API object, but looks like one, so that the output is of one shape.
type Report struct {
	metav1.TypeMeta `json:",inline"`
	Nodes           []NodeReport   `json:"nodes"`
	Policies        []PolicyReport `json:"policies"`
	// Networks that become NetworkAttachmentDefinitions, by namespace and name.
	Networks []NetworkReport `json:"networks,omitempty"`
}

// NodeReport is what the manager would do with one node.
type NodeReport struct {
	Name string `json:"name"`
	// Policies that select the node by its labels, sorted.
	Policies []string `json:"policies,omitempty"`
	// Resources that the device plugin would offer, sorted.
	Resources []string `json:"resources,omitempty"`
	// Note says why nothing or not everything is rendered.
	Note string `json:"note,omitempty"`
}

// PolicyReport is what became of one policy.
type PolicyReport struct {
	Name string `json:"name"`
	// MatchedNodes are the nodes with a PF that the policy matches, sorted.
	MatchedNodes []string `json:"matchedNodes,omitempty"`
	// Ignored says why the policy has no effect by design.
	Ignored string `json:"ignored,omitempty"`
	// Conflicts are the values that the policy lost, by node and PF, the first 64 of each node.
	Conflicts []sriovv1.PolicyConflict `json:"conflicts,omitempty"`
	// Unmatched is what came nearest: to being selected if no node is, else on
	// the selected nodes where nothing matched.
	Unmatched []sriovv1.UnmatchedField `json:"unmatched,omitempty"`
}
