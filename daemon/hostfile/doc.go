// Package hostfile renders the files that we keep on a host: rules for udev and
// settings for NetworkManager. They keep the names of PFs, name representors,
// and keep NetworkManager off what is not for it.
//
// Flow: daemon/plan says which PFs the files are about and gets their content;
// daemon/observe looks for the files at their Paths; daemon/apply writes them.
//
// The content depends on the devices alone, in order of their PCI addresses. No
// name gets into a file that was not checked first: a name is the kernel's, and
// with it somebody else's.
//
// The package is pure and imports nothing of ours.
package hostfile
