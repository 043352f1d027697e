package nlsock

import (
	"context"
	"errors"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/bounded"
)

// Family asks for the id of a generic netlink family; ENOENT if there is none.
// Op and object are those of host.Error.
func Family(ctx context.Context, calls *bounded.Calls, family, op, object string) (uint16, error) {
	request := nl.NewNetlinkRequest(nl.GENL_ID_CTRL, unix.NLM_F_ACK)
	request.AddData(&nl.Genlmsg{Command: nl.GENL_CTRL_CMD_GETFAMILY, Version: nl.GENL_CTRL_VERSION})
	request.AddData(nl.NewRtAttr(nl.GENL_CTRL_ATTR_FAMILY_NAME, nl.ZeroTerminated(family)))
	answers, err := Do(ctx, calls, Call{Protocol: unix.NETLINK_GENERIC, Request: request, Op: op, Object: object})
	if err != nil {
		return 0, err
	}
	for _, answer := range answers {
		for kind, value := range Attrs(Payload(answer, nl.SizeofGenlmsg)) {
			if kind == nl.GENL_CTRL_ATTR_FAMILY_ID {
				return uint16(Int(value)), nil
			}
		}
	}
	return 0, &host.Error{Op: op, Object: object, Err: errors.New("the answer has no id of family " + family)}
}
