// Package render computes offline, from manifests, what the manager would
// write: for the review of a change before it is merged, and for CI.
//
// In: manifests of policies, nodes, node states (their status is the
// inventory), pools and the operator's config. Out: the merged spec of every
// node state, the device plugin's ConfigMaps, the NetworkAttachmentDefinitions of
// networks, and a report of every conflict
// and of every policy that matches nothing. What is decided, is decided by the
// code that the manager runs: the packages merge, deviceplugin, network and settings.
// Manifests are held to the same rules as by an API server: the schema and the
// CEL rules of the custom resource definitions.
//
// It reads files and writes to the writers that it is given, and talks to no
// API server.
package render
