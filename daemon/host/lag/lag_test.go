package lag_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/lag"
)

// files are attributes by the end of their path; an errno is a refusal.
type files struct {
	host.FS
	content map[string]any
}

func (f files) ReadFile(_ context.Context, path string) ([]byte, error) {
	switch v := f.content[strings.TrimPrefix(path, "sys/kernel/debug/mlx5/0000:5f:00.0/lag/")].(type) {
	case string:
		return []byte(v), nil
	case syscall.Errno:
		return nil, &host.Error{Op: "reading", Object: path, Errno: v}
	}
	return nil, &host.Error{Op: "reading", Object: path, Errno: syscall.ENOENT}
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name    string
		content map[string]any
		want    lag.State
		vflag   bool
		fails   bool
	}{
		{"VF-LAG", map[string]any{"state": "active\n", "type": "switchdev\n"}, lag.State{Known: true, Active: true, Kind: "switchdev"}, true, false},
		{"RoCE LAG", map[string]any{"state": "active\n", "type": "roce\n"}, lag.State{Known: true, Active: true, Kind: "roce"}, false, false},
		{"none", map[string]any{"state": "disabled\n", "type": syscall.EINVAL}, lag.State{Known: true}, false, false},
		{"an older kernel", nil, lag.State{Reason: "the kernel has no /sys/kernel/debug/mlx5/0000:5f:00.0/lag (Linux 5.19 and debugfs)"}, false, false},
		{"lockdown", map[string]any{"state": syscall.EPERM}, lag.State{Reason: "debugfs cannot be read: reading on sys/kernel/debug/mlx5/0000:5f:00.0/lag/state: operation not permitted"}, false, false},
		{"a device that does not answer", map[string]any{"state": syscall.EIO}, lag.State{}, false, true},
		{"gone in between", map[string]any{"state": "active\n", "type": syscall.EINVAL}, lag.State{}, false, true},
	} {
		got, err := lag.Read(t.Context(), files{content: c.content}, "0000:5f:00.0")
		var refused *host.Error
		if got != c.want || got.VFLAG() != c.vflag || c.fails != errors.As(err, &refused) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}
