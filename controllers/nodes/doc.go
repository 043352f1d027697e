// Package nodes is how the manager sees nodes: their metadata only. The API
// server leaves out spec and status, so that neither heartbeats' payload nor
// lists of images cross the network or stay in memory. The one exception is
// controllers/drain, which has to know whether a node is cordoned and ready: it
// watches whole nodes, and Transform keeps no more of them than that.
//
// Flow: the cache of the manager, configured with Transform, comes in; names,
// labels, who owns which label, and requests for nodes go out.
//
// The package imports apimachinery and controller-runtime and nothing of ours
// but api.
package nodes
