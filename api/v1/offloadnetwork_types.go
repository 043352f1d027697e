package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// OffloadNetworkSpec describes a network of a CNI that programs Open vSwitch itself and moves a VF into the pod.
//
// +kubebuilder:validation:XValidation:rule="!has(self.kubeOVN) || self.cni == 'kube-ovn'",fieldPath=".kubeOVN",message="kubeOVN is read only with cni kube-ovn; remove kubeOVN or set cni to kube-ovn"
// +kubebuilder:validation:XValidation:rule="!has(self.ipam) || size(self.ipam) == 0 || self.cni == 'antrea'",fieldPath=".ipam",message="ipam is read only with cni antrea; remove ipam (Kube-OVN takes addresses from a Subnet: kubeOVN.logicalSwitch)"
type OffloadNetworkSpec struct {
	// cni that the network belongs to.
	//
	// +required
	// +kubebuilder:validation:Enum=kube-ovn;antrea
	CNI string `json:"cni"`
	// resourceName is the resource, without prefix, that a switchdev SriovNetworkNodePolicy provides.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9]([-_a-zA-Z0-9]*[a-zA-Z0-9])?$')",message="resourceName must be letters and digits, with - and _ inside; write the part after the slash of the resource that a SriovNetworkNodePolicy provides"
	ResourceName string `json:"resourceName"`
	// resourcePrefix is the DNS name before the slash of the resource. Unset: SriovOperatorConfig.spec.resourcePrefix.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="resourcePrefix must be a DNS name in lower case, e.g. mellanox.com"
	ResourcePrefix string `json:"resourcePrefix,omitempty"`
	// networkNamespace is the namespace of the NetworkAttachmentDefinition, and of the pods that use it.
	// Only for networks in the operator's own namespace. Unset: the namespace of this object.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="networkNamespace must be the name of a namespace: lower-case letters, digits and -, with a letter or digit at both ends"
	NetworkNamespace string `json:"networkNamespace,omitempty"`
	// portMappings chains the portmap plugin, which serves hostPort.
	//
	// +optional
	// +kubebuilder:default=true
	PortMappings *bool `json:"portMappings,omitempty"`
	// bandwidth chains the bandwidth plugin. Unset: true for antrea, false for kube-ovn.
	//
	// +optional
	Bandwidth *bool `json:"bandwidth,omitempty"`
	// kubeOVN holds what only Kube-OVN needs.
	//
	// +optional
	KubeOVN *KubeOVNNetwork `json:"kubeOVN,omitempty"`
	// ipam of antrea as a JSON object. Unset: {"type": "host-local"}.
	//
	// +optional
	IPAM string `json:"ipam,omitempty"`
}

// KubeOVNNetwork holds what a network of Kube-OVN needs.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.mode) && self.mode == 'underlay') || has(self.subnet)",fieldPath=".subnet",message="subnet is missing: mode underlay needs kubeOVN.subnet with cidrBlock, gateway and defaultInterface"
// +kubebuilder:validation:XValidation:rule="!has(self.subnet) || (has(self.mode) && self.mode == 'underlay')",fieldPath=".subnet",message="subnet is read only with mode underlay; remove kubeOVN.subnet or set kubeOVN.mode to underlay"
// +kubebuilder:validation:XValidation:rule="!has(self.logicalSwitch) || size(self.logicalSwitch) == 0 || !(has(self.mode) && self.mode == 'underlay')",fieldPath=".logicalSwitch",message="logicalSwitch names an existing Subnet and is read only with mode overlay; remove it, mode underlay makes a Subnet from kubeOVN.subnet"
type KubeOVNNetwork struct {
	// mode: overlay tunnels over the node's tunnel interface; underlay bridges to the physical network.
	//
	// +optional
	// +kubebuilder:validation:Enum=overlay;underlay
	// +kubebuilder:default=overlay
	Mode string `json:"mode,omitempty"`
	// logicalSwitch is the existing Subnet from which pods get their addresses in mode overlay. Unset: ovn-default.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	LogicalSwitch string `json:"logicalSwitch,omitempty"`
	// subnet of mode underlay: becomes a ProviderNetwork, a Vlan and a Subnet.
	//
	// +optional
	Subnet *KubeOVNSubnet `json:"subnet,omitempty"`
	// serverSocket is the path of the kube-ovn-cni daemon's socket on the node.
	//
	// +optional
	// +kubebuilder:default="/run/openvswitch/kube-ovn-daemon.sock"
	// +kubebuilder:validation:MaxLength=107
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || self.startsWith('/')",message="serverSocket must be an absolute path, e.g. /run/openvswitch/kube-ovn-daemon.sock"
	ServerSocket string `json:"serverSocket,omitempty"`
}

// KubeOVNSubnet describes an underlay Subnet of Kube-OVN and the interface that carries it.
type KubeOVNSubnet struct {
	// cidrBlock of the subnet; an IPv4 and an IPv6 block separated by a comma for dual stack.
	//
	// +required
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-fA-F.:]+/[0-9]{1,3}(,[0-9a-fA-F.:]+/[0-9]{1,3})?$')",message="cidrBlock must be an address block such as 10.10.204.0/24, or two of them (IPv4, IPv6) separated by a comma"
	CIDRBlock string `json:"cidrBlock"`
	// gateway of the subnet in the physical network; two addresses separated by a comma for dual stack.
	//
	// +required
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-fA-F.:]+(,[0-9a-fA-F.:]+)?$')",message="gateway must be an IP address such as 10.10.204.254, or two of them (IPv4, IPv6) separated by a comma"
	Gateway string `json:"gateway"`
	// excludeIPs are addresses that pods must not get: single ones, or intervals written FIRST..LAST.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=100
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[0-9a-fA-F.:]+$')",message="excludeIPs: an entry must be an IP address, or an interval such as 10.10.204.1..10.10.204.100"
	ExcludeIPs []string `json:"excludeIPs,omitempty"`
	// vlanID of the subnet in the physical network. 0 or unset: untagged.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4094
	VlanID *int `json:"vlanID,omitempty"`
	// defaultInterface is the bond or PF that joins the provider network's bridge on every node.
	//
	// +required
	// +kubebuilder:validation:MaxLength=15
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^ \\t\\r\\n/:]+$')",message="defaultInterface must be the name of a network interface, e.g. bond1"
	DefaultInterface string `json:"defaultInterface"`
}

// OffloadNetworkStatus says whether everything that the network needs is in place, and how a pod uses it.
type OffloadNetworkStatus struct {
	NetworkStatus `json:",inline"`
	// podTemplate is what a pod has to carry to get an offloaded VF of this network.
	//
	// +optional
	PodTemplate *OffloadPodTemplate `json:"podTemplate,omitempty"`
	// checks are what was looked at outside of this network, in a fixed order.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Checks []NetworkCheck `json:"checks,omitempty"`
}

// CheckResult is the outcome of a check.
//
// +kubebuilder:validation:Enum=Passed;Pending;Failed;Unknown
type CheckResult string

// Values of CheckResult.
const (
	// CheckPassed: it is as it should be.
	CheckPassed CheckResult = "Passed"
	// CheckPending: it is not there yet, and may come by itself.
	CheckPending CheckResult = "Pending"
	// CheckFailed: a person has to change something.
	CheckFailed CheckResult = "Failed"
	// CheckUnknown: it cannot be told from what the API server knows. It does not
	// keep the network from being ready.
	CheckUnknown CheckResult = "Unknown"
)

// NetworkCheck is one thing that a network needs and that others provide.
type NetworkCheck struct {
	// name of the check, e.g. HardwareOffload.
	//
	// +required
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name"`
	// result: Passed, Pending, Failed or Unknown.
	//
	// +required
	Result CheckResult `json:"result"`
	// message says what was found, and where.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`
	// remedy says what to do, unless the check passed.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Remedy string `json:"remedy,omitempty"`
}

// OffloadPodTemplate is the part of a pod that asks for an offloaded VF.
type OffloadPodTemplate struct {
	// annotations of the pod.
	//
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
	// resources of one container of the pod.
	//
	// +optional
	Resources OffloadPodResources `json:"resources,omitzero"`
}

// OffloadPodResources has the shape of a container's resources, so that it can be pasted there.
type OffloadPodResources struct {
	// requests by resource name, e.g. mellanox.com/cx5_sriov_switchdev: "1".
	//
	// +optional
	Requests map[string]string `json:"requests,omitempty"`
	// limits are equal to the requests, as Kubernetes demands of extended resources.
	//
	// +optional
	Limits map[string]string `json:"limits,omitempty"`
}

// OffloadNetwork is a hardware-offloaded network of Kube-OVN or Antrea. It becomes a NetworkAttachmentDefinition
// of the same name and, for Kube-OVN, the Subnet that is bound to it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=offloadnetworks,shortName=onet,categories=sriov
// +kubebuilder:printcolumn:name="CNI",type=string,JSONPath=`.spec.cni`
// +kubebuilder:printcolumn:name="RESOURCE",type=string,JSONPath=`.spec.resourceName`
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="REASON",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="MODE",type=string,priority=1,JSONPath=`.spec.kubeOVN.mode`
// +kubebuilder:printcolumn:name="NETWORK-NAMESPACE",type=string,priority=1,JSONPath=`.spec.networkNamespace`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type OffloadNetwork struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what is asked for.
	//
	// +required
	Spec OffloadNetworkSpec `json:"spec"`
	// status is what was found.
	//
	// +optional
	Status OffloadNetworkStatus `json:"status,omitzero"`
}

// OffloadNetworkList is a list of OffloadNetworks.
//
// +kubebuilder:object:root=true
type OffloadNetworkList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []OffloadNetwork `json:"items"`
}
