package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SriovIBNetworkSpec describes an InfiniBand network whose pods get a VF through the ib-sriov CNI.
type SriovIBNetworkSpec struct {
	// networkNamespace is the namespace of the NetworkAttachmentDefinition, and of the pods that use it.
	// Only for networks in the operator's own namespace. Unset: the namespace of this object.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="networkNamespace must be the name of a namespace: lower-case letters, digits and -, with a letter or digit at both ends"
	NetworkNamespace string `json:"networkNamespace,omitempty"`
	// resourceName is the resource, without prefix, that a SriovNetworkNodePolicy provides.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9]([-_a-zA-Z0-9]*[a-zA-Z0-9])?$')",message="resourceName must be letters and digits, with - and _ inside; write the part after the slash of the resource that a SriovNetworkNodePolicy provides"
	ResourceName string `json:"resourceName"`
	// capabilities of the CNI plugin as a JSON object, e.g. {"infinibandGUID": true}.
	//
	// +optional
	Capabilities string `json:"capabilities,omitempty"`
	// ipam is the IPAM configuration as a JSON object. Unset: no address is assigned.
	//
	// +optional
	IPAM string `json:"ipam,omitempty"`
	// linkState of the VF: auto follows the PF. Unset: left alone.
	//
	// +optional
	// +kubebuilder:validation:Enum=auto;enable;disable
	LinkState string `json:"linkState,omitempty"`
	// metaPlugins are CNI plugins chained after this one: JSON objects separated by commas.
	//
	// +optional
	MetaPlugins string `json:"metaPlugins,omitempty"`
}

// SriovIBNetwork is an InfiniBand network on VFs. It becomes a NetworkAttachmentDefinition of the same name.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=sriovibnetworks,shortName=sibn,categories=sriov
// +kubebuilder:printcolumn:name="RESOURCE",type=string,JSONPath=`.spec.resourceName`
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="REASON",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="NETWORK-NAMESPACE",type=string,priority=1,JSONPath=`.spec.networkNamespace`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type SriovIBNetwork struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what is asked for.
	//
	// +required
	Spec SriovIBNetworkSpec `json:"spec"`
	// status is what was found.
	//
	// +optional
	Status NetworkStatus `json:"status,omitzero"`
}

// SriovIBNetworkList is a list of SriovIBNetworks.
//
// +kubebuilder:object:root=true
type SriovIBNetworkList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []SriovIBNetwork `json:"items"`
}
