package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// SriovNetworkPoolConfigSpec says how many nodes of a pool may be drained at once, and what the nodes of a pool have in common.
type SriovNetworkPoolConfigSpec struct {
	// nodeSelector selects the nodes of the pool. Unset: every node. A node must not be in two pools.
	//
	// +optional
	NodeSelector *metav1.LabelSelector `json:"nodeSelector,omitempty"`
	// maxUnavailable is the number, or percentage, of the pool's nodes that may be drained at once. A percentage is rounded
	// down, to 1 at the least. Unset: no limit in the pool. Nodes in no pool form one with the limit 1.
	//
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 0 : string(self).matches('^(100|[1-9]?[0-9])%$')",message="maxUnavailable must be a number of nodes, 0 or more, or a percentage from 0% to 100%"
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
	// rdmaMode of the nodes: whether an RDMA device belongs to one network namespace. Unset: left alone.
	//
	// +optional
	// +kubebuilder:validation:Enum=shared;exclusive
	RdmaMode string `json:"rdmaMode,omitempty"`
	// ovsHardwareOffloadConfig is accepted for compatibility and has no effect outside OpenShift; a condition says so.
	//
	// +optional
	OvsHardwareOffloadConfig OvsHardwareOffloadConfig `json:"ovsHardwareOffloadConfig,omitzero"`
	// allowNodeNetwork permits, on every PF of the pool's nodes, changes that interrupt a PF over which the node's own network
	// runs; what is risked is at spec.allowNodeNetwork of SriovNetworkNodePolicy. A node in two pools has no such permission
	// from either.
	//
	// +optional
	AllowNodeNetwork bool `json:"allowNodeNetwork,omitempty"`
	// approval Manual holds every disruptive plan of the pool until a person approves it.
	//
	// +optional
	// +kubebuilder:validation:Enum=Automatic;Manual
	// +kubebuilder:default=Automatic
	Approval string `json:"approval,omitempty"`
}

// OvsHardwareOffloadConfig names what OpenShift should switch to hardware offload.
type OvsHardwareOffloadConfig struct {
	// name of the MachineConfigPool.
	//
	// +optional
	Name string `json:"name,omitempty"`
}

// SriovNetworkPoolConfigStatus says whether the pool is in force.
type SriovNetworkPoolConfigStatus struct {
	// conditions: Ready, Reconciling, Stalled.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation that this status describes.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// SriovNetworkPoolConfig is a pool of nodes that are drained together and share settings.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=sriovnetworkpoolconfigs,shortName=snpc,categories=sriov
// +kubebuilder:printcolumn:name="MAX-UNAVAILABLE",type=string,JSONPath=`.spec.maxUnavailable`
// +kubebuilder:printcolumn:name="APPROVAL",type=string,JSONPath=`.spec.approval`
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="REASON",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="RDMA",type=string,priority=1,JSONPath=`.spec.rdmaMode`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type SriovNetworkPoolConfig struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what is asked for.
	//
	// +optional
	Spec SriovNetworkPoolConfigSpec `json:"spec,omitzero"`
	// status is what was found.
	//
	// +optional
	Status SriovNetworkPoolConfigStatus `json:"status,omitzero"`
}

// SriovNetworkPoolConfigList is a list of SriovNetworkPoolConfigs.
//
// +kubebuilder:object:root=true
type SriovNetworkPoolConfigList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []SriovNetworkPoolConfig `json:"items"`
}
