// Package systemd is host.Systemd on Linux: systemd's own D-Bus interface
// (org.freedesktop.systemd1), through its private socket or the system bus below
// the host's root. No program is run.
//
// Flow: daemon/boot enables and disables the units whose files it keeps, and asks
// what became of them.
//
// The package imports daemon/host and daemon/host/bounded, nothing else of ours.
package systemd
