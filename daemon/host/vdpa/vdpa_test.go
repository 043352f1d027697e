package vdpa

import (
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

func text(kind int, value string) []byte {
	return nl.NewRtAttr(kind, nl.ZeroTerminated(value)).Serialize()
}

// TestParse reads what vdpa_dev_fill and vdpa_mgmtdev_fill of drivers/vdpa/vdpa.c
// write.
func TestParse(t *testing.T) {
	manager := slices.Concat(text(nl.VDPA_ATTR_MGMTDEV_BUS_NAME, "pci"), text(nl.VDPA_ATTR_MGMTDEV_DEV_NAME, "0000:3b:00.2"))
	device := slices.Concat(manager, text(nl.VDPA_ATTR_DEV_NAME, "vdpa:0000:3b:00.2"),
		nl.NewRtAttr(nl.VDPA_ATTR_DEV_ID, nl.Uint32Attr(1)).Serialize())
	simulated := slices.Concat(text(nl.VDPA_ATTR_MGMTDEV_DEV_NAME, "vdpasim_net"), text(nl.VDPA_ATTR_DEV_NAME, "vdpa0"))
	vf := host.DevlinkOf("0000:3b:00.2")
	for _, c := range []struct {
		name  string
		attrs []byte
		want  host.VDPADevice
	}{
		{"device", device, host.VDPADevice{Name: "vdpa:0000:3b:00.2", Manager: vf}},
		{"management device", manager, host.VDPADevice{Manager: vf}},
		{"simulator", simulated, host.VDPADevice{Name: "vdpa0", Manager: host.DevlinkHandle{Device: "vdpasim_net"}}},
		{"nothing", nil, host.VDPADevice{}},
	} {
		if diff := cmp.Diff(c.want, parseDevice(c.attrs)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestRequest holds that a request names device and manager as vdpa_nl_policy
// wants them, without a bus where the manager has none: the kernel then compares
// names alone (mgmtdev_handle_match).
func TestRequest(t *testing.T) {
	for _, manager := range []host.DevlinkHandle{host.DevlinkOf("0000:3b:00.2"), {Device: "vdpasim_net"}} {
		var data []byte
		attrs := newDevice("vdpa:x", manager)
		for _, attr := range attrs {
			data = append(data, attr.Serialize()...)
		}
		if diff := cmp.Diff(host.VDPADevice{Name: "vdpa:x", Manager: manager}, parseDevice(data)); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
		if hasBus := len(attrs) == 3; hasBus != (manager.Bus != "") {
			t.Errorf("%d attributes for %v", len(attrs), manager)
		}
	}
}

// TestThisKernel asks the kernel that runs the test: with the module there is a
// family, without it there is nothing to list and nothing can be made.
func TestThisKernel(t *testing.T) {
	var c Client
	managers, err := c.Managers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Devices(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("managers: %v", managers)
	err = c.Create(t.Context(), "vdpa:none", host.DevlinkOf("ffff:ff:1f.7"))
	var refused *host.Error
	if !errors.As(err, &refused) || refused.Op == "" || refused.Object != "ffff:ff:1f.7" {
		t.Fatalf("Create = %v", err)
	}
	// EPERM where the test does not run as root.
	if !slices.Contains([]syscall.Errno{syscall.EOPNOTSUPP, syscall.ENODEV, syscall.EPERM}, refused.Errno) {
		t.Errorf("Create = %v", err)
	}
	if err := c.Delete(t.Context(), "vdpa:none"); err == nil {
		t.Error("a device that is not there was removed")
	}
}

// FuzzParse holds that nothing that a kernel may say breaks the parser.
func FuzzParse(f *testing.F) {
	f.Add(text(nl.VDPA_ATTR_DEV_NAME, "vdpa:0000:3b:00.2"))
	f.Add([]byte{5, 0, 4, 0, 9})
	f.Fuzz(func(_ *testing.T, data []byte) { parseDevice(data) })
}
