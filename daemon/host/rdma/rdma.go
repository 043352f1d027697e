// Package rdma asks for and sets the namespace mode of the RDMA subsystem.
//
// Flow: one netlink request for each call, bounded by its context.
//
// The package imports daemon/host and daemon/host/bounded.
package rdma

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/vishvananda/netlink"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/bounded"
)

// Client talks to the kernel of this process. The zero value is ready for use.
type Client struct{ calls bounded.Calls }

var _ host.RDMA = (*Client)(nil)

// object is the one that calls are about.
const object = "the RDMA subsystem"

// NetnsMode implements host.RDMA.
func (c *Client) NetnsMode(ctx context.Context) (string, error) {
	mode, err := bounded.Do(ctx, &c.calls, object, netlink.RdmaSystemGetNetnsMode)
	switch {
	case err != nil:
		return "", failed("reading the namespace mode", err)
	case mode != host.RDMAShared && mode != host.RDMAExclusive:
		return "", failed("reading the namespace mode", fmt.Errorf("the kernel says %q", mode))
	}
	return mode, nil
}

// SetNetnsMode implements host.RDMA.
func (c *Client) SetNetnsMode(ctx context.Context, mode string) error {
	_, err := bounded.Do(ctx, &c.calls, object, func() (struct{}, error) { return struct{}{}, netlink.RdmaSystemSetNetnsMode(mode) })
	if err != nil {
		return failed("setting the namespace mode "+mode, err)
	}
	return nil
}

// failed names what a kernel without the subsystem, or without its modes, answers.
func failed(op string, err error) error {
	for _, missing := range []syscall.Errno{syscall.EPROTONOSUPPORT, syscall.EAFNOSUPPORT, syscall.EOPNOTSUPP, syscall.EINVAL} {
		if errors.Is(err, missing) {
			return fmt.Errorf("%w: %w", host.ErrNoRDMA, &host.Error{Op: op, Object: object, Errno: missing})
		}
	}
	out := &host.Error{Op: op, Object: object, Err: err}
	if errors.As(err, &out.Errno) {
		out.Err = nil
	}
	return out
}
