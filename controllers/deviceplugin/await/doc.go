// Package await is the init container of the device plugin's pod: it waits until
// the node is what its node state asks for, and writes the plugin's file.
//
// In: the node state and the ConfigMap of one node, watched. Out: one file in a
// volume of the pod, written once. decide.go is pure; the plugin lists devices
// only when it starts, so it must not start before the VFs are there.
//
// The package imports api/v1, client-go and the controller-runtime cache.
package await
