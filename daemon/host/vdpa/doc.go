// Package vdpa makes, lists and removes vDPA devices over generic netlink, as the
// vdpa tool of iproute2 does.
//
// Flow: names and managers in the words of daemon/host -> requests of
// uapi/linux/vdpa.h, answers and refusals -> the same words and *host.Error.
//
// The package imports daemon/host, daemon/host/bounded and daemon/host/nlsock,
// nothing else of ours.
package vdpa
