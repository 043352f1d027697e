// Package devlink talks to the devlink instances of the host over generic
// netlink.
//
// Flow: handle -> eswitch, info, parameter, ports; handle and mode -> the
// kernel's effect. Errors are the kernel's own, none is hidden: a device whose
// eswitch cannot be read is not a device in legacy mode. parse.go turns bytes
// into values and touches nothing.
//
// Numbers are those of the kernel's include/uapi/linux/devlink.h.
//
// The package imports daemon/host, daemon/host/bounded and daemon/host/nlsock,
// nothing else of ours.
package devlink
