package uevent

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

// patience bounds waits for what the kernel does at once.
const patience = 10 * time.Second

func add(t *testing.T, link netlink.Link) {
	t.Helper()
	if err := netlink.LinkAdd(link); err != nil {
		t.Fatal(err)
	}
}

func named(name string) netlink.LinkAttrs {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	return attrs
}

// next waits for an event of a device, others before it notwithstanding.
func next(t *testing.T, events <-chan host.Event, device string) []host.Event {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	var seen []host.Event
	for {
		select {
		case event, ok := <-events:
			if !ok {
				t.Fatalf("the subscription has ended; wanted an event of %s, saw %v", device, seen)
			}
			seen = append(seen, event)
			if event.Device == device {
				return seen
			}
		case <-deadline.C:
			t.Fatalf("no event of %s, only %v", device, seen)
		}
	}
}

func TestSubscribe(t *testing.T) {
	netnstest.Enter(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events, err := (&Client{}).Subscribe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// A pod's interface is not told, the bridge that is made after it is.
	netnstest.Veth(t, "pod0", "eth0")
	add(t, &netlink.Bridge{LinkAttrs: named("br0")})
	if seen := next(t, events, "br0"); len(seen) != 1 || seen[0].Source != "netlink" {
		t.Errorf("events are %v", seen)
	}
	if err := netlink.LinkSetMTU(netnstest.Link(t, "br0"), 9000); err != nil {
		t.Fatal(err)
	}
	next(t, events, "br0")
	if err := netlink.LinkDel(netnstest.Link(t, "br0")); err != nil {
		t.Fatal(err)
	}
	next(t, events, "br0")
	cancel()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		select {
		case _, ok := <-events:
			if !ok {
				return
			}
		case <-deadline.C:
			t.Fatal("the channel is still open")
		}
	}
}

// TestKernelUevents reads the kernel's own uevents of the namespace.
func TestKernelUevents(t *testing.T) {
	netnstest.Enter(t)
	socket, err := open(unix.NETLINK_KOBJECT_UEVENT, receiveBuffer)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	if err := socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	conn, err := socket.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	add(t, &netlink.Bridge{LinkAttrs: named("br0")})
	buffer := make([]byte, messageRoom)
	want := uevent{action: "add", device: "/devices/virtual/net/br0", subsystem: "net"}
	for {
		message, err := receive(conn, buffer)
		if err != nil {
			t.Fatalf("waiting for %+v: %v", want, err)
		}
		if got, ok := parseUevent(message); ok && got == want {
			break
		}
	}
	if want.concerns() {
		t.Error("a virtual interface concerns PFs")
	}
}

// TestOverrun leaves so many messages unread that the kernel drops some.
func TestOverrun(t *testing.T) {
	netnstest.Enter(t)
	socket, err := open(unix.NETLINK_ROUTE, 2048)
	if err != nil {
		t.Fatal(err)
	}
	add(t, &netlink.Bridge{LinkAttrs: named("br0")})
	for mtu := 1400; mtu < 1500; mtu++ {
		if err := netlink.LinkSetMTU(netnstest.Link(t, "br0"), mtu); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	events, done := make(chan host.Event, waiting), make(chan struct{})
	go func() {
		defer close(done)
		read(ctx, socket, events, sourceNetlink, parseLinks)
	}()
	next(t, events, overrun)
	cancel()
	_ = socket.Close()
	<-done
}

// TestForeign has a process, not the kernel, send to the socket.
func TestForeign(t *testing.T) {
	netnstest.Enter(t)
	socket, err := open(unix.NETLINK_ROUTE, receiveBuffer)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	conn, err := socket.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var to unix.Sockaddr
	if err := conn.Control(func(fd uintptr) { to, err = unix.Getsockname(int(fd)) }); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Sendto(fd, []byte("add@/devices/pci0000:3a/fake\x00SUBSYSTEM=pci\x00"), 0, to); err != nil {
		t.Fatal(err)
	}
	if err := socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if message, err := receive(conn, make([]byte, messageRoom)); !errors.Is(err, errForeign) {
		t.Errorf("receive = %q, %v", message, err)
	}
}

// TestSlowReader holds that events beyond the room are dropped, not waited for.
func TestSlowReader(t *testing.T) {
	out := make(chan host.Event, 2)
	for range 5 {
		deliver(out, host.Event{Source: sourceUevent, Device: "/devices/pci0000:3a"})
	}
	if len(out) != 2 {
		t.Errorf("%d events wait", len(out))
	}
}

func TestParseUevent(t *testing.T) {
	const vf = "/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.2"
	tests := []struct {
		name, message string
		want          []host.Event
	}{
		{"a VF appears", "add@" + vf + "\x00ACTION=add\x00DEVPATH=" + vf + "\x00SUBSYSTEM=pci\x00PCI_CLASS=20000\x00SEQNUM=4711\x00",
			[]host.Event{{Source: "uevent", Device: vf}}},
		{"its netdev", "add@" + vf + "/net/eth5\x00ACTION=add\x00DEVPATH=" + vf + "/net/eth5\x00SUBSYSTEM=net\x00INTERFACE=eth5\x00",
			[]host.Event{{Source: "uevent", Device: vf + "/net/eth5"}}},
		{"a pod's netdev", "add@/devices/virtual/net/veth1\x00ACTION=add\x00DEVPATH=/devices/virtual/net/veth1\x00SUBSYSTEM=net\x00", nil},
		{"a queue", "add@" + vf + "/net/eth5/queues/rx-0\x00ACTION=add\x00DEVPATH=" + vf + "/net/eth5/queues/rx-0\x00SUBSYSTEM=queues\x00", nil},
		{"udev's", "libudev\x00\xfe\xed\xca\xfe", nil},
		{"no fields", "add@" + vf + "\x00", nil},
		{"no NUL", "add@" + vf, nil},
		{"empty", "", nil},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, parseDevices([]byte(test.message))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("add@/devices/pci0000:3a\x00ACTION=add\x00DEVPATH=/devices/pci0000:3a\x00SUBSYSTEM=pci\x00"))
	// A link notification: header, ifinfomsg, IFLA_IFNAME.
	f.Add([]byte("\x2c\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x01\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09\x00\x03\x00eth0\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, event := range append(parseDevices(data), parseLinks(data)...) {
			if event.Source != sourceUevent && event.Source != sourceNetlink {
				t.Errorf("event %+v has no source", event)
			}
		}
	})
}
