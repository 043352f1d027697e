package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SriovNetworkNodeStateSpec is what one node should look like, merged from all policies. Only the manager writes it.
type SriovNetworkNodeStateSpec struct {
	// interfaces are the PFs that policies configure, ordered by PCI address.
	//
	// +optional
	// +listType=map
	// +listMapKey=pciAddress
	// +kubebuilder:validation:MaxItems=256
	Interfaces []Interface `json:"interfaces,omitempty"`
	// bonds are the VF-LAG bonds of the node.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=128
	Bonds []Bond `json:"bonds,omitempty"`
	// bridges of the node.
	//
	// +optional
	Bridges Bridges `json:"bridges,omitzero"`
	// system settings of the node.
	//
	// +optional
	System System `json:"system,omitzero"`
	// allowNodeNetwork: the node's pool permits changes that interrupt PFs over which the node's own network runs. It holds
	// for PFs that no policy configures any more, too: they may go back to what they were.
	//
	// +optional
	AllowNodeNetwork bool `json:"allowNodeNetwork,omitempty"`
	// computedFrom is a hash of what this spec was computed from. Empty: it was not computed yet and means nothing.
	//
	// +optional
	ComputedFrom string `json:"computedFrom,omitempty"`
}

// Interface is the desired configuration of one PF.
type Interface struct {
	// pciAddress identifies the PF.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	PCIAddress string `json:"pciAddress"`
	// name of the PF's netdev when the spec was computed; informative.
	//
	// +optional
	Name string `json:"name,omitempty"`
	// numVfs on the PF.
	//
	// +optional
	NumVfs int `json:"numVfs,omitempty"`
	// mtu of the PF in bytes; 0 leaves it alone.
	//
	// +optional
	MTU int `json:"mtu,omitempty"`
	// linkType ETH or IB; empty leaves it alone.
	//
	// +optional
	LinkType string `json:"linkType,omitempty"`
	// eSwitchMode legacy or switchdev; empty means legacy.
	//
	// +optional
	EswitchMode string `json:"eSwitchMode,omitempty"`
	// flowSteeringMode smfs, dmfs or hmfs; empty leaves it alone.
	//
	// +optional
	FlowSteeringMode string `json:"flowSteeringMode,omitempty"`
	// firmwareApp flower or flower-next; empty leaves it alone.
	//
	// +optional
	FirmwareApp string `json:"firmwareApp,omitempty"`
	// externallyManaged: the VFs were made by somebody else, who keeps them.
	//
	// +optional
	ExternallyManaged bool `json:"externallyManaged,omitempty"`
	// allowNodeNetwork: changes may interrupt the PF even if the node's own network runs over it; a policy of the PF or the
	// node's pool says so.
	//
	// +optional
	AllowNodeNetwork bool `json:"allowNodeNetwork,omitempty"`
	// vfGroups share a configuration; ordered by first VF, never overlapping.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	VfGroups []VfGroup `json:"vfGroups,omitempty"`
}

// VfGroup is a range of VFs of a PF with one configuration.
type VfGroup struct {
	// resourceName and resourcePrefix name the extended resource.
	//
	// +optional
	ResourceName string `json:"resourceName,omitempty"`
	// resourcePrefix of the resource.
	//
	// +optional
	ResourcePrefix string `json:"resourcePrefix,omitempty"`
	// deviceType netdevice or vfio-pci; empty means netdevice.
	//
	// +optional
	DeviceType string `json:"deviceType,omitempty"`
	// vfRange is inclusive: "0-3".
	//
	// +required
	VfRange VFRange `json:"vfRange"`
	// policyName is the policy that asked for the group.
	//
	// +optional
	PolicyName string `json:"policyName,omitempty"`
	// mtu of the VFs in bytes; 0 leaves it alone.
	//
	// +optional
	MTU int `json:"mtu,omitempty"`
	// isRdma as in the policy.
	//
	// +optional
	IsRdma bool `json:"isRdma,omitempty"`
	// vdpaType as in the policy; empty makes no vDPA device.
	//
	// +optional
	VdpaType string `json:"vdpaType,omitempty"`
	// needVhostNet as in the policy.
	//
	// +optional
	NeedVhostNet bool `json:"needVhostNet,omitempty"`
	// excludeTopology as in the policy.
	//
	// +optional
	ExcludeTopology bool `json:"excludeTopology,omitempty"`
}

// Bond is the desired VF-LAG bond of a node.
type Bond struct {
	BondSpec `json:",inline"`
	// members are the PCI addresses of the two ports.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:MaxLength=64
	Members []string `json:"members,omitempty"`
	// policyName is the policy that asked for the bond.
	//
	// +optional
	PolicyName string `json:"policyName,omitempty"`
}

// System holds settings of the whole node.
type System struct {
	// rdmaMode shared or exclusive; empty leaves it alone.
	//
	// +optional
	// +kubebuilder:validation:Enum=shared;exclusive
	RdmaMode string `json:"rdmaMode,omitempty"`
	// configurationMode daemon or systemd; empty is daemon. In the status it is the mode in force: with systemd, units of ours
	// configure the node's NICs at boot, before its network and its kubelet are up.
	//
	// +optional
	// +kubebuilder:validation:Enum=daemon;systemd
	ConfigurationMode string `json:"configurationMode,omitempty"`
}

// SriovNetworkNodeStateStatus is what the node says about itself. Only the daemon of the node writes it, but for drain and the
// condition Drained, which are the manager's answer to a disruptive plan.
type SriovNetworkNodeStateStatus struct {
	// conditions: Ready, Reconciling, Stalled, OffloadReady, BootReady, Drained.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation that this status describes.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// inventory says how far the daemon could look at the host. Absent: it has not looked yet, and the
	// absence of an interface means nothing.
	//
	// +optional
	Inventory InventoryState `json:"inventory,omitempty"`
	// interfaces are all SR-IOV capable PFs of the node, ordered by PCI address.
	//
	// +optional
	// +listType=map
	// +listMapKey=pciAddress
	// +kubebuilder:validation:MaxItems=256
	Interfaces []InterfaceStatus `json:"interfaces,omitempty"`
	// numVfs is the number of VFs on all interfaces together.
	//
	// +optional
	NumVfs int `json:"numVfs"`
	// bonds that concern a PF of this node.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=128
	Bonds []BondStatus `json:"bonds,omitempty"`
	// bridges of the node.
	//
	// +optional
	Bridges Bridges `json:"bridges,omitzero"`
	// system settings of the node.
	//
	// +optional
	System System `json:"system,omitzero"`
	// plan is what the daemon is about to do or is doing. Absent when nothing is to be done.
	//
	// +optional
	Plan *PlanStatus `json:"plan,omitempty"`
	// drain says which plan the condition Drained is about. Written by the manager.
	//
	// +optional
	Drain *DrainStatus `json:"drain,omitempty"`
	// syncStatus is a summary for existing dashboards; use the conditions.
	//
	// +optional
	SyncStatus SyncStatus `json:"syncStatus,omitempty"`
	// lastSyncError is the root cause when syncStatus is Failed.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	LastSyncError string `json:"lastSyncError,omitempty"`
}

// InterfaceStatus is one PF as found on the node. A field that could not be read is absent and has a blocker.
type InterfaceStatus struct {
	// name of the PF's netdev.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Name string `json:"name,omitempty"`
	// mac address of the PF's netdev.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Mac string `json:"mac,omitempty"`
	// driver of the PF.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Driver string `json:"driver,omitempty"`
	// pciAddress identifies the PF.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	PCIAddress string `json:"pciAddress"`
	// vendor is the PCI vendor id in hexadecimal.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Vendor string `json:"vendor,omitempty"`
	// deviceID is the PCI device id of the PF in hexadecimal.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16
	DeviceID string `json:"deviceID,omitempty"`
	// netFilter is the network id on virtual platforms.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	NetFilter string `json:"netFilter,omitempty"`
	// mtu of the PF's netdev in bytes.
	//
	// +optional
	MTU int `json:"mtu,omitempty"`
	// numVfs that exist now.
	//
	// +optional
	NumVfs int `json:"numVfs,omitempty"`
	// totalvfs is the most that sriov_numvfs accepts.
	//
	// +optional
	TotalVfs int `json:"totalvfs,omitempty"`
	// linkSpeed as "25000 Mb/s".
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	LinkSpeed string `json:"linkSpeed,omitempty"`
	// linkType ETH or IB.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16
	LinkType string `json:"linkType,omitempty"`
	// linkAdminState up or down.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16
	LinkAdminState string `json:"linkAdminState,omitempty"`
	// eSwitchMode legacy or switchdev; absent when it is not known.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	EswitchMode string `json:"eSwitchMode,omitempty"`
	// switchdevOrder is how switchdev mode was reached with a driver that the operator does not know: VFsFirst, or ModeFirst
	// when the driver refused the first. Absent for known drivers.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	SwitchdevOrder string `json:"switchdevOrder,omitempty"`
	// externallyManaged: the VFs were made by somebody else.
	//
	// +optional
	ExternallyManaged bool `json:"externallyManaged,omitempty"`
	// altNames of the PF's netdev.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=128
	AltNames []string `json:"altNames,omitempty"`
	// flowSteeringMode in force.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	FlowSteeringMode string `json:"flowSteeringMode,omitempty"`
	// hwTcOffload tells whether the PF hands TC rules to hardware; absent when it is not known.
	//
	// +optional
	HWTCOffload *bool `json:"hwTcOffload,omitempty"`
	// switchID is the phys_switch_id of the eswitch.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	SwitchID string `json:"switchID,omitempty"`
	// numaNode of the PF; absent when the platform does not say.
	//
	// +optional
	NUMANode *int `json:"numaNode,omitempty"`
	// firmwareVersion that runs.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	FirmwareVersion string `json:"firmwareVersion,omitempty"`
	// boardID as devlink reports it.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	BoardID string `json:"boardID,omitempty"`
	// firmwareApp that runs (nfp).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	FirmwareApp string `json:"firmwareApp,omitempty"`
	// bond of which the PF is a member.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Bond string `json:"bond,omitempty"`
	// ports are the physical ports of a PF that has several (nfp), the first of them the one that the fields above are about.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Ports []PortStatus `json:"ports,omitempty"`
	// notes are what a person should know about the PF, or do, although nothing is blocked by it.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=1024
	Notes []string `json:"notes,omitempty"`
	// blockers are facts that forbid what the spec asks for on this PF.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Blockers []Blocker `json:"blockers,omitempty"`
	// warnings are what may go wrong on this PF though nothing stops it: what other
	// programs on the host are configured to do, and what could not be written there.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Warnings []Blocker `json:"warnings,omitempty"`
	// Vfs are the VFs of the PF, ordered by index.
	//
	// +optional
	// +listType=map
	// +listMapKey=vfID
	// +kubebuilder:validation:MaxItems=4096
	VFs []VirtualFunction `json:"Vfs,omitempty"`
}

// PortStatus is one physical port of a PF that has several. A policy's pfNames may name any of them.
type PortStatus struct {
	// name of the port's netdev.
	//
	// +required
	// +kubebuilder:validation:MaxLength=64
	Name string `json:"name"`
	// portName is the phys_port_name, as "p1".
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	PortName string `json:"portName,omitempty"`
	// altNames of the port's netdev.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=128
	AltNames []string `json:"altNames,omitempty"`
	// mac of the port's netdev.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Mac string `json:"mac,omitempty"`
	// mtu in bytes.
	//
	// +optional
	MTU int `json:"mtu,omitempty"`
	// linkSpeed as "25000 Mb/s".
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	LinkSpeed string `json:"linkSpeed,omitempty"`
	// linkAdminState up or down.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16
	LinkAdminState string `json:"linkAdminState,omitempty"`
	// hwTcOffload tells whether the port hands TC rules to hardware; absent when it is not known.
	//
	// +optional
	HWTCOffload *bool `json:"hwTcOffload,omitempty"`
}

// VirtualFunction is one VF as found on the node.
type VirtualFunction struct {
	// vfID is the index of the VF in its PF.
	VfID int `json:"vfID"`
	// pciAddress of the VF.
	//
	// +required
	// +kubebuilder:validation:MaxLength=64
	PCIAddress string `json:"pciAddress"`
	// name of the VF's netdev; absent when it has none on the host, as with vfio-pci or inside a pod.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Name string `json:"name,omitempty"`
	// mac is the administrative MAC if one is set, else the netdev's.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Mac string `json:"mac,omitempty"`
	// driver that the VF is bound to; absent when it has none.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Driver string `json:"driver,omitempty"`
	// vendor is the PCI vendor id in hexadecimal.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Vendor string `json:"vendor,omitempty"`
	// deviceID is the PCI device id of the VF in hexadecimal.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16
	DeviceID string `json:"deviceID,omitempty"`
	// mtu of the VF's netdev in bytes.
	//
	// +optional
	MTU int `json:"mtu,omitempty"`
	// Vlan id that is set on the PF for the VF.
	//
	// +optional
	Vlan int `json:"Vlan,omitempty"`
	// guid of an InfiniBand VF.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	GUID string `json:"guid,omitempty"`
	// vdpaType of the vDPA device of the VF.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	VdpaType string `json:"vdpaType,omitempty"`
	// representorName is the netdev that stands for this VF on the host in switchdev mode.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	RepresentorName string `json:"representorName,omitempty"`
	// assigned is true when a pod holds the VF.
	//
	// +optional
	Assigned bool `json:"assigned,omitempty"`
	// pod that holds the VF, as namespace/name.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=320
	Pod string `json:"pod,omitempty"`
}

// Blocker is a reason why a difference cannot be acted on, and what a person can do about it.
type Blocker struct {
	// code is stable and documented.
	//
	// +kubebuilder:validation:MaxLength=64
	Code string `json:"code"`
	// message says what was found.
	//
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message"`
	// remedy says what to do.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Remedy string `json:"remedy,omitempty"`
}

// BondStatus is a bond as found on the node.
type BondStatus struct {
	// name of the bond's netdev.
	//
	// +kubebuilder:validation:MaxLength=64
	Name string `json:"name"`
	// mode of the bond.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Mode string `json:"mode,omitempty"`
	// members are PCI addresses where the member is a PCI function, else netdev names.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=64
	Members []string `json:"members,omitempty"`
	// activeMembers are the members that carry traffic, written like members.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=64
	ActiveMembers []string `json:"activeMembers,omitempty"`
	// mtu of the bond in bytes, which is its members' too.
	//
	// +optional
	MTU int `json:"mtu,omitempty"`
	// linkAdminState up or down.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=16
	LinkAdminState string `json:"linkAdminState,omitempty"`
	// carrier tells whether a member has a link.
	//
	// +optional
	Carrier *bool `json:"carrier,omitempty"`
	// lacp is what an 802.3ad bond agreed on with the switch; absent in other modes and while no member has joined.
	//
	// +optional
	LACP *BondLACP `json:"lacp,omitempty"`
	// vfLAG tells whether the NIC offloads the bond; unknown where the kernel does not tell.
	//
	// +optional
	// +kubebuilder:validation:Enum=active;inactive;unknown
	VFLAG string `json:"vfLAG,omitempty"`
	// reason why vfLAG is not active, or not known.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Reason string `json:"reason,omitempty"`
}

// BondLACP is the active aggregator of an 802.3ad bond.
type BondLACP struct {
	// partnerMac is the switch's; absent while no switch answers.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	PartnerMAC string `json:"partnerMac,omitempty"`
	// ports is how many members are in the aggregator.
	//
	// +optional
	Ports int `json:"ports,omitempty"`
}

// PlanStatus is the published plan.
type PlanStatus struct {
	// hash identifies the part of the plan that disrupts, which waits for the condition Drained; of a plan that disrupts nothing, the
	// whole. It stays the same while pods are moved away and while the rest of the plan is carried out.
	//
	// +kubebuilder:validation:MaxLength=128
	Hash string `json:"hash"`
	// disruption that the plan causes.
	Disruption Disruption `json:"disruption"`
	// steps in short words, in order; at most 64, the last one then says how many more there are.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=1024
	Steps []string `json:"steps,omitempty"`
	// affectedPods are the pods that lose a VF, as namespace/name.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MaxLength=320
	AffectedPods []string `json:"affectedPods,omitempty"`
}

// DrainStatus ties the condition Drained to a plan.
type DrainStatus struct {
	// planHash is the hash of the plan that the condition Drained is about.
	//
	// +kubebuilder:validation:MaxLength=128
	PlanHash string `json:"planHash"`
	// waitingSince is when the node first had a disruptive plan that it still waits to carry out. Who waits longest is next.
	//
	// +optional
	WaitingSince *metav1.Time `json:"waitingSince,omitempty"`
	// startTime is when the node was cordoned for this plan; the deadline of the drain counts from it.
	//
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// failures is how many drains for this plan took longer than the pool allows.
	//
	// +optional
	Failures int32 `json:"failures,omitempty"`
	// retryTime is when the drain is tried again after it took too long.
	//
	// +optional
	RetryTime *metav1.Time `json:"retryTime,omitempty"`
}

// SriovNetworkNodeState is the SR-IOV configuration and inventory of the node of the same name.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=sriovnetworknodestates,shortName=sns,categories=sriov
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="REASON",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="VFS",type=integer,JSONPath=`.status.numVfs`
// +kubebuilder:printcolumn:name="OFFLOAD",type=string,JSONPath=`.status.conditions[?(@.type=="OffloadReady")].status`
// +kubebuilder:printcolumn:name="DISRUPTION",type=string,JSONPath=`.status.plan.disruption`
// +kubebuilder:printcolumn:name="SYNC",type=string,priority=1,JSONPath=`.status.syncStatus`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type SriovNetworkNodeState struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what is asked for.
	//
	// +optional
	Spec SriovNetworkNodeStateSpec `json:"spec,omitzero"`
	// status is what was found.
	//
	// +optional
	Status SriovNetworkNodeStateStatus `json:"status,omitzero"`
}

// SriovNetworkNodeStateList is a list of node states.
//
// +kubebuilder:object:root=true
type SriovNetworkNodeStateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []SriovNetworkNodeState `json:"items"`
}
