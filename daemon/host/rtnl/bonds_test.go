package rtnl

import (
	"encoding/hex"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/netnstest"
)

// member is a bond's port as the kernel tells it (bond_fill_slave_info).
func member(index int, name string, bond uint32, state, mii byte, aggregator uint16) []byte {
	return message(unix.ARPHRD_ETHER, index, unix.IFF_UP, text(unix.IFLA_IFNAME, name), nl.NewRtAttr(unix.IFLA_MASTER, words(bond)),
		nested(unix.IFLA_LINKINFO, text(infoSlaveKind, "bond"),
			nested(infoSlaveData, nl.NewRtAttr(memberState, []byte{state}), nl.NewRtAttr(memberMIIStatus, []byte{mii}),
				nl.NewRtAttr(3, words(0)), nl.NewRtAttr(memberAggregator, nl.Uint16Attr(aggregator)))))
}

// TestParseBonds reads an 802.3ad bond, an active-backup bond with a dead backup,
// and what is no bond.
func TestParseBonds(t *testing.T) {
	lacp := message(unix.ARPHRD_ETHER, 9, unix.IFF_UP|unix.IFF_LOWER_UP, text(unix.IFLA_IFNAME, "bond1"), nl.NewRtAttr(unix.IFLA_MTU, words(9000)),
		nested(unix.IFLA_LINKINFO, text(nl.IFLA_INFO_KIND, "bond"),
			nested(nl.IFLA_INFO_DATA, nl.NewRtAttr(bondMode, []byte{4}), nl.NewRtAttr(bondMiimon, words(100)),
				nl.NewRtAttr(bondXmitHashPolicy, []byte{1}), nl.NewRtAttr(bondADLACPRate, []byte{1}),
				nested(bondADInfo, nl.NewRtAttr(adAggregator, nl.Uint16Attr(2)), nl.NewRtAttr(adPorts, nl.Uint16Attr(2)),
					nl.NewRtAttr(3, nl.Uint16Attr(21)), nl.NewRtAttr(4, nl.Uint16Attr(32)),
					nl.NewRtAttr(adPartnerMAC, []byte{0, 0x1c, 0x73, 0, 0, 1})))))
	backup := message(unix.ARPHRD_ETHER, 5, 0, text(unix.IFLA_IFNAME, "bond0"),
		nested(unix.IFLA_LINKINFO, text(nl.IFLA_INFO_KIND, "bond"),
			nested(nl.IFLA_INFO_DATA, nl.NewRtAttr(bondMode, []byte{1}), nl.NewRtAttr(bondXmitHashPolicy, []byte{9}))))
	got := parseBonds([][]byte{
		lacp, member(12, "ens1f1np1", 9, 0, 0, 2), uplink(), member(11, "ens1f0np0", 9, 0, 0, 2), backup,
		member(14, "eth0", 5, 0, 0, 0), member(13, "eth1", 5, 1, 2, 0), {1, 2, 3},
	})
	want := []host.Bond{
		{Index: 5, Name: "bond0", BondOptions: host.BondOptions{Mode: "active-backup", XmitHashPolicy: "unknown(9)"}, Members: []host.BondMember{
			{Index: 13, Name: "eth1"}, {Index: 14, Name: "eth0", Active: true, Linked: true},
		}},
		{Index: 9, Name: "bond1", MTU: 9000, Up: true, Carrier: true,
			BondOptions: host.BondOptions{Mode: "802.3ad", MiimonMilliseconds: 100, XmitHashPolicy: "layer3+4", LACPRate: "fast"},
			LACP:        &host.LACP{Aggregator: 2, Ports: 2, PartnerMAC: "00:1c:73:00:00:01"},
			Members: []host.BondMember{
				{Index: 11, Name: "ens1f0np0", Active: true, Linked: true, Aggregator: 2},
				{Index: 12, Name: "ens1f1np1", Active: true, Linked: true, Aggregator: 2},
			}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bonds (-want +got):\n%s", diff)
	}
}

// FuzzParseBonds must not fail on anything that a kernel may send.
func FuzzParseBonds(f *testing.F) {
	f.Add(bond())
	f.Add(member(3, "eth0", 9, 0, 0, 1))
	f.Fuzz(func(_ *testing.T, message []byte) { parseBonds([][]byte{message}) })
}

// TestBondAttributes compares what is sent with what ip link add bond1 type bond
// mode 802.3ad miimon 100 lacp_rate fast xmit_hash_policy layer3+4 is in uapi
// if_link.h: kind 1 "bond", data 2 of u8 mode 1, u8 hash 14, u8 rate 21, u32 miimon 3.
func TestBondAttributes(t *testing.T) {
	data, err := bondData(host.BondOptions{Mode: "802.3ad", MiimonMilliseconds: 100, XmitHashPolicy: "layer3+4", LACPRate: "fast"})
	if err != nil {
		t.Fatal(err)
	}
	want := "3000" + "1200" + "0800" + "0100" + "626f6e64" +
		"2400" + "0200" +
		"0500" + "0100" + "04000000" +
		"0500" + "0e00" + "01000000" +
		"0500" + "1500" + "01000000" +
		"0800" + "0300" + "64000000"
	if got := hex.EncodeToString(bondInfo(data).Serialize()); got != want {
		t.Errorf("attributes are\n%s, want\n%s", got, want)
	}
	if data, err := bondData(host.BondOptions{XmitHashPolicy: "layer2"}); err != nil || len(data) != 1 {
		t.Errorf("what is empty is sent: %v, %v", data, err)
	}
	for _, o := range []host.BondOptions{{Mode: "802.3AD"}, {XmitHashPolicy: "layer4"}, {LACPRate: "quick"}} {
		if _, err := bondData(o); err == nil {
			t.Errorf("%+v is encoded", o)
		}
	}
}

// bonding tells whether this kernel makes bonds.
func bonding(t *testing.T) bool {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "probe0"
	link := netlink.NewLinkBond(attrs)
	if err := netlink.LinkAdd(link); err != nil {
		return false
	}
	return netlink.LinkDel(link) == nil
}

// TestBondsOnKernel makes a bond of two veths, or is told that the kernel makes none.
func TestBondsOnKernel(t *testing.T) {
	netnstest.Enter(t)
	b := &Bonds{Client: &Client{}}
	options := host.BondOptions{Mode: "802.3ad", MiimonMilliseconds: 50, XmitHashPolicy: "layer2+3", LACPRate: "fast"}
	if !bonding(t) {
		expect(t, b.Create(t.Context(), "bond1", options), syscall.EOPNOTSUPP, "Unknown device type")
		return
	}
	first, _ := netnstest.Veth(t, "ens1f0", "wire0")
	ok(t, b.Create(t.Context(), "bond1", options))
	expect(t, b.Create(t.Context(), "bond1", options), syscall.EEXIST, "")
	list, err := b.List(t.Context())
	ok(t, err)
	if len(list) != 1 || list[0].Name != "bond1" || list[0].BondOptions != options {
		t.Fatalf("bonds are %+v", list)
	}
	bond := list[0].Index
	ok(t, b.SetUp(t.Context(), first, true))
	expect(t, b.SetMaster(t.Context(), first, bond), syscall.EPERM, "Device can not be enslaved while up")
	ok(t, b.SetUp(t.Context(), first, false))
	ok(t, b.SetMaster(t.Context(), first, bond))
	expect(t, b.SetOptions(t.Context(), bond, host.BondOptions{Mode: "active-backup"}), syscall.ENOTEMPTY, "")
	ok(t, b.SetOptions(t.Context(), bond, host.BondOptions{MiimonMilliseconds: 100, XmitHashPolicy: "layer3+4"}))
	list, err = b.List(t.Context())
	ok(t, err)
	if got := list[0]; got.MiimonMilliseconds != 100 || len(got.Members) != 1 || got.Members[0].Index != first {
		t.Errorf("bond is %+v", got)
	}
	ok(t, b.SetMaster(t.Context(), first, 0))
	ok(t, b.Delete(t.Context(), bond))
	if list, err = b.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("bonds are %+v, %v", list, err)
	}
}

// TestMasterOnKernel puts a link into a master and takes it out, and deletes the
// master, as with a bond.
func TestMasterOnKernel(t *testing.T) {
	netnstest.Enter(t)
	b := &Bonds{Client: &Client{}}
	first, second := netnstest.Veth(t, "ens1f0", "wire0")
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "br0"
	ok(t, netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}))
	master := netnstest.Link(t, "br0").Attrs().Index
	ok(t, b.SetMaster(t.Context(), first, master))
	if got := netnstest.Link(t, "ens1f0").Attrs().MasterIndex; got != master {
		t.Errorf("master is %d, want %d", got, master)
	}
	ok(t, b.SetMaster(t.Context(), first, 0))
	if got := netnstest.Link(t, "ens1f0").Attrs().MasterIndex; got != 0 {
		t.Errorf("master is %d", got)
	}
	expect(t, b.SetMaster(t.Context(), first, second), syscall.EOPNOTSUPP, "")
	expect(t, b.SetMaster(t.Context(), first, 4711), syscall.EINVAL, "")
	expect(t, b.SetMaster(t.Context(), 4711, master), syscall.ENODEV, "")
	ok(t, b.Delete(t.Context(), master))
	expect(t, b.Delete(t.Context(), master), syscall.ENODEV, "")
	if list, err := b.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("bonds are %+v, %v", list, err)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, err error, errno syscall.Errno, words string) {
	t.Helper()
	var refusal *host.Error
	if !errors.As(err, &refusal) || refusal.Errno != errno || !strings.Contains(refusal.Text, words) {
		t.Errorf("got %v, want %v with the words %q", err, errno, words)
	}
}
