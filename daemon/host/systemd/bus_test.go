//go:build dbusdaemon

package systemd_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/introspect"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/hosttest"
)

// exported is the manager as methods of an object on a bus.
type exported struct{ m *manager }

// Reload implements org.freedesktop.systemd1.Manager.
func (e exported) Reload() *dbus.Error {
	e.m.reload()
	return nil
}

// EnableUnitFiles implements org.freedesktop.systemd1.Manager.
func (e exported) EnableUnitFiles(units []string, runtime, force bool) (bool, []change, *dbus.Error) {
	return e.m.enable(units, runtime, force)
}

// DisableUnitFiles implements org.freedesktop.systemd1.Manager.
func (e exported) DisableUnitFiles(units []string, runtime bool) ([]change, *dbus.Error) {
	return e.m.disable(units, runtime)
}

// unitObjects answers for all objects below a path.
type unitObjects struct{ m *manager }

// GetAll implements org.freedesktop.DBus.Properties.
func (u unitObjects) GetAll(msg dbus.Message, kind string) (map[string]dbus.Variant, *dbus.Error) {
	path, _ := msg.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
	return u.m.properties(path, kind), nil
}

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=%s</listen><policy context="default">
<allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`

// The rules hold on a bus of the real dbus-daemon. Not every machine has one:
// go test -tags dbusdaemon ./daemon/host/systemd.
func TestRealBus(t *testing.T) {
	m := newManager(t)
	socket := filepath.Join(m.root, bus)
	config := filepath.Join(t.TempDir(), "bus.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, socket), 0o600); err != nil {
		t.Fatal(err)
	}
	daemon := exec.CommandContext(t.Context(), "dbus-daemon", "--nofork", "--nopidfile", "--print-address", "--config-file="+config)
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = daemon.Wait() })
	// It listens once it has said so.
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.Contains(line, socket) {
		t.Fatalf("dbus-daemon says %q, %v", line, err)
	}
	conn, err := dbus.Connect("unix:path=" + socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.Export(exported{m}, "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"); err != nil {
		t.Fatal(err)
	}
	if err := conn.ExportSubtree(unitObjects{m}, "/org/freedesktop/systemd1/unit", "org.freedesktop.DBus.Properties"); err != nil {
		t.Fatal(err)
	}
	if err := conn.Export(introspect.Introspectable("<node/>"), "/org/freedesktop/systemd1", "org.freedesktop.DBus.Introspectable"); err != nil {
		t.Fatal(err)
	}
	if reply, err := conn.RequestName("org.freedesktop.systemd1", dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("the bus gives the name with %v, %v", reply, err)
	}
	hosttest.Systemd(t, doors(t, m))
}
