package systemd_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/systemd"
)

// The login manager is asked once, on the system's bus; without one, or when it
// refuses, its words are in the error.
func TestReboot(t *testing.T) {
	m := newManager(t)
	login := systemd.NewLogin(m.root)
	var refused *host.Error
	if err := login.Reboot(t.Context()); !errors.As(err, &refused) || !strings.Contains(err.Error(), "systemd-logind") {
		t.Errorf("without a bus: %v", err)
	}
	m.serve(t, bus)
	if err := login.Reboot(t.Context()); err != nil || m.reboots != 1 {
		t.Errorf("%v, %d reboots", err, m.reboots)
	}
	m.refuses = dbus.NewError("org.freedesktop.login1.BlockedByInhibitorLock", []any{"a backup is running"})
	if err := login.Reboot(t.Context()); err == nil || !strings.Contains(err.Error(), "a backup is running") || m.reboots != 1 {
		t.Errorf("%v, %d reboots", err, m.reboots)
	}
}
