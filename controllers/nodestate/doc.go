// Package nodestate keeps one SriovNetworkNodeState per node that runs the
// daemon.
//
// Flow: a node's labels, the inventory in the status of its state, the policies
// and the node's pool go in; the merged spec comes out and is written by
// server-side apply, and what merging gave per policy is recorded in the fleet
// for the policy controller.
//
// A state exists for every node that the daemon runs on (see
// settings.RunsDaemon), policies or not: the daemon needs it to publish the
// inventory, and only an inventory tells which policies match. The spec is
// computed once the daemon has reported.
//
// What is not known takes nothing away. A policy selects by the label
// network-sriov.capable as soon as the inventory says so, written or not; the
// spec in force goes into the merge, which keeps of it what hangs on facts that
// the inventory lacks; and without an inventory the spec stays as it is.
//
// The state of a node that left stays for a while, with a time in the
// annotation keep-state-until, in case that the node comes back.
//
// The package also has the reconciler of pools, which only writes conditions.
//
// It imports api, merge, fleet, nodes, settings and controller-runtime, and
// never the daemon.
package nodestate
