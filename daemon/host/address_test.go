package host_test

import (
	"testing"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

func TestAddresses(t *testing.T) {
	for address, want := range map[string]struct{ handle, dir string }{
		"0000:3b:00.0":     {"pci/0000:3b:00.0", "sys/bus/pci/devices/0000:3b:00.0"},
		"10000:e1:00.7":    {"pci/10000:e1:00.7", "sys/bus/pci/devices/10000:e1:00.7"},
		"netdevsim1":       {"netdevsim/netdevsim1", "sys/bus/netdevsim/devices/netdevsim1"},
		"netdevsim12":      {"netdevsim/netdevsim12", "sys/bus/netdevsim/devices/netdevsim12"},
		"no-number":        {"pci/no-number", "sys/bus/pci/devices/no-number"},
		"0000:3b:00.0/etc": {"pci/0000:3b:00.0/etc", "sys/bus/pci/devices/0000:3b:00.0/etc"},
	} {
		if got := host.DevlinkOf(address).String(); got != want.handle {
			t.Errorf("handle of %s is %s, want %s", address, got, want.handle)
		}
		if got := host.DeviceDir(address); got != want.dir {
			t.Errorf("folder of %s is %s, want %s", address, got, want.dir)
		}
	}
}
