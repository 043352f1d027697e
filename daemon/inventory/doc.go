// Package inventory holds the observed hardware of a node as plain values.
//
// Flow: daemon/observe fills these structs from the host; daemon/plan and
// daemon/agent's report read them. Nothing here reads or writes anything.
//
// Absent is nil (or empty text). A fact that exists but could not be read is
// absent too, and named in the PF's Unreadable list: unknown is never a value.
//
// The package imports daemon/firmware (plain values too), nothing else of ours.
package inventory
