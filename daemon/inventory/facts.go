package inventory

// Facts as Unreadable names them. A fact of one VF or of one representor is
// written as FactOf(FactDriver, "VF 3").
const (
	// FactDevice is the PCI function's folder: nothing else is known of the PF.
	FactDevice = "PCI device"
	// FactClass, FactVendor and FactDeviceID identify the function.
	FactClass    = "PCI class"
	FactVendor   = "vendor"
	FactDeviceID = "device ID"
	// FactDriver is the driver link.
	FactDriver = "driver"
	// FactNUMANode is numa_node.
	FactNUMANode = "NUMA node"
	// FactNumVFs, FactTotalVFs and FactAutoprobe are the sriov_* attributes.
	FactNumVFs    = "sriov_numvfs"
	FactTotalVFs  = "sriov_totalvfs"
	FactAutoprobe = "sriov_drivers_autoprobe"
	// FactVF is a virtfnN link: the PCI address of a VF.
	FactVF = "PCI address"
	// FactDriverOverride is driver_override.
	FactDriverOverride = "driver override"
	// FactIOMMUGroup is the iommu_group link.
	FactIOMMUGroup = "IOMMU group"
	// FactAdmin is what the PF's link says of its VFs: administrative MAC, VLAN, GUID.
	FactAdmin = "VF administrative settings"
	// FactEswitch is the answer to devlink's eswitch get.
	FactEswitch = "eswitch mode"
	// FactSteeringMode is the devlink parameter flow_steering_mode, or its
	// equivalent of MLNX_OFED.
	FactSteeringMode = "flow_steering_mode"
	// FactFirmware is the answer to devlink's info get.
	FactFirmware = "firmware information"
	// FactApplication is the application firmware that runs on an Agilio.
	FactApplication = "application firmware"
	// FactFirmwareParams are the devlink parameters that decide on what an Agilio
	// loads.
	FactFirmwareParams = "firmware parameters"
	// FactFirmwareFiles are the files that an Agilio can load, and the folders that
	// the kernel looks into.
	FactFirmwareFiles = "firmware files"
	// FactSerial is the PCI configuration space with the serial number of an Agilio.
	FactSerial = "serial number"
	// FactPorts is the dump of devlink ports, which names the representors.
	FactPorts = "devlink ports"
	// FactHWTCOffload is the ethtool feature hw-tc-offload.
	FactHWTCOffload = "hw-tc-offload"
	// FactSpeed is the link speed.
	FactSpeed = "link speed"
	// FactNetdev is the net folder of a function.
	FactNetdev = "netdev"
	// FactRDMA is the list of RDMA devices, or the node GUID of one.
	FactRDMA = "RDMA device"
	// FactVDPA is the list of vDPA devices, or the driver of one.
	FactVDPA = "vDPA device"
	// FactNodeNetwork tells whether the node's own network depends on the PF.
	FactNodeNetwork = "node network"
)

// FactOf names a fact of a part of the PF: "driver of VF 3".
func FactOf(fact, part string) string { return fact + " of " + part }
