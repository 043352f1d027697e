//go:build vm

// Package conformance runs the rules of the kernel on the real one of a machine.
package conformance

import (
	"testing"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/hosttest"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/linux"
)

// Run runs the rules that apply to a machine of hosttest.Machines.
func Run(t *testing.T, machine string) {
	t.Helper()
	dev := hosttest.MachineNamed(machine).Device
	dev.Open = open
	hosttest.Run(t, dev)
}

func open(t *testing.T) host.Host {
	t.Helper()
	h, closer, err := linux.Open(linux.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = closer.Close() })
	return h
}
