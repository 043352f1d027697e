package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SriovNetworkNodePolicySpec says which NICs of which nodes get how many VFs, and how they are set up.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.isRdma) && self.isRdma && has(self.deviceType) && self.deviceType == 'vfio-pci')",fieldPath=".isRdma",message="isRdma cannot be used with deviceType vfio-pci; set isRdma to false or deviceType to netdevice"
// +kubebuilder:validation:XValidation:rule="!(has(self.eSwitchMode) && self.eSwitchMode == 'switchdev' && has(self.linkType) && self.linkType in ['ib', 'IB'])",fieldPath=".eSwitchMode",message="eSwitchMode switchdev is for Ethernet only; set linkType to eth or remove eSwitchMode"
// +kubebuilder:validation:XValidation:rule="!has(self.bond) || (has(self.eSwitchMode) && self.eSwitchMode == 'switchdev')",fieldPath=".bond",message="bond needs eSwitchMode switchdev; set eSwitchMode to switchdev or remove bond"
// +kubebuilder:validation:XValidation:rule="!(has(self.bridge) && has(self.bridge.ovs)) || (has(self.eSwitchMode) && self.eSwitchMode == 'switchdev')",fieldPath=".bridge",message="bridge needs eSwitchMode switchdev; set eSwitchMode to switchdev or remove bridge"
// +kubebuilder:validation:XValidation:rule="!has(self.vdpaType) || !has(self.deviceType) || self.deviceType == 'netdevice'",fieldPath=".vdpaType",message="vdpaType needs deviceType netdevice; set deviceType to netdevice or remove vdpaType"
// +kubebuilder:validation:XValidation:rule="!has(self.vdpaType) || (has(self.eSwitchMode) && self.eSwitchMode == 'switchdev')",fieldPath=".vdpaType",message="vdpaType needs eSwitchMode switchdev; set eSwitchMode to switchdev or remove vdpaType"
// +kubebuilder:validation:XValidation:rule="!(has(self.externallyManaged) && self.externallyManaged && has(self.bridge) && has(self.bridge.ovs))",fieldPath=".externallyManaged",message="externallyManaged cannot be used with bridge; remove one of the two"
// +kubebuilder:validation:XValidation:rule="!(has(self.externallyManaged) && self.externallyManaged && has(self.bond))",fieldPath=".externallyManaged",message="externallyManaged cannot be used with bond; remove one of the two"
// +kubebuilder:validation:XValidation:rule="!(has(self.externallyManaged) && self.externallyManaged && has(self.firmwareApp))",fieldPath=".externallyManaged",message="externallyManaged cannot be used with firmwareApp; remove one of the two"
// +kubebuilder:validation:XValidation:rule="!(has(self.nicSelector.netFilter) && size(self.nicSelector.netFilter) > 0 && has(self.eSwitchMode))",fieldPath=".nicSelector.netFilter",message="nicSelector.netFilter selects NICs of virtual platforms, which have no eswitch; remove eSwitchMode or netFilter"
// +kubebuilder:validation:XValidation:rule="!(has(self.nicSelector.netFilter) && size(self.nicSelector.netFilter) > 0 && has(self.bridge) && has(self.bridge.ovs))",fieldPath=".nicSelector.netFilter",message="nicSelector.netFilter selects NICs of virtual platforms, which cannot be uplinks; remove bridge or netFilter"
// +kubebuilder:validation:XValidation:rule="!(has(self.nicSelector.netFilter) && size(self.nicSelector.netFilter) > 0 && has(self.linkType) && self.linkType in ['ib', 'IB'])",fieldPath=".nicSelector.netFilter",message="nicSelector.netFilter selects NICs of virtual platforms, which are Ethernet; remove linkType or netFilter"
// +kubebuilder:validation:XValidation:rule="self.numVfs == 0 || !has(self.nicSelector.pfNames) || self.nicSelector.pfNames.all(e, !e.contains('#') || !e.matches('^[^[:space:]#]+(#(0|[1-9][0-9]{0,4})(-(0|[1-9][0-9]{0,4}))?(,(0|[1-9][0-9]{0,4})(-(0|[1-9][0-9]{0,4}))?)*)?$') || e.split('#')[1].split(',').all(r, int(r.substring(r.lastIndexOf('-') + 1)) < self.numVfs))",fieldPath=".nicSelector.pfNames",message="pfNames: a VF range goes beyond the last VF, which is numVfs - 1; shorten the range or raise numVfs"
// +kubebuilder:validation:XValidation:rule="self.numVfs == 0 || !has(self.nicSelector.rootDevices) || self.nicSelector.rootDevices.all(e, !e.contains('#') || !e.matches('^[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F][.][0-7](#(0|[1-9][0-9]{0,4})(-(0|[1-9][0-9]{0,4}))?(,(0|[1-9][0-9]{0,4})(-(0|[1-9][0-9]{0,4}))?)*)?$') || e.split('#')[1].split(',').all(r, int(r.substring(r.lastIndexOf('-') + 1)) < self.numVfs))",fieldPath=".nicSelector.rootDevices",message="rootDevices: a VF range goes beyond the last VF, which is numVfs - 1; shorten the range or raise numVfs"
type SriovNetworkNodePolicySpec struct {
	// resourceName is the extended resource under which the VFs of this policy are offered to pods.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9]([-_a-zA-Z0-9]*[a-zA-Z0-9])?$')",message="resourceName must be letters and digits, with - and _ inside; put what comes before a slash into resourcePrefix"
	ResourceName string `json:"resourceName"`
	// resourcePrefix is the DNS name before the slash of the resource, e.g. mellanox.com.
	// Unset: SriovOperatorConfig.spec.resourcePrefix.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="resourcePrefix must be a DNS name in lower case, e.g. mellanox.com"
	ResourcePrefix string `json:"resourcePrefix,omitempty"`
	// nodeSelector selects nodes by equality on every label. Empty selects every node.
	//
	// +required
	// +kubebuilder:validation:MaxProperties=64
	NodeSelector map[string]string `json:"nodeSelector"`
	// priority from 0 to 99; the lower number wins a conflict. Unset: 99.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=99
	Priority *int `json:"priority,omitempty"`
	// mtu of the PF and its VFs in bytes. Unset: left alone. A PF is raised, never lowered below what another user of it needs.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	MTU int `json:"mtu,omitempty"`
	// numVfs is the number of VFs per matched PF. 0 adds nothing. PCI knows 65535 at most, a PF's own limit is
	// status.interfaces[].totalvfs of the node's SriovNetworkNodeState.
	//
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	NumVfs int `json:"numVfs"`
	// nicSelector selects PFs. Its fields are ANDed, the entries of a list are ORed.
	//
	// +required
	NicSelector NicSelector `json:"nicSelector"`
	// deviceType is the driver of the VFs: their kernel network driver or vfio-pci.
	//
	// +optional
	// +kubebuilder:validation:Enum=netdevice;vfio-pci
	// +kubebuilder:default=netdevice
	DeviceType string `json:"deviceType,omitempty"`
	// isRdma offers the RDMA character devices of the VFs too. Not with deviceType vfio-pci.
	//
	// +optional
	// +kubebuilder:default=false
	IsRdma bool `json:"isRdma,omitempty"`
	// needVhostNet mounts /dev/vhost-net and /dev/net/tun into pods with a VF of this policy.
	//
	// +optional
	NeedVhostNet bool `json:"needVhostNet,omitempty"`
	// linkType of the PF: Ethernet or InfiniBand.
	//
	// +optional
	// +kubebuilder:validation:Enum=eth;ETH;ib;IB
	LinkType string `json:"linkType,omitempty"`
	// eSwitchMode of the PF. switchdev is needed for OVS hardware offload, and is for Ethernet only. Unset: legacy, unless
	// another policy on the same PF says otherwise.
	//
	// +optional
	// +kubebuilder:validation:Enum=legacy;switchdev
	EswitchMode string `json:"eSwitchMode,omitempty"`
	// flowSteeringMode of the PF (mlx5), set before switchdev. Unset: the driver's own.
	//
	// +optional
	// +kubebuilder:validation:Enum=smfs;dmfs;hmfs
	FlowSteeringMode string `json:"flowSteeringMode,omitempty"`
	// firmwareApp is the application firmware that an Agilio (nfp) NIC runs.
	//
	// +optional
	// +kubebuilder:validation:Enum=flower;flower-next
	FirmwareApp string `json:"firmwareApp,omitempty"`
	// bond is a VF-LAG over the two ports of one NIC per node. Needs eSwitchMode switchdev.
	//
	// +optional
	Bond *BondSpec `json:"bond,omitempty"`
	// vdpaType makes a vDPA device of each VF. Needs deviceType netdevice and eSwitchMode switchdev.
	//
	// +optional
	// +kubebuilder:validation:Enum=virtio;vhost
	VdpaType string `json:"vdpaType,omitempty"`
	// excludeTopology hides the NUMA node of the VFs from the kubelet's topology manager.
	//
	// +optional
	ExcludeTopology bool `json:"excludeTopology,omitempty"`
	// externallyManaged says that somebody else creates the VFs of the PF; only VF drivers and MTU are ours.
	// Not with bridge, bond or firmwareApp.
	//
	// +optional
	ExternallyManaged bool `json:"externallyManaged,omitempty"`
	// allowNodeNetwork permits changes that interrupt a PF over which the node's own network runs: its default route, its
	// address in the cluster, or what is built on them. Without it, such a PF is left alone and has the blocker NodeNetwork.
	// What is risked: everything that reaches the node, or leaves it, over the PF is interrupted for seconds, and the node is
	// lost if neither the change nor taking it back brings the connection back. After each such change the daemon checks the
	// connections that it found before; if one is lost, it restores the PF's state of before by itself. VFs that pods hold
	// are not taken from them because of it.
	//
	// +optional
	AllowNodeNetwork bool `json:"allowNodeNetwork,omitempty"`
	// bridge to which the PF is attached. Needs eSwitchMode switchdev.
	//
	// +optional
	Bridge Bridge `json:"bridge,omitzero"`
}

// NicSelector selects PFs of a node. A PF has to match every field that is set.
//
// +kubebuilder:validation:XValidation:rule="(has(self.vendor) && size(self.vendor) > 0) || (has(self.deviceID) && size(self.deviceID) > 0) || (has(self.pfNames) && size(self.pfNames) > 0) || (has(self.rootDevices) && size(self.rootDevices) > 0) || (has(self.netFilter) && size(self.netFilter) > 0)",message="nicSelector selects nothing; set at least one of vendor, deviceID, pfNames, rootDevices or netFilter"
// +kubebuilder:validation:XValidation:rule="!has(self.netFilter) || size(self.netFilter) == 0 || ((!has(self.vendor) || size(self.vendor) == 0) && (!has(self.deviceID) || size(self.deviceID) == 0) && (!has(self.pfNames) || size(self.pfNames) == 0) && (!has(self.rootDevices) || size(self.rootDevices) == 0))",fieldPath=".netFilter",message="netFilter identifies a network by itself; remove vendor, deviceID, pfNames and rootDevices, or netFilter"
type NicSelector struct {
	// vendor is the PCI vendor id of the PF, four hexadecimal digits, e.g. 15b3.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || self.matches('^[0-9a-fA-F]{4}$')",message="vendor must be four hexadecimal digits without 0x, e.g. 15b3 (lspci -nn shows them)"
	Vendor string `json:"vendor,omitempty"`
	// deviceID is the PCI device id of the PF, four hexadecimal digits, e.g. 1017.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || self.matches('^[0-9a-fA-F]{4}$')",message="deviceID must be four hexadecimal digits without 0x, e.g. 1017 (lspci -nn shows them)"
	DeviceID string `json:"deviceID,omitempty"`
	// rootDevices are PCI addresses of PFs, each with optional VF ranges: 0000:3b:00.0#0-3,6. A range must end below numVfs.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F][.][0-7](#(0|[1-9][0-9]{0,4})(-(0|[1-9][0-9]{0,4}))?(,(0|[1-9][0-9]{0,4})(-(0|[1-9][0-9]{0,4}))?)*)?$')",message="rootDevices: an entry must be a PCI address with its domain, optionally with VF ranges, e.g. 0000:3b:00.0 or 0000:3b:00.0#0-3,6"
	// +kubebuilder:validation:items:XValidation:rule="!self.contains('#') || !self.matches('^[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F][.][0-7](#(0|[1-9][0-9]{0,4})(-(0|[1-9][0-9]{0,4}))?(,(0|[1-9][0-9]{0,4})(-(0|[1-9][0-9]{0,4}))?)*)?$') || self.split('#')[1].split(',').all(r, int(r.split('-')[0]) <= int(r.substring(r.lastIndexOf('-') + 1)))",message="rootDevices: the last VF of a range must not be below the first; write it as #FIRST-LAST"
	RootDevices []string `json:"rootDevices,omitempty"`
	// pfNames are netdev names or altNames of PFs, each with optional VF ranges: ens41f0np0#0-3,6. A range must
	// end below numVfs. Several entries for one PF add up.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^[^[:space:]#]+(#(0|[1-9][0-9]{0,4})(-(0|[1-9][0-9]{0,4}))?(,(0|[1-9][0-9]{0,4})(-(0|[1-9][0-9]{0,4}))?)*)?$')",message="pfNames: an entry must be a netdev name or altName, optionally with VF ranges, e.g. ens41f0np0 or ens41f0np0#0-3,6"
	// +kubebuilder:validation:items:XValidation:rule="!self.contains('#') || !self.matches('^[^[:space:]#]+(#(0|[1-9][0-9]{0,4})(-(0|[1-9][0-9]{0,4}))?(,(0|[1-9][0-9]{0,4})(-(0|[1-9][0-9]{0,4}))?)*)?$') || self.split('#')[1].split(',').all(r, int(r.split('-')[0]) <= int(r.substring(r.lastIndexOf('-') + 1)))",message="pfNames: the last VF of a range must not be below the first; write it as #FIRST-LAST"
	PfNames []string `json:"pfNames,omitempty"`
	// netFilter selects by network id on virtual platforms, e.g. openstack/NetworkID:UUID. Not with vendor, deviceID, pfNames,
	// rootDevices, eSwitchMode, bridge or linkType ib.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	NetFilter string `json:"netFilter,omitempty"`
}

// BondSpec describes a VF-LAG bond.
//
// +kubebuilder:validation:XValidation:rule="!has(self.xmitHashPolicy) || self.mode != 'active-backup'",fieldPath=".xmitHashPolicy",message="xmitHashPolicy has no meaning with mode active-backup; remove xmitHashPolicy or set mode to balance-xor or 802.3ad"
// +kubebuilder:validation:XValidation:rule="!has(self.lacpRate) || self.mode == '802.3ad'",fieldPath=".lacpRate",message="lacpRate is only for mode 802.3ad; remove lacpRate or set mode to 802.3ad"
type BondSpec struct {
	// name of the bond's netdev: 1 to 15 characters without space, / and :.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="size(self) <= 15 && self.matches('^[^[:space:]/:]+$') && !(self in ['.', '..'])",message="bond name must be a name that the kernel takes for an interface: 1 to 15 characters without space, / and :, e.g. bond1"
	Name string `json:"name"`
	// mode of the bond; no other mode can be offloaded.
	//
	// +required
	// +kubebuilder:validation:Enum=active-backup;balance-xor;"802.3ad"
	Mode string `json:"mode"`
	// miimonMilliseconds is the link check interval.
	//
	// +optional
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=1
	MiimonMilliseconds *int `json:"miimonMilliseconds,omitempty"`
	// xmitHashPolicy of the modes balance-xor and 802.3ad. Unset: layer3+4.
	//
	// +optional
	// +kubebuilder:validation:Enum=layer2;"layer2+3";"layer3+4";"encap2+3";"encap3+4"
	XmitHashPolicy string `json:"xmitHashPolicy,omitempty"`
	// lacpRate of the mode 802.3ad. Unset: slow.
	//
	// +optional
	// +kubebuilder:validation:Enum=slow;fast
	LacpRate string `json:"lacpRate,omitempty"`
	// mtu of the bond in bytes. Unset: the mtu of its members.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	MTU int `json:"mtu,omitempty"`
	// ownership says who makes the bond: this operator, or the host's network manager.
	//
	// +optional
	// +kubebuilder:validation:Enum=Managed;Adopted
	// +kubebuilder:default=Managed
	Ownership string `json:"ownership,omitempty"`
}

// SriovNetworkNodePolicyStatus says what became of the policy.
type SriovNetworkNodePolicyStatus struct {
	// conditions: Ready, Reconciling, Stalled, Conflicted.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation that this status describes.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// matchedNodes is the number of nodes with at least one PF that the policy matches.
	//
	// +optional
	MatchedNodes int `json:"matchedNodes"`
	// readyNodes is how many of them report Ready.
	//
	// +optional
	ReadyNodes int `json:"readyNodes"`
	// conflicts are values that this policy lost to a stronger one, at most 32 of them.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Conflicts []PolicyConflict `json:"conflicts,omitempty"`
	// unmatched says, per selector field, what came nearest on nodes that are selected but have no NIC that matches, or why no node
	// is selected.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Unmatched []UnmatchedField `json:"unmatched,omitempty"`
}

// PolicyConflict is one value that a policy lost.
type PolicyConflict struct {
	// node on which the value was lost.
	//
	// +kubebuilder:validation:MaxLength=253
	Node string `json:"node"`
	// pciAddress of the PF on which the value was lost.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	PCIAddress string `json:"pciAddress,omitempty"`
	// field of the policy's spec that was lost.
	//
	// +kubebuilder:validation:MaxLength=64
	Field string `json:"field"`
	// winner is the policy whose value is in force; empty if the value is invalid by itself.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Winner string `json:"winner,omitempty"`
	// reason in words, with both values.
	//
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason"`
}

// UnmatchedField tells why a selector field excluded everything.
type UnmatchedField struct {
	// field of the policy's spec, e.g. nicSelector.pfNames or nodeSelector.
	//
	// +kubebuilder:validation:MaxLength=64
	Field string `json:"field"`
	// message says what was asked for and what was found nearest to it.
	//
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message"`
}

// SriovNetworkNodePolicy configures the SR-IOV NICs of nodes.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=sriovnetworknodepolicies,shortName=snp,categories=sriov
// +kubebuilder:printcolumn:name="NODES",type=integer,JSONPath=`.status.matchedNodes`
// +kubebuilder:printcolumn:name="READY-NODES",type=integer,JSONPath=`.status.readyNodes`
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="REASON",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="RESOURCE",type=string,priority=1,JSONPath=`.spec.resourceName`
// +kubebuilder:printcolumn:name="VFS",type=integer,priority=1,JSONPath=`.spec.numVfs`
// +kubebuilder:printcolumn:name="ESWITCH",type=string,priority=1,JSONPath=`.spec.eSwitchMode`
// +kubebuilder:printcolumn:name="PRIORITY",type=integer,priority=1,JSONPath=`.spec.priority`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type SriovNetworkNodePolicy struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what is asked for.
	//
	// +required
	Spec SriovNetworkNodePolicySpec `json:"spec"`
	// status is what was found.
	//
	// +optional
	Status SriovNetworkNodePolicyStatus `json:"status,omitzero"`
}

// SriovNetworkNodePolicyList is a list of policies.
//
// +kubebuilder:object:root=true
type SriovNetworkNodePolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []SriovNetworkNodePolicy `json:"items"`
}

// EffectivePriority is the priority in force: lower wins, unset is 99.
func (p *SriovNetworkNodePolicy) EffectivePriority() int {
	if p.Spec.Priority == nil {
		return DefaultPriority
	}
	return *p.Spec.Priority
}
