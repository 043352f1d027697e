package devlink

import (
	"context"
	"syscall"

	"github.com/vishvananda/netlink/nl"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/nlsock"
)

// PermanentParam returns the permanent value of a parameter that is a number.
// The kernel answers EINVAL for one that the driver does not have.
func (c *Client) PermanentParam(ctx context.Context, h host.DevlinkHandle, name string) (int, error) {
	op := "reading parameter " + name
	answer, err := c.get(ctx, op, h, nl.DEVLINK_CMD_PARAM_GET,
		nl.NewRtAttr(nl.DEVLINK_ATTR_PARAM_NAME, nl.ZeroTerminated(name)))
	if err != nil {
		return 0, err
	}
	value, ok := parsePermanent(answer)
	if !ok {
		return 0, &host.Error{Op: op, Object: h.Device, Errno: syscall.EOPNOTSUPP, Text: "it has no permanent value that is a number"}
	}
	return value, nil
}

// parsePermanent parses the answer to PARAM_GET; false when the parameter has no
// permanent value or is no number.
func parsePermanent(attrs []byte) (int, bool) {
	for kind, param := range nlsock.Attrs(attrs) {
		if kind != nl.DEVLINK_ATTR_PARAM {
			continue
		}
		size := 0
		for kind, value := range nlsock.Attrs(param) {
			switch kind {
			case nl.DEVLINK_ATTR_PARAM_TYPE:
				size = map[int]int{nl.DEVLINK_PARAM_TYPE_U8: 1, nl.DEVLINK_PARAM_TYPE_U16: 2, nl.DEVLINK_PARAM_TYPE_U32: 4}[nlsock.Int(value)]
			case nl.DEVLINK_ATTR_PARAM_VALUES_LIST:
				if data := permanentValue(value); size > 0 && len(data) == size {
					return nlsock.Int(data), true
				}
			}
		}
	}
	return 0, false
}

// permanentValue returns the data of the permanent one among a parameter's values.
func permanentValue(list []byte) []byte {
	for kind, entry := range nlsock.Attrs(list) {
		if kind != nl.DEVLINK_ATTR_PARAM_VALUE {
			continue
		}
		mode, data := -1, []byte(nil)
		for kind, value := range nlsock.Attrs(entry) {
			switch kind {
			case nl.DEVLINK_ATTR_PARAM_VALUE_CMODE:
				if len(value) == 1 {
					mode = int(value[0])
				}
			case nl.DEVLINK_ATTR_PARAM_VALUE_DATA:
				data = value
			}
		}
		if mode == nl.DEVLINK_PARAM_CMODE_PERMANENT {
			return data
		}
	}
	return nil
}
