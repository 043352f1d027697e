package rtnl

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/netnstest"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/nlsock"
)

// asHardware returns link messages in which the named links are devices: without
// the kind that the kernel gives to what it makes by itself, and without a link
// that they are built on. A network namespace of a test has no device.
func asHardware(messages [][]byte, names ...string) [][]byte {
	out := make([][]byte, 0, len(messages))
	for _, message := range messages {
		l, _ := parseLink(message)
		hardware := false
		for _, name := range names {
			hardware = hardware || l.Name == name
		}
		if !hardware {
			out = append(out, message)
			continue
		}
		bare := append([]byte(nil), message[:unix.SizeofIfInfomsg]...)
		for kind, value := range nlsock.Attrs(message[unix.SizeofIfInfomsg:]) {
			if kind != unix.IFLA_LINKINFO && kind != unix.IFLA_LINK {
				bare = append(bare, nl.NewRtAttr(int(kind), value).Serialize()...)
			}
		}
		out = append(out, bare)
	}
	return out
}

// TestAddressesOfPodNetworks gives a node without a default route, address by
// address, what CNIs and container engines add to it.
func TestAddressesOfPodNetworks(t *testing.T) {
	netnstest.Enter(t)
	client := &Client{}
	add := func(link netlink.Link, addresses ...string) {
		t.Helper()
		if err := netlink.LinkAdd(link); err != nil {
			t.Fatalf("adding %s: %v", link.Attrs().Name, err)
		}
		for _, cidr := range addresses {
			assign(t, link.Attrs().Name, cidr)
		}
	}
	named := func(name string) netlink.LinkAttrs {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		return attrs
	}
	expect := func(what string, want map[string]string, hardware ...string) {
		t.Helper()
		d, err := client.dumpNetwork(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		d.links = asHardware(d.links, hardware...)
		reasons := nodeNetwork(d, netip.Addr{})
		got := map[string]string{}
		for _, message := range d.links {
			if l, _ := parseLink(message); reasons[l.Index] != "" {
				got[l.Name] = reasons[l.Index]
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	netnstest.Veth(t, "ens1f0", "wire0")
	netnstest.Veth(t, "ens2f0", "wire1")
	assign(t, "ens1f0", "192.0.2.1/24")
	only := map[string]string{"ens1f0": "carries the node's only global address"}
	expect("a node without pods", only, "ens1f0", "ens2f0")
	expect("addresses on purely virtual links alone", map[string]string{})

	add(&netlink.Bridge{LinkAttrs: named("cni0")}, "10.244.0.1/24")
	netnstest.Veth(t, "vethpod", "podend")
	port(t, "vethpod", "cni0")
	expect("cni0", only, "ens1f0", "ens2f0")
	add(&netlink.Bridge{LinkAttrs: named("docker0")}, "172.17.0.1/16")
	device := netnstest.Link(t, "ens1f0").Attrs().Index
	add(&netlink.Vxlan{LinkAttrs: named("flannel.1"), VxlanId: 1, VtepDevIndex: device, Port: 8472}, "10.244.0.0/32")
	add(&netlink.Tuntap{LinkAttrs: named("tap0"), Mode: netlink.TUNTAP_MODE_TAP}, "10.8.0.1/24", "2001:db8:8::1/64")
	assign(t, "wire1", "10.9.0.1/24")
	expect("cni0, docker0, flannel.1, tap0 and a veth", only, "ens1f0", "ens2f0")

	attrs := named("macvlan0")
	attrs.ParentIndex = netnstest.Link(t, "ens2f0").Attrs().Index
	add(&netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_BRIDGE}, "198.51.100.1/24")
	expect("a second address on a macvlan of hardware", map[string]string{}, "ens1f0", "ens2f0")
	expect("the address on a macvlan of hardware alone", map[string]string{
		"macvlan0": "carries the node's only global address",
		"ens2f0":   "is below macvlan0, which carries the node's only global address",
	}, "ens2f0")
	if err := netlink.LinkDel(netnstest.Link(t, "macvlan0")); err != nil {
		t.Fatal(err)
	}

	add(&netlink.Bridge{LinkAttrs: named("br0")}, "203.0.113.1/24")
	port(t, "ens2f0", "br0")
	expect("a bridge with a port of hardware", map[string]string{
		"br0":    "carries the node's only global address",
		"ens2f0": "is below br0, which carries the node's only global address",
	}, "ens2f0")
}

func port(t *testing.T, link, bridge string) {
	t.Helper()
	if err := netlink.LinkSetMaster(netnstest.Link(t, link), netnstest.Link(t, bridge)); err != nil {
		t.Fatal(err)
	}
}

func assign(t *testing.T, link, cidr string) {
	t.Helper()
	a, err := netlink.ParseAddr(cidr)
	if err != nil {
		t.Fatal(err)
	}
	a.Flags = syscall.IFA_F_NODAD
	if err := netlink.AddrAdd(netnstest.Link(t, link), a); err != nil {
		t.Fatalf("adding %s to %s: %v", cidr, link, err)
	}
}

// TestAsHardware keeps a message whole but for what makes a link virtual.
func TestAsHardware(t *testing.T) {
	in := message(unix.ARPHRD_ETHER, 4, unix.IFF_UP, text(unix.IFLA_IFNAME, "ens1f0"), nl.NewRtAttr(unix.IFLA_MTU, words(9000)),
		nl.NewRtAttr(unix.IFLA_LINK, words(5)), nested(unix.IFLA_LINKINFO, text(nl.IFLA_INFO_KIND, "veth")))
	l, ok := parseLink(asHardware([][]byte{in}, "ens1f0")[0])
	if !ok || l.Kind != "" || l.lower != 0 || l.MTU != 9000 || l.Index != 4 || !l.Up {
		t.Errorf("link is %+v", l)
	}
}
