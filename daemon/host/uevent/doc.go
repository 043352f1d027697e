// Package uevent tells when devices or network interfaces have changed.
//
// Flow: the kernel's uevents and rtnetlink's link notifications -> host.Event.
// What is told is a reason to look, so events that nobody has taken yet are not
// added to without bound: one that waits stands for all that follow.
//
// parse.go turns bytes into events and touches nothing.
//
// The package imports daemon/host and daemon/host/nlsock, nothing else of ours.
package uevent
