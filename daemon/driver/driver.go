package driver

// Strategy is what the planner must know of a PF driver.
type Strategy struct {
	// Name of the PF driver; empty for the generic strategy.
	Name string
	// Switchdev tells whether the driver can switch its eswitch to switchdev
	// mode in the order create VFs (unbound), switch mode, bind VFs.
	Switchdev bool
	// VFDriver is the kernel network driver of the VFs; empty means "whatever
	// the kernel picks", that is, any driver other than vfio-pci.
	VFDriver string
	// CreateUnbound tells to create VFs with autoprobe off and to bind them one by
	// one afterwards. Otherwise the kernel binds them as they appear.
	CreateUnbound bool
	// AdminMAC tells to set a VF's administrative MAC to the VF's own, because
	// the driver makes up another one at every probe otherwise.
	AdminMAC bool
}

// Table maps the name of a PF driver to its strategy.
type Table map[string]Strategy

// For returns the strategy of a driver, or the generic one.
func (t Table) For(driver string) Strategy { return t[driver] }

// Default returns the strategies of the drivers that are known. Every other
// driver gets the generic one: legacy mode only, VFs bound by the kernel.
func Default() Table {
	return Table{
		// Order A: VFs first, then the mode, because older kernels know no eswitch
		// mode before there are VFs ("Can't set offloads mode, SRIOV legacy not
		// enabled", eswitch_offloads.c). VFs must be unbound while the mode changes;
		// autoprobe off spares probing and unbinding each of them.
		"mlx5_core": {
			Name:          "mlx5_core",
			Switchdev:     true,
			VFDriver:      "mlx5_core",
			CreateUnbound: true,
			AdminMAC:      true,
		},
	}
}
