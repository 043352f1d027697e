package networkmanager

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"github.com/godbus/dbus/v5"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// Names on the bus: networkmanager.dev, "D-Bus API", org.freedesktop.NetworkManager.
const (
	name   = "org.freedesktop.NetworkManager"
	object = dbus.ObjectPath("/org/freedesktop/NetworkManager")
	reload = name + ".Reload"
	// everything is the flag of Reload that stands for all there is to be read.
	everything = uint32(0)

	hasOwner = "org.freedesktop.DBus.NameHasOwner"
)

// Client connects for every call: calls are rare, and the bus of a host may be
// started again at any time.
type Client struct {
	// Socket is the path of the system bus, e.g. /run/dbus/system_bus_socket.
	Socket string
}

var _ host.NetworkManager = (*Client)(nil)

// Reload implements host.NetworkManager.
func (c *Client) Reload(ctx context.Context) error {
	err := c.reload(ctx)
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	out := &host.Error{Op: "reloading its settings", Object: "NetworkManager", Err: err}
	if errors.As(err, &out.Errno) {
		out.Err = nil
	}
	return out
}

func (c *Client) reload(ctx context.Context) (err error) {
	// With the context, the connection closes, and so does every wait on it.
	conn, err := dbus.Dial("unix:path="+dbus.EscapeBusAddressValue(c.Socket), dbus.WithContext(ctx))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Geteuid()))}); err != nil {
		return err
	}
	if err := conn.Hello(); err != nil {
		return err
	}
	var runs bool
	if err := conn.BusObject().CallWithContext(ctx, hasOwner, 0, name).Store(&runs); err != nil || !runs {
		return err
	}
	call := conn.Object(name, object).CallWithContext(ctx, reload, dbus.FlagNoAutoStart, everything)
	var refused dbus.Error
	if errors.As(call.Err, &refused) && refused.Name == "org.freedesktop.DBus.Error.ServiceUnknown" {
		// It has ended meanwhile.
		return nil
	}
	return call.Err
}
