package simhost

// ConnectX6VPI is a dual-port NVIDIA ConnectX-6 VPI whose ports are InfiniBand, HDR,
// 16 VFs per port, at 0000:d8:00.0 and .1: IP over InfiniBand netdevs, no eswitch,
// and VFs without GUIDs.
func ConnectX6VPI(opts ...NICOption) NIC {
	n := NIC{
		family:    mlx5("20.41.1000", "MT_0000000223", "smfs", "dmfs"),
		vendor:    "15b3",
		device:    "101b",
		vfDevice:  "101c",
		address:   "0000:d8:00.0",
		names:     []string{"ibp216s0f0", "ibp216s0f1"},
		macs:      []string{"b8:ce:f6:22:33:40", "b8:ce:f6:22:33:41"},
		numa:      1,
		totalVFs:  16,
		speedMbps: 200000,
	}
	return n.with(append([]NICOption{Infiniband()}, opts...))
}

// SilentGUIDs is a kernel before 5.5, which does not report the GUIDs of VFs.
func SilentGUIDs() NICOption { return func(c *NIC) { c.silentGUIDs = true } }

// WithoutRDMA is a card whose RDMA is turned off (devlink parameter enable_rdma).
func WithoutRDMA() NICOption { return func(c *NIC) { c.rdma = false } }
