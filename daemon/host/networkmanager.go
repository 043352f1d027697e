package host

import "context"

// NetworkManager talks to the NetworkManager of a host that has one.
type NetworkManager interface {
	// Reload makes it read its settings again, and apply to its devices which of
	// them it is to leave alone. One that does not run is not started: it reads them
	// when it starts. Errors are *Error.
	Reload(ctx context.Context) error
}
