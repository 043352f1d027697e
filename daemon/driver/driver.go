package driver

// Order is how a driver wants VFs and switchdev mode to come about.
type Order string

// Orders. Their names are part of the API: the status of a node state shows
// them, and the ledger keeps them.
const (
	// VFsFirst: create VFs, unbound; set the mode; bind the VFs. Back: unbind, set
	// the mode, remove the VFs.
	VFsFirst Order = "VFsFirst"
	// ModeFirst: without VFs, set the mode; create VFs. Back: remove the VFs, set
	// the mode.
	ModeFirst Order = "ModeFirst"
	// ModeFixed: create VFs. The mode is the firmware's choice; it is never set,
	// and never a difference to act on.
	ModeFixed Order = "ModeFixed"
	// Trial: nobody knows. VFsFirst is tried, and after a refusal ModeFirst.
	Trial Order = ""
)

// Other returns the order to try after a refusal.
func (o Order) Other() Order {
	if o == ModeFirst {
		return VFsFirst
	}
	return ModeFirst
}

// Strategy is what the planner must know of a PF driver. Whether a device has
// an eswitch or a steering mode is not in it: that is asked of the device.
type Strategy struct {
	// Name of the PF driver; empty for the generic strategy.
	Name string
	// Order of VFs and switchdev mode.
	Order Order
	// VFDriver is the kernel network driver of the VFs; empty means "whatever
	// the kernel picks", that is, any driver other than vfio-pci.
	VFDriver string
	// CreateUnbound tells to create VFs with autoprobe off and to bind them one by
	// one afterwards. Otherwise the kernel binds them as they appear, except where
	// the mode changes after them.
	CreateUnbound bool
	// UpForVFs tells that VFs can be removed only while the PF's netdev is up.
	// (For creating them it is always set up.)
	UpForVFs bool
	// AdminMAC tells to set a VF's administrative MAC to the VF's own, because
	// the driver makes up another one at every probe otherwise.
	AdminMAC bool
	// GUIDs tells that InfiniBand VFs come without GUIDs, and get them through the PF.
	GUIDs bool
	// VDPA is the auxiliary driver that makes vDPA devices of VFs; empty when nobody
	// has one for this driver's VFs.
	VDPA string
	// InlineModes are the eswitch inline modes that switchdev mode needs, by
	// device ID of the PF.
	InlineModes map[string]string
	// LAG is nil when the driver offloads no bond.
	LAG *LAG
	// Note says, for people, what is particular about the driver.
	Note string
}

// Table maps the name of a PF driver to its strategy.
type Table map[string]Strategy

// For returns the strategy of a driver, or the generic one: the kernel binds
// VFs, and the order in which switchdev mode comes about is found out.
func (t Table) For(driver string) Strategy { return t[driver] }

// Default returns the strategies of the drivers that are known.
func Default() Table {
	return Table{
		// VFs first, because older kernels know no eswitch mode before there are VFs
		// ("Can't set offloads mode, SRIOV legacy not enabled", eswitch_offloads.c).
		// VFs must be unbound while the mode changes; autoprobe off spares probing and
		// unbinding each of them. The firmware of ConnectX-4 takes the inline mode from
		// the vports (wqe_inline_mode); matching on TCP and UDP ports needs transport.
		"mlx5_core": {
			Name:          "mlx5_core",
			Order:         VFsFirst,
			VFDriver:      "mlx5_core",
			CreateUnbound: true,
			AdminMAC:      true,
			GUIDs:         true,
			VDPA:          "mlx5_vdpa.vnet",
			InlineModes:   map[string]string{"1013": "transport", "1015": "transport"},
			LAG:           mlx5LAG(),
			Note:          "VFs are unbound while the mode changes; the steering mode is set in legacy mode; ConnectX-4 and 4 Lx also get inline mode transport",
		},
		// "Changing eswitch mode is allowed only if there is no VFs created",
		// ice_eswitch.c.
		"ice": {
			Name:     "ice",
			Order:    ModeFirst,
			VFDriver: "iavf",
			Note:     "the mode changes only without VFs",
		},
		// "Enable VFs before setting switchdev mode", bnxt_vfr.c of older kernels;
		// "already in %s eswitch mode" is EINVAL, so a mode is never set twice; "Reject
		// SRIOV config request since if is down!", bnxt_sriov.c, which the write of
		// sriov_numvfs does not report.
		"bnxt_en": {
			Name:          "bnxt_en",
			Order:         VFsFirst,
			VFDriver:      "bnxt_en",
			CreateUnbound: true,
			UpForVFs:      true,
			Note:          "VFs come and go only while the PF is up; the same mode is never set twice",
		},
		// The flower firmware has an eswitch that is always in switchdev mode and makes
		// representors with the VFs; the other firmware has none (nfp_devlink.c,
		// flower/main.c).
		"nfp": {
			Name:     "nfp",
			Order:    ModeFixed,
			VFDriver: "nfp_netvf",
			Note:     "the running firmware decides on the mode: switchdev with flower, legacy with nic; the mode is never set",
		},
	}
}
