// Package apply carries out a plan on a host. It is the only place with effects.
//
// Flow: daemon/agent hands Run the plan that it published, and what it was made
// from; Run records in the ledger what it is about to touch, runs the chains of
// the plan at the same time and the stages of a chain one after the other, and
// returns what was done and what failed, explained by daemon/failure. Recovery
// from anything is to observe and plan again.
//
// Every step first looks whether it is still needed, has a deadline, and waits
// for its fact by host events and short polls.
//
// After every interruption of a link the connections that the node had before
// must come back (daemon/connectivity). Recover takes changes back after which one
// does not, also those of a daemon that has died; it needs nothing but the host
// and the ledger.
//
// The package imports daemon/host (the interfaces alone), daemon/connectivity,
// daemon/plan, daemon/driver, daemon/ledger, daemon/inventory, daemon/failure and
// daemon/hostfile (whose file it is).
package apply
