// Package probes asks whether the machine is connected: to the API server over
// TCP, to the gateways of its default routes through the kernel's neighbour table.
//
// Flow: daemon/connectivity calls host.Probes; connections go out from the network
// namespace of the calling process.
//
// The package imports daemon/host, nothing else of ours.
package probes
