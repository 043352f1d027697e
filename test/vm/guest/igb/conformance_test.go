//go:build vm

// Package igb has the specs for a machine with emulated Intel 82576 cards.
package igb

import (
	"testing"

	"github.com/sriov-offload/sriov-offload-operator/test/vm/guest/conformance"
)

// The rules that the simulated 82576 follows, on a real kernel.
func TestConformance(t *testing.T) { conformance.Run(t, "igb") }
