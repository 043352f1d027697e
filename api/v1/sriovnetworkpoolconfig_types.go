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
	// down, to 1 at the least; 0 and 0% let no node be drained. Unset: no limit in the pool. Nodes in no pool form one with the
	// limit 1. A node that is not ready, or that somebody else cordoned, counts as one that is unavailable already.
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
	// drain says how patient the draining of a node is.
	//
	// +optional
	Drain DrainSettings `json:"drain,omitzero"`
}

// Values of spec.approval of pools.
const (
	// ApprovalAutomatic lets disruptive plans run as soon as there is a slot.
	ApprovalAutomatic = "Automatic"
	// ApprovalManual holds them until somebody approves each.
	ApprovalManual = "Manual"
)

// DefaultDrainDeadlineSeconds is the deadline of a drain where no pool says another.
const DefaultDrainDeadlineSeconds = 1800

// DrainSettings say how patient the draining of a node is.
type DrainSettings struct {
	// deadlineSeconds is how long the pods of a node may take to leave. A node that takes longer is given back: it is
	// uncordoned, others of the pool get its slot, and it is tried again after a delay that grows from 5 minutes to an hour.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=604800
	// +kubebuilder:default=1800
	DeadlineSeconds *int32 `json:"deadlineSeconds,omitempty"`
	// force also moves pods away that nobody would create again, and after the deadline deletes those that a
	// PodDisruptionBudget protects; they then have the deadline once more to end.
	//
	// +optional
	Force bool `json:"force,omitempty"`
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
	// drain is how far the draining of the pool's nodes is.
	//
	// +optional
	Drain *PoolDrainStatus `json:"drain,omitempty"`
}

// PoolDrainStatus counts nodes of a pool.
type PoolDrainStatus struct {
	// nodes that are in this pool and no other, and run the daemon.
	Nodes int32 `json:"nodes"`
	// maxUnavailable is how many of them may be unavailable at once.
	MaxUnavailable int32 `json:"maxUnavailable"`
	// unavailable nodes: those being drained, those that are not ready, and those that somebody else cordoned.
	Unavailable int32 `json:"unavailable"`
	// draining nodes hold a slot: they are cordoned until their plan is carried out.
	Draining int32 `json:"draining"`
	// waiting nodes have a disruptive plan and no slot yet.
	Waiting int32 `json:"waiting"`
	// drainingNodes are the names of nodes that hold a slot, in alphabetical order; at most 16.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	DrainingNodes []string `json:"drainingNodes,omitempty"`
	// message says why nodes wait although the drains in progress alone would let them go on.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`
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
// +kubebuilder:printcolumn:name="DRAINING",type=integer,JSONPath=`.status.drain.draining`
// +kubebuilder:printcolumn:name="WAITING",type=integer,JSONPath=`.status.drain.waiting`
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
