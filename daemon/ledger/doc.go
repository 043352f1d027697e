// Package ledger is the crash-safe record of what the daemon made on its host:
// the state found at first contact (to restore it) and the PFs whose VFs are
// ours. It is written before the first effect on a PF. What it holds of a PF
// means something in the boot, and for the NIC, in which it was noted.
//
// Flow: daemon/agent loads it, daemon/plan reads its Record to decide what may
// be removed, daemon/apply notes an intent before it acts.
//
// The package imports nothing of ours.
package ledger
