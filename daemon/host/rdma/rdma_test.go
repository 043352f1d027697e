package rdma_test

import (
	"context"
	"errors"
	"testing"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/rdma"
)

// The kernel of this machine has a mode, or says that it has none; it is never
// anything else. Setting the mode that there is changes nothing.
func TestMode(t *testing.T) {
	var c rdma.Client
	mode, err := c.NetnsMode(t.Context())
	switch {
	case errors.Is(err, host.ErrNoRDMA):
		if err := c.SetNetnsMode(t.Context(), host.RDMAShared); !errors.Is(err, host.ErrNoRDMA) {
			t.Errorf("setting the mode of what is not there: %v", err)
		}
	case err != nil:
		t.Errorf("NetnsMode: %v", err)
	case mode != host.RDMAShared && mode != host.RDMAExclusive:
		t.Errorf("the mode is %q", mode)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.NetnsMode(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	if err := c.SetNetnsMode(t.Context(), "sometimes"); err == nil {
		t.Error("an unknown mode was set")
	}
}
