package systemd_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	systemd1 "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

const unitFolder = "etc/systemd/system"

// manager is a systemd that only keeps unit files below a root.
type manager struct {
	root string

	mu sync.Mutex
	// loaded is the content of unit files when they were read last.
	loaded map[string]string
	// reboots is how often the login manager was asked for one.
	reboots int
	// silent never answers.
	silent bool
	// refuses is the error that every call gets.
	refuses *dbus.Error
}

func newManager(t *testing.T) *manager {
	t.Helper()
	m := &manager{root: t.TempDir(), loaded: map[string]string{}}
	for _, dir := range []string{unitFolder, "run/systemd/system", "run/dbus"} {
		if err := os.MkdirAll(filepath.Join(m.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func (m *manager) file(unit string) (string, bool) {
	data, err := os.ReadFile(filepath.Join(m.root, unitFolder, unit))
	return string(data), err == nil
}

// reload implements Reload.
func (m *manager) reload() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loaded = map[string]string{}
}

// change is one of the changes that systemd answers with.
type change struct{ Type, Filename, Destination string }

// enable implements EnableUnitFiles.
func (m *manager) enable(units []string, runtime, _ bool) (installs bool, changes []change, refused *dbus.Error) {
	for _, unit := range units {
		if _, ok := m.file(unit); !ok {
			return false, nil, dbus.NewError("org.freedesktop.systemd1.NoSuchUnit", []any{"Unit " + unit + " does not exist."})
		}
	}
	if runtime {
		return false, nil, dbus.NewError("org.freedesktop.DBus.Error.InvalidArgs", []any{"until the next boot only"})
	}
	for _, unit := range units {
		content, _ := m.file(unit)
		for line := range strings.Lines(content) {
			target, ok := strings.CutPrefix(strings.TrimSpace(line), "WantedBy=")
			if !ok {
				continue
			}
			installs = true
			folder := filepath.Join(m.root, unitFolder, target+".wants")
			link := filepath.Join(folder, unit)
			err := os.MkdirAll(folder, 0o755)
			if err == nil {
				err = os.Symlink("/"+unitFolder+"/"+unit, link)
			}
			switch {
			case errors.Is(err, fs.ErrExist):
			case err != nil:
				return false, nil, dbus.MakeFailedError(err)
			default:
				changes = append(changes, change{"symlink", link, "/" + unitFolder + "/" + unit})
			}
		}
	}
	return installs, changes, nil
}

func (m *manager) links(unit string) []string {
	found, _ := filepath.Glob(filepath.Join(m.root, unitFolder, "*.wants", unit))
	return found
}

// disable implements DisableUnitFiles.
func (m *manager) disable(units []string, _ bool) ([]change, *dbus.Error) {
	var changes []change
	for _, unit := range units {
		// As newer ones do.
		if _, ok := m.file(unit); !ok && len(m.links(unit)) == 0 {
			return nil, dbus.NewError("org.freedesktop.systemd1.NoSuchUnit", []any{"Unit " + unit + " does not exist."})
		}
		for _, link := range m.links(unit) {
			if err := os.Remove(link); err != nil {
				return nil, dbus.MakeFailedError(err)
			}
			// It fails for a folder that is not empty, as it should.
			_ = os.Remove(filepath.Dir(link))
			changes = append(changes, change{"unlink", link, ""})
		}
	}
	return changes, nil
}

// properties implements GetAll of the objects that stand for units.
func (m *manager) properties(path dbus.ObjectPath, kind string) map[string]dbus.Variant {
	m.mu.Lock()
	defer m.mu.Unlock()
	unit := unitOf(path)
	content, there := m.file(unit)
	loaded, known := m.loaded[unit]
	if !known && there {
		loaded, known = content, true
		m.loaded[unit] = content
	}
	state := map[string]any{"LoadState": "not-found", "ActiveState": "inactive", "UnitFileState": "", "NeedDaemonReload": false}
	if known {
		state["LoadState"], state["NeedDaemonReload"] = "loaded", !there || loaded != content
	}
	if there {
		state["UnitFileState"] = "disabled"
	}
	if len(m.links(unit)) > 0 {
		state["UnitFileState"] = "enabled"
	}
	if kind == "org.freedesktop.systemd1.Service" {
		state = map[string]any{"Result": "success"}
	}
	out := map[string]dbus.Variant{}
	for name, value := range state {
		out[name] = dbus.MakeVariant(value)
	}
	return out
}

// unitOf undoes the escaping of a unit's object path.
func unitOf(path dbus.ObjectPath) string {
	name := strings.TrimPrefix(string(path), "/org/freedesktop/systemd1/unit/")
	for _, r := range "-." {
		name = strings.ReplaceAll(name, systemd1.PathBusEscape(string(r)), string(r))
	}
	return name
}

// serve lets the manager answer on a socket below its root, as systemd does on
// its private one, and as a message bus with systemd on it would.
func (m *manager) serve(t *testing.T, socket string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(m.root, socket))
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer func() { _ = conn.Close() }()
				_ = m.answer(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		conns.Wait()
	})
}

// answer is the life of one connection: the handshake of the D-Bus specification,
// then one reply for each call.
func (m *manager) answer(conn net.Conn) error {
	in := bufio.NewReader(conn)
	if _, err := in.ReadByte(); err != nil {
		return err
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		reply := ""
		switch words := strings.Fields(line); {
		case words[0] == "BEGIN":
			return m.messages(in, conn)
		case len(words) > 1 && words[1] == "EXTERNAL":
			reply = "DATA"
		case words[0] == "DATA":
			reply = "OK 0123456789abcdef0123456789abcdef"
		case words[0] == "AUTH":
			reply = "REJECTED EXTERNAL"
		default:
			reply = "ERROR"
		}
		if _, err := conn.Write([]byte(reply + "\r\n")); err != nil {
			return err
		}
	}
}

func (m *manager) messages(in *bufio.Reader, conn net.Conn) error {
	for {
		call, err := dbus.DecodeMessage(in)
		if err != nil {
			return err
		}
		if call.Type != dbus.TypeMethodCall || m.silent {
			continue
		}
		body, refused := m.call(call)
		reply := &dbus.Message{Type: dbus.TypeMethodReply, Body: body, Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldReplySerial: dbus.MakeVariant(call.Serial()),
		}}
		if refused != nil {
			reply.Type, reply.Body = dbus.TypeError, refused.Body
			reply.Headers[dbus.FieldErrorName] = dbus.MakeVariant(refused.Name)
		}
		if len(reply.Body) > 0 {
			reply.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(reply.Body...))
		}
		if err := reply.EncodeTo(conn, binary.LittleEndian); err != nil {
			return err
		}
	}
}

// call carries out one method.
func (m *manager) call(call *dbus.Message) ([]any, *dbus.Error) {
	member, _ := call.Headers[dbus.FieldMember].Value().(string)
	path, _ := call.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
	if m.refuses != nil && !strings.HasPrefix(string(path), "/org/freedesktop/DBus") {
		return nil, m.refuses
	}
	switch member {
	case "Hello":
		return []any{":1.7"}, nil
	case "AddMatch":
		return nil, nil
	case "Reload":
		m.reload()
		return nil, nil
	case "Reboot":
		if path != "/org/freedesktop/login1" || call.Body[0] != false {
			return nil, dbus.NewError("org.freedesktop.DBus.Error.InvalidArgs", []any{"a person would be asked"})
		}
		m.reboots++
		return nil, nil
	case "EnableUnitFiles":
		installs, changes, refused := m.enable(call.Body[0].([]string), call.Body[1].(bool), call.Body[2].(bool))
		return []any{installs, changes}, refused
	case "DisableUnitFiles":
		changes, refused := m.disable(call.Body[0].([]string), call.Body[1].(bool))
		return []any{changes}, refused
	case "GetAll":
		return []any{m.properties(path, call.Body[0].(string))}, nil
	}
	return nil, dbus.NewError("org.freedesktop.DBus.Error.UnknownMethod", []any{"no method " + member})
}
