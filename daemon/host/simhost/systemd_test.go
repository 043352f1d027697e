package simhost_test

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/hosttest"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

func TestSystemdConformance(t *testing.T) {
	k := simhost.New(simhost.Options{})
	defer k.Close()
	hosttest.Systemd(t, k.Host())
}

func TestWithoutSystemd(t *testing.T) {
	k := simhost.New(simhost.Options{NoSystemd: true})
	defer k.Close()
	s := k.Host().Systemd
	_, err := s.Unit(t.Context(), "a.service")
	for _, err := range []error{err, s.Reload(t.Context()), s.Enable(t.Context(), "a.service"), s.Disable(t.Context(), "a.service")} {
		if !errors.Is(err, host.ErrNoSystemd) {
			t.Errorf("error is %v", err)
		}
	}
}

// A reboot starts what is enabled: first what comes before the network, all of it
// before the kubelet. A unit that fails, or whose program is not there, says so.
func TestUnitsAtBoot(t *testing.T) {
	k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}})
	defer k.Close()
	k.SetNodeNetwork("ens41f0np0", "carries the default route")
	for unit, text := range map[string]string{
		"b-early.service": "Before=network-pre.target\nExecStart=/usr/lib/tool early\n",
		"a-late.service":  "ExecStart=/usr/lib/tool late\n",
		"c-fails.service": "ExecStart=/usr/lib/tool fail\n",
		"d-gone.service":  "ExecStart=/usr/lib/gone\n",
		"e-off.service":   "ExecStart=/usr/lib/tool off\n",
	} {
		if _, err := k.Host().Files.Put(t.Context(), "etc/systemd/system/"+unit, []byte(text+"[Install]\nWantedBy=multi-user.target\n"), false); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.Host().Files.Copy(t.Context(), "usr/lib/tool", strings.NewReader("x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := k.Host().Systemd.Enable(t.Context(), "a-late.service", "b-early.service", "c-fails.service", "d-gone.service"); err != nil {
		t.Fatal(err)
	}
	var ran []string
	k.AtBoot(func(unit, command string) error {
		network, err := k.Host().Links.NodeNetwork(t.Context())
		if err != nil {
			t.Error(err)
		}
		if _, err := k.Host().Pods.DeviceOwners(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("the kubelet runs before %s: %v", unit, err)
		}
		if early := unit == "b-early.service"; early != (len(network) == 0) {
			t.Errorf("%s finds the network %v", unit, network)
		}
		ran = append(ran, command)
		if strings.HasSuffix(command, "fail") {
			return errors.New("exit status 1")
		}
		return nil
	})
	k.Reboot()
	if want := []string{"/usr/lib/tool early", "/usr/lib/tool late", "/usr/lib/tool fail"}; !slices.Equal(ran, want) {
		t.Errorf("ran %q, want %q", ran, want)
	}
	got := map[string]string{}
	for _, unit := range []string{"a-late.service", "b-early.service", "c-fails.service", "d-gone.service", "e-off.service"} {
		s, err := k.Host().Systemd.Unit(t.Context(), unit)
		if err != nil {
			t.Fatal(err)
		}
		got[unit] = s.Active + " " + s.Result
	}
	want := map[string]string{
		"a-late.service": "active success", "b-early.service": "active success", "c-fails.service": "failed exit-code",
		"d-gone.service": "failed exit-code", "e-off.service": "inactive success",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("units after boot (-want +got):\n%s", diff)
	}
	if _, err := k.Host().Pods.DeviceOwners(t.Context()); err != nil {
		t.Errorf("the kubelet does not run after the boot: %v", err)
	}
}
