// Package guides carries out each section of the offload guides, and each failure
// that they leave to their readers, without an API server: policies are merged
// with what the node reports, planned, applied to a simulated machine and
// reported, until nothing is left to be done.
//
// Flow: a scenario in testdata has the host and the policies; what comes out is
// the steps, the machine and the status that a user sees.
//
// The package is for tests. It imports controllers/merge and the daemon.
package guides
