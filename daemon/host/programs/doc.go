// Package programs runs the few programs of the machine that there is no other way
// to: the tools of its boot loader, and modprobe.
//
// Flow: kernel arguments and names of modules in, the machine's own programs run in
// its own root, what they said in errors. There is no shell, and no program but
// those of this package.
//
// The package imports daemon/host, daemon/host/bounded and daemon/host/files.
package programs
