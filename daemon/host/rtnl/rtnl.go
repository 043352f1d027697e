package rtnl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/bounded"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/nlsock"
)

// Extension masks of a link request (uapi rtnetlink.h). Statistics are most of
// an answer and nobody here reads them.
const (
	extVF        = 1 << 0
	extSkipStats = 1 << 3
)

// Client talks rtnetlink. The zero value is ready for use.
type Client struct {
	// NodeIP is the address under which the node is known to its cluster; the
	// zero value when it is not known. It does not change while calls run.
	NodeIP netip.Addr

	calls bounded.Calls
}

var _ host.Links = (*Client)(nil)

// List returns all links in one dump, without VF information.
func (c *Client) List(ctx context.Context) ([]host.Link, error) {
	answers, err := c.dumpLinks(ctx, "listing links")
	if err != nil {
		return nil, err
	}
	out := make([]host.Link, 0, len(answers))
	for _, answer := range answers {
		if link, ok := parseLink(answer); ok {
			out = append(out, link.Link)
		}
	}
	return out, nil
}

// VFs returns what a PF's link says of its VFs.
func (c *Client) VFs(ctx context.Context, index int) ([]host.LinkVF, error) {
	request := linkRequest(unix.RTM_GETLINK, unix.NLM_F_ACK, index, 0, 0)
	addUint32(request, unix.IFLA_EXT_MASK, extVF|extSkipStats)
	answers, err := c.doLink(ctx, "reading VF settings", index, request)
	if err != nil {
		return nil, err
	}
	var out []host.LinkVF
	for _, answer := range answers {
		out = append(out, parseVFs(answer)...)
	}
	return out, nil
}

// NodeNetwork returns why the node's own network depends on links, by ifindex.
func (c *Client) NodeNetwork(ctx context.Context) (map[int]string, error) {
	d, err := c.dumpNetwork(ctx)
	if err != nil {
		return nil, err
	}
	return nodeNetwork(d, c.NodeIP), nil
}

// dumpNetwork asks for all that nodeNetwork goes by.
func (c *Client) dumpNetwork(ctx context.Context) (dump, error) {
	const op = "finding out what the node's network needs"
	var d dump
	var err error
	if d.links, err = c.dumpLinks(ctx, op); err != nil {
		return dump{}, err
	}
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		request := nl.NewNetlinkRequest(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
		request.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: uint8(family)}})
		answers, err := c.do(ctx, op, "routes", request)
		if err != nil {
			return dump{}, err
		}
		d.routes = append(d.routes, answers...)
	}
	request := nl.NewNetlinkRequest(unix.RTM_GETADDR, unix.NLM_F_DUMP)
	request.AddData(nl.NewIfAddrmsg(unix.AF_UNSPEC))
	if d.addresses, err = c.do(ctx, op, "addresses", request); err != nil {
		return dump{}, err
	}
	return d, nil
}

// SetUp sets the administrative state of a link.
func (c *Client) SetUp(ctx context.Context, index int, up bool) error {
	flags, word := uint32(0), "down"
	if up {
		flags, word = unix.IFF_UP, "up"
	}
	request := linkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK, index, flags, unix.IFF_UP)
	_, err := c.doLink(ctx, "setting the link "+word, index, request)
	return err
}

// SetMTU sets the MTU of a link, in bytes.
func (c *Client) SetMTU(ctx context.Context, index, mtu int) error {
	request := linkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK, index, 0, 0)
	addUint32(request, unix.IFLA_MTU, uint32(mtu))
	_, err := c.doLink(ctx, "setting MTU "+strconv.Itoa(mtu), index, request)
	return err
}

// SetVFMAC sets the administrative MAC of a VF through its PF's link.
func (c *Client) SetVFMAC(ctx context.Context, index, vf int, mac string) error {
	op := fmt.Sprintf("setting MAC %s on VF %d", mac, vf)
	address, err := net.ParseMAC(mac)
	if err != nil || len(address) > maxVFAddress {
		return &host.Error{Op: op, Object: object(index), Err: fmt.Errorf("%q is not a MAC address", mac)}
	}
	// struct ifla_vf_mac: u32 vf, u8 mac[32].
	value := make([]byte, 4+maxVFAddress)
	nl.NativeEndian().PutUint32(value, uint32(vf))
	copy(value[4:], address)
	request := linkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK, index, 0, 0)
	list := nl.NewRtAttr(unix.IFLA_VFINFO_LIST, nil)
	list.AddRtAttr(nl.IFLA_VF_INFO, nil).AddRtAttr(nl.IFLA_VF_MAC, value)
	request.AddData(list)
	_, err = c.doLink(ctx, op, index, request)
	return err
}

// dumpLinks returns the kernel's message for every link, VFs left out: those of
// hundreds of VFs make a dump hundreds of times larger.
func (c *Client) dumpLinks(ctx context.Context, op string) ([][]byte, error) {
	request := linkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP, 0, 0, 0)
	addUint32(request, unix.IFLA_EXT_MASK, extSkipStats)
	return c.do(ctx, op, "the host", request)
}

func (c *Client) do(ctx context.Context, op, object string, request *nl.NetlinkRequest) ([][]byte, error) {
	return nlsock.Do(ctx, &c.calls, nlsock.Call{
		Protocol: unix.NETLINK_ROUTE, Request: request, Op: op, Object: object,
	})
}

// doLink is do for one link. Callers know it by its ifindex; errors name it too.
func (c *Client) doLink(ctx context.Context, op string, index int, request *nl.NetlinkRequest) ([][]byte, error) {
	answers, err := c.do(ctx, op, object(index), request)
	var refusal *host.Error
	if errors.As(err, &refusal) && refusal.Errno != 0 && refusal.Errno != syscall.ENODEV {
		refusal.Object = c.name(ctx, index)
	}
	return answers, err
}

// name returns the name of a link, or its ifindex in words when the kernel does
// not tell it.
func (c *Client) name(ctx context.Context, index int) string {
	request := linkRequest(unix.RTM_GETLINK, unix.NLM_F_ACK, index, 0, 0)
	addUint32(request, unix.IFLA_EXT_MASK, extSkipStats)
	answers, err := c.do(ctx, "reading the name", object(index), request)
	if err != nil || len(answers) == 0 {
		return object(index)
	}
	if l, ok := parseLink(answers[0]); ok && l.Name != "" {
		return l.Name
	}
	return object(index)
}

func object(index int) string { return "link " + strconv.Itoa(index) }

func linkRequest(kind, flags, index int, value, change uint32) *nl.NetlinkRequest {
	request := nl.NewNetlinkRequest(kind, flags)
	message := nl.NewIfInfomsg(unix.AF_UNSPEC)
	message.Index, message.Flags, message.Change = int32(index), value, change
	request.AddData(message)
	return request
}

func addUint32(request *nl.NetlinkRequest, kind int, value uint32) {
	request.AddData(nl.NewRtAttr(kind, nl.Uint32Attr(value)))
}
