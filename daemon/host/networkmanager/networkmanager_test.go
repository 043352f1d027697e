package networkmanager_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/networkmanager"
)

// bus is a system bus with one client at a time.
type bus struct {
	// running: somebody owns NetworkManager's name.
	running bool
	// refusal is the error that Reload answers, empty for none; silent does not
	// answer at all.
	refusal string
	silent  bool

	mu     sync.Mutex
	called []string
}

// listen serves a bus on a socket until the test ends.
func (b *bus) listen(t *testing.T) string {
	t.Helper()
	// Under /tmp with a short name: a socket's path has at most 107 bytes.
	socket := filepath.Join(t.TempDir(), "bus")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go b.serve(conn)
		}
	}()
	return socket
}

// serve speaks the D-Bus specification's "Authentication Protocol" and then
// answers calls.
func (b *bus) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	for begun := false; !begun; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		answer := "ERROR\r\n"
		switch line = strings.TrimLeft(line, "\x00"); {
		case strings.HasPrefix(line, "AUTH EXTERNAL"):
			answer = "DATA\r\n"
		case strings.HasPrefix(line, "DATA"):
			answer = "OK 0123456789abcdef0123456789abcdef\r\n"
		case strings.HasPrefix(line, "AUTH"):
			answer = "REJECTED EXTERNAL\r\n"
		case strings.HasPrefix(line, "BEGIN"):
			begun, answer = true, ""
		}
		if _, err := conn.Write([]byte(answer)); err != nil {
			return
		}
	}
	for {
		call, err := dbus.DecodeMessage(in)
		if err != nil {
			return
		}
		answer := b.answer(call)
		if answer == nil {
			continue
		}
		answer.Headers[dbus.FieldReplySerial] = dbus.MakeVariant(call.Serial())
		if err := answer.EncodeTo(conn, binary.LittleEndian); err != nil {
			return
		}
	}
}

func (b *bus) answer(call *dbus.Message) *dbus.Message {
	member, _ := call.Headers[dbus.FieldMember].Value().(string)
	b.mu.Lock()
	b.called = append(b.called, member)
	b.mu.Unlock()
	out := &dbus.Message{Type: dbus.TypeMethodReply, Headers: map[dbus.HeaderField]dbus.Variant{}}
	with := func(value any) {
		out.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(value))
		out.Body = []any{value}
	}
	switch {
	case member == "Hello":
		with(":1.1")
	case member == "NameHasOwner":
		with(b.running)
	case b.silent:
		return nil
	case b.refusal != "" || len(call.Body) != 1 || call.Body[0] != uint32(0):
		out.Type = dbus.TypeError
		out.Headers[dbus.FieldErrorName] = dbus.MakeVariant(b.refusal)
		with("no")
	}
	return out
}

func (b *bus) reloaded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.called, "Reload")
}

func TestReload(t *testing.T) {
	b := &bus{running: true}
	if err := (&networkmanager.Client{Socket: b.listen(t)}).Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !b.reloaded() {
		t.Errorf("not told: %v", b.called)
	}
}

// Where there is nobody to tell, nothing is wrong, and nothing is started.
func TestNotRunning(t *testing.T) {
	if err := (&networkmanager.Client{Socket: filepath.Join(t.TempDir(), "none")}).Reload(t.Context()); err != nil {
		t.Errorf("no bus: %v", err)
	}
	b := &bus{}
	if err := (&networkmanager.Client{Socket: b.listen(t)}).Reload(t.Context()); err != nil || b.reloaded() {
		t.Errorf("nobody has the name: %v, told %t", err, b.reloaded())
	}
	b = &bus{running: true, refusal: "org.freedesktop.DBus.Error.ServiceUnknown"}
	if err := (&networkmanager.Client{Socket: b.listen(t)}).Reload(t.Context()); err != nil {
		t.Errorf("it has ended: %v", err)
	}
}

func TestRefused(t *testing.T) {
	b := &bus{running: true, refusal: name + ".PermissionDenied"}
	err := (&networkmanager.Client{Socket: b.listen(t)}).Reload(t.Context())
	var refused *host.Error
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "NetworkManager: no") {
		t.Errorf("got %v", err)
	}
}

// A bus that does not answer holds nobody up for longer than the context.
func TestSilent(t *testing.T) {
	b := &bus{running: true, silent: true}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := (&networkmanager.Client{Socket: b.listen(t)}).Reload(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

const name = "org.freedesktop.NetworkManager"
