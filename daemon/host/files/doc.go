// Package files is host.Files on Linux: it replaces and removes files below a
// root folder so that a power loss leaves the old or the new one.
//
// Flow: daemon/apply and daemon/boot put and remove files that the ledger lists;
// daemon/host/sysfs reads them.
//
// The package imports daemon/host and daemon/host/bounded, nothing else of ours.
package files
