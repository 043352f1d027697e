package ethtool_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/ethtool"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/netnstest"
)

func TestFirmwareVersion(t *testing.T) {
	netnstest.Enter(t)
	netnstest.Veth(t, "ens1f0", "wire0")
	c := &ethtool.Client{}
	if got, err := c.FirmwareVersion(t.Context(), "ens1f0"); err != nil || got != "" {
		t.Errorf("a veth has firmware %q, %v", got, err)
	}
	for _, name := range []string{"nobody0", "a-name-longer-than-the-kernel-takes"} {
		if _, err := c.FirmwareVersion(t.Context(), name); !errors.Is(err, syscall.ENODEV) {
			t.Errorf("firmware of %s: %v", name, err)
		}
	}
}
