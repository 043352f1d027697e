package host

import (
	"path"
	"regexp"
	"strings"
)

// BusPCI is the bus of every PF that is hardware.
const BusPCI = "pci"

var pciAddress = regexp.MustCompile(`^[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]$`)

// Bus returns the bus of the device with this address. Buses other than PCI number
// their devices: netdevsim1 is on the bus netdevsim.
func Bus(address string) string {
	bus := strings.TrimRight(address, "0123456789")
	if pciAddress.MatchString(address) || bus == "" || bus == address {
		return BusPCI
	}
	return bus
}

// DevlinkOf is the devlink handle of a device.
func DevlinkOf(address string) DevlinkHandle {
	return DevlinkHandle{Bus: Bus(address), Device: address}
}

// DeviceDir is the folder of a device in sysfs, from the root of the machine.
func DeviceDir(address string) string {
	return path.Join("sys/bus", Bus(address), "devices", address)
}
