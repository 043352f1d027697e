// Package boot is configurationMode systemd: a node that boots makes its VFs and
// switchdev modes before its network comes up, and binds the VFs before its
// kubelet starts, without an API server.
//
// Flow: while the daemon runs, Keeper puts our program, two units and the spec
// that is in force (State) on the host, and reports what became of the units at
// the last boot. At boot the units run Phase, which reads the State, observes,
// plans and applies as the daemon does, and leaves a Result for it.
//
// next.go and status.go are pure. The package imports the packages of the daemon
// that observe, plan and apply, the ledger and the doors of daemon/host. It never
// imports daemon/agent, which imports it.
package boot
