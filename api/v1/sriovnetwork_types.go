package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SriovNetworkSpec describes an Ethernet network whose pods get a VF through the sriov CNI.
type SriovNetworkSpec struct {
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
	// capabilities of the CNI plugin as a JSON object, e.g. {"mac": true, "ips": true}.
	//
	// +optional
	Capabilities string `json:"capabilities,omitempty"`
	// ipam is the IPAM configuration as a JSON object. Unset: no address is assigned.
	//
	// +optional
	IPAM string `json:"ipam,omitempty"`
	// vlan id of the VF. 0: no VLAN.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4094
	Vlan int `json:"vlan,omitempty"`
	// vlanQoS is the 802.1p priority of the VF's VLAN.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=7
	VlanQoS int `json:"vlanQoS,omitempty"`
	// vlanProto is 802.1q or 802.1ad in any case. Unset: 802.1q.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || self.lowerAscii() in ['802.1q', '802.1ad']",message="vlanProto must be 802.1q or 802.1ad (any case)"
	VlanProto string `json:"vlanProto,omitempty"`
	// spoofChk on or off: whether the NIC drops frames that do not carry the VF's own MAC. Unset: left alone.
	//
	// +optional
	// +kubebuilder:validation:Enum="on";"off"
	SpoofChk string `json:"spoofChk,omitempty"`
	// trust on or off: whether the VF may change its MAC and enter promiscuous mode. Unset: left alone.
	//
	// +optional
	// +kubebuilder:validation:Enum="on";"off"
	Trust string `json:"trust,omitempty"`
	// linkState of the VF: auto follows the PF. Unset: left alone.
	//
	// +optional
	// +kubebuilder:validation:Enum=auto;enable;disable
	LinkState string `json:"linkState,omitempty"`
	// minTxRate that is guaranteed to the VF, in Mbit/s. 0 takes the guarantee away. Unset: left alone.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	MinTxRate *int `json:"minTxRate,omitempty"`
	// maxTxRate of the VF in Mbit/s. 0 takes the limit away. Unset: left alone.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	MaxTxRate *int `json:"maxTxRate,omitempty"`
	// metaPlugins are CNI plugins chained after this one: JSON objects separated by commas.
	//
	// +optional
	MetaPlugins string `json:"metaPlugins,omitempty"`
	// logLevel of the CNI plugin.
	//
	// +optional
	// +kubebuilder:validation:Enum=panic;error;warning;info;debug;""
	// +kubebuilder:default=info
	LogLevel string `json:"logLevel,omitempty"`
	// logFile of the CNI plugin on the node. Unset: its standard error.
	//
	// +optional
	LogFile string `json:"logFile,omitempty"`
}

// SriovNetwork is an Ethernet network on VFs. It becomes a NetworkAttachmentDefinition of the same name.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=sriovnetworks,shortName=sn,categories=sriov
// +kubebuilder:printcolumn:name="RESOURCE",type=string,JSONPath=`.spec.resourceName`
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="REASON",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="NETWORK-NAMESPACE",type=string,priority=1,JSONPath=`.spec.networkNamespace`
// +kubebuilder:printcolumn:name="VLAN",type=integer,priority=1,JSONPath=`.spec.vlan`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="!has(self.spec.minTxRate) || !has(self.spec.maxTxRate) || self.spec.maxTxRate == 0 || self.spec.minTxRate <= self.spec.maxTxRate",fieldPath=".spec.minTxRate",message="minTxRate must not be above maxTxRate; lower minTxRate or raise maxTxRate"
type SriovNetwork struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what is asked for.
	//
	// +required
	Spec SriovNetworkSpec `json:"spec"`
	// status is what was found.
	//
	// +optional
	Status NetworkStatus `json:"status,omitzero"`
}

// SriovNetworkList is a list of SriovNetworks.
//
// +kubebuilder:object:root=true
type SriovNetworkList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []SriovNetwork `json:"items"`
}
