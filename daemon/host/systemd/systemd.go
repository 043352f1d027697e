package systemd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	systemd1 "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/bounded"
)

const (
	// booted is there when systemd is the machine's init, see sd_booted(3).
	booted = "run/systemd/system"
	// private is systemd's own socket, for root only. It needs no message bus.
	private = "run/systemd/private"
	// bus is the socket of the system's message bus.
	bus = "run/dbus/system_bus_socket"
)

// bound of one call. A reload reads all unit files and runs all generators.
const bound = 90 * time.Second

// missing are the names of the errors for a unit without a file: systemd has used
// one after the other.
var missing = []string{
	"org.freedesktop.systemd1.NoSuchUnit", "org.freedesktop.DBus.Error.FileNotFound", "System.Error.ENOENT",
}

// Client talks to the systemd of one machine. Every call dials anew: systemd may
// be executed again, and the bus restarted, at any time.
type Client struct {
	root  string
	calls bounded.Calls
}

var _ host.Systemd = (*Client)(nil)

// New returns a client of the systemd below root, an absolute path. Nothing is
// dialled before the first call.
func New(root string) *Client { return &Client{root: root} }

// Reload implements host.Systemd.
func (c *Client) Reload(ctx context.Context) error {
	_, err := ask(ctx, c, "reloading unit files", func(ctx context.Context, conn *systemd1.Conn) (struct{}, error) {
		return struct{}{}, conn.ReloadContext(ctx)
	})
	return err
}

// Enable implements host.Systemd.
func (c *Client) Enable(ctx context.Context, units ...string) error {
	_, err := ask(ctx, c, "enabling "+strings.Join(units, " "), func(ctx context.Context, conn *systemd1.Conn) (struct{}, error) {
		// Not only until the next boot, and in the place of links to other files.
		installs, _, err := conn.EnableUnitFilesContext(ctx, units, false, true)
		if err == nil && !installs {
			err = errors.New("the units have no [Install] section")
		}
		return struct{}{}, err
	})
	return err
}

// Disable implements host.Systemd.
func (c *Client) Disable(ctx context.Context, units ...string) error {
	_, err := ask(ctx, c, "disabling "+strings.Join(units, " "), func(ctx context.Context, conn *systemd1.Conn) (struct{}, error) {
		_, err := conn.DisableUnitFilesContext(ctx, units, false)
		if isMissing(err) {
			err = nil
		}
		return struct{}{}, err
	})
	return err
}

// Unit implements host.Systemd.
func (c *Client) Unit(ctx context.Context, unit string) (host.UnitState, error) {
	return ask(ctx, c, "asking for the state of "+unit, func(ctx context.Context, conn *systemd1.Conn) (host.UnitState, error) {
		all, err := conn.GetUnitPropertiesContext(ctx, unit)
		if err != nil {
			return host.UnitState{}, err
		}
		state := host.UnitState{Load: text(all, "LoadState"), Active: text(all, "ActiveState"), File: text(all, "UnitFileState")}
		state.NeedsReload, _ = all["NeedDaemonReload"].(bool)
		if state.Load != "loaded" {
			return state, nil
		}
		service, err := conn.GetUnitTypePropertiesContext(ctx, unit, "Service")
		state.Result = text(service, "Result")
		return state, err
	})
}

// text is a property that is a string; empty if it is not there.
func text(properties map[string]any, name string) string {
	s, _ := properties[name].(string)
	return s
}

func isMissing(err error) bool {
	refused, ok := errors.AsType[dbus.Error](err)
	return ok && slices.Contains(missing, refused.Name)
}

// ask makes one call on a connection of its own, bounded by the context.
func ask[T any](ctx context.Context, c *Client, op string, do func(context.Context, *systemd1.Conn) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	value, err := bounded.Do(ctx, &c.calls, op, func() (T, error) {
		var zero T
		conn, err := c.dial(ctx)
		if err != nil {
			return zero, err
		}
		defer conn.Close()
		return do(ctx, conn)
	})
	if err == nil {
		return value, nil
	}
	out := &host.Error{Op: op, Object: "systemd", Err: err}
	if isMissing(err) {
		out.Errno, out.Text = syscall.ENOENT, err.Error()
	}
	return value, out
}

// dial connects to the private socket, or to the bus where that cannot be reached.
func (c *Client) dial(ctx context.Context) (*systemd1.Conn, error) {
	if _, err := os.Stat(filepath.Join(c.root, booted)); errors.Is(err, fs.ErrNotExist) {
		return nil, host.ErrNoSystemd
	} else if err != nil {
		return nil, fmt.Errorf("looking for systemd: %w", err)
	}
	conn, err := c.connect(ctx, private, false)
	if err == nil {
		return conn, nil
	}
	conn, busErr := c.connect(ctx, bus, true)
	if busErr == nil {
		return conn, nil
	}
	return nil, fmt.Errorf("systemd cannot be reached: %w; %w", err, busErr)
}

func (c *Client) connect(ctx context.Context, socket string, hello bool) (*systemd1.Conn, error) {
	at := filepath.Join(c.root, socket)
	conn, err := systemd1.NewConnection(func() (*dbus.Conn, error) { return open(ctx, at, hello) })
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", at, err)
	}
	return conn, nil
}

// open connects and authenticates; on a bus it also says hello. The user is given
// as a number, because a name would be looked up.
func open(ctx context.Context, socket string, hello bool) (*dbus.Conn, error) {
	conn, err := dbus.Dial("unix:path="+dbus.EscapeBusAddressValue(socket), dbus.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	err = conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))})
	if err == nil && hello {
		err = conn.Hello()
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}
