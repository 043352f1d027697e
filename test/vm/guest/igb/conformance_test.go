//go:build vm

// Package igb has the specs for a machine with emulated Intel 82576 cards.
package igb

import (
	"testing"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/hosttest"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/linux"
)

// The rules that the simulated 82576 follows, on a real kernel.
func TestConformance(t *testing.T) {
	hosttest.Run(t, hosttest.Device{
		Open: open, PF: "0000:01:00.0", Driver: "igb", VFDriver: "igbvf", VFDevice: "10ca", MaxMTU: 9216,
		Capabilities: []hosttest.Capability{
			hosttest.IOMMU, hosttest.VFIO, hosttest.AdminMAC, hosttest.VFNetdev, hosttest.KernelLog, hosttest.Bonding,
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
