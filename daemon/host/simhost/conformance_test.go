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
	plain := []hosttest.Capability{hosttest.IOMMU, hosttest.VFIO, hosttest.AdminMAC, hosttest.VFNetdev, hosttest.KernelLog, hosttest.Bonding}
	eswitch := append(slices.Clone(plain), hosttest.Devlink, hosttest.Switchdev, hosttest.HWTCOffload)
	with := func(base []hosttest.Capability, more ...hosttest.Capability) []hosttest.Capability {
		return append(slices.Clone(base), more...)
	}
	without := func(base []hosttest.Capability, drop hosttest.Capability) []hosttest.Capability {
		return slices.DeleteFunc(slices.Clone(base), func(c hosttest.Capability) bool { return c == drop })
	}
	rdma := []hosttest.Capability{hosttest.RDMA, hosttest.VFNodeGUID, hosttest.VDPA}
	ofmlx5 := with(with(eswitch, rdma...), hosttest.ModeWithVFs, hosttest.ModeWithoutVFs, hosttest.RepresentorPorts)
	device := func(pf, driver, vfDriver, vfDevice string, maxMTU int, can []hosttest.Capability, steering ...string) hosttest.Device {
		return hosttest.Device{
			PF: pf, Driver: driver, VFDriver: vfDriver, VFDevice: vfDevice, MaxMTU: maxMTU,
			Capabilities: can, SteeringModes: steering,
		}
	}
	mlx5 := func(pf, vfDevice string, can []hosttest.Capability, steering ...string) hosttest.Device {
		return device(pf, "mlx5_core", "mlx5_core", vfDevice, 9978, can, steering...)
	}
	cx5 := mlx5("0000:5f:00.0", "1018", with(ofmlx5, hosttest.SteeringMode), "dmfs", "smfs")
	cx6 := mlx5("0000:3b:00.1", "101e", without(with(ofmlx5, hosttest.SteeringMode), hosttest.IOMMU), "smfs", "dmfs", "hmfs")
	igb := device("0000:01:00.1", "igb", "igbvf", "10ca", 9216, plain)
	dpu := mlx5("0000:5f:00.0", "1018", with(with(plain, rdma...), hosttest.Devlink, hosttest.HWTCOffload, hosttest.SteeringMode), "dmfs", "smfs")
	ofed := mlx5("0000:5f:00.1", "1018", with(ofmlx5, hosttest.CompatSteering), "dmfs", "smfs")
	vpi := mlx5("0000:d8:00.1", "101c", without(with(plain, hosttest.Devlink, hosttest.RDMA, hosttest.Infiniband, hosttest.SteeringMode), hosttest.AdminMAC), "smfs", "dmfs")
	cx4 := mlx5("0000:04:00.0", "1016", with(ofmlx5, hosttest.SteeringMode, hosttest.InlineMode), "dmfs")
	ice := device("0000:17:00.0", "ice", "iavf", "1889", 9702, with(eswitch, hosttest.ModeWithoutVFs, hosttest.RepresentorPorts))
	bnxt := device("0000:af:00.1", "bnxt_en", "bnxt_en", "16dc", 9500,
		with(eswitch, hosttest.ModeWithVFs, hosttest.ModeWithoutVFs, hosttest.SameModeRefused, hosttest.UpForVFs))
	nfp := with(plain, hosttest.Devlink)
	flower := device("0000:05:00.0", "nfp", "nfp_netvf", "6003", 9216, with(nfp, hosttest.FixedSwitchdev, hosttest.HWTCOffload))
	basic := device("0000:05:00.0", "nfp", "nfp_netvf", "6003", 9216, with(nfp, hosttest.ApplicationFirmware))
	newcomer := device("0000:c1:00.0", "newcomer", "newcomer_vf", "0101", 9600, with(eswitch, hosttest.ModeWithoutVFs))
	vfsFirst := newcomer
	vfsFirst.Capabilities = with(eswitch, hosttest.ModeWithVFs)

	for _, tc := range []struct {
		name string
		dev  hosttest.Device
		opts simhost.Options
	}{
		{"ConnectX-5", cx5, simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}}},
		{"ConnectX-6 Dx without IOMMU", cx6, simhost.Options{NICs: []simhost.NIC{simhost.ConnectX6Dx()}, NoIOMMU: true}},
		{"82576", igb, simhost.Options{NICs: []simhost.NIC{simhost.Igb82576()}}},
		{"without eswitch", dpu, simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5(simhost.WithoutEswitch())}}},
		{"ConnectX-5 with MLNX_OFED", ofed, simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5(simhost.CompatSteering())}}},
		{"ConnectX-4 Lx", cx4, simhost.Options{NICs: []simhost.NIC{simhost.ConnectX4Lx()}}},
		{"ConnectX-6 VPI with InfiniBand", vpi, simhost.Options{NICs: []simhost.NIC{simhost.ConnectX6VPI()}}},
		{"E810", ice, simhost.Options{NICs: []simhost.NIC{simhost.E810()}}},
		{"without bonding", mlx5("0000:5f:00.0", "1018", without(with(ofmlx5, hosttest.SteeringMode), hosttest.Bonding), "dmfs", "smfs"),
			simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}, NoBonding: true}},
		{"BCM57414", bnxt, simhost.Options{NICs: []simhost.NIC{simhost.BCM57414()}}},
		{"Agilio with flower", flower, simhost.Options{NICs: []simhost.NIC{simhost.AgilioFlower()}}},
		{"Agilio with nic", basic, simhost.Options{NICs: []simhost.NIC{simhost.AgilioNIC()}}},
		{"unknown driver", newcomer, simhost.Options{NICs: []simhost.NIC{simhost.Newcomer()}}},
		{"unknown driver, VFs first", vfsFirst, simhost.Options{NICs: []simhost.NIC{simhost.Newcomer(simhost.SwitchdevNeedsVFs())}}},
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
