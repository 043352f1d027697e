// Package deviceplugin gives every node the configuration of its SR-IOV device plugin.
//
// In: the merged spec of a node state and the operator's defaults. Out: one
// ConfigMap per node, whose resources select exactly the VFs of the spec.
// render.go is pure and imports api/v1, k8s.io/api and apimachinery only; the
// reconciler around it reads and writes through the manager's client.
package deviceplugin
