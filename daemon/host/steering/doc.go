// Package steering reads and sets the flow steering mode of a PF, wherever its
// driver has it: in the devlink parameter flow_steering_mode, or, where
// MLNX_OFED has no such parameter, in compat/devlink/steering_mode below the
// PF's netdev.
//
// Flow: daemon/observe reads, daemon/apply sets. The kernel takes a change only
// while the eswitch is in legacy mode.
//
// The package imports daemon/host only.
package steering
