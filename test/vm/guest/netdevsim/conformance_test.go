//go:build vm

// Package netdevsim has the specs for a machine with the kernel's simulated NICs,
// as the kernel has them: switchdev mode, representors and devlink without PCI.
package netdevsim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/hosttest"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/linux"
)

// The rules that the simulated kernel follows for an eswitch, on a real kernel.
func TestConformance(t *testing.T) {
	if err := makeNICs(); err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, hosttest.Device{
		Open: open, PF: "netdevsim1", Driver: "netdevsim", MaxMTU: 65535,
		Capabilities: []hosttest.Capability{
			hosttest.WithoutFunctions, hosttest.Devlink, hosttest.Switchdev, hosttest.ModeWithVFs, hosttest.ModeWithoutVFs,
			hosttest.RepresentorPorts, hosttest.HWTCOffload, hosttest.AdminMAC, hosttest.Bonding, hosttest.KernelLog,
		},
	})
}

func open(t *testing.T) host.Host {
	t.Helper()
	h, closer, err := linux.Open(linux.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closer.Close() })
	return h
}

const bus = "/sys/bus/netdevsim/"

// makeNICs makes the NIC, and another one whose port is at the other end of its
// wire: without one, a port that was set down never has a carrier again.
func makeNICs() error {
	for _, id := range []int{1, 2} {
		if err := os.WriteFile(bus+"new_device", fmt.Appendf(nil, "%d 1", id), 0); err != nil {
			return err
		}
	}
	first, err := port("netdevsim1")
	if err != nil {
		return err
	}
	second, err := port("netdevsim2")
	if err != nil {
		return err
	}
	namespace, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return err
	}
	defer func() { _ = namespace.Close() }()
	wire := fmt.Sprintf("%d:%s %d:%s", namespace.Fd(), first.index, namespace.Fd(), second.index)
	return errors.Join(second.up(), os.WriteFile(bus+"link_device", []byte(wire), 0))
}

type netdev struct{ name, index string }

// port is the netdev of a NIC that has one.
func port(nic string) (netdev, error) {
	found, err := filepath.Glob(bus + "devices/" + nic + "/net/*")
	if err != nil || len(found) != 1 {
		return netdev{}, fmt.Errorf("netdevs of %s: %v %w", nic, found, err)
	}
	index, err := os.ReadFile(found[0] + "/ifindex")
	return netdev{filepath.Base(found[0]), strings.TrimSpace(string(index))}, err
}

// up sets IFF_UP through sysfs.
func (n netdev) up() error {
	return os.WriteFile("/sys/class/net/"+n.name+"/flags", fmt.Appendf(nil, "%#x", syscall.IFF_UP|syscall.IFF_BROADCAST), 0)
}
