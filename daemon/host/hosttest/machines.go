package hosttest

// Machine is a real kernel that the rules are checked on.
type Machine struct {
	// Name of the machine, and What it is, for people.
	Name, What string
	// Device on it, but for Open.
	Device Device
}

// Machines are the test machines of make test-vm. What a machine is capable of is
// said here once: its specs run by it, and so does the table of rules in docs, so
// that no rule counts as proven that does not run.
func Machines() []Machine {
	return []Machine{
		{
			Name: "igb", What: "emulated Intel 82576: real SR-IOV, vfio and IOMMU",
			Device: Device{
				PF: "0000:01:00.0", Driver: "igb", VFDriver: "igbvf", VFDevice: "10ca", MaxMTU: 9216,
				Capabilities: []Capability{IOMMU, VFIO, AdminMAC, VFNetdev, KernelLog, Bonding},
			},
		},
		{
			Name: "netdevsim", What: "the kernel's simulated NIC: a real devlink, eswitch and representors",
			Device: Device{
				PF: "netdevsim1", Driver: "netdevsim", MaxMTU: 65535,
				Capabilities: []Capability{
					WithoutFunctions, Devlink, Switchdev, ModeWithVFs, ModeWithoutVFs, RepresentorPorts, HWTCOffload, AdminMAC, Bonding, KernelLog,
				},
			},
		},
	}
}

// MachineNamed returns a machine; it must be one of Machines.
func MachineNamed(name string) Machine {
	for _, m := range Machines() {
		if m.Name == name {
			return m
		}
	}
	return Machine{}
}

// OVSLabels are the rules of Open vSwitch, which are checked on a real ovsdb-server
// and ovs-vswitchd wherever the tests run.
func OVSLabels() []string {
	var out []string
	for _, spec := range ovsSpecs() {
		out = append(out, spec.label)
	}
	return out
}
