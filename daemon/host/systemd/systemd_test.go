package systemd_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/files"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/hosttest"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/sysfs"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/systemd"
)

const (
	private = "run/systemd/private"
	bus     = "run/dbus/system_bus_socket"
)

// doors are those that the shared rules need, below the manager's root.
func doors(t *testing.T, m *manager) host.Host {
	t.Helper()
	read, err := sysfs.Open(m.root)
	if err != nil {
		t.Fatal(err)
	}
	own, err := files.Open(m.root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = own.Close(), read.Close() })
	return host.Host{FS: read, Files: own, Systemd: systemd.New(m.root)}
}

// The rules hold through systemd's own socket, and through the message bus where
// that is the only way.
func TestConformance(t *testing.T) {
	for _, socket := range []string{private, bus} {
		t.Run(filepath.Base(socket), func(t *testing.T) {
			m := newManager(t)
			m.serve(t, socket)
			hosttest.Systemd(t, doors(t, m))
		})
	}
}

func TestWithoutSystemd(t *testing.T) {
	c := systemd.New(t.TempDir())
	if err := c.Reload(t.Context()); !errors.Is(err, host.ErrNoSystemd) {
		t.Errorf("error is %v", err)
	}
}

// A machine whose sockets cannot be seen is not one without systemd.
func TestUnreachable(t *testing.T) {
	m := newManager(t)
	err := systemd.New(m.root).Reload(t.Context())
	if err == nil || errors.Is(err, host.ErrNoSystemd) || !strings.Contains(err.Error(), private) || !strings.Contains(err.Error(), bus) {
		t.Errorf("error is %v", err)
	}
}

// A file without an [Install] section cannot be enabled: nothing would start it.
func TestNoInstallSection(t *testing.T) {
	m := newManager(t)
	m.serve(t, private)
	if err := os.WriteFile(filepath.Join(m.root, unitFolder, "a.service"), []byte("[Service]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := systemd.New(m.root).Enable(t.Context(), "a.service")
	if err == nil || !strings.Contains(err.Error(), "[Install]") {
		t.Errorf("error is %v", err)
	}
}

// A refusal is an error in systemd's own words.
func TestRefused(t *testing.T) {
	m := newManager(t)
	m.refuses.Store(dbus.NewError("org.freedesktop.DBus.Error.AccessDenied", []any{"Access denied"}))
	m.serve(t, private)
	c := systemd.New(m.root)
	_, unit := c.Unit(t.Context(), "a.service")
	for op, err := range map[string]error{
		"reloading": c.Reload(t.Context()), "enabling a.service": c.Enable(t.Context(), "a.service"),
		"disabling a.service": c.Disable(t.Context(), "a.service"), "state of a.service": unit,
	} {
		var refused *host.Error
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), op) || !strings.Contains(err.Error(), "Access denied") {
			t.Errorf("%s: %v", op, err)
		}
	}
}

// A call returns with its context, even if systemd never answers.
func TestSilent(t *testing.T) {
	m := newManager(t)
	m.silent = true
	m.serve(t, private)
	late := errors.New("too late")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, late)
	defer cancel()
	if err := systemd.New(m.root).Reload(ctx); !errors.Is(err, late) {
		t.Errorf("error is %v", err)
	}
}
