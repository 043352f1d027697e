package probes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// Neighbours are the gateways of the machine.
type Neighbours interface {
	Gateways(ctx context.Context) ([]host.Gateway, error)
	AskGateway(ctx context.Context, g host.Gateway) error
}

// Client implements host.Probes.
type Client struct {
	// Server is host:port of the API server; empty if there is none, which can then
	// not be reached.
	Server string
	Neighbours
}

var _ host.Probes = (*Client)(nil)

// errNoServer says that nobody told where the API server is.
var errNoServer = errors.New("its address is not known")

// APIServer makes a TCP connection and closes it. That somebody listens there is
// enough: whether it answers as it should is no matter of the network, and asking
// would need credentials.
func (c *Client) APIServer(ctx context.Context) error {
	if c.Server == "" {
		return &host.Error{Op: "connecting", Object: "the API server", Err: errNoServer}
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", c.Server)
	if err != nil {
		return &host.Error{Op: "connecting", Object: "the API server", Err: err}
	}
	_ = conn.Close()
	return nil
}

// ServerOf returns host:port of the API server as clients are configured with it:
// a URL, or host:port. The port may be missing, as in client-go.
func ServerOf(configured string) (string, error) {
	text := configured
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return "", fmt.Errorf("the address of the API server, %q, is no URL", configured)
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "http":
		port = "80"
	default:
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}
