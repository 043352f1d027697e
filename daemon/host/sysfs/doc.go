// Package sysfs reads and writes the attributes of sysfs and procfs below a
// root, the host's "/" or the place where it is mounted in a container.
//
// Flow: path -> content, path and content -> the kernel's effect. Symbolic links
// are followed as long as they stay below the root, as those of sysfs do.
//
// The package imports daemon/host and daemon/host/bounded, nothing else of ours.
package sysfs
