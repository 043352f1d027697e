// Package host is the one door between the daemon and the kernel: small
// interfaces, one for each way of talking to it, and the error that all of
// them return.
//
// Flow: daemon/observe reads through it, daemon/apply writes through it.
// Implementations are the packages below it: sysfs, rtnl, devlink, ethtool,
// uevent, podresources, kmsg and ovs for a real machine, simhost for tests and the
// demo. All implementations follow the same rules; the conformance spec in
// daemon/host/hosttest is what they share.
//
// The package imports nothing of ours. Production code never imports simhost.
package host
