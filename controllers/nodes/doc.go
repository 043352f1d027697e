// Package nodes is how the manager sees nodes: their metadata only. The API
// server leaves out spec and status, so that neither heartbeats' payload nor
// lists of images cross the network or stay in memory.
//
// Flow: the cache of the manager, configured with Transform, comes in; names,
// labels and who owns which label go out.
//
// The package imports apimachinery and controller-runtime and nothing of ours
// but api.
package nodes
