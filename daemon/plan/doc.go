// Package plan computes what has to be done on a host: a pure function from
// what is desired, what was observed and what is ours, to ordered steps and
// blockers.
//
// Flow: daemon/agent calls Compute with the node state's spec, the inventory
// and the ledger's record; gate.go of the agent decides on the plan;
// daemon/apply runs its steps; the agent's report publishes it.
//
// The package is pure. It imports api/v1, daemon/inventory, daemon/ledger (the
// Record), daemon/driver, daemon/firmware, daemon/hostfile and daemon/conflict; no
// client, logger, clock or host package.
package plan
