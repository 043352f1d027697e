package rtnl

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// sizeVFGUID is that of struct ifla_vf_guid: u32 vf, padding, u64 guid.
const sizeVFGUID = 16

// SetVFGUID sets the InfiniBand node and port GUID of a VF through its PF's link,
// both in one request. A link that is not InfiniBand answers EOPNOTSUPP
// (handle_vf_guid in net/core/rtnetlink.c).
func (c *Client) SetVFGUID(ctx context.Context, index, vf int, guid string) error {
	op := fmt.Sprintf("setting GUID %s on VF %d", guid, vf)
	address, err := net.ParseMAC(guid)
	if err != nil || len(address) != 8 {
		return &host.Error{Op: op, Object: object(index), Err: fmt.Errorf("%q is not a GUID", guid)}
	}
	request := linkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK, index, 0, 0)
	request.AddData(vfGUIDs(vf, binary.BigEndian.Uint64(address)))
	_, err = c.doLink(ctx, op, index, request)
	return err
}

// vfGUIDs is the list of one VF whose node and port GUID are to be set.
func vfGUIDs(vf int, guid uint64) *nl.RtAttr {
	value := make([]byte, sizeVFGUID)
	binary.NativeEndian.PutUint32(value, uint32(vf))
	binary.NativeEndian.PutUint64(value[8:], guid)
	list := nl.NewRtAttr(unix.IFLA_VFINFO_LIST, nil)
	info := list.AddRtAttr(nl.IFLA_VF_INFO, nil)
	info.AddRtAttr(nl.IFLA_VF_IB_NODE_GUID, value)
	info.AddRtAttr(nl.IFLA_VF_IB_PORT_GUID, value)
	return list
}

// parseGUID parses a struct ifla_vf_guid; false when it is too short. The GUID is
// empty when it is zero: nobody has set it.
func parseGUID(value []byte) (string, bool) {
	if len(value) < sizeVFGUID {
		return "", false
	}
	return guid(binary.NativeEndian.Uint64(value[8:])), true
}
