package netnstest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// marker is set in the environment of a test binary that Main has started again.
const marker = "NETNSTEST_USER_NAMESPACE"

// Main runs a package's tests with the right to make network namespaces: as they
// are for root, else in the same binary started again as root of a new user
// namespace. TestMain calls it.
func Main(m *testing.M) {
	if os.Geteuid() == 0 || os.Getenv(marker) != "" {
		os.Exit(m.Run())
	}
	again := exec.Command("/proc/self/exe", os.Args[1:]...)
	again.Env = append(os.Environ(), marker+"=1")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	err := again.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil:
		fmt.Fprintln(os.Stderr, "starting the tests again in a user namespace:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Enter puts the rest of a test into a network namespace of its own, which has
// only a loopback interface. The test's thread ends with it; goroutines that it
// starts run on other threads, outside.
func Enter(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("making a network namespace: %v", err)
	}
}

// Veth makes a pair of connected interfaces in the namespace of the calling test
// and returns their ifindexes.
func Veth(t *testing.T, name, peer string) (index, peerIndex int) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: peer}); err != nil {
		t.Fatalf("making veth %s: %v", name, err)
	}
	return Link(t, name).Attrs().Index, Link(t, peer).Attrs().Index
}

// Link returns an interface of the namespace of the calling test.
func Link(t *testing.T, name string) netlink.Link {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatalf("finding %s: %v", name, err)
	}
	return link
}
