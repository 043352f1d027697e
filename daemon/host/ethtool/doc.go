// Package ethtool reads and changes ethtool features, in the network namespace
// of the calling thread.
//
// Flow: netdev and feature name -> state; netdev, feature and state -> the
// kernel's effect, read back.
//
// Names come from safchain/ethtool, once, because they are the same for every
// netdev. States are read and written by ioctls of our own: the library moves a
// mebibyte for each query and drops the kernel's "not done" of a change.
//
// The package imports daemon/host and daemon/host/bounded, nothing else of ours.
package ethtool
