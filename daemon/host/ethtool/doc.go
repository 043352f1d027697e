// Package ethtool reads and changes ethtool features, in the network namespace
// of the calling thread.
//
// Flow: netdev and feature name -> state; netdev, feature and state -> the
// kernel's effect, read back.
//
// Names are read once, because they are the same for every netdev. The ioctls are
// our own: safchain/ethtool keeps the address of a question as a number, so that the
// answer is lost when the stack moves meanwhile (names came back empty on a real
// kernel), moves a mebibyte for each query, and drops the kernel's "not done" of a
// change.
//
// The package imports daemon/host and daemon/host/bounded, nothing else of ours.
package ethtool
