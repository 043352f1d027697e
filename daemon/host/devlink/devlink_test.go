package devlink

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

func serialize(attrs ...*nl.RtAttr) []byte {
	var out []byte
	for _, a := range attrs {
		out = append(out, a.Serialize()...)
	}
	return out
}

func text(kind int, value string) *nl.RtAttr { return nl.NewRtAttr(kind, nl.ZeroTerminated(value)) }

func u8(kind int, value uint8) *nl.RtAttr { return nl.NewRtAttr(kind, []byte{value}) }

func u16(kind int, value uint16) *nl.RtAttr { return nl.NewRtAttr(kind, nl.Uint16Attr(value)) }

func u32(kind int, value uint32) *nl.RtAttr { return nl.NewRtAttr(kind, nl.Uint32Attr(value)) }

func nested(kind int, children ...*nl.RtAttr) *nl.RtAttr {
	a := nl.NewRtAttr(kind|unix.NLA_F_NESTED, nil)
	for _, c := range children {
		a.AddChild(c)
	}
	return a
}

func handle() []*nl.RtAttr {
	return []*nl.RtAttr{text(nl.DEVLINK_ATTR_BUS_NAME, "pci"), text(nl.DEVLINK_ATTR_DEV_NAME, "0000:3b:00.0")}
}

func answer(attrs ...*nl.RtAttr) []byte { return serialize(append(handle(), attrs...)...) }

func TestParseEswitch(t *testing.T) {
	mode := func(n uint16) *nl.RtAttr { return u16(nl.DEVLINK_ATTR_ESWITCH_MODE, n) }
	tests := []struct {
		name   string
		answer []byte
		want   host.Eswitch
		ok     bool
	}{
		{"mlx5 in switchdev mode", answer(mode(1), u8(nl.DEVLINK_ATTR_ESWITCH_INLINE_MODE, 0), u8(nl.DEVLINK_ATTR_ESWITCH_ENCAP_MODE, 1)),
			host.Eswitch{Mode: "switchdev", InlineMode: "none", EncapMode: "basic"}, true},
		{"ConnectX-4 Lx", answer(mode(0), u8(nl.DEVLINK_ATTR_ESWITCH_INLINE_MODE, 3), u8(nl.DEVLINK_ATTR_ESWITCH_ENCAP_MODE, 0)),
			host.Eswitch{Mode: "legacy", InlineMode: "transport", EncapMode: "none"}, true},
		{"ice", answer(mode(0)), host.Eswitch{Mode: "legacy"}, true},
		{"a mode of a newer kernel", answer(mode(2)), host.Eswitch{Mode: "unknown(2)"}, true},
		{"no mode", answer(), host.Eswitch{}, false},
	}
	for _, test := range tests {
		got, ok := parseEswitch(test.answer)
		if diff := cmp.Diff(test.want, got); diff != "" || ok != test.ok {
			t.Errorf("%s: ok %v (-want +got):\n%s", test.name, ok, diff)
		}
	}
}

func version(kind int, name, value string) *nl.RtAttr {
	return nested(kind, text(nl.DEVLINK_ATTR_INFO_VERSION_NAME, name), text(nl.DEVLINK_ATTR_INFO_VERSION_VALUE, value))
}

func infoAnswer() []byte {
	return answer(
		text(nl.DEVLINK_ATTR_INFO_DRIVER_NAME, "mlx5_core"), text(nl.DEVLINK_ATTR_INFO_SERIAL_NUMBER, "MT2116X09299"),
		version(nl.DEVLINK_ATTR_INFO_VERSION_FIXED, "fw.psid", "MT_0000000080"),
		version(nl.DEVLINK_ATTR_INFO_VERSION_RUNNING, "fw.version", "16.35.4030"),
		version(nl.DEVLINK_ATTR_INFO_VERSION_RUNNING, "fw", "16.35.4030"),
		// The library keeps one version for both: the one stored for the next reset.
		version(nl.DEVLINK_ATTR_INFO_VERSION_STORED, "fw.version", "16.99.1000"),
	)
}

func TestParseInfo(t *testing.T) {
	want := host.DevlinkInfo{
		Driver: "mlx5_core", SerialNumber: "MT2116X09299",
		Fixed:   map[string]string{"fw.psid": "MT_0000000080"},
		Running: map[string]string{"fw.version": "16.35.4030", "fw": "16.35.4030"},
		Stored:  map[string]string{"fw.version": "16.99.1000"},
	}
	if diff := cmp.Diff(want, parseInfo(infoAnswer())); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
}

func value(cmode uint8, data *nl.RtAttr) *nl.RtAttr {
	v := nested(nl.DEVLINK_ATTR_PARAM_VALUE)
	if data != nil {
		v.AddChild(data)
	}
	v.AddChild(u8(nl.DEVLINK_ATTR_PARAM_VALUE_CMODE, cmode))
	return v
}

func paramAnswer(kind uint8, values ...*nl.RtAttr) []byte {
	return answer(nested(nl.DEVLINK_ATTR_PARAM,
		text(nl.DEVLINK_ATTR_PARAM_NAME, "flow_steering_mode"),
		u8(nl.DEVLINK_ATTR_PARAM_TYPE, kind),
		nested(nl.DEVLINK_ATTR_PARAM_VALUES_LIST, values...)))
}

func TestParseParam(t *testing.T) {
	data := func(value string) *nl.RtAttr { return text(nl.DEVLINK_ATTR_PARAM_VALUE_DATA, value) }
	tests := []struct {
		name   string
		answer []byte
		want   string
		ok     bool
	}{
		{"runtime", paramAnswer(5, value(0, data("smfs"))), "smfs", true},
		{"runtime after permanent", paramAnswer(5, value(2, data("dmfs")), value(0, data("smfs"))), "smfs", true},
		{"permanent only", paramAnswer(5, value(2, data("dmfs"))), "", false},
		{"a number", paramAnswer(3, value(0, u32(nl.DEVLINK_ATTR_PARAM_VALUE_DATA, 7))), "", false},
		{"a flag that is not set", paramAnswer(6, value(0, nil)), "", false},
		{"nothing", answer(), "", false},
	}
	for _, test := range tests {
		if got, ok := parseParam(test.answer); got != test.want || ok != test.ok {
			t.Errorf("%s: %q, %v; want %q, %v", test.name, got, ok, test.want, test.ok)
		}
	}
}

// What PARAM_SET sends holds what PARAM_GET answers, in the form that the kernel
// wants: attribute kinds and sizes of include/uapi/linux/devlink.h.
func TestRuntimeText(t *testing.T) {
	want := serialize(
		text(nl.DEVLINK_ATTR_PARAM_NAME, "flow_steering_mode"),
		u8(nl.DEVLINK_ATTR_PARAM_TYPE, 5),
		u8(nl.DEVLINK_ATTR_PARAM_VALUE_CMODE, 0),
		text(nl.DEVLINK_ATTR_PARAM_VALUE_DATA, "smfs"))
	if diff := cmp.Diff(want, serialize(runtimeText("flow_steering_mode", "smfs")...)); diff != "" {
		t.Error(diff)
	}
}

func representorPort() []byte {
	return answer(
		u32(nl.DEVLINK_ATTR_PORT_INDEX, 1), u16(nl.DEVLINK_ATTR_PORT_TYPE, nl.DEVLINK_PORT_TYPE_ETH),
		u32(nl.DEVLINK_ATTR_PORT_NETDEV_IFINDEX, 12), text(nl.DEVLINK_ATTR_PORT_NETDEV_NAME, "0123456789ab_h"),
		u16(nl.DEVLINK_ATTR_PORT_FLAVOUR, nl.DEVLINK_PORT_FLAVOUR_PCI_VF),
		u16(nl.DEVLINK_ATTR_PORT_PCI_PF_NUMBER, 0), u16(nl.DEVLINK_ATTR_PORT_PCI_VF_NUMBER, 3))
}

func TestParsePort(t *testing.T) {
	zero, three := 0, 3
	want := host.DevlinkPort{
		Handle: host.DevlinkOf("0000:3b:00.0"), Index: 1, Flavour: "pcivf",
		NetdevIndex: 12, NetdevName: "0123456789ab_h", PFNumber: &zero, VFNumber: &three,
	}
	if diff := cmp.Diff(want, parsePort(representorPort())); diff != "" {
		t.Errorf("VF's port (-want +got):\n%s", diff)
	}
	got := parsePort(answer(u16(nl.DEVLINK_ATTR_PORT_FLAVOUR, nl.DEVLINK_PORT_FLAVOUR_PHYSICAL)))
	if diff := cmp.Diff(host.DevlinkPort{Handle: host.DevlinkOf("0000:3b:00.0"), Flavour: "physical"}, got); diff != "" {
		t.Errorf("physical port (-want +got):\n%s", diff)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range [][]byte{
		nil, answer(u16(nl.DEVLINK_ATTR_ESWITCH_MODE, 1)), infoAnswer(), representorPort(),
		paramAnswer(5, value(0, text(nl.DEVLINK_ATTR_PARAM_VALUE_DATA, "smfs"))),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if e, ok := parseEswitch(data); !ok && e.Mode != "" {
			t.Errorf("an eswitch that is not known has mode %q", e.Mode)
		}
		parseInfo(data)
		parsePort(data)
		if text, ok := parseParam(data); !ok && text != "" {
			t.Errorf("a parameter that is not known has value %q", text)
		}
	})
}

// TestNoInstance asks the real kernel about a device that has no devlink
// instance. On a kernel with devlink it says ENODEV itself; on one without, the
// missing generic netlink family is translated.
func TestNoInstance(t *testing.T) {
	c := &Client{}
	nowhere := host.DevlinkOf("ffff:ff:1f.7")
	calls := map[string]func(context.Context) error{
		"eswitch": func(ctx context.Context) error { _, err := c.Eswitch(ctx, nowhere); return err },
		"info":    func(ctx context.Context) error { _, err := c.Info(ctx, nowhere); return err },
		"param":   func(ctx context.Context) error { _, err := c.Param(ctx, nowhere, "flow_steering_mode"); return err },
		"set":     func(ctx context.Context) error { return c.SetEswitchMode(ctx, nowhere, "legacy") },
		"inline":  func(ctx context.Context) error { return c.SetInlineMode(ctx, nowhere, "transport") },
		"set param": func(ctx context.Context) error {
			return c.SetParam(ctx, nowhere, "flow_steering_mode", "smfs")
		},
	}
	for name, call := range calls {
		err := call(t.Context())
		var refusal *host.Error
		if !errors.Is(err, syscall.ENODEV) || !errors.As(err, &refusal) || refusal.Object != nowhere.Device {
			t.Errorf("%s: %v, want ENODEV on %s", name, err, nowhere.Device)
		}
	}
	if _, err := c.Ports(t.Context()); err != nil && !errors.Is(err, syscall.ENODEV) {
		t.Errorf("ports: %v", err)
	}
	if err := c.SetEswitchMode(t.Context(), nowhere, "switch"); err == nil || !strings.Contains(err.Error(), "no such mode") {
		t.Errorf("setting a mode that does not exist: %v", err)
	}
	if err := c.SetInlineMode(t.Context(), nowhere, "deep"); err == nil || !strings.Contains(err.Error(), "no such mode") {
		t.Errorf("setting an inline mode that does not exist: %v", err)
	}
}
