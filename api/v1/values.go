package v1

// Values of eSwitchMode.
const (
	EswitchModeLegacy    = "legacy"
	EswitchModeSwitchdev = "switchdev"
)

// Values of deviceType.
const (
	DeviceTypeNetdevice = "netdevice"
	DeviceTypeVFIO      = "vfio-pci"
)

// Values of status.interfaces[].linkType and, any case, of linkType.
const (
	LinkTypeEthernet   = "ETH"
	LinkTypeInfiniband = "IB"
)

// SyncStatus is the summary that existing dashboards of this API read.
//
// +kubebuilder:validation:Enum=InProgress;Succeeded;Failed
type SyncStatus string

// Values of SyncStatus.
const (
	SyncInProgress SyncStatus = "InProgress"
	SyncSucceeded  SyncStatus = "Succeeded"
	SyncFailed     SyncStatus = "Failed"
)

// Disruption is what carrying out a plan takes away from workloads, least first.
//
// +kubebuilder:validation:Enum=None;VFPods;Node;Reboot
type Disruption string

// Values of Disruption.
const (
	// DisruptionNone: no running workload notices.
	DisruptionNone Disruption = "None"
	// DisruptionVFPods: pods that hold affected VFs lose them.
	DisruptionVFPods Disruption = "VFPods"
	// DisruptionNode: the node's own network is interrupted.
	DisruptionNode Disruption = "Node"
	// DisruptionReboot: the node has to be rebooted.
	DisruptionReboot Disruption = "Reboot"
)

// InventoryState says how far the daemon could look at the host.
//
// +kubebuilder:validation:Enum=Complete;Partial
type InventoryState string

// Values of InventoryState.
const (
	// InventoryComplete: every fact of every PF was read.
	InventoryComplete InventoryState = "Complete"
	// InventoryPartial: a fact of some PF exists and could not be read; see its blockers.
	InventoryPartial InventoryState = "Partial"
)

// Values of configurationMode.
const (
	// ConfigurationDaemon: the daemon configures the node once its pod runs.
	ConfigurationDaemon = "daemon"
	// ConfigurationSystemd: units of ours do so at boot, before the kubelet; the
	// daemon does the rest.
	ConfigurationSystemd = "systemd"
)
