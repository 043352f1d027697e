// Package networkmanager talks to NetworkManager over the system bus of a host.
//
// Flow: daemon/apply asks for a Reload after it has changed a file that
// NetworkManager reads. A host without a bus, or without NetworkManager on it,
// is no error: there is nobody to tell.
//
// The package imports daemon/host and nothing else of ours.
package networkmanager
