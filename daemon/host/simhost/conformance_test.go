package simhost_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/hosttest"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

func TestConformance(t *testing.T) {
	all := []hosttest.Capability{
		hosttest.Devlink, hosttest.Switchdev, hosttest.SteeringMode, hosttest.HWTCOffload, hosttest.IOMMU,
		hosttest.VFIO, hosttest.AdminMAC, hosttest.VFNetdev, hosttest.KernelLog,
	}
	without := func(drop ...hosttest.Capability) []hosttest.Capability {
		var out []hosttest.Capability
		for _, c := range all {
			if !slices.Contains(drop, c) {
				out = append(out, c)
			}
		}
		return out
	}
	mlx5 := hosttest.Device{Driver: "mlx5_core", VFDriver: "mlx5_core", MaxMTU: 9978}
	cx5, cx6, igb := mlx5, mlx5, hosttest.Device{Driver: "igb", VFDriver: "igbvf", MaxMTU: 9216}
	cx5.PF, cx5.VFDevice, cx5.Capabilities = "0000:5f:00.0", "1018", all
	cx6.PF, cx6.VFDevice, cx6.Capabilities = "0000:3b:00.1", "101e", without(hosttest.IOMMU)
	igb.PF, igb.VFDevice = "0000:01:00.1", "10ca"
	igb.Capabilities = without(hosttest.Devlink, hosttest.Switchdev, hosttest.SteeringMode, hosttest.HWTCOffload)
	dpu := cx5
	dpu.Capabilities = without(hosttest.Switchdev)

	for _, tc := range []struct {
		name string
		dev  hosttest.Device
		opts simhost.Options
	}{
		{"ConnectX-5", cx5, simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}}},
		{"ConnectX-6 Dx without IOMMU", cx6, simhost.Options{NICs: []simhost.NIC{simhost.ConnectX6Dx()}, NoIOMMU: true}},
		{"82576", igb, simhost.Options{NICs: []simhost.NIC{simhost.Igb82576()}}},
		{"without eswitch", dpu, simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5(simhost.WithoutEswitch())}}},
	} {
		for name, delays := range map[string]simhost.Delays{"at once": {}, "typical delays": simhost.TypicalDelays()} {
			t.Run(tc.name+"/"+name, func(t *testing.T) {
				opts := tc.opts
				opts.Delays = delays
				dev := tc.dev
				dev.Around = synctest.Test
				dev.Open = func(t *testing.T) host.Host {
					k := simhost.New(opts)
					t.Cleanup(k.Close)
					return k.Host()
				}
				hosttest.Run(t, dev)
			})
		}
	}
}
