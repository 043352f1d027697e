package systemd

import (
	"context"
	"path/filepath"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/bounded"
)

// Names of the login manager on the bus, see org.freedesktop.login1(5).
const (
	loginName   = "org.freedesktop.login1"
	loginPath   = "/org/freedesktop/login1"
	loginReboot = "org.freedesktop.login1.Manager.Reboot"
)

// rebootBound is for the answer alone: inhibitors delay the restart after it.
const rebootBound = 30 * time.Second

// Login talks to the login manager of one machine. Every call dials anew.
type Login struct {
	root  string
	calls bounded.Calls
}

var _ host.Power = (*Login)(nil)

// NewLogin returns a client of the login manager below root, an absolute path.
func NewLogin(root string) *Login { return &Login{root: root} }

// Reboot implements host.Power. Nobody is asked for a password.
func (l *Login) Reboot(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, rebootBound)
	defer cancel()
	_, err := bounded.Do(ctx, &l.calls, loginName, func() (struct{}, error) {
		conn, err := open(ctx, filepath.Join(l.root, bus), true)
		if err != nil {
			return struct{}{}, err
		}
		defer func() { _ = conn.Close() }()
		return struct{}{}, conn.Object(loginName, dbus.ObjectPath(loginPath)).CallWithContext(ctx, loginReboot, 0, false).Err
	})
	if err != nil {
		return &host.Error{Op: "asking for a reboot", Object: "systemd-logind", Err: err}
	}
	return nil
}
