// Package hosttest is the specification that every implementation of the host
// interfaces passes: the simulated kernel in all its profiles, and the real
// doors on a real kernel with a real or emulated NIC.
//
// Flow: a test describes a Device and calls Run; every Spec that fits the
// device's capabilities becomes a subtest. The label of a Spec is the rule of
// the kernel that it stands for.
//
// The package imports daemon/host alone and uses nothing but its interfaces.
package hosttest
