package rtnl

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// Bonds makes and changes bonding devices.
type Bonds struct {
	// Client does the talking.
	*Client
}

var _ host.Bonds = (*Bonds)(nil)

// List returns all bonds with their members, in one dump.
func (b *Bonds) List(ctx context.Context) ([]host.Bond, error) {
	answers, err := b.dumpLinks(ctx, "listing bonds")
	if err != nil {
		return nil, err
	}
	return parseBonds(answers), nil
}

// Create makes a bond with all its options at once: some can be set only before
// the first member joins.
func (b *Bonds) Create(ctx context.Context, name string, o host.BondOptions) error {
	op := "creating a bond of mode " + o.Mode
	data, err := bondData(o)
	if err != nil {
		return &host.Error{Op: op, Object: name, Err: err}
	}
	request := linkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, 0, 0, 0)
	request.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	request.AddData(bondInfo(data))
	_, err = b.do(ctx, op, name, request)
	return err
}

// SetOptions sets the options that are not empty. The kernel refuses a mode that
// cannot be set now even if it is the one in force, so that what does not change
// must be left empty.
func (b *Bonds) SetOptions(ctx context.Context, index int, o host.BondOptions) error {
	op := "setting bond options " + optionsText(o)
	data, err := bondData(o)
	if err != nil {
		return &host.Error{Op: op, Object: object(index), Err: err}
	}
	request := linkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK, index, 0, 0)
	request.AddData(bondInfo(data))
	_, err = b.doLink(ctx, op, index, request)
	return err
}

// SetMaster makes a link a member of a bond, or of none for bond 0.
func (b *Bonds) SetMaster(ctx context.Context, member, bond int) error {
	op := "taking the link out of its bond"
	if bond != 0 {
		op = "making the link a member of " + b.name(ctx, bond)
	}
	request := linkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK, member, 0, 0)
	addUint32(request, unix.IFLA_MASTER, uint32(bond))
	_, err := b.doLink(ctx, op, member, request)
	return err
}

// Delete deletes a bond.
func (b *Bonds) Delete(ctx context.Context, index int) error {
	_, err := b.doLink(ctx, "deleting the bond", index, linkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK, index, 0, 0))
	return err
}

// bondInfo is IFLA_LINKINFO of a bond.
func bondInfo(data []*nl.RtAttr) *nl.RtAttr {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated(host.KindBond))
	nested := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
	for _, attr := range data {
		nested.AddChild(attr)
	}
	return info
}

// bondData encodes options. The kernel sets them in an order of its own, the mode
// first (bond_changelink in drivers/net/bonding/bond_netlink.c).
func bondData(o host.BondOptions) ([]*nl.RtAttr, error) {
	var out []*nl.RtAttr
	for _, option := range []struct {
		what, value string
		kind        int
		values      []string
	}{
		{"mode", o.Mode, bondMode, bondModes[:]},
		{"transmit hash policy", o.XmitHashPolicy, bondXmitHashPolicy, bondHashPolicies[:]},
		{"LACP rate", o.LACPRate, bondADLACPRate, bondLACPRates[:]},
	} {
		if option.value == "" {
			continue
		}
		number := slices.Index(option.values, option.value)
		if number < 0 {
			return nil, fmt.Errorf("%q is no %s of a bond", option.value, option.what)
		}
		out = append(out, nl.NewRtAttr(option.kind, nl.Uint8Attr(uint8(number))))
	}
	if o.MiimonMilliseconds > 0 {
		out = append(out, nl.NewRtAttr(bondMiimon, nl.Uint32Attr(uint32(o.MiimonMilliseconds))))
	}
	return out, nil
}

// optionsText names the options that are not empty.
func optionsText(o host.BondOptions) string {
	text := ""
	add := func(name, value string) {
		if value == "" {
			return
		}
		if text != "" {
			text += ", "
		}
		text += name + " " + value
	}
	add("mode", o.Mode)
	if o.MiimonMilliseconds > 0 {
		add("miimon", strconv.Itoa(o.MiimonMilliseconds))
	}
	add("xmit_hash_policy", o.XmitHashPolicy)
	add("lacp_rate", o.LACPRate)
	return text
}
