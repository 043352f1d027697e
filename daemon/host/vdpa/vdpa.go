package vdpa

import (
	"context"
	"errors"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/bounded"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/nlsock"
)

// Client talks to the vdpa family. The kernel has it in its first network
// namespace only. The zero value is ready for use.
type Client struct {
	calls bounded.Calls
}

var _ host.VDPA = (*Client)(nil)

// all is the object of a dump in errors.
const all = "all devices"

// Managers lists the functions that vDPA devices can be made of.
func (c *Client) Managers(ctx context.Context) ([]host.DevlinkHandle, error) {
	answers, err := c.list(ctx, "listing vDPA management devices", nl.VDPA_CMD_MGMTDEV_GET)
	if err != nil {
		return nil, err
	}
	out := make([]host.DevlinkHandle, 0, len(answers))
	for _, answer := range answers {
		out = append(out, parseDevice(answer).Manager)
	}
	return out, nil
}

// Devices lists the vDPA devices that were made by request.
func (c *Client) Devices(ctx context.Context) ([]host.VDPADevice, error) {
	answers, err := c.list(ctx, "listing vDPA devices", nl.VDPA_CMD_DEV_GET)
	if err != nil {
		return nil, err
	}
	out := make([]host.VDPADevice, 0, len(answers))
	for _, answer := range answers {
		out = append(out, parseDevice(answer))
	}
	return out, nil
}

// Create makes a vDPA device, with the settings that its manager has by itself.
func (c *Client) Create(ctx context.Context, name string, manager host.DevlinkHandle) error {
	_, err := c.do(ctx, "making vDPA device "+name, manager.Device, nl.VDPA_CMD_DEV_NEW, unix.NLM_F_ACK, newDevice(name, manager)...)
	return err
}

// Delete removes a vDPA device.
func (c *Client) Delete(ctx context.Context, name string) error {
	_, err := c.do(ctx, "removing the vDPA device", name, nl.VDPA_CMD_DEV_DEL, unix.NLM_F_ACK,
		nl.NewRtAttr(nl.VDPA_ATTR_DEV_NAME, nl.ZeroTerminated(name)))
	return err
}

// list dumps. A kernel without the family has nothing to list.
func (c *Client) list(ctx context.Context, op string, command uint8) ([][]byte, error) {
	answers, err := c.do(ctx, op, all, command, unix.NLM_F_DUMP)
	if errors.Is(err, errNoFamily) {
		return nil, nil
	}
	return answers, err
}

// errNoFamily is what no dump of the family itself answers.
const errNoFamily = syscall.EOPNOTSUPP

// do sends a command and returns the attributes of every answer. The family is
// looked up each time: it comes and goes with the module.
func (c *Client) do(ctx context.Context, op, object string, command uint8, flags int, attrs ...*nl.RtAttr) ([][]byte, error) {
	family, err := nlsock.Family(ctx, &c.calls, nl.VDPA_GENL_NAME, op, object)
	if errors.Is(err, syscall.ENOENT) {
		return nil, &host.Error{Op: op, Object: object, Errno: errNoFamily, Text: "this kernel has no vdpa"}
	}
	if err != nil {
		return nil, err
	}
	request := nl.NewNetlinkRequest(int(family), flags)
	request.AddData(&nl.Genlmsg{Command: command, Version: nl.VDPA_GENL_VERSION})
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

// newDevice are the attributes of a request for a device. A manager on no bus, as
// the kernel's simulator is, has a name only.
func newDevice(name string, manager host.DevlinkHandle) []*nl.RtAttr {
	attrs := []*nl.RtAttr{
		nl.NewRtAttr(nl.VDPA_ATTR_DEV_NAME, nl.ZeroTerminated(name)),
		nl.NewRtAttr(nl.VDPA_ATTR_MGMTDEV_DEV_NAME, nl.ZeroTerminated(manager.Device)),
	}
	if manager.Bus != "" {
		attrs = append(attrs, nl.NewRtAttr(nl.VDPA_ATTR_MGMTDEV_BUS_NAME, nl.ZeroTerminated(manager.Bus)))
	}
	return attrs
}

// parseDevice parses the attributes of a device, or of a management device, which
// has no name of its own.
func parseDevice(attrs []byte) host.VDPADevice {
	var d host.VDPADevice
	for kind, value := range nlsock.Attrs(attrs) {
		switch kind {
		case nl.VDPA_ATTR_DEV_NAME:
			d.Name = nlsock.Text(value)
		case nl.VDPA_ATTR_MGMTDEV_BUS_NAME:
			d.Manager.Bus = nlsock.Text(value)
		case nl.VDPA_ATTR_MGMTDEV_DEV_NAME:
			d.Manager.Device = nlsock.Text(value)
		}
	}
	return d
}
