package steering_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/steering"
)

const (
	pf     = "0000:5f:00.0"
	netdev = "ens41f0np0"
)

// The mode is read and set where the driver has it: devlink, MLNX_OFED's file, or
// nowhere.
func TestReadAndSet(t *testing.T) {
	for _, c := range []struct {
		name          string
		nic           simhost.NIC
		netdev        string
		before, after string
		errno         syscall.Errno
	}{
		{"devlink", simhost.ConnectX5(), netdev, "dmfs", "smfs", 0},
		{"devlink without netdev", simhost.ConnectX5(), "", "dmfs", "smfs", 0},
		{"compat", simhost.ConnectX5(simhost.CompatSteering()), netdev, "dmfs", "smfs", 0},
		{"compat without netdev", simhost.ConnectX5(simhost.CompatSteering()), "", "", "", syscall.EINVAL},
		{"none", simhost.ConnectX5(simhost.WithoutSteering()), netdev, "", "", syscall.ENOENT},
		{"no devlink", simhost.Igb82576(simhost.At(pf), simhost.Names(netdev)), netdev, "", "", syscall.ENOENT},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := simhost.New(simhost.Options{NICs: []simhost.NIC{c.nic}})
			defer k.Close()
			read := func(want string) {
				t.Helper()
				if got, err := steering.Read(t.Context(), k.Host(), pf, c.netdev); got != want || err != nil {
					t.Errorf("mode %q, %v; want %q", got, err, want)
				}
			}
			read(c.before)
			err := steering.Set(t.Context(), k.Host(), pf, c.netdev, "smfs")
			if c.errno == 0 && err != nil || c.errno != 0 && !errors.Is(err, c.errno) {
				t.Errorf("setting: %v", err)
			}
			read(c.after)
		})
	}
}

// A mode that cannot be read is an error, never "none".
func TestUnreadable(t *testing.T) {
	for op, nic := range map[string]simhost.NIC{
		"devlink.Param *":             simhost.ConnectX5(),
		"fs.ReadFile */steering_mode": simhost.ConnectX5(simhost.CompatSteering()),
	} {
		k := simhost.New(simhost.Options{NICs: []simhost.NIC{nic}})
		k.Fail(simhost.Fault{Op: op, Errno: syscall.EIO})
		if got, err := steering.Read(t.Context(), k.Host(), pf, netdev); got != "" || !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %q, %v", op, got, err)
		}
		k.Close()
	}
}
