package nlsock

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/bounded"
)

// receiveTimeout ends a call that nobody waits for. The slowest known request is
// an eswitch mode change, which takes minutes with hundreds of VFs.
const receiveTimeout = 30 * time.Minute

// Call is a request and how messages speak of it.
type Call struct {
	// Protocol is unix.NETLINK_ROUTE or unix.NETLINK_GENERIC.
	Protocol int
	Request  *nl.NetlinkRequest
	// Op in words, and Object, are those of host.Error.
	Op, Object string
}

// Do sends the request and returns the payloads of the answer. A dump that
// changes meanwhile is repeated. It returns when the kernel has answered or when
// the context ends, whichever is first.
func Do(ctx context.Context, calls *bounded.Calls, c Call) ([][]byte, error) {
	sock, err := open(c.Protocol)
	if err != nil {
		return nil, c.failed(err)
	}
	c.Request.Sockets = map[int]*nl.SocketHandle{c.Protocol: {Socket: sock}}
	c.Request.RetryInterrupted = true
	payloads, err := bounded.DoWith(ctx, calls, c.Object, sock, func(*nl.NetlinkSocket) ([][]byte, error) {
		return c.Request.Execute(c.Protocol, 0)
	})
	if err != nil {
		return nil, c.failed(err)
	}
	return payloads, nil
}

// open returns a socket in the network namespace of the calling thread.
func open(protocol int) (*nl.NetlinkSocket, error) {
	sock, err := nl.Subscribe(protocol)
	if err != nil {
		return nil, err
	}
	timeout := unix.NsecToTimeval(receiveTimeout.Nanoseconds())
	// Extended acknowledgements are per socket; the library's own switch for
	// them is a package variable.
	if err := errors.Join(sock.SetExtAck(true), sock.SetReceiveTimeout(&timeout)); err != nil {
		_ = sock.Close()
		return nil, err
	}
	return sock, nil
}

// failed takes the kernel's words out of the library's error, which is the
// errno, a colon and the extended acknowledgement.
func (c Call) failed(err error) error {
	out := &host.Error{Op: c.Op, Object: c.Object, Err: err}
	if errors.As(err, &out.Errno) {
		out.Err = nil
		if text, ok := strings.CutPrefix(err.Error(), out.Errno.Error()+": "); ok {
			out.Text = strings.TrimSpace(text)
		}
	}
	return out
}
