// Package podresources asks the kubelet which pod holds which device.
//
// Flow: the kubelet's pod-resources socket -> pod by PCI address.
//
// The package imports daemon/host, nothing else of ours.
package podresources
