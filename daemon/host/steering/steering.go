package steering

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// param is mlx5's devlink parameter.
const param = "flow_steering_mode"

// Read returns the mode of a PF, empty when its driver has none to choose.
// netdev is the name of the PF's netdev; without it only devlink is asked.
func Read(ctx context.Context, h host.Host, pf, netdev string) (string, error) {
	mode, err := h.Devlink.Param(ctx, host.DevlinkOf(pf), param)
	if err == nil || !missing(err) || netdev == "" {
		return mode, ignoreMissing(err)
	}
	data, err := h.FS.ReadFile(ctx, compat(netdev))
	if err != nil {
		return "", ignoreMissing(err)
	}
	return strings.TrimSpace(string(data)), nil
}

// Set sets the mode of a PF, in the place where Read finds it.
func Set(ctx context.Context, h host.Host, pf, netdev, mode string) error {
	handle := host.DevlinkOf(pf)
	_, err := h.Devlink.Param(ctx, handle, param)
	if err != nil && missing(err) && netdev != "" {
		return h.FS.WriteFile(ctx, compat(netdev), []byte(mode))
	}
	return h.Devlink.SetParam(ctx, handle, param, mode)
}

func compat(netdev string) string {
	return path.Join("sys/class/net", netdev, "compat/devlink/steering_mode")
}

// missing tells that there is nothing to read: no devlink instance, or no such
// parameter, for which the kernel answers EINVAL.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) ||
		errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.EINVAL)
}

func ignoreMissing(err error) error {
	if err != nil && missing(err) {
		return nil
	}
	return err
}
