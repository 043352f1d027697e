// Package nlsock sends netlink requests: one request, one socket.
//
// Flow: a request of vishvananda/netlink's nl package -> the payloads of the
// kernel's answer, or a *host.Error with errno and extended acknowledgement.
// Answers are handed out as bytes; rtnl and devlink parse them.
//
// A socket of its own keeps a request that the kernel holds for minutes (an
// eswitch mode change) from holding the others, and puts every call in the
// network namespace of the thread that makes it.
//
// The package imports daemon/host and daemon/host/bounded, nothing else of ours.
package nlsock
