// Command demo shows the product's main job on this machine: a real control
// plane, the manager, and three daemons on simulated nodes (two with a dual-port
// ConnectX-5, one with an Intel 82576). It applies a policy, shows how the nodes
// get there, prints the result and ends; KEEP=1 keeps it running for kubectl.
//
// It exits 1 with the reason if the nodes do not converge.
package main
