// Package linux is the host of a real machine: sysfs, rtnl, devlink, ethtool,
// uevent, vdpa, podresources, kmsg, ovs and systemd put together.
//
// Flow: the folder where the machine's root is -> host.Host.
//
// The package imports daemon/host and the packages below it except simhost.
package linux
