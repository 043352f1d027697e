// Command demo shows what the product does on this machine: a real control plane,
// the manager, and daemons on simulated nodes. It applies a policy of
// config/samples, shows how the nodes get there, prints the result and ends.
//
// SCENARIO names the story, see scenario.go; KEEP=1 keeps it running for kubectl;
// VERBOSE=1 shows the components' logs. It exits 1 with the reason if the nodes do
// not converge.
package main
