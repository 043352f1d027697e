package simhost

// ConnectX4Lx is a dual-port NVIDIA ConnectX-4 Lx, 25 Gb/s, 8 VFs per port, at
// 0000:04:00.0 and .1: an eswitch whose inline mode can be set, dmfs only.
func ConnectX4Lx(opts ...NICOption) NIC {
	n := NIC{
		family:    mlx5("14.32.1010", "MT_2420110034", "dmfs"),
		vendor:    "15b3",
		device:    "1015",
		vfDevice:  "1016",
		address:   "0000:04:00.0",
		names:     []string{"enp4s0f0np0", "enp4s0f1np1"},
		macs:      []string{"50:6b:4b:0a:00:00", "50:6b:4b:0a:00:01"},
		numa:      0,
		totalVFs:  8,
		lagVFs:    64,
		speedMbps: 25000,
	}
	n.inline, n.inlineSettable = "link", true
	return n.with(opts)
}

// E810 is a dual-port Intel E810-C, 100 Gb/s, 16 VFs per port, at 0000:17:00.0
// and .1. Its eswitch rules are those of drivers/net/ethernet/intel/ice/ice_eswitch.c.
func E810(opts ...NICOption) NIC {
	n := NIC{
		family: family{
			driver:           "ice",
			vfDriver:         "iavf",
			subsystem:        "8086:0002",
			minMTU:           68,
			maxMTU:           9702,
			devlink:          true,
			eswitch:          true,
			rules:            rules{noVFs: true},
			representorPorts: true,
			offload:          true,
			portName:         true,
			firmware:         "7.3.4",
			board:            "K91258-000",
			firmwareVersion:  "fw.mgmt",
			layout:           contiguous,
		},
		vendor:    "8086",
		device:    "1592",
		vfDevice:  "1889",
		address:   "0000:17:00.0",
		names:     []string{"ens801f0np0", "ens801f1np1"},
		macs:      []string{"b4:96:91:a0:00:00", "b4:96:91:a0:00:01"},
		numa:      0,
		totalVFs:  16,
		speedMbps: 100000,
	}
	return n.with(opts)
}

// BCM57414 is a dual-port Broadcom NetXtreme-E, 25 Gb/s, 16 VFs per port, at
// 0000:af:00.0 and .1. Its rules are those of
// drivers/net/ethernet/broadcom/bnxt/bnxt_vfr.c and bnxt_sriov.c.
func BCM57414(opts ...NICOption) NIC {
	n := NIC{
		family: family{
			driver:          "bnxt_en",
			vfDriver:        "bnxt_en",
			subsystem:       "14e4:4141",
			minMTU:          60,
			maxMTU:          9500,
			devlink:         true,
			eswitch:         true,
			rules:           rules{sameRefused: true, upForVFs: true},
			offload:         true,
			portName:        true,
			firmware:        "226.0.145.0",
			firmwareVersion: "fw",
			layout:          contiguous,
		},
		vendor:    "14e4",
		device:    "16d7",
		vfDevice:  "16dc",
		address:   "0000:af:00.0",
		names:     []string{"ens5f0np0", "ens5f1np1"},
		macs:      []string{"bc:97:e1:70:00:00", "bc:97:e1:70:00:01"},
		numa:      1,
		totalVFs:  16,
		speedMbps: 25000,
	}
	return n.with(opts)
}

// AgilioFlower is a Corigine Agilio CX with two 25 Gb/s ports on one PF at
// 0000:05:00.0 that runs the flower firmware, which an administrator has linked as
// the guides say: always in switchdev mode. Its
// netdevs are the physical ports ens3np0 and ens3np1 and, without a port name,
// the PF's own, ens3. Rules: drivers/net/ethernet/netronome/nfp.
func AgilioFlower(opts ...NICOption) NIC {
	n := agilio()
	n.nfp.linked = "flower"
	return n.with(opts)
}

// AgilioNIC is the same card with the basic firmware nic, which has no eswitch;
// flower is on the disk.
func AgilioNIC(opts ...NICOption) NIC {
	return agilio().with(opts)
}

func agilio() NIC {
	return NIC{
		family: family{
			driver:          "nfp",
			vfDriver:        "nfp_netvf",
			subsystem:       "1da8:4001",
			minMTU:          68,
			maxMTU:          9216,
			devlink:         true,
			rules:           rules{fixed: true},
			portName:        true,
			board:           "AMDA0099-0001",
			firmwareVersion: "fw.app",
			layout:          func(_, _, _ int) (int, int) { return 64, 1 },
		},
		vendor:    "1da8",
		device:    "4000",
		vfDevice:  "6003",
		address:   "0000:05:00.0",
		names:     []string{"ens3np0"},
		macs:      []string{"00:15:4d:13:00:00"},
		numa:      0,
		totalVFs:  64,
		speedMbps: 25000,

		furtherPorts: 1,
		nfp:          &nfp{media: "2x25", apps: []string{"nic", "flower"}, params: true, policy: policyDisk, reset: resetDisk},
	}
}

// Newcomer is a dual-port card of a driver that nobody has heard of, at
// 0000:c1:00.0 and .1. Its eswitch switches only without VFs; with
// SwitchdevNeedsVFs, only with VFs.
func Newcomer(opts ...NICOption) NIC {
	n := NIC{
		family: family{
			driver:          "newcomer",
			vfDriver:        "newcomer_vf",
			subsystem:       "1e7c:0001",
			minMTU:          68,
			maxMTU:          9600,
			devlink:         true,
			eswitch:         true,
			rules:           rules{noVFs: true, trial: true},
			offload:         true,
			portName:        true,
			firmware:        "1.0",
			firmwareVersion: "fw",
			layout:          contiguous,
		},
		vendor:    "1e7c",
		device:    "0100",
		vfDevice:  "0101",
		address:   "0000:c1:00.0",
		names:     []string{"enp193s0f0np0", "enp193s0f1np1"},
		macs:      []string{"00:1e:7c:00:00:00", "00:1e:7c:00:00:01"},
		numa:      0,
		totalVFs:  16,
		speedMbps: 50000,
	}
	n = n.with(opts)
	if n.rules.needsVFs {
		n.rules.noVFs = false
	}
	return n
}

// contiguous is a layout with the VFs of the ports behind each other, from the
// function after the last that the slot may have.
func contiguous(port, _, totalVFs int) (offset, stride int) {
	return 8 - port + port*totalVFs, 1
}
