package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// OVSNetworkSpec describes a network whose pods get a VF with its representor in an Open vSwitch bridge, through the ovs CNI.
type OVSNetworkSpec struct {
	// networkNamespace is the namespace of the NetworkAttachmentDefinition, and of the pods that use it.
	// Only for networks in the operator's own namespace. Unset: the namespace of this object.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="networkNamespace must be the name of a namespace: lower-case letters, digits and -, with a letter or digit at both ends"
	NetworkNamespace string `json:"networkNamespace,omitempty"`
	// resourceName is the resource, without prefix, that a switchdev SriovNetworkNodePolicy provides.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9]([-_a-zA-Z0-9]*[a-zA-Z0-9])?$')",message="resourceName must be letters and digits, with - and _ inside; write the part after the slash of the resource that a SriovNetworkNodePolicy provides"
	ResourceName string `json:"resourceName"`
	// capabilities of the CNI plugin as a JSON object, e.g. {"mac": true}.
	//
	// +optional
	Capabilities string `json:"capabilities,omitempty"`
	// ipam is the IPAM configuration as a JSON object. Unset: no address is assigned.
	//
	// +optional
	IPAM string `json:"ipam,omitempty"`
	// metaPlugins are CNI plugins chained after this one: JSON objects separated by commas.
	//
	// +optional
	MetaPlugins string `json:"metaPlugins,omitempty"`
	// bridge is the name of the Open vSwitch bridge. Unset: the bridge that has the VF's PF as uplink.
	//
	// +optional
	Bridge string `json:"bridge,omitempty"`
	// vlan tag of the port. 0: no tag.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4095
	Vlan int `json:"vlan,omitempty"`
	// mtu of the port in bytes. 0: left alone.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	MTU int `json:"mtu,omitempty"`
	// trunk lists the VLAN ids that the port carries tagged.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4096
	Trunk []TrunkConfig `json:"trunk,omitempty"`
	// interfaceType is the type column of the Interface table of the Open_vSwitch database, e.g. dpdk. Unset: system.
	//
	// +optional
	InterfaceType string `json:"interfaceType,omitempty"`
}

// TrunkConfig is one VLAN id of a trunk, or an interval of them.
//
// +kubebuilder:validation:XValidation:rule="has(self.minID) == has(self.maxID)",message="trunk: minID and maxID make an interval; set both or neither"
// +kubebuilder:validation:XValidation:rule="has(self.id) || has(self.minID) || has(self.maxID)",message="trunk: an entry names no VLAN; set id, or minID and maxID"
// +kubebuilder:validation:XValidation:rule="!has(self.minID) || !has(self.maxID) || self.minID <= self.maxID",message="trunk: minID must not be above maxID; swap them"
type TrunkConfig struct {
	// id of a single VLAN.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4095
	ID *int `json:"id,omitempty"`
	// minID is the first id of an interval.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4095
	MinID *int `json:"minID,omitempty"`
	// maxID is the last id of an interval.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4095
	MaxID *int `json:"maxID,omitempty"`
}

// OVSNetwork is a network on VFs behind an Open vSwitch bridge. It becomes a NetworkAttachmentDefinition of the same name.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=ovsnetworks,shortName=ovsn,categories=sriov
// +kubebuilder:printcolumn:name="RESOURCE",type=string,JSONPath=`.spec.resourceName`
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="REASON",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="NETWORK-NAMESPACE",type=string,priority=1,JSONPath=`.spec.networkNamespace`
// +kubebuilder:printcolumn:name="BRIDGE",type=string,priority=1,JSONPath=`.spec.bridge`
// +kubebuilder:printcolumn:name="VLAN",type=integer,priority=1,JSONPath=`.spec.vlan`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type OVSNetwork struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what is asked for.
	//
	// +required
	Spec OVSNetworkSpec `json:"spec"`
	// status is what was found.
	//
	// +optional
	Status NetworkStatus `json:"status,omitzero"`
}

// OVSNetworkList is a list of OVSNetworks.
//
// +kubebuilder:object:root=true
type OVSNetworkList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []OVSNetwork `json:"items"`
}
