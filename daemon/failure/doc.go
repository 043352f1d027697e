// Package failure explains refusals of the kernel: a catalogue, as data, from
// what a failed step met (kind of step, errno, words of the kernel) to what it
// means and what a person can do.
//
// Flow: daemon/apply asks Explain for every failed step; the daemon's report
// shows the answer; the documentation lists Catalogue.
//
// The package is pure and imports nothing of ours.
package failure
