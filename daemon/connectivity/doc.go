// Package connectivity tells whether the node still has the connections that it
// had before a change: the API server, the gateways of its default routes, the
// carriers of the links over which its own network runs.
//
// Flow: daemon/apply asks Passing before the first change that may interrupt a
// link, lets daemon/ledger keep the answer, and asks Failing for it afterwards.
//
// What could not be asked tells nothing: it is neither a connection before, nor a
// lost one after.
//
// The package imports daemon/host and daemon/ledger, nothing else of ours.
package connectivity
