package rtnl

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// TestRequestOfGUIDs holds that what is written is what the kernel writes back:
// host order on the wire, the first byte of the GUID in front in text.
func TestRequestOfGUIDs(t *testing.T) {
	got := parseVFs(message(unix.ARPHRD_INFINIBAND, 4, 0, vfGUIDs(3, 0x0ac0eb000400000f)))
	// The list of a request has no MAC, which is where answers have the index.
	want := []host.LinkVF{{GUID: "0a:c0:eb:00:04:00:00:0f", NodeGUID: "0a:c0:eb:00:04:00:00:0f", ReportsGUID: true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("GUIDs (-want +got):\n%s", diff)
	}
}

// What is no GUID does not reach the kernel, and what is one is refused by a link
// that is not InfiniBand.
func TestSetVFGUIDRefused(t *testing.T) {
	var c Client
	for _, guid := range []string{"", "x", "02:00:00:00:00:11", "00:00:10:49:fe:80:00:00:00:00:00:00:00:00:00:00:00:00:00:01"} {
		err := c.SetVFGUID(t.Context(), 1, 0, guid)
		var refused *host.Error
		if !errors.As(err, &refused) || refused.Errno != 0 || refused.Op == "" {
			t.Errorf("SetVFGUID(%q) = %v", guid, err)
		}
	}
	err := c.SetVFGUID(t.Context(), 1, 0, "0a:c0:eb:00:04:00:00:0f")
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EPERM) {
		t.Errorf("SetVFGUID of the loopback device = %v", err)
	}
}
