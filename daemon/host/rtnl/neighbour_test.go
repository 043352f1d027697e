package rtnl_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/netnstest"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/rtnl"
)

// far is what is on the other end of a wire: a network namespace of its own.
type far struct {
	t          *testing.T
	here, away int
}

// wire connects ens1, in the namespace of the test, with a machine that has these
// addresses.
func wire(t *testing.T, addresses ...string) *far {
	t.Helper()
	netnstest.Enter(t)
	f := &far{t: t, here: ownNamespace(t)}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	f.away = ownNamespace(t)
	if err := unix.Setns(f.here, unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	netnstest.Veth(t, "ens1", "wire0")
	if err := netlink.LinkSetNsFd(netnstest.Link(t, "wire0"), f.away); err != nil {
		t.Fatal(err)
	}
	f.do(func() {
		for _, a := range addresses {
			address(t, "wire0", a)
		}
		up(t, "wire0", true)
	})
	up(t, "ens1", true)
	return f
}

// do does something on the far machine.
func (f *far) do(what func()) {
	f.t.Helper()
	if err := unix.Setns(f.away, unix.CLONE_NEWNET); err != nil {
		f.t.Fatal(err)
	}
	what()
	if err := unix.Setns(f.here, unix.CLONE_NEWNET); err != nil {
		f.t.Fatal(err)
	}
}

func ownNamespace(t *testing.T) int {
	t.Helper()
	fd, err := unix.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// address assigns an address, without looking first whether somebody has it.
func address(t *testing.T, link, cidr string) {
	t.Helper()
	addr, err := netlink.ParseAddr(cidr)
	if err != nil {
		t.Fatal(err)
	}
	if addr.IP.To4() == nil {
		addr.Flags = unix.IFA_F_NODAD
	}
	if err := netlink.AddrAdd(netnstest.Link(t, link), addr); err != nil {
		t.Fatalf("giving %s to %s: %v", cidr, link, err)
	}
}

func up(t *testing.T, name string, on bool) {
	t.Helper()
	set := netlink.LinkSetUp
	if !on {
		set = netlink.LinkSetDown
	}
	if err := set(netnstest.Link(t, name)); err != nil {
		t.Fatal(err)
	}
}

// defaultRoute leads over ens1.
func defaultRoute(t *testing.T, gateway string) {
	t.Helper()
	_, everywhere, _ := net.ParseCIDR("0.0.0.0/0")
	if net.ParseIP(gateway).To4() == nil {
		_, everywhere, _ = net.ParseCIDR("::/0")
	}
	route := &netlink.Route{LinkIndex: netnstest.Link(t, "ens1").Attrs().Index, Dst: everywhere, Gw: net.ParseIP(gateway)}
	if err := netlink.RouteAdd(route); err != nil {
		t.Fatalf("adding a default route by %s: %v", gateway, err)
	}
}

func ask(t *testing.T, gateway string, within time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	index := netnstest.Link(t, "ens1").Attrs().Index
	return (&rtnl.Client{}).AskGateway(ctx, host.Gateway{Address: gateway, Index: index, Link: "ens1"})
}

// A gateway answers, again and again; one that is not there, or whose wire is cut,
// does not, whatever the kernel remembers of it.
func TestAskGateway(t *testing.T) {
	f := wire(t, "192.0.2.1/24", "2001:db8::1/64")
	address(t, "ens1", "192.0.2.7/24")
	address(t, "ens1", "2001:db8::7/64")
	for _, gateway := range []string{"192.0.2.1", "2001:db8::1", "192.0.2.1"} {
		if err := ask(t, gateway, 10*time.Second); err != nil {
			t.Errorf("%s: %v", gateway, err)
		}
	}
	for _, gateway := range []string{"192.0.2.99", "2001:db8::99"} {
		if err := ask(t, gateway, 500*time.Millisecond); !errors.Is(err, host.ErrSilent) {
			t.Errorf("%s, which is not there: %v", gateway, err)
		}
	}
	// The address goes away, and the kernel still remembers who had it.
	f.do(func() {
		addr, _ := netlink.ParseAddr("192.0.2.1/24")
		if err := netlink.AddrDel(netnstest.Link(t, "wire0"), addr); err != nil {
			t.Fatal(err)
		}
	})
	if err := ask(t, "192.0.2.1", 500*time.Millisecond); !errors.Is(err, host.ErrSilent) {
		t.Errorf("after its address is gone: %v", err)
	}
	f.do(func() { address(t, "wire0", "192.0.2.1/24") })
	if err := ask(t, "192.0.2.1", 10*time.Second); err != nil {
		t.Errorf("after its address is back: %v", err)
	}
	f.do(func() { up(t, "wire0", false) })
	if err := ask(t, "192.0.2.1", 500*time.Millisecond); !errors.Is(err, host.ErrSilent) {
		t.Errorf("with the wire cut: %v", err)
	}
	// A neighbour set for good is never asked.
	static := &netlink.Neigh{
		LinkIndex: netnstest.Link(t, "ens1").Attrs().Index, State: netlink.NUD_PERMANENT,
		IP: net.ParseIP("192.0.2.50"), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1},
	}
	if err := netlink.NeighSet(static); err != nil {
		t.Fatal(err)
	}
	if err := ask(t, "192.0.2.50", time.Second); err != nil {
		t.Errorf("a permanent neighbour: %v", err)
	}
}

// The gateways are those of default routes over links that are up, of any family
// and table.
func TestGateways(t *testing.T) {
	wire(t, "192.0.2.1/24")
	address(t, "ens1", "192.0.2.7/24")
	address(t, "ens1", "2001:db8::7/64")
	client := &rtnl.Client{}
	list := func() []host.Gateway {
		t.Helper()
		found, err := client.Gateways(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if got := list(); len(got) > 0 {
		t.Errorf("without a default route: %v", got)
	}
	defaultRoute(t, "192.0.2.1")
	defaultRoute(t, "2001:db8::1")
	index := netnstest.Link(t, "ens1").Attrs().Index
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: index, Dst: &net.IPNet{IP: net.IPv4(198, 51, 100, 0), Mask: net.CIDRMask(24, 32)}, Gw: net.ParseIP("192.0.2.3")}); err != nil {
		t.Fatal(err)
	}
	_, everywhere, _ := net.ParseCIDR("0.0.0.0/0")
	multi := &netlink.Route{Table: 7, Dst: everywhere, MultiPath: []*netlink.NexthopInfo{
		{LinkIndex: index, Gw: net.ParseIP("192.0.2.1")}, {LinkIndex: index, Gw: net.ParseIP("192.0.2.2")},
	}}
	if err := netlink.RouteAdd(multi); err != nil {
		t.Fatal(err)
	}
	want := []host.Gateway{
		{Address: "192.0.2.1", Index: index, Link: "ens1"}, {Address: "192.0.2.2", Index: index, Link: "ens1"},
		{Address: "2001:db8::1", Index: index, Link: "ens1"},
	}
	byAddress := cmpopts.SortSlices(func(a, b host.Gateway) bool { return a.Address < b.Address })
	if diff := cmp.Diff(want, list(), byAddress); diff != "" {
		t.Errorf("gateways (-want +got):\n%s", diff)
	}
	up(t, "ens1", false)
	if got := list(); len(got) > 0 {
		t.Errorf("with the link down: %v", got)
	}
}
