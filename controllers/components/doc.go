// Package components deploys what the operator runs on nodes: the daemon and
// the device plugin.
//
// In: the manifests of bindata, the SriovOperatorConfig (or none) and the images
// of this release. Out: two DaemonSets, and the conditions of the
// SriovOperatorConfig. render.go and conditions.go are pure.
//
// Nothing owns the DaemonSets: they stay when the operator or its settings are
// deleted, and so does the network of the nodes. Service accounts and roles are
// manifests of config/rbac; the operator grants nothing.
package components
