// Package bounded lets a caller leave a system call that takes too long.
//
// Flow: the doors of a real host run what may block in the kernel through Do.
// The kernel finishes what it has begun, whoever waits for it: only the waiting
// ends with the context.
//
// The package imports nothing of ours.
package bounded
