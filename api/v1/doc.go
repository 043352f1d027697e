// Package v1 holds the types of the sriovnetwork.openshift.io/v1 API.
//
// Flow: users write policies and networks, the manager writes the spec of node
// states, the daemon of a node writes the status of its node state. Everything
// that two components must agree on (JSON names, VF ranges, condition types
// and reasons) is defined here and nowhere else.
//
// The package imports apimachinery only, so that any client can use it.
//
// +kubebuilder:object:generate=true
// +groupName=sriovnetwork.openshift.io
package v1
