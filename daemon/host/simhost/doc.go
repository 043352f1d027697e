// Package simhost is a simulated kernel with SR-IOV NICs: a machine that keeps
// state, has the side effects and asynchronous arrivals of the real one, and
// refuses what the real one refuses, with its errno and its words.
//
// Flow: tests, benchmarks and the demo create a Kernel from NIC profiles, hand
// its Host to the daemon's code and change it behind the daemon's back through
// scenario methods and Admin. Dump is the end state as text, Forbidden lists
// what no correct caller would have tried, Ops counts operations. Faults,
// crashes and reboots are injected by operation.
//
// Rules come from the kernel's sources (named at each rule) and from machines
// observed; daemon/host/hosttest is the specification shared with real
// kernels. Delays are plain timers: under testing/synctest they are virtual.
//
// The package imports daemon/host alone. Production code never imports it.
package simhost
