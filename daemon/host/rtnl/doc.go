// Package rtnl reads and changes network interfaces over rtnetlink, in the
// network namespace of the calling thread.
//
// Flow: dump -> host.Link, host.LinkVF and why the node's own network depends on
// a link; ifindex and value -> the kernel's effect. parse.go and network.go turn
// bytes into values and touch nothing.
//
// It parses the kernel's answers itself: vishvananda/netlink keeps no
// phys_port_name, cuts phys_switch_id to 32 bits and does not read the GUIDs of
// VFs.
//
// The package imports daemon/host, daemon/host/bounded and daemon/host/nlsock,
// nothing else of ours.
package rtnl
