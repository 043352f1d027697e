package simhost_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

// refusal is what a test compares of a host.Error.
type refusal struct {
	Errno syscall.Errno
	Text  string
}

func refusalOf(t *testing.T, err error) refusal {
	t.Helper()
	if err == nil {
		return refusal{}
	}
	he, ok := errors.AsType[*host.Error](err)
	if !ok {
		t.Fatalf("%v is not a *host.Error", err)
	}
	return refusal{he.Errno, he.Text}
}

// Every refusal with its errno, its extended acknowledgement, its line in the
// kernel log, and what Forbidden says of it.
func TestRefusals(t *testing.T) {
	igb := "0000:01:00.0"
	numVFs := func(pf, n string) func(t *testing.T, k *simhost.Kernel) error {
		return func(t *testing.T, k *simhost.Kernel) error {
			return k.Host().FS.WriteFile(t.Context(), attr(pf, "sriov_numvfs"), []byte(n))
		}
	}
	mode := func(pf, mode string) func(t *testing.T, k *simhost.Kernel) error {
		return func(t *testing.T, k *simhost.Kernel) error {
			return k.Host().Devlink.SetEswitchMode(t.Context(), host.DevlinkOf(pf), mode)
		}
	}
	admin := func(path, data string) func(t *testing.T, k *simhost.Kernel) {
		return func(t *testing.T, k *simhost.Kernel) { write(t, k.Admin(), path, data) }
	}
	for _, tc := range []struct {
		name      string
		nic       simhost.NIC
		before    func(t *testing.T, k *simhost.Kernel)
		do        func(t *testing.T, k *simhost.Kernel) error
		want      refusal
		log       string
		forbidden string
	}{
		{
			name: "another number of VFs", nic: simhost.Igb82576(), before: admin(attr(igb, "sriov_numvfs"), "3"),
			do: numVFs(igb, "4"), want: refusal{Errno: syscall.EBUSY},
			log:       "igb 0000:01:00.0: 3 VFs already enabled. Disable before enabling 4 VFs",
			forbidden: "0000:01:00.0: changing 3 VFs into 4 without 0 in between",
		},
		{
			name: "too many VFs", nic: simhost.ConnectX5(), do: numVFs(pf0, "9"), want: refusal{Errno: syscall.ERANGE},
			forbidden: "0000:5f:00.0: 9 VFs of at most 8",
		},
		{
			name: "a driver that allows no VFs", nic: simhost.ConnectX5(simhost.TotalVFs(0)), do: numVFs(pf0, "1"),
			want: refusal{Errno: syscall.ERANGE}, forbidden: "0000:5f:00.0: 1 VFs of at most 0",
		},
		{
			name: "SR-IOV off in the BIOS", nic: simhost.ConnectX5(simhost.WithoutSRIOV()), do: numVFs(pf0, "1"),
			want: refusal{Errno: syscall.ENOENT},
		},
		{
			name: "no driver", nic: simhost.ConnectX5(), before: admin("sys/bus/pci/drivers/mlx5_core/unbind", pf0),
			do: numVFs(pf0, "1"), want: refusal{Errno: syscall.ENOENT},
			log:       "pci 0000:5f:00.0: no driver bound to device; cannot configure SR-IOV",
			forbidden: "0000:5f:00.0: changing the number of VFs of a PF without driver",
		},
		{
			name: "no MMIO space", nic: simhost.ConnectX5(simhost.WithoutMMIO()), do: numVFs(pf0, "3"),
			want: refusal{Errno: syscall.ENOMEM}, log: "mlx5_core 0000:5f:00.0: not enough MMIO resources for SR-IOV",
		},
		{
			name: "no bus numbers", nic: simhost.ConnectX5(simhost.TotalVFs(127), simhost.WithoutBusNumbers(), simhost.At("0000:5f:1f.0")),
			do: numVFs("0000:5f:1f.0", "127"), want: refusal{Errno: syscall.ENOMEM},
			log: "mlx5_core 0000:5f:1f.0: can't enable 127 VFs (bus 60 out of range of [bus 5f])",
		},
		{
			name: "fewer VFs than asked for", nic: simhost.ConnectX5(simhost.EnabledAtMost(2)), do: numVFs(pf0, "3"),
			log: "mlx5_core 0000:5f:00.0: 3 VFs requested; only 2 enabled",
		},
		{
			name: "mode with bound VFs", nic: simhost.ConnectX5(), before: admin(attr(pf0, "sriov_numvfs"), "2"),
			do:        mode(pf0, "switchdev"),
			want:      refusal{syscall.EBUSY, "mlx5_core: Can't change mode, E-Switch is busy"},
			forbidden: "0000:5f:00.0: changing the eswitch mode while VFs are bound",
		},
		{
			name: "mode with VFs (ice)", nic: simhost.E810(), before: admin(attr("0000:17:00.0", "sriov_numvfs"), "2"),
			do:        mode("0000:17:00.0", "switchdev"),
			want:      refusal{syscall.EOPNOTSUPP, "ice: Changing eswitch mode is allowed only if there is no VFs created"},
			log:       "ice 0000:17:00.0: Changing eswitch mode is allowed only if there is no VFs created",
			forbidden: "0000:17:00.0: changing the eswitch mode while there are VFs",
		},
		{
			name: "the same mode (bnxt)", nic: simhost.BCM57414(), do: mode("0000:af:00.0", "legacy"), want: refusal{Errno: syscall.EINVAL},
			log:       "bnxt_en 0000:af:00.0: ens5f0np0: already in legacy eswitch mode",
			forbidden: "0000:af:00.0: setting the eswitch mode that is in force",
		},
		{
			name: "switchdev without VFs (older bnxt)", nic: simhost.BCM57414(simhost.SwitchdevNeedsVFs()), do: mode("0000:af:00.0", "switchdev"),
			want: refusal{Errno: syscall.EPERM}, log: "bnxt_en 0000:af:00.0: ens5f0np0: Enable VFs before setting switchdev mode",
		},
		{
			name: "switchdev without VFs (older mlx5)", nic: simhost.ConnectX5(simhost.SwitchdevNeedsVFs()), do: mode(pf0, "switchdev"),
			want: refusal{syscall.EINVAL, "mlx5_core: Can't set offloads mode, SRIOV legacy not enabled"},
		},
		{
			name: "VFs while down (bnxt)", nic: simhost.BCM57414(simhost.Down()), do: numVFs("0000:af:00.0", "2"),
			log:       "bnxt_en 0000:af:00.0: Reject SRIOV config request since if is down!\nbnxt_en 0000:af:00.0: 2 VFs requested; only 0 enabled",
			forbidden: "0000:af:00.0: changing the number of VFs while the PF's netdev is down",
		},
		{
			name: "mode of the firmware's choice (nfp)", nic: simhost.AgilioFlower(), do: mode("0000:05:00.0", "legacy"),
			want: refusal{Errno: syscall.EOPNOTSUPP}, forbidden: "0000:05:00.0: setting the mode of a device without eswitch",
		},
		{
			name: "more VFs than the firmware allows (nfp)", nic: simhost.AgilioFlower(simhost.FirmwareVFs(2)), do: numVFs("0000:05:00.0", "3"),
			want: refusal{Errno: syscall.EINVAL}, log: "nfp 0000:05:00.0: nfp: Firmware limits number of VFs to 2",
		},
		{
			name: "mode with VFs (unknown driver)", nic: simhost.Newcomer(), before: admin(attr("0000:c1:00.0", "sriov_numvfs"), "2"),
			do:   mode("0000:c1:00.0", "switchdev"),
			want: refusal{syscall.EOPNOTSUPP, "newcomer: Changing eswitch mode is allowed only if there is no VFs created"},
			log:  "newcomer 0000:c1:00.0: Changing eswitch mode is allowed only if there is no VFs created",
		},
		{
			name: "steering parameter in switchdev mode", nic: simhost.ConnectX5(), before: func(t *testing.T, k *simhost.Kernel) {
				if err := k.Admin().Devlink.SetEswitchMode(t.Context(), host.DevlinkOf(pf0), "switchdev"); err != nil {
					t.Fatal(err)
				}
			},
			do: func(t *testing.T, k *simhost.Kernel) error {
				return k.Host().Devlink.SetParam(t.Context(), host.DevlinkOf(pf0), "flow_steering_mode", "smfs")
			},
			want:      refusal{syscall.EOPNOTSUPP, "mlx5_core: Changing fs mode is not supported when eswitch offloads enabled."},
			forbidden: "0000:5f:00.0: changing the steering mode in switchdev mode",
		},
		{
			name: "steering file in switchdev mode", nic: simhost.ConnectX5(simhost.CompatSteering()), before: func(t *testing.T, k *simhost.Kernel) {
				if err := k.Admin().Devlink.SetEswitchMode(t.Context(), host.DevlinkOf(pf0), "switchdev"); err != nil {
					t.Fatal(err)
				}
			},
			do: func(t *testing.T, k *simhost.Kernel) error {
				return k.Host().FS.WriteFile(t.Context(), "sys/class/net/ens41f0np0/compat/devlink/steering_mode", []byte("smfs"))
			},
			want:      refusal{Errno: syscall.EOPNOTSUPP},
			log:       "mlx5_core 0000:5f:00.0: Changing fs mode is not supported when eswitch offloads enabled.",
			forbidden: "0000:5f:00.0: changing the steering mode in switchdev mode",
		},
		{
			name: "inline mode with bound VFs", nic: simhost.ConnectX4Lx(), before: admin(attr("0000:04:00.0", "sriov_numvfs"), "2"),
			do: func(t *testing.T, k *simhost.Kernel) error {
				return k.Host().Devlink.SetInlineMode(t.Context(), host.DevlinkOf("0000:04:00.0"), "transport")
			},
			want:      refusal{syscall.EINVAL, "mlx5_core: Failed to set min inline on vport"},
			forbidden: "0000:04:00.0: setting the inline mode while VFs are bound",
		},
		{
			name: "inline mode of a ConnectX-5", nic: simhost.ConnectX5(),
			do: func(t *testing.T, k *simhost.Kernel) error {
				return k.Host().Devlink.SetInlineMode(t.Context(), host.DevlinkOf(pf0), "transport")
			},
			want:      refusal{syscall.EOPNOTSUPP, "mlx5_core: Inline mode can't be set"},
			forbidden: "0000:5f:00.0: setting an inline mode that cannot be set",
		},
		{
			name: "mode of a device without devlink", nic: simhost.Igb82576(), do: mode(igb, "switchdev"),
			want: refusal{Errno: syscall.ENODEV}, forbidden: "0000:01:00.0: setting the eswitch mode of a device without devlink",
		},
		{
			name: "mode of a device without eswitch", nic: simhost.ConnectX5(simhost.WithoutEswitch()), do: mode(pf0, "switchdev"),
			want: refusal{Errno: syscall.EOPNOTSUPP}, forbidden: "0000:5f:00.0: setting the mode of a device without eswitch",
		},
		{
			name: "steering mode in switchdev mode", nic: simhost.ConnectX5(),
			before: func(t *testing.T, k *simhost.Kernel) { switchdev(t, k, pf0, "ens41f0np0", 1) },
			do: func(_ *testing.T, k *simhost.Kernel) error {
				return k.SetParam(pf0, "flow_steering_mode", "smfs")
			},
			want: refusal{syscall.EOPNOTSUPP, "mlx5_core: Changing fs mode is not supported when eswitch offloads enabled."},
		},
		{
			name: "steering mode of a newer NIC", nic: simhost.ConnectX5(),
			do: func(_ *testing.T, k *simhost.Kernel) error {
				return k.SetParam(pf0, "flow_steering_mode", "hmfs")
			},
			want: refusal{syscall.EOPNOTSUPP, "mlx5_core: Hardware managed steering is not supported by current device"},
		},
		{
			name: "bind with autoprobe 0", nic: simhost.ConnectX5(),
			before: func(t *testing.T, k *simhost.Kernel) {
				write(t, k.Admin(), attr(pf0, "sriov_drivers_autoprobe"), "0")
				write(t, k.Admin(), attr(pf0, "sriov_numvfs"), "1")
			},
			do: func(t *testing.T, k *simhost.Kernel) error {
				return k.Host().FS.WriteFile(t.Context(), "sys/bus/pci/drivers/mlx5_core/bind", []byte("0000:5f:00.2"))
			},
			want: refusal{Errno: syscall.ENODEV}, forbidden: "0000:5f:00.2: binding a VF while sriov_drivers_autoprobe is 0",
		},
		{
			name: "the node's own network", nic: simhost.ConnectX5(),
			before: func(_ *testing.T, k *simhost.Kernel) {
				k.SetNodeNetwork("ens41f0np0", "carries the default route")
			},
			do:        mode(pf0, "switchdev"),
			forbidden: "0000:5f:00.0: changing the eswitch mode while ens41f0np0 carries the default route",
		},
		{
			name: "VFs of a pod", nic: simhost.ConnectX5(),
			before: func(t *testing.T, k *simhost.Kernel) {
				write(t, k.Admin(), attr(pf0, "sriov_numvfs"), "2")
				if err := k.AssignVF("0000:5f:00.3", "default/web"); err != nil {
					t.Fatal(err)
				}
			},
			do: numVFs(pf0, "0"), forbidden: "0000:5f:00.3: removing VFs while pod default/web holds it",
		},
		{
			name: "reading what can only be written", nic: simhost.ConnectX5(),
			do: func(t *testing.T, k *simhost.Kernel) error {
				_, err := k.Host().FS.ReadFile(t.Context(), "sys/bus/pci/drivers_probe")
				return err
			},
			want: refusal{Errno: syscall.EACCES},
		},
		{
			name: "writing what can only be read", nic: simhost.ConnectX5(),
			do: func(t *testing.T, k *simhost.Kernel) error {
				return k.Host().FS.WriteFile(t.Context(), attr(pf0, "vendor"), []byte("x"))
			},
			want: refusal{Errno: syscall.EACCES},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := simhost.New(simhost.Options{NICs: []simhost.NIC{tc.nic}})
			defer k.Close()
			if tc.before != nil {
				tc.before(t, k)
			}
			err := tc.do(t, k)
			if diff := cmp.Diff(tc.want, refusalOf(t, err)); diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
			if got := strings.Join(k.Forbidden(), "\n"); got != tc.forbidden {
				t.Errorf("forbidden: %q, want %q", got, tc.forbidden)
			}
			lines, err := k.Host().Log.Recent(t.Context(), "0000", 100)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(lines, "\n"); got != tc.log {
				t.Errorf("log: %q, want %q", got, tc.log)
			}
		})
	}
}

// An igbvf that binds while its PF is down gets a random MAC, not the admin MAC.
func TestIgbMACNeedsPFUp(t *testing.T) {
	k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.Igb82576(simhost.Down())}})
	defer k.Close()
	h := k.Host()
	index := linkNamed(t, h, "enp1s0f0").Index
	write(t, h, attr("0000:01:00.0", "sriov_numvfs"), "1")
	if err := h.Links.SetVFMAC(t.Context(), index, 0, "02:11:22:33:44:55"); err != nil {
		t.Fatal(err)
	}
	rebind := func() string {
		write(t, h, "sys/bus/pci/drivers/igbvf/unbind", "0000:01:10.0")
		write(t, h, "sys/bus/pci/drivers_probe", "0000:01:10.0")
		return linkNamed(t, h, "enp1s0f0v0").MAC
	}
	if got := rebind(); got == "02:11:22:33:44:55" {
		t.Errorf("MAC with the PF down is the admin MAC %s", got)
	}
	if err := h.Links.SetUp(t.Context(), index, true); err != nil {
		t.Fatal(err)
	}
	if got := rebind(); got != "02:11:22:33:44:55" {
		t.Errorf("MAC with the PF up is %s", got)
	}
}
