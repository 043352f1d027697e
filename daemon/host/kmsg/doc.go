// Package kmsg reads the kernel's log.
//
// Flow: /dev/kmsg -> the newest lines that mention a device. parse.go turns
// bytes into records and touches nothing.
//
// The package imports daemon/host, nothing else of ours.
package kmsg
