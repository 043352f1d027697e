// Package fleet is what the controllers of the manager know together: the
// policies, compiled once, and per node what merging gave and whether the node
// is ready.
//
// Flow: the node state controller compiles and records, node states' readiness
// comes in by event, the policy controller reads. What one of them computed, no
// other computes again. Everything is in memory and is rebuilt from the cache
// after a restart.
//
// The package imports api, merge and apimachinery; it has no client.
package fleet
