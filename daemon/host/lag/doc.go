// Package lag reads whether a NIC offloads the bond over its ports.
//
// Flow: daemon/observe reads it for the inventory, daemon/apply while it waits
// for a LAG. Nobody can set it: the driver makes the LAG of what it sees of a
// bond and its members.
//
// The package imports daemon/host alone.
package lag
