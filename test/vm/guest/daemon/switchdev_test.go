//go:build vm

package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// simulated is the kernel's own simulated NIC: it has an eswitch, and no PCI bus.
const simulated = "netdevsim1"

// makeSimulated makes the NIC, and returns the name of its netdev.
func makeSimulated(t *testing.T) string {
	t.Helper()
	if err := os.WriteFile("/sys/bus/netdevsim/new_device", []byte("1 1"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.WriteFile("/sys/bus/netdevsim/del_device", []byte("1"), 0) })
	found := netdevs(t, "")
	if len(found) != 1 {
		t.Fatalf("netdevs of %s: %v", simulated, found)
	}
	return found[0]
}

// netdevs are those of the NIC whose phys_port_name contains a text.
func netdevs(t *testing.T, port string) []string {
	t.Helper()
	found, err := filepath.Glob("/sys/bus/netdevsim/devices/" + simulated + "/net/*")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, path := range found {
		name, err := os.ReadFile(path + "/phys_port_name")
		if err == nil && strings.Contains(string(name), port) {
			out = append(out, filepath.Base(path))
		}
	}
	return out
}

// switchdev: the daemon brings a NIC that it does not know, on a bus that is not PCI,
// to switchdev mode with a representor for each VF, and back.
func switchdev(t *testing.T) {
	uplink := makeSimulated(t)
	start(t)
	p := policy("simulated", 3)
	p.Spec.NicSelector.RootDevices = nil
	p.Spec.NicSelector.PfNames = []string{uplink}
	p.Spec.EswitchMode = sriovv1.EswitchModeSwitchdev
	create(t, p)
	nic := readyNIC(t, func(nic *sriovv1.InterfaceStatus) error {
		if nic.EswitchMode != sriovv1.EswitchModeSwitchdev || nic.NumVfs != 3 || nic.HWTCOffload == nil || !*nic.HWTCOffload {
			return fmt.Errorf("status is %s with %d VFs, hw-tc-offload %v", nic.EswitchMode, nic.NumVfs, nic.HWTCOffload)
		}
		return nil
	})
	if nic.SwitchdevOrder == "" {
		t.Error("the status does not say which order the driver took")
	}
	if got := netdevs(t, "vf"); len(got) != 3 {
		t.Errorf("representors are %v", got)
	}
	remove(t, p)
	readyNIC(t, func(nic *sriovv1.InterfaceStatus) error {
		if nic.EswitchMode != sriovv1.EswitchModeLegacy || nic.NumVfs != 0 {
			return fmt.Errorf("status is %s with %d VFs", nic.EswitchMode, nic.NumVfs)
		}
		return nil
	})
	if got := netdevs(t, "vf"); len(got) != 0 {
		t.Errorf("representors that are left: %v", got)
	}
}
