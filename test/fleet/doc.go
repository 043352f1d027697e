// Package fleet runs the whole product in one process: a real control plane,
// the manager, and one daemon for each simulated node.
//
// Flow: hack/demo and the end-to-end tests describe nodes as simulated kernels;
// everything else is the code that production runs.
//
// The package imports test/controlplane, the manager, the agent and simhost.
package fleet
