// Package agent is the loop of the daemon on one node:
//
//	observe -> plan -> gate -> publish -> apply -> observe -> report
//
// Flow: the spec of the node's SriovNetworkNodeState comes in from the API, the
// host's facts from daemon/observe; steps go out through daemon/apply, the
// status through api/ssa. It wakes on changes of the spec, on netlink and
// uevent events, and at a slow safety resync; there is no periodic scan.
//
// gate.go and report.go are pure: values in, values out.
//
// The package imports every other package of the daemon and the API, and no
// controller.
package agent
