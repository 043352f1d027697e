package driver

import "slices"

// NIC is a model, or a group of models that are alike.
type NIC struct {
	Name string
	// Vendor, PFs and VFs are PCI ids: four hexadecimal digits, lower case.
	Vendor   string
	PFs, VFs []string
	// Driver of PFs and VFDriver of VFs; VFDriver is empty when it is not known.
	Driver, VFDriver string
	// Offload that the hardware is capable of.
	Offload Offload
	// Note says, for people, what to know about the model.
	Note string
}

// Offload is what a NIC can do for Open vSwitch.
type Offload string

// Kinds of offload.
const (
	// OffloadSwitchdev: an eswitch that TC rules are offloaded to.
	OffloadSwitchdev Offload = "switchdev"
	// OffloadFlower: the same, with the flower firmware.
	OffloadFlower Offload = "switchdev with flower firmware"
	// OffloadVendor: the vendor's own way, through DPDK.
	OffloadVendor Offload = "the vendor's own, through DPDK"
	// OffloadNone: VFs in legacy mode only.
	OffloadNone Offload = "none: legacy mode only"
)

// NICs returns the models that are known. A NIC that is not among them is
// treated by what its driver and its devlink instance say; the list is there
// for people, in messages and in the support matrix.
func NICs() []NIC {
	return []NIC{
		mellanox("NVIDIA ConnectX-4", "1013", "1014", inline),
		mellanox("NVIDIA ConnectX-4 Lx", "1015", "1016", inline),
		mellanox("NVIDIA ConnectX-5", "1017", "1018", ""),
		mellanox("NVIDIA ConnectX-5 Ex", "1019", "101a", ""),
		mellanox("NVIDIA ConnectX-6", "101b", "101c", ""),
		mellanox("NVIDIA ConnectX-6 Dx", "101d", "101e", ""),
		mellanox("NVIDIA ConnectX-6 Lx", "101f", "101e", ""),
		mellanox("NVIDIA ConnectX-7", "1021", "101e", ""),
		mellanox("NVIDIA ConnectX-8", "1023", "101e", ""),
		mellanox("NVIDIA ConnectX-9", "1025", "101e", ""),
		mellanox("NVIDIA BlueField-2", "a2d6", "101e", bluefield),
		mellanox("NVIDIA BlueField-3", "a2dc", "101e", bluefield),
		agilio("Netronome Agilio CX/LX", "19ee"),
		agilio("Corigine Agilio CX/LX", "1da8"),
		intel("Intel E810", "ice", "iavf", OffloadSwitchdev, []string{"1591", "1592", "1593", "1599", "159b"}, "1889"),
		intel("Intel E823, E825, E830, E835", "ice", "iavf", OffloadSwitchdev,
			[]string{"188a", "124c", "124d", "579c", "579d", "579e", "12d2", "12d3", "1249", "124a"}, "1889"),
		intel("Intel X710, XL710, XXV710", "i40e", "iavf", OffloadNone,
			[]string{"1572", "1581", "1583", "1589", "15ff", "158a", "158b", "0d58"}, "154c"),
		intel("Intel X550", "ixgbe", "ixgbevf", OffloadNone, []string{"1563"}, "1565"),
		intel("Intel 82599", "ixgbe", "ixgbevf", OffloadNone, []string{"10fb"}, "10ed"),
		intel("Intel 82576", "igb", "igbvf", OffloadNone, []string{"10c9"}, "10ca"),
		broadcom("Broadcom BCM57414", "16d7", "16dc"),
		broadcom("Broadcom BCM75508", "1750", "1806"),
		{Name: "Marvell QL45000", Vendor: "1077", PFs: []string{"1654"}, VFs: []string{"1664"}, Driver: "qede", VFDriver: "qede", Offload: OffloadNone},
		{
			Name: "virtio", Vendor: "1af4", PFs: []string{"1000", "1041"}, VFs: []string{"1000", "1041"},
			Driver: "virtio_net", VFDriver: "virtio_net", Offload: OffloadNone, Note: "for tests in virtual machines",
		},
		{Name: "Yunsilicon metaScale", Vendor: "1f67", PFs: []string{"1111"}, VFs: []string{"1112"}, Offload: OffloadVendor},
		{Name: "Yusur", Vendor: "1f47", PFs: []string{"1001"}, VFs: []string{"110f"}, Offload: OffloadVendor},
	}
}

// Model returns the known model with these PCI ids; false if there is none.
func Model(vendor, device string) (NIC, bool) {
	nics := NICs()
	i := slices.IndexFunc(nics, func(n NIC) bool { return n.Vendor == vendor && slices.Contains(n.PFs, device) })
	if i < 0 {
		return NIC{}, false
	}
	return nics[i], true
}

const (
	bluefield = "in DPU mode the host side has no eswitch: use NIC mode"
	inline    = "the operator sets inline mode transport"
)

func mellanox(name, pf, vf, note string) NIC {
	return NIC{
		Name: name, Vendor: "15b3", PFs: []string{pf}, VFs: []string{vf},
		Driver: "mlx5_core", VFDriver: "mlx5_core", Offload: OffloadSwitchdev, Note: note,
	}
}

func agilio(name, vendor string) NIC {
	return NIC{
		Name: name, Vendor: vendor, PFs: []string{"3800", "4000", "5000", "6000"}, VFs: []string{"3803", "6003"},
		Driver: "nfp", VFDriver: "nfp_netvf", Offload: OffloadFlower, Note: "one PF has all physical ports",
	}
}

func intel(name, driver, vfDriver string, offload Offload, pfs []string, vf string) NIC {
	return NIC{Name: name, Vendor: "8086", PFs: pfs, VFs: []string{vf}, Driver: driver, VFDriver: vfDriver, Offload: offload}
}

func broadcom(name, pf, vf string) NIC {
	return NIC{
		Name: name, Vendor: "14e4", PFs: []string{pf}, VFs: []string{vf},
		Driver: "bnxt_en", VFDriver: "bnxt_en", Offload: OffloadSwitchdev,
	}
}
