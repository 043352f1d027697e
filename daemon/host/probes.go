package host

import (
	"context"
	"errors"
)

// ErrSilent says that a gateway did not answer: it cannot be reached, or is off.
var ErrSilent = errors.New("no answer")

// Gateway is the next hop of a default route.
type Gateway struct {
	// Address is its IP address.
	Address string
	// Index is the ifindex of the link that leads to it.
	Index int
	// Link is the bus address of that link's device, its name if it has none: the
	// ifindex may be another one after a change.
	Link string
}

// Probes ask whether the machine is connected. They change nothing that anybody
// but the kernel's neighbour table remembers.
type Probes interface {
	// APIServer makes a connection to the API server of the cluster and ends it.
	// Any error says that it could not be reached.
	APIServer(ctx context.Context) error
	// Gateways lists the gateways of the default routes of all tables, over links
	// that are up: the kernel has no routes over others.
	Gateways(ctx context.Context) ([]Gateway, error)
	// AskGateway lets the kernel ask a gateway for its hardware address (ARP,
	// neighbour discovery), whatever it remembers of it, and returns when it has
	// answered, or with ErrSilent when it has not or when ctx ends. Another error
	// says that the kernel did not ask.
	AskGateway(ctx context.Context, g Gateway) error
}
