package rtnl

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/nlsock"
)

// pollNeighbour is how often the state of a neighbour is read while it is asked.
// Netlink announces changes too (RTNLGRP_NEIGH), but those of a busy node are many.
const pollNeighbour = 50 * time.Millisecond

// Gateways lists the gateways of the default routes of all tables.
func (c *Client) Gateways(ctx context.Context) ([]host.Gateway, error) {
	d, err := c.dumpNetwork(ctx)
	if err != nil {
		return nil, err
	}
	return gateways(d), nil
}

// gateways returns the next hops of default routes, each once.
func gateways(d dump) []host.Gateway {
	keys := map[int]string{}
	for _, message := range d.links {
		if l, ok := parseLink(message); ok {
			keys[l.Index] = l.Name
			if l.ParentDevice != "" {
				keys[l.Index] = l.ParentDevice
			}
		}
	}
	var out []host.Gateway
	for _, message := range d.routes {
		for _, hop := range defaultHops(message) {
			g := host.Gateway{Address: hop.address.String(), Index: hop.index, Link: keys[hop.index]}
			if g.Link != "" && !slices.Contains(out, g) {
				out = append(out, g)
			}
		}
	}
	return out
}

// hop is a next hop with an address.
type hop struct {
	address netip.Addr
	index   int
}

// defaultHops returns the next hops of an RTM_NEWROUTE message if it is a default
// route that carries packets to others. Those that the kernel does not use because
// their link is gone or down (RTNH_F_DEAD) are left out.
func defaultHops(message []byte) []hop {
	if _, indexes := defaultRouteLinks(message); len(indexes) == 0 {
		return nil
	}
	// struct rtmsg ends with u32 flags.
	flags := binary.NativeEndian.Uint32(message[8:])
	one := parseHop(message[unix.SizeofRtMsg:])
	var out []hop
	if one.address.IsValid() && flags&unix.RTNH_F_DEAD == 0 {
		out = append(out, one)
	}
	for kind, value := range nlsock.Attrs(message[unix.SizeofRtMsg:]) {
		if kind == unix.RTA_MULTIPATH {
			out = append(out, multipathHops(value)...)
		}
	}
	return out
}

// parseHop parses the attributes of a route, or of one hop of it.
func parseHop(attributes []byte) hop {
	var h hop
	for kind, value := range nlsock.Attrs(attributes) {
		switch kind {
		case unix.RTA_OIF:
			h.index = nlsock.Int(value)
		case unix.RTA_GATEWAY:
			h.address, _ = netip.AddrFromSlice(value)
		case unix.RTA_VIA:
			// struct rtvia: u16 family, then the address.
			if len(value) > 2 {
				h.address, _ = netip.AddrFromSlice(value[2:])
			}
		}
	}
	return h
}

// multipathHops parses RTA_MULTIPATH, see nextHops.
func multipathHops(value []byte) []hop {
	var out []hop
	for len(value) >= unix.SizeofRtNexthop {
		length := int(binary.NativeEndian.Uint16(value))
		if length < unix.SizeofRtNexthop || length > len(value) {
			return out
		}
		h := parseHop(value[unix.SizeofRtNexthop:length])
		h.index = int(int32(binary.NativeEndian.Uint32(value[4:])))
		if h.address.IsValid() && value[2]&unix.RTNH_F_DEAD == 0 {
			out = append(out, h)
		}
		value = value[min((length+3)&^3, len(value)):]
	}
	return out
}

// States of a neighbour (uapi neighbour.h).
const (
	nudKnown    = unix.NUD_REACHABLE | unix.NUD_STALE | unix.NUD_DELAY | unix.NUD_PROBE
	nudUnasked  = unix.NUD_PERMANENT | unix.NUD_NOARP
	nudAnswered = unix.NUD_REACHABLE | nudUnasked
)

// AskGateway lets the kernel ask a gateway for its hardware address: one that it
// knows by a probe of it (NUD_PROBE), any other as if a packet were to be sent to
// it (NTF_USE; both net/core/neighbour.c, neigh_add). One whose address somebody
// has set for good is never asked.
func (c *Client) AskGateway(ctx context.Context, g host.Gateway) error {
	address, err := netip.ParseAddr(g.Address)
	if err != nil {
		return fmt.Errorf("asking gateway %q: %w", g.Address, err)
	}
	state, err := c.neighbour(ctx, g.Index, address)
	if err != nil {
		return err
	}
	if state&nudUnasked != 0 {
		return nil
	}
	request := neighbourRequest(unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_REPLACE, g.Index, address, 0, unix.NTF_USE)
	if state&nudKnown != 0 {
		request = neighbourRequest(unix.NLM_F_ACK|unix.NLM_F_REPLACE, g.Index, address, unix.NUD_PROBE, 0)
	}
	if _, err := c.do(ctx, "asking for the hardware address", "gateway "+g.Address, request); err != nil {
		return err
	}
	return c.awaitAnswer(ctx, g, address)
}

// awaitAnswer waits until the kernel knows whether a neighbour answers.
func (c *Client) awaitAnswer(ctx context.Context, g host.Gateway, address netip.Addr) error {
	silent := &host.Error{Op: "asking for the hardware address", Object: "gateway " + g.Address, Err: host.ErrSilent}
	tick := time.NewTicker(pollNeighbour)
	defer tick.Stop()
	for {
		state, err := c.neighbour(ctx, g.Index, address)
		switch {
		case ctx.Err() != nil:
			return silent
		case err != nil:
			return err
		case state&nudAnswered != 0:
			return nil
		// The kernel forgets the neighbours of a link that loses its carrier.
		case state&(nudKnown|unix.NUD_INCOMPLETE) == 0:
			return silent
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return silent
		}
	}
}

// neighbour returns the state of a neighbour, NUD_NONE if the kernel has none.
func (c *Client) neighbour(ctx context.Context, index int, address netip.Addr) (int, error) {
	request := nl.NewNetlinkRequest(unix.RTM_GETNEIGH, unix.NLM_F_DUMP)
	request.AddData(&neighbourMessage{family: familyOf(address)})
	addUint32(request, unix.NDA_IFINDEX, uint32(index))
	answers, err := c.do(ctx, "listing neighbours", object(index), request)
	if err != nil {
		return 0, err
	}
	for _, answer := range answers {
		if state, ok := neighbourState(answer, index, address); ok {
			return state, nil
		}
	}
	return unix.NUD_NONE, nil
}

// neighbourState returns the state of an RTM_NEWNEIGH message if it is about a
// neighbour. struct ndmsg: u8 family, u8 and u16 pad, s32 ifindex, u16 state, u8
// flags, u8 type.
func neighbourState(message []byte, index int, address netip.Addr) (int, bool) {
	if len(message) < unix.SizeofNdMsg || int(int32(binary.NativeEndian.Uint32(message[4:]))) != index {
		return 0, false
	}
	for kind, value := range nlsock.Attrs(message[unix.SizeofNdMsg:]) {
		if found, ok := netip.AddrFromSlice(value); kind == unix.NDA_DST && ok && found == address {
			return int(binary.NativeEndian.Uint16(message[8:])), true
		}
	}
	return 0, false
}

func neighbourRequest(flags, index int, address netip.Addr, state uint16, ntf uint8) *nl.NetlinkRequest {
	request := nl.NewNetlinkRequest(unix.RTM_NEWNEIGH, flags)
	request.AddData(&neighbourMessage{family: familyOf(address), index: int32(index), state: state, flags: ntf})
	request.AddData(nl.NewRtAttr(unix.NDA_DST, address.AsSlice()))
	return request
}

func familyOf(address netip.Addr) uint8 {
	if address.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// neighbourMessage is struct ndmsg.
type neighbourMessage struct {
	family uint8
	index  int32
	state  uint16
	flags  uint8
}

// Len implements nl.NetlinkRequestData.
func (*neighbourMessage) Len() int { return unix.SizeofNdMsg }

// Serialize implements nl.NetlinkRequestData.
func (m *neighbourMessage) Serialize() []byte {
	b := make([]byte, unix.SizeofNdMsg)
	b[0] = m.family
	binary.NativeEndian.PutUint32(b[4:], uint32(m.index))
	binary.NativeEndian.PutUint16(b[8:], m.state)
	b[10] = m.flags
	return b
}
