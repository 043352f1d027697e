// Package cleanup brings a host back to what it was before we came, and leaves
// nothing of ours on it. It needs no cluster.
//
// Flow: daemon/observe's inventory and the record of daemon/ledger go into
// daemon/plan with a spec that wants nothing; daemon/apply carries the plan out;
// again until nothing is left, then the ledger itself is deleted. What a plan
// would take from pods is held, unless it is forced.
//
// The package imports daemon/host, daemon/host/linux (the command), daemon/observe,
// daemon/plan, daemon/apply, daemon/boot, daemon/ledger, daemon/driver, daemon/inventory and
// api/v1; no client.
package cleanup
