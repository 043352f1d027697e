package driver

// LAG is what a driver demands of a bond that its NIC is to offload. What the
// kernel tells of the state of a LAG is asked of the device.
type LAG struct {
	// Modes of the bond, in the kernel's spelling.
	Modes []string
	// MaxVFs is how many VFs a port may have, by device ID of the PF; a device that
	// is not in it has no such limit of its own.
	MaxVFs map[string]int
}

// mlx5LAG: the members balance by hash or back each other up (TX types of
// mlx5_lag_check_prereq in drivers/net/ethernet/mellanox/mlx5/core/lag/lag.c);
// "Can't activate LAG offload, PF is configured with more than 64 VFs" with the
// NICs before ConnectX-6.
func mlx5LAG() *LAG {
	return &LAG{
		Modes:  []string{"active-backup", "balance-xor", "802.3ad"},
		MaxVFs: map[string]int{"1013": 64, "1015": 64, "1017": 64, "1019": 64},
	}
}
