package uevent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

const (
	// firstGroup is the bit of the first multicast group of either protocol: the
	// kernel's own uevents, where group 2 is udev's, which anybody may imitate,
	// and RTNLGRP_LINK.
	firstGroup = 1
	// receiveBuffer holds the burst of a few hundred VFs, at about a kilobyte an
	// event and as much for the kernel's bookkeeping.
	receiveBuffer = 8 << 20
	// messageRoom is larger than any uevent (2 KiB of variables and a path) and
	// any link notification without VFs.
	messageRoom = 64 << 10
	// waiting is how many events wait for a slow reader.
	waiting = 64
	// overrun is the Device of the event that stands for lost ones.
	overrun = "overrun"
)

// Client reads the kernel's notifications. The zero value is ready for use.
type Client struct{}

var _ host.Events = (*Client)(nil)

// Subscribe delivers events until ctx ends, then closes the channel. Sockets are
// opened before it returns, in the network namespace of the calling thread: what
// changes after that is told.
func (*Client) Subscribe(ctx context.Context) (<-chan host.Event, error) {
	uevents, err := open(unix.NETLINK_KOBJECT_UEVENT, receiveBuffer)
	if err != nil {
		return nil, &host.Error{Op: "subscribing", Object: "uevents", Err: err}
	}
	links, err := open(unix.NETLINK_ROUTE, receiveBuffer)
	if err != nil {
		return nil, errors.Join(&host.Error{Op: "subscribing", Object: "link notifications", Err: err}, uevents.Close())
	}
	out := make(chan host.Event, waiting)
	// Closing ends the reads.
	context.AfterFunc(ctx, func() { _, _ = uevents.Close(), links.Close() })
	var readers sync.WaitGroup
	readers.Go(func() { read(ctx, uevents, out, sourceUevent, parseDevices) })
	readers.Go(func() { read(ctx, links, out, sourceNetlink, parseLinks) })
	go func() {
		readers.Wait()
		close(out)
	}()
	return out, nil
}

// open returns a subscribed socket that the runtime polls, with room for buffer
// bytes of unread messages.
func open(protocol, buffer int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, fmt.Errorf("opening a netlink socket: %w", err)
	}
	// Beyond the system's limit with CAP_NET_ADMIN, up to the limit without.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: firstGroup}); err != nil {
		return nil, errors.Join(fmt.Errorf("binding a netlink socket: %w", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

// read delivers what a socket receives until it is closed.
func read(ctx context.Context, socket *os.File, out chan<- host.Event, source string, parse func([]byte) []host.Event) {
	conn, err := socket.SyscallConn()
	if err != nil {
		return
	}
	buffer := make([]byte, messageRoom)
	for ctx.Err() == nil {
		message, err := receive(conn, buffer)
		switch {
		case err == nil:
			for _, event := range parse(message) {
				deliver(out, event)
			}
		case errors.Is(err, unix.ENOBUFS):
			deliver(out, host.Event{Source: source, Device: overrun})
		case errors.Is(err, unix.EINTR), errors.Is(err, errForeign):
		default:
			// Closed; or beyond repair, in which case the reader must look by itself.
			deliver(out, host.Event{Source: source, Device: overrun})
			return
		}
	}
}

// errForeign is a message that the kernel did not send.
var errForeign = errors.New("not from the kernel")

// receive waits for one message of the kernel.
func receive(conn syscall.RawConn, buffer []byte) ([]byte, error) {
	var n int
	var from unix.Sockaddr
	var received error
	err := conn.Read(func(fd uintptr) bool {
		n, from, received = unix.Recvfrom(int(fd), buffer, 0)
		return !errors.Is(received, unix.EAGAIN)
	})
	if err := errors.Join(err, received); err != nil {
		return nil, err
	}
	// Any process may send to a netlink socket; only the kernel has port 0.
	if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
		return nil, errForeign
	}
	return buffer[:n], nil
}

// deliver hands an event to the reader. When it is slow, the events that wait
// already tell it to look after this one has happened.
func deliver(out chan<- host.Event, event host.Event) {
	select {
	case out <- event:
	default:
	}
}
