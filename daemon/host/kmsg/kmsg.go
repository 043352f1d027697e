package kmsg

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// recordRoom is more than the kernel's longest record (8 KiB); it refuses to
// give a part of one.
const recordRoom = 16 << 10

// Client reads the kernel's log.
type Client struct {
	path string
}

var _ host.Log = (*Client)(nil)

// New returns a reader of the log at path, /dev/kmsg of the host.
func New(path string) *Client { return &Client{path: path} }

// Recent returns the newest lines, at most max and oldest first, in which the
// kernel mentions a device. It reads what is there and waits for nothing.
func (c *Client) Recent(ctx context.Context, device string, max int) ([]string, error) {
	fd, err := unix.Open(c.path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, c.failed(err)
	}
	lines, err := recent(ctx, fd, device, max)
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return nil, c.failed(err)
	}
	return lines, nil
}

func (c *Client) failed(err error) error {
	out := &host.Error{Op: "reading the kernel log", Object: c.path, Err: err}
	if errors.As(err, &out.Errno) {
		out.Err = nil
	}
	return out
}

// recent reads records, one with each read, until there are no more.
func recent(ctx context.Context, fd int, device string, max int) ([]string, error) {
	var lines []string
	buffer := make([]byte, recordRoom)
	for ctx.Err() == nil {
		n, err := unix.Read(fd, buffer)
		switch {
		case errors.Is(err, unix.EAGAIN), err == nil && n == 0:
			return lines, nil
		// EPIPE: the record was overwritten before it was read; the next read
		// goes on with the oldest that is left.
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		}
		r, ok := parseRecord(buffer[:n])
		if !ok || !r.kernel || !r.mentions(device) {
			continue
		}
		lines = append(lines, r.text)
		if len(lines) > max {
			lines = lines[len(lines)-max:]
		}
	}
	return nil, context.Cause(ctx)
}
