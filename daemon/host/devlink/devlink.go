package devlink

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/bounded"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/nlsock"
)

// Client talks to devlink in the network namespace of the calling thread. The
// zero value is ready for use.
type Client struct {
	calls bounded.Calls
	// family is the id of the generic netlink family, 0 until it is known. It
	// does not change while the kernel runs.
	family atomic.Uint32
}

var _ host.Devlink = (*Client)(nil)

// Eswitch returns the eswitch settings of a device.
func (c *Client) Eswitch(ctx context.Context, h host.DevlinkHandle) (host.Eswitch, error) {
	answer, err := c.get(ctx, "reading the eswitch mode", h, nl.DEVLINK_CMD_ESWITCH_GET)
	if err != nil {
		return host.Eswitch{}, err
	}
	eswitch, ok := parseEswitch(answer)
	if !ok {
		return host.Eswitch{}, &host.Error{Op: "reading the eswitch mode", Object: h.Device, Err: errNoAnswer}
	}
	return eswitch, nil
}

// SetEswitchMode sets "legacy" or "switchdev". Drivers may take minutes.
func (c *Client) SetEswitchMode(ctx context.Context, h host.DevlinkHandle, mode string) error {
	op := "setting eswitch mode " + mode
	number, ok := eswitchModes.number(mode)
	if !ok {
		return &host.Error{Op: op, Object: h.Device, Err: errors.New("no such mode")}
	}
	value := make([]byte, 2)
	nl.NativeEndian().PutUint16(value, uint16(number))
	_, err := c.get(ctx, op, h, nl.DEVLINK_CMD_ESWITCH_SET, nl.NewRtAttr(nl.DEVLINK_ATTR_ESWITCH_MODE, value))
	return err
}

// SetInlineMode sets the eswitch's inline mode: "none", "link", "network" or
// "transport".
func (c *Client) SetInlineMode(ctx context.Context, h host.DevlinkHandle, mode string) error {
	op := "setting inline mode " + mode
	number, ok := inlineModes.number(mode)
	if !ok {
		return &host.Error{Op: op, Object: h.Device, Err: errors.New("no such mode")}
	}
	_, err := c.get(ctx, op, h, nl.DEVLINK_CMD_ESWITCH_SET,
		nl.NewRtAttr(nl.DEVLINK_ATTR_ESWITCH_INLINE_MODE, []byte{byte(number)}))
	return err
}

// Info returns driver, serial number and versions of a device.
func (c *Client) Info(ctx context.Context, h host.DevlinkHandle) (host.DevlinkInfo, error) {
	answer, err := c.get(ctx, "reading device information", h, nl.DEVLINK_CMD_INFO_GET)
	if err != nil {
		return host.DevlinkInfo{}, err
	}
	return parseInfo(answer), nil
}

// Param returns the runtime value of a text parameter. The kernel answers EINVAL
// for one that the driver does not have.
func (c *Client) Param(ctx context.Context, h host.DevlinkHandle, name string) (string, error) {
	op := "reading parameter " + name
	answer, err := c.get(ctx, op, h, nl.DEVLINK_CMD_PARAM_GET,
		nl.NewRtAttr(nl.DEVLINK_ATTR_PARAM_NAME, nl.ZeroTerminated(name)))
	if err != nil {
		return "", err
	}
	value, ok := parseParam(answer)
	if !ok {
		return "", &host.Error{Op: op, Object: h.Device, Errno: syscall.EOPNOTSUPP, Text: "it has no runtime value that is text"}
	}
	return value, nil
}

// SetParam sets the runtime value of a text parameter. The kernel answers EINVAL
// for one that the driver does not have.
func (c *Client) SetParam(ctx context.Context, h host.DevlinkHandle, name, value string) error {
	_, err := c.get(ctx, "setting parameter "+name+" to "+value, h, nl.DEVLINK_CMD_PARAM_SET, runtimeText(name, value)...)
	return err
}

// Ports lists the ports of all devices.
func (c *Client) Ports(ctx context.Context) ([]host.DevlinkPort, error) {
	answers, err := c.do(ctx, "listing devlink ports", allDevices, nl.DEVLINK_CMD_PORT_GET, unix.NLM_F_DUMP)
	if err != nil {
		return nil, err
	}
	ports := make([]host.DevlinkPort, 0, len(answers))
	for _, answer := range answers {
		ports = append(ports, parsePort(answer))
	}
	return ports, nil
}

// allDevices is the object of a dump in errors.
const allDevices = "all devices"

var errNoAnswer = errors.New("the answer lacks it")

// get sends a command to one device and returns the attributes of its answer,
// none for a command that answers nothing.
func (c *Client) get(ctx context.Context, op string, h host.DevlinkHandle, command uint8, attrs ...*nl.RtAttr) ([]byte, error) {
	handle := []*nl.RtAttr{
		nl.NewRtAttr(nl.DEVLINK_ATTR_BUS_NAME, nl.ZeroTerminated(h.Bus)),
		nl.NewRtAttr(nl.DEVLINK_ATTR_DEV_NAME, nl.ZeroTerminated(h.Device)),
	}
	answers, err := c.do(ctx, op, h.Device, command, unix.NLM_F_ACK, append(handle, attrs...)...)
	if err != nil || len(answers) == 0 {
		return nil, err
	}
	return answers[0], nil
}

// do sends a command and returns the attributes of every answer.
func (c *Client) do(ctx context.Context, op, object string, command uint8, flags int, attrs ...*nl.RtAttr) ([][]byte, error) {
	family, err := c.familyID(ctx, op, object)
	if err != nil {
		return nil, err
	}
	request := nl.NewNetlinkRequest(int(family), flags)
	request.AddData(&nl.Genlmsg{Command: command, Version: nl.GENL_DEVLINK_VERSION})
	for _, attr := range attrs {
		request.AddData(attr)
	}
	answers, err := nlsock.Do(ctx, &c.calls, nlsock.Call{
		Protocol: unix.NETLINK_GENERIC, Request: request, Op: op, Object: object,
	})
	if err != nil {
		return nil, err
	}
	for i := range answers {
		answers[i] = nlsock.Payload(answers[i], nl.SizeofGenlmsg)
	}
	return answers, nil
}

// familyID returns the id of devlink's generic netlink family. A kernel without
// devlink has none, which means that no device has an instance: ENODEV.
func (c *Client) familyID(ctx context.Context, op, object string) (uint16, error) {
	if id := c.family.Load(); id != 0 {
		return uint16(id), nil
	}
	id, err := nlsock.Family(ctx, &c.calls, nl.GENL_DEVLINK_NAME, op, object)
	if errors.Is(err, syscall.ENOENT) {
		return 0, &host.Error{Op: op, Object: object, Errno: syscall.ENODEV, Text: "this kernel has no devlink"}
	}
	if err != nil {
		return 0, err
	}
	c.family.Store(uint32(id))
	return id, nil
}
