package simhost

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// family is what the NICs of one driver have in common.
type family struct {
	// driver and vfDriver are the kernel drivers of PFs and VFs.
	driver, vfDriver string
	// subsystem is the PCI subsystem id.
	subsystem string
	// minMTU and maxMTU bound the MTU of PFs and VFs.
	minMTU, maxMTU int
	// devlink: there are devlink instances; eswitch: they can change mode.
	devlink, eswitch bool
	// rules of the driver for changes of the eswitch mode and of VFs.
	rules rules
	// inline is the eswitch's inline mode without VFs; empty when the driver
	// reports none. It can be set if inlineSettable.
	inline         string
	inlineSettable bool
	// encap is the eswitch's encap mode; empty when the driver reports none.
	encap string
	// representorPorts: VF representors are devlink ports.
	representorPorts bool
	// offload: hw-tc-offload can be changed; otherwise it is fixed off.
	// offloadDefault is what it is on a new netdev of the PF.
	offload, offloadDefault bool
	// portName: the PF's netdev has phys_port_name p<port> in any mode.
	portName bool
	// pfResets: changing the number of VFs resets the PF's link, and a VF whose
	// driver binds while the PF is down gets a random MAC (igb).
	pfResets bool
	// reportsVFMAC: without an admin MAC the PF's link reports the VF's own (igb).
	reportsVFMAC bool
	// rdma: functions have RDMA devices; vdpa: VFs can have vDPA devices.
	rdma, vdpa bool
	// steering lists the values of flow_steering_mode, the default first; empty
	// when there is no such parameter.
	steering []string
	// compatSteering: the parameter is missing, and the driver has it in
	// compat/devlink below the netdev (MLNX_OFED).
	compatSteering bool
	// firmware is the running version, psid the board's parameter set, board its
	// assembly number.
	firmware, psid, board string
	// firmwareVersion names the running version in the device information.
	firmwareVersion string
	// layout returns First VF Offset and VF Stride of a port.
	layout func(port, ports, totalVFs int) (offset, stride int)
}

// rules are what a driver demands of changes, and what it answers otherwise.
type rules struct {
	// unbound: the mode changes only while no VF is bound (mlx5).
	unbound bool
	// noVFs: the mode changes only without VFs (ice).
	noVFs bool
	// needsVFs: switchdev mode needs VFs (mlx5 and bnxt before they learned to do
	// without).
	needsVFs bool
	// sameRefused: the mode that is in force is refused (bnxt).
	sameRefused bool
	// fixed: the firmware decides on the mode, and setting it is refused (nfp).
	fixed bool
	// down: the PF's netdev comes out of a mode change down.
	down bool
	// upForVFs: with the PF's netdev down, sriov_numvfs is accepted and ignored (bnxt).
	upForVFs bool
	// trial: nobody knows these rules, so that breaking them is no mistake.
	trial bool
}

// NIC describes one card; made by a profile.
type NIC struct {
	family
	vendor, device, vfDevice string
	address                  string
	names                    []string
	macs                     []string
	altNames                 map[int][]string
	numa                     int
	totalVFs                 int
	speedMbps                int
	down                     bool
	noSRIOV                  bool
	noMMIO, noBusNumbers     bool
	enabledAtMost            int
	infiniband               bool
	plainRepresentors        bool
	silentGUIDs              bool
	// firmwareVFs is how many VFs the firmware allows, if less than totalVFs.
	firmwareVFs int
	// lagVFs is how many VFs a port of a VF-LAG may have; 0 for any number.
	lagVFs int
	// furtherPorts is how many more physical ports each PF has (nfp).
	furtherPorts int
	// flower: the PF has a netdev without a port, and a representor of its own (nfp).
	flower bool
	// nfp is set for an Agilio.
	nfp *nfp
}

// NICOption changes a profile.
type NICOption func(*NIC)

// At puts the card at another PCI address, that of its first port. Unless told
// otherwise, names and MACs follow from the address.
func At(pciAddress string) NICOption {
	return func(n *NIC) {
		n.address = pciAddress
		n.names, n.macs = nil, nil
	}
}

// Names gives the netdevs of the ports their names; their number is the number
// of ports. After At.
func Names(names ...string) NICOption {
	return func(n *NIC) {
		n.names = names
		if len(n.macs) != len(names) {
			n.macs = nil
		}
	}
}

// MACs gives the ports their MACs. After At and Names.
func MACs(macs ...string) NICOption { return func(n *NIC) { n.macs = macs } }

// AltNames gives the netdev of a port (from 0) more names, as udev does at boot.
func AltNames(port int, names ...string) NICOption {
	return func(n *NIC) {
		n.altNames = maps.Clone(n.altNames)
		if n.altNames == nil {
			n.altNames = map[int][]string{}
		}
		n.altNames[port] = names
	}
}

// TotalVFs is the limit of every port; 0 is a PF whose driver allows none.
func TotalVFs(n int) NICOption { return func(c *NIC) { c.totalVFs = n } }

// NUMANode sets the node; -1 for none.
func NUMANode(n int) NICOption { return func(c *NIC) { c.numa = n } }

// WithoutSRIOV is SR-IOV switched off in BIOS or firmware: the capability and
// all sriov_* files are missing.
func WithoutSRIOV() NICOption { return func(c *NIC) { c.noSRIOV = true } }

// WithoutMMIO is a BIOS that left the VFs without MMIO space: enabling them is
// ENOMEM, unless the kernel was started with pci=realloc.
func WithoutMMIO() NICOption { return func(c *NIC) { c.noMMIO = true } }

// WithoutBusNumbers is a bridge without spare bus numbers: enabling VFs beyond
// the PF's own bus is ENOMEM.
func WithoutBusNumbers() NICOption { return func(c *NIC) { c.noBusNumbers = true } }

// EnabledAtMost lets the driver enable fewer VFs than asked for.
func EnabledAtMost(n int) NICOption { return func(c *NIC) { c.enabledAtMost = n } }

// WithoutEswitch has devlink instances that refuse eswitch commands, as a
// BlueField in DPU mode does on the host side.
func WithoutEswitch() NICOption { return func(c *NIC) { c.eswitch = false } }

// Down starts with the PFs' netdevs down.
func Down() NICOption { return func(c *NIC) { c.down = true } }

// Infiniband has IP over InfiniBand netdevs and no eswitch.
func Infiniband() NICOption {
	return func(c *NIC) { c.infiniband, c.eswitch, c.portName, c.vdpa = true, false, false, false }
}

// RepresentorsWithoutOffload starts VF representors with hw-tc-offload off; the
// default is on.
func RepresentorsWithoutOffload() NICOption { return func(c *NIC) { c.plainRepresentors = true } }

// CompatSteering is a driver of MLNX_OFED without the devlink parameter
// flow_steering_mode: it has compat/devlink/steering_mode below the PF's netdev.
func CompatSteering() NICOption { return func(c *NIC) { c.compatSteering = true } }

// WithoutSteering is a driver that has no flow steering mode to choose.
func WithoutSteering() NICOption { return func(c *NIC) { c.steering = nil } }

// LAGVFs is how many VFs a port of a VF-LAG may have; 0 for any number.
func LAGVFs(n int) NICOption { return func(c *NIC) { c.lagVFs = n } }

// FirmwareVFs lets the firmware allow fewer VFs than sriov_totalvfs says.
func FirmwareVFs(n int) NICOption { return func(c *NIC) { c.firmwareVFs = n } }

// SwitchdevNeedsVFs is an older driver that switches to switchdev mode only
// when there are VFs.
func SwitchdevNeedsVFs() NICOption { return func(c *NIC) { c.rules.needsVFs = true } }

// ConnectX5 is the dual-port NVIDIA ConnectX-5 of the Kube-OVN offload guide:
// ens41f0np0 and ens41f1np1 at 0000:5f:00.0 and .1, 25 Gb/s, 8 VFs per port.
//
// VFs follow the two PFs in one run of routing ids, each port taking as many as
// its TotalVFs (NUM_OF_VFS of the firmware), so that addresses never collide.
// The second port's first VF is therefore 0000:5f:01.2 with 8 VFs per port, and
// with TotalVFs(3), the firmware setting at the end of the guide, 0000:5f:00.5
// as in the guide.
func ConnectX5(opts ...NICOption) NIC {
	n := NIC{
		family:    mlx5("16.35.4030", "MT_0000000080", "dmfs", "smfs"),
		vendor:    "15b3",
		device:    "1017",
		vfDevice:  "1018",
		address:   "0000:5f:00.0",
		names:     []string{"ens41f0np0", "ens41f1np1"},
		macs:      []string{"08:c0:eb:f4:85:ab", "08:c0:eb:f4:85:bb"},
		numa:      0,
		totalVFs:  8,
		lagVFs:    64,
		speedMbps: 25000,
	}
	return n.with(opts)
}

// ConnectX6Dx is a dual-port NVIDIA ConnectX-6 Dx, 100 Gb/s, 16 VFs per port,
// at 0000:3b:00.0 and .1. VF addresses are laid out as for ConnectX5.
func ConnectX6Dx(opts ...NICOption) NIC {
	n := NIC{
		family:    mlx5("22.39.1002", "MT_0000000359", "smfs", "dmfs", "hmfs"),
		vendor:    "15b3",
		device:    "101d",
		vfDevice:  "101e",
		address:   "0000:3b:00.0",
		names:     []string{"enp59s0f0np0", "enp59s0f1np1"},
		macs:      []string{"b8:3f:d2:11:22:30", "b8:3f:d2:11:22:31"},
		numa:      0,
		totalVFs:  16,
		speedMbps: 100000,
	}
	return n.with(opts)
}

// mlx5 is the driver of NVIDIA ConnectX cards. Its devlink rules are those of
// drivers/net/ethernet/mellanox/mlx5/core/eswitch_offloads.c and fs_core.c.
func mlx5(firmware, psid string, steering ...string) family {
	return family{
		driver:           "mlx5_core",
		vfDriver:         "mlx5_core",
		subsystem:        "15b3:0020",
		minMTU:           68,
		maxMTU:           9978,
		devlink:          true,
		eswitch:          true,
		rules:            rules{unbound: true, down: true},
		inline:           inlineNone,
		encap:            "basic",
		representorPorts: true,
		offload:          true,
		portName:         true,
		rdma:             true,
		vdpa:             true,
		steering:         steering,
		firmware:         firmware,
		psid:             psid,
		firmwareVersion:  "fw.version",
		layout: func(port, ports, totalVFs int) (int, int) {
			return ports - port + port*totalVFs, 1
		},
	}
}

// Igb82576 is a dual-port Intel 82576 at 0000:01:00.0 and .1 as emulated by
// QEMU: 1 Gb/s, 7 VFs per port, no eswitch, no devlink, no TC offload.
func Igb82576(opts ...NICOption) NIC {
	n := NIC{
		family: family{
			driver:       "igb",
			vfDriver:     "igbvf",
			subsystem:    "1af4:1100",
			minMTU:       68,
			maxMTU:       9216,
			pfResets:     true,
			reportsVFMAC: true,
			layout:       func(_, _, _ int) (int, int) { return 128, 2 },
		},
		vendor:    "8086",
		device:    "10c9",
		vfDevice:  "10ca",
		address:   "0000:01:00.0",
		names:     []string{"enp1s0f0", "enp1s0f1"},
		macs:      []string{"52:54:00:00:01:00", "52:54:00:00:01:10"},
		numa:      -1,
		totalVFs:  7,
		speedMbps: 1000,
	}
	return n.with(opts)
}

// with applies options and fills in what follows from the address.
func (n NIC) with(opts []NICOption) NIC {
	n.names, n.macs = slices.Clone(n.names), slices.Clone(n.macs)
	ports := len(n.names)
	for _, o := range opts {
		o(&n)
	}
	if n.names != nil {
		ports = len(n.names)
	}
	first := mustAddress(n.address)
	for port := range ports {
		a := first.plus(port)
		if len(n.names) <= port {
			n.names = append(n.names, n.netdevName(a, port))
		}
		if len(n.macs) <= port {
			n.macs = append(n.macs, a.mac("08:c0"))
		}
	}
	return n
}

// netdevName is the predictable name of a port.
func (n *NIC) netdevName(a pciAddress, port int) string {
	name := fmt.Sprintf("enp%ds%df%d", a.bus(), a.slot(), a.function())
	if a.domain != 0 {
		name = fmt.Sprintf("enP%dp%ds%df%d", a.domain, a.bus(), a.slot(), a.function())
	}
	if n.portName {
		name += fmt.Sprintf("np%d", port)
	}
	return name
}

// baseName is a PF's name without np<port>: names of its VFs and representors
// start with it.
func baseName(pf string) string {
	trimmed := strings.TrimRight(pf, "0123456789")
	if base, ok := strings.CutSuffix(trimmed, "np"); ok && len(trimmed) < len(pf) {
		return base
	}
	return pf
}
