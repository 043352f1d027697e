package rtnl_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/netnstest"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/rtnl"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

func list(t *testing.T, c *rtnl.Client) map[string]host.Link {
	t.Helper()
	links, err := c.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]host.Link{}
	for _, l := range links {
		out[l.Name] = l
	}
	return out
}

func try(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func TestList(t *testing.T) {
	netnstest.Enter(t)
	c := &rtnl.Client{}
	index, peer := netnstest.Veth(t, "ens1f0", "wire0")
	link := netnstest.Link(t, "ens1f0")
	mac, err := net.ParseMAC("02:00:00:00:00:01")
	try(t, "parsing", err)
	try(t, "setting the MAC", netlink.LinkSetHardwareAddr(link, mac))
	try(t, "adding names", netlink.LinkAddAltName(link, "enp59s0f0"))
	try(t, "adding names", netlink.LinkAddAltName(link, "enxb83fd2000000"))
	got := list(t, c)
	want := host.Link{
		Index: index, Name: "ens1f0", AltNames: []string{"enp59s0f0", "enxb83fd2000000"},
		MAC: "02:00:00:00:00:01", MTU: 1500, Kind: "veth",
	}
	if diff := cmp.Diff(want, got["ens1f0"]); diff != "" {
		t.Errorf("link (-want +got):\n%s", diff)
	}
	if got["wire0"].Index != peer || got["lo"].Index == 0 {
		t.Errorf("links are %+v", got)
	}

	try(t, "setting up", c.SetUp(t.Context(), index, true))
	if l := list(t, c)["ens1f0"]; !l.Up || l.Carrier {
		t.Errorf("up with its peer down: %+v", l)
	}
	try(t, "setting up", c.SetUp(t.Context(), peer, true))
	if l := list(t, c)["ens1f0"]; !l.Up || !l.Carrier {
		t.Errorf("up with its peer up: %+v", l)
	}
	try(t, "setting down", c.SetUp(t.Context(), index, false))
	try(t, "setting the MTU", c.SetMTU(t.Context(), index, 9000))
	if l := list(t, c)["ens1f0"]; l.Up || l.Carrier || l.MTU != 9000 {
		t.Errorf("down, MTU 9000: %+v", l)
	}
}

func TestMasters(t *testing.T) {
	netnstest.Enter(t)
	c := &rtnl.Client{}
	netnstest.Veth(t, "ens1f0", "wire0")
	bridge(t, "br0", "ens1f0")
	try(t, "adding a macvlan", netlink.LinkAdd(&netlink.Macvlan{LinkAttrs: vlanOn(t, "macvlan0", "wire0"), Mode: netlink.MACVLAN_MODE_BRIDGE}))
	got := list(t, c)
	if got["ens1f0"].MasterIndex != got["br0"].Index || got["br0"].Kind != "bridge" || got["macvlan0"].Kind != "macvlan" {
		t.Errorf("links are %+v", got)
	}
}

func vlanOn(t *testing.T, name, lower string) netlink.LinkAttrs {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = name, netnstest.Link(t, lower).Attrs().Index
	return attrs
}

func TestRefusals(t *testing.T) {
	netnstest.Enter(t)
	c := &rtnl.Client{}
	index, _ := netnstest.Veth(t, "ens1f0", "wire0")
	tests := []struct {
		name  string
		do    func(context.Context) error
		errno syscall.Errno
		text  string
	}{
		{"no such link", func(ctx context.Context) error { return c.SetUp(ctx, 4711, true) }, syscall.ENODEV, ""},
		{"MTU too large", func(ctx context.Context) error { return c.SetMTU(ctx, index, 70000) }, syscall.EINVAL, "mtu greater than device maximum"},
		{"MTU too small", func(ctx context.Context) error { return c.SetMTU(ctx, index, 1) }, syscall.EINVAL, "mtu less than device minimum"},
		{"no VFs", func(ctx context.Context) error { return c.SetVFMAC(ctx, index, 0, "02:00:00:00:00:01") }, syscall.EOPNOTSUPP, ""},
		{"VFs of no link", func(ctx context.Context) error { _, err := c.VFs(ctx, 4711); return err }, syscall.ENODEV, ""},
	}
	for _, test := range tests {
		err := test.do(t.Context())
		var refusal *host.Error
		if !errors.As(err, &refusal) || refusal.Errno != test.errno || !strings.Contains(refusal.Text, test.text) {
			t.Errorf("%s: %v; want %v with text %q", test.name, err, test.errno, test.text)
		}
	}
	want := "setting MTU 70000 on ens1f0: invalid argument (mtu greater than device maximum)"
	if err := c.SetMTU(t.Context(), index, 70000); err == nil || err.Error() != want {
		t.Errorf("refused MTU: %v\nwant %s", err, want)
	}
	if err := c.SetVFMAC(t.Context(), index, 0, "not a MAC"); err == nil || !strings.Contains(err.Error(), "not a MAC") {
		t.Errorf("bad MAC: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.List(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	vfs, err := c.VFs(t.Context(), index)
	if err != nil || len(vfs) != 0 {
		t.Errorf("VFs of a link without: %v, %v", vfs, err)
	}
}

// TestNodeNetwork finds the links of default routes, of any table, and of the
// node's own address.
func TestNodeNetwork(t *testing.T) {
	netnstest.Enter(t)
	network := func(nodeIP string) map[string]string {
		t.Helper()
		c := &rtnl.Client{}
		if nodeIP != "" {
			c.NodeIP = netip.MustParseAddr(nodeIP)
		}
		reasons, err := c.NodeNetwork(t.Context())
		try(t, "asking", err)
		out := map[string]string{}
		for name, link := range list(t, c) {
			if reason := reasons[link.Index]; reason != "" {
				out[name] = reason
			}
		}
		return out
	}
	expect := func(what, nodeIP string, want map[string]string) {
		t.Helper()
		if diff := cmp.Diff(want, network(nodeIP)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	c := &rtnl.Client{}
	index, peer := netnstest.Veth(t, "ens1f0", "wire0")
	other, _ := netnstest.Veth(t, "ens2f0", "wire1")
	for _, i := range []int{index, peer, other} {
		try(t, "setting up", c.SetUp(t.Context(), i, true))
	}
	expect("without addresses", "", map[string]string{})
	bridge(t, "br0", "ens1f0")
	bridge(t, "cni0")
	addAddress(t, "br0", "192.0.2.1/24")
	addAddress(t, "ens2f0", "2001:db8::1/64")
	addAddress(t, "cni0", "10.244.0.1/24")
	onBridge := map[string]string{
		"br0":    "carries the node's address 192.0.2.1",
		"ens1f0": "is below br0, which carries the node's address 192.0.2.1",
	}
	expect("the node's address", "192.0.2.1", onBridge)
	expect("the node's IPv6 address", "2001:db8::1", map[string]string{"ens2f0": "carries the node's address 2001:db8::1"})
	expect("an address of no link", "192.0.2.99", map[string]string{})

	macvlan := &netlink.Macvlan{LinkAttrs: vlanOn(t, "macvlan0", "wire0"), Mode: netlink.MACVLAN_MODE_BRIDGE}
	try(t, "adding a macvlan", netlink.LinkAdd(macvlan))
	try(t, "setting up", netlink.LinkSetUp(netnstest.Link(t, "macvlan0")))
	addDefault(t, "ens2f0", net.ParseIP("2001:db8::2"), 100)
	addDefault(t, "macvlan0", nil, 1000)
	expect("policy routing", "", map[string]string{
		"ens2f0":   "carries the default route of table 100",
		"macvlan0": "carries the default route of table 1000",
		"wire0":    "is below macvlan0, which carries the default route of table 1000",
	})
	addDefault(t, "macvlan0", nil, 254)
	want := map[string]string{
		"ens2f0":   "carries the default route of table 100",
		"macvlan0": "carries the default route",
		"wire0":    "is below macvlan0, which carries the default route",
	}
	expect("default route", "", want)
	addDefault(t, "ens2f0", net.ParseIP("2001:db8::2"), 254)
	want["ens2f0"] = "carries the default route"
	expect("two default routes", "", want)
	maps.Copy(want, onBridge)
	expect("two default routes and the node's address", "192.0.2.1", want)
}

func bridge(t *testing.T, name string, ports ...string) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	try(t, "adding a bridge", netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}))
	for _, port := range ports {
		try(t, "adding a port", netlink.LinkSetMaster(netnstest.Link(t, port), netnstest.Link(t, name)))
	}
	try(t, "setting up", netlink.LinkSetUp(netnstest.Link(t, name)))
}

func addAddress(t *testing.T, link, cidr string) {
	t.Helper()
	address, err := netlink.ParseAddr(cidr)
	try(t, "parsing", err)
	address.Flags = syscall.IFA_F_NODAD
	try(t, "adding an address", netlink.AddrAdd(netnstest.Link(t, link), address))
}

// addDefault adds a default route; gateway nil means an IPv4 one without.
func addDefault(t *testing.T, link string, gateway net.IP, table int) {
	t.Helper()
	all := &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}
	if gateway != nil {
		all = &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	}
	try(t, "adding a route", netlink.RouteAdd(&netlink.Route{
		LinkIndex: netnstest.Link(t, link).Attrs().Index, Dst: all, Gw: gateway, Table: table, Scope: netlink.SCOPE_UNIVERSE,
	}))
}

// TestManyLinks keeps a dump of a node with many links whole.
func TestManyLinks(t *testing.T) {
	netnstest.Enter(t)
	c := &rtnl.Client{}
	netnstest.Veth(t, "ens1f0", "wire0")
	const macvlans = 120
	for i := range macvlans {
		attrs := vlanOn(t, "vf"+string(rune('a'+i/26))+string(rune('a'+i%26)), "ens1f0")
		try(t, "adding a macvlan", netlink.LinkAdd(&netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_BRIDGE}))
	}
	found := 0
	for _, l := range list(t, c) {
		if l.Kind == "macvlan" {
			found++
		}
	}
	if found != macvlans {
		t.Errorf("%d macvlans listed, want %d", found, macvlans)
	}
}
