package ethtool_test

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/ethtool"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/netnstest"
)

func TestMain(m *testing.M) { netnstest.Main(m) }

func feature(t *testing.T, c *ethtool.Client, netdev, name string) host.Feature {
	t.Helper()
	f, err := c.Feature(t.Context(), netdev, name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFeatures(t *testing.T) {
	netnstest.Enter(t)
	netnstest.Veth(t, "ens1f0", "wire0")
	c := &ethtool.Client{}
	// Features with low and with high bits, whichever word they are in.
	for _, name := range []string{"tx-vlan-hw-insert", "tx-checksum-ip-generic", "rx-gro", "rx-gro-list", "rx-udp-gro-forwarding"} {
		before := feature(t, c, "ens1f0", name)
		if before.Fixed {
			t.Errorf("%s of a veth is fixed", name)
			continue
		}
		for _, on := range []bool{!before.On, !before.On, before.On} {
			if err := c.SetFeature(t.Context(), "ens1f0", name, on); err != nil {
				t.Fatal(err)
			}
			if got := feature(t, c, "ens1f0", name); got.On != on || got.Fixed {
				t.Errorf("%s set to %v is %+v", name, on, got)
			}
			if other := feature(t, c, "wire0", name); other != before {
				t.Errorf("%s of another netdev is %+v, was %+v", name, other, before)
			}
		}
	}
}

func TestFixedFeature(t *testing.T) {
	netnstest.Enter(t)
	netnstest.Veth(t, "ens1f0", "wire0")
	c := &ethtool.Client{}
	if got := feature(t, c, "ens1f0", host.FeatureHWTCOffload); got != (host.Feature{Fixed: true}) {
		t.Errorf("hw-tc-offload of a veth is %+v", got)
	}
	err := c.SetFeature(t.Context(), "ens1f0", host.FeatureHWTCOffload, true)
	want := "switching feature hw-tc-offload on on ens1f0: operation not supported (fixed by the driver)"
	if !errors.Is(err, syscall.EOPNOTSUPP) || err.Error() != want {
		t.Errorf("switching a fixed feature: %v\nwant %s", err, want)
	}
	if err := c.SetFeature(t.Context(), "ens1f0", host.FeatureHWTCOffload, false); err != nil {
		t.Errorf("a fixed feature is as wanted already: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	netnstest.Enter(t)
	c := &ethtool.Client{}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name            string
		ctx             context.Context
		netdev, feature string
		want            error
	}{
		{"no such netdev", t.Context(), "ens9", "rx-gro", syscall.ENODEV},
		{"no such feature", t.Context(), "lo", "hw-ct-offload", fs.ErrNotExist},
		{"name too long", t.Context(), "a-name-of-sixteen", "rx-gro", syscall.ENODEV},
		{"ended context", ended, "lo", "rx-gro", context.Canceled},
	}
	for _, test := range tests {
		if _, err := c.Feature(test.ctx, test.netdev, test.feature); !errors.Is(err, test.want) {
			t.Errorf("%s: reading: %v", test.name, err)
		}
		if err := c.SetFeature(test.ctx, test.netdev, test.feature, true); !errors.Is(err, test.want) {
			t.Errorf("%s: switching: %v", test.name, err)
		}
	}
}

// BenchmarkFeature shows what one netdev costs: there is one for each VF.
func BenchmarkFeature(b *testing.B) {
	c := &ethtool.Client{}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Feature(context.Background(), "lo", host.FeatureHWTCOffload); err != nil {
			b.Fatal(err)
		}
	}
}
