package nlsock_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink/nl"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/bounded"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/nlsock"
)

// TestFamily asks the real kernel for the family that every kernel has.
func TestFamily(t *testing.T) {
	var calls bounded.Calls
	if id, err := nlsock.Family(t.Context(), &calls, "nlctrl", "asking", "nlctrl"); id != nl.GENL_ID_CTRL || err != nil {
		t.Errorf("nlctrl is %d, %v; want %d", id, err, nl.GENL_ID_CTRL)
	}
	if _, err := nlsock.Family(t.Context(), &calls, "no-such-family", "asking", "nothing"); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("a family that does not exist: %v", err)
	}
}
