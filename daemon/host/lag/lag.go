package lag

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// Switchdev is the Kind of a VF-LAG; a bond of ports in legacy mode without VFs
// becomes a RoCE LAG instead.
const Switchdev = "switchdev"

// debugfs has a folder for every PF of mlx5, with one for its LAG since Linux 5.19
// (drivers/net/ethernet/mellanox/mlx5/core/lag/debugfs.c).
const debugfs = "sys/kernel/debug/mlx5"

// State of the LAG over the ports of a NIC.
type State struct {
	// Known is false when the kernel does not tell.
	Known bool
	// Reason why it is not known, for people.
	Reason string
	Active bool
	// Kind of an active LAG: switchdev, roce, multipath or mpesw.
	Kind string
}

// VFLAG tells that the NIC offloads the bond for its VFs.
func (s State) VFLAG() bool { return s.Known && s.Active && s.Kind == Switchdev }

// Read returns the state of the LAG over the NIC of a PF. What the kernel does not
// tell, because it is too old, debugfs is not mounted or locked down, is a State
// that is not Known.
func Read(ctx context.Context, files host.FS, pf string) (State, error) {
	state, err := read(ctx, files, pf, "state")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return State{Reason: "the kernel has no " + path.Join("/"+debugfs, pf, "lag") + " (Linux 5.19 and debugfs)"}, nil
	case errors.Is(err, fs.ErrPermission):
		return State{Reason: "debugfs cannot be read: " + err.Error()}, nil
	case err != nil:
		return State{}, fmt.Errorf("reading the state of the LAG: %w", err)
	case state != "active":
		return State{Known: true}, nil
	}
	kind, err := read(ctx, files, pf, "type")
	if err != nil {
		return State{}, fmt.Errorf("reading the type of the LAG: %w", err)
	}
	return State{Known: true, Active: true, Kind: kind}, nil
}

func read(ctx context.Context, files host.FS, pf, name string) (string, error) {
	data, err := files.ReadFile(ctx, path.Join(debugfs, pf, "lag", name))
	return strings.TrimSpace(string(data)), err
}
