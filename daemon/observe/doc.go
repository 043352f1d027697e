// Package observe reads a host and returns its inventory. It changes nothing.
//
// Flow: daemon/host's doors -> Node -> inventory.Node, which daemon/plan and
// daemon/agent's report read.
//
// What is not there is absent; what is there and cannot be read is absent and
// listed in the PF's Unreadable, so that nothing is planned on a guess. Only
// what concerns the whole node (the list of PCI devices, of links, the boot id)
// makes Node fail.
//
// Every call of a door has a deadline, and so has the observation: a kubelet that
// does not answer, or a driver that keeps a lock, leaves facts unreadable and does
// not hold up what is known of other devices.
//
// One observation costs one link dump, one devlink port dump, one route and one
// pod query, one read for each PCI function, about fifteen operations for each
// PF and five for each VF (one or two more where the kernel is old). The files of
// ours and the configuration of others cost about thirty, and two or three more
// for each file that somebody has written.
//
// A node with an Agilio costs one look at every file of firmware besides: what its
// driver can load is a fact like others.
//
// The package imports daemon/host, daemon/inventory, daemon/firmware, daemon/hostfile
// (the paths) and daemon/conflict (the parsers), nothing else of ours.
package observe
