package connectivity_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/connectivity"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

const (
	pf0        = "0000:5f:00.0"
	pf1        = "0000:5f:00.1"
	management = "0000:00:1f.6"
)

var (
	apiServer   = ledger.Check{Kind: connectivity.APIServer}
	managed     = ledger.Check{Kind: connectivity.Gateway, Address: "192.0.2.1", Link: management}
	gatewayPF0  = ledger.Check{Kind: connectivity.Gateway, Address: "192.0.2.1", Link: pf0}
	carrierEno1 = ledger.Check{Kind: connectivity.Carrier, Link: management}
	carrierPF0  = ledger.Check{Kind: connectivity.Carrier, Link: pf0}
	carrierPF1  = ledger.Check{Kind: connectivity.Carrier, Link: pf1}
)

// switchdev makes VFs and representors on the first port.
func switchdev(k *simhost.Kernel) error {
	h := k.Admin()
	ctx := context.Background()
	return errors.Join(
		h.FS.WriteFile(ctx, "sys/bus/pci/devices/"+pf0+"/sriov_drivers_autoprobe", []byte("0")),
		h.FS.WriteFile(ctx, "sys/bus/pci/devices/"+pf0+"/sriov_numvfs", []byte("2")),
		h.Devlink.SetEswitchMode(ctx, host.DevlinkOf(pf0), "switchdev"))
}

func setUp(k *simhost.Kernel, name string, up bool) error {
	h := k.Admin()
	list, err := h.Links.List(context.Background())
	for _, l := range list {
		if l.Name == name {
			return h.Links.SetUp(context.Background(), l.Index, up)
		}
	}
	return errors.Join(err, fmt.Errorf("no link %s", name))
}

// TestPassing covers what is required of a node after a change, by what it has
// before.
func TestPassing(t *testing.T) {
	for name, c := range map[string]struct {
		before func(*simhost.Kernel) error
		want   []ledger.Check
	}{
		"one default route": {nil, []ledger.Check{apiServer, managed, carrierEno1}},
		"and the node's address on a PF": {func(k *simhost.Kernel) error {
			k.SetNodeNetwork("ens41f0np0", "carries the node's address 192.0.2.7")
			return nil
		}, []ledger.Check{apiServer, managed, carrierEno1, carrierPF0}},
		"two default routes": {func(k *simhost.Kernel) error {
			k.SetNodeNetwork("ens41f0np0", "carries the default route")
			return nil
		}, []ledger.Check{apiServer, managed, gatewayPF0, carrierEno1, carrierPF0}},
		"a PF that is down": {func(k *simhost.Kernel) error {
			k.SetNodeNetwork("ens41f0np0", "carries the default route")
			return setUp(k, "ens41f0np0", false)
		}, []ledger.Check{apiServer, managed, carrierEno1}},
		"over the members of a bond": {func(k *simhost.Kernel) error {
			k.SetNodeNetwork("eno1", "")
			k.SetNodeNetwork("bond0", "carries the default route")
			return errors.Join(setUp(k, "ens41f0np0", false), setUp(k, "ens41f1np1", false),
				k.AddBond("bond0", simhost.BondOptions{Mode: "active-backup"}), k.Enslave("bond0", "ens41f0np0"),
				k.Enslave("bond0", "ens41f1np1"), setUp(k, "bond0", true))
		}, []ledger.Check{apiServer, {Kind: connectivity.Gateway, Address: "192.0.2.1", Link: "bond0"}, carrierPF0, carrierPF1}},
		"representors that may be part of it": {func(k *simhost.Kernel) error {
			if err := switchdev(k); err != nil {
				return err
			}
			for _, name := range []string{"ens41f0np0", "ens41f0r0", "ens41f0r1"} {
				if err := setUp(k, name, true); err != nil {
					return err
				}
			}
			k.SetNodeNetwork("ens41f0r0", "may be below br0 of Open vSwitch, which carries the default route")
			return nil
		}, []ledger.Check{apiServer, managed, carrierEno1}},
		"no API server": {func(k *simhost.Kernel) error {
			k.Cut(simhost.Cut{PF: pf0, APIServer: true})
			return nil
		}, []ledger.Check{managed, carrierEno1}},
		"a silent gateway": {func(k *simhost.Kernel) error {
			k.Cut(simhost.Cut{PF: pf0, Gateways: true})
			return nil
		}, []ledger.Check{apiServer, carrierEno1}},
		"links that cannot be listed": {func(k *simhost.Kernel) error {
			k.Fail(simhost.Fault{Op: "links.List*", Times: -1, Errno: syscall.ENOBUFS})
			return nil
		}, []ledger.Check{apiServer, managed}},
		"routes that cannot be listed": {func(k *simhost.Kernel) error {
			k.Fail(simhost.Fault{Op: "probes.Gateways*", Times: -1, Errno: syscall.ENOBUFS})
			return nil
		}, []ledger.Check{apiServer, carrierEno1}},
		"nothing": {func(k *simhost.Kernel) error {
			k.Cut(simhost.Cut{PF: pf0, APIServer: true, Gateways: true, Carriers: true})
			return nil
		}, []ledger.Check{}},
	} {
		t.Run(name, func(t *testing.T) {
			k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}})
			defer k.Close()
			if c.before != nil {
				if err := c.before(k); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(c.want, connectivity.Passing(t.Context(), k.Host())); diff != "" {
				t.Errorf("checks (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFailing covers what is said of a check that passed before.
func TestFailing(t *testing.T) {
	for name, c := range map[string]struct {
		check   ledger.Check
		after   func(*simhost.Kernel) error
		words   string
		unknown bool
	}{
		"the API server": {apiServer, cut(simhost.Cut{PF: pf0, APIServer: true}), "the API server: ", false},
		"a gateway":      {gatewayPF0, cut(simhost.Cut{PF: pf0, Gateways: true}), "gateway 192.0.2.1 over 0000:5f:00.0: ", false},
		"a route":        {gatewayPF0, func(k *simhost.Kernel) error { return setUp(k, "ens41f0np0", false) }, "the default route is gone", false},
		"a carrier":      {carrierPF0, cut(simhost.Cut{PF: pf0, Carriers: true}), "the carrier of 0000:5f:00.0: it is gone", false},
		"a link":         {carrierPF0, func(k *simhost.Kernel) error { return k.Unplug(pf0) }, "it is gone", false},
		"a representor in its place": {carrierPF0, func(k *simhost.Kernel) error {
			return errors.Join(switchdev(k), setUp(k, "ens41f0r0", true))
		}, "it is gone", false},
		"another name":               {carrierPF0, func(k *simhost.Kernel) error { return k.RenameLink("ens41f0np0", "uplink0") }, "", false},
		"links that are not listed":  {carrierPF0, failing("links.List*"), "", true},
		"a network not known":        {carrierPF0, failing("links.NodeNetwork*"), "", true},
		"routes that are not listed": {gatewayPF0, failing("probes.Gateways*"), "", true},
		"a gateway not asked":        {gatewayPF0, failing("probes.AskGateway*"), "", true},
		"a check of a newer version": {ledger.Check{Kind: "Ping"}, func(*simhost.Kernel) error { return nil }, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}})
			defer k.Close()
			k.SetNodeNetwork("ens41f0np0", "carries the default route")
			if err := c.after(k); err != nil {
				t.Fatal(err)
			}
			got := connectivity.Failing(t.Context(), k.Host(), []ledger.Check{c.check})
			switch {
			case c.words == "" && !c.unknown:
				if len(got) > 0 {
					t.Errorf("it fails: %v", got)
				}
			case len(got) != 1 || got[0].Unknown != c.unknown || !strings.Contains(got[0].String(), c.words):
				t.Errorf("%v", got)
			}
		})
	}
}

func cut(c simhost.Cut) func(*simhost.Kernel) error {
	return func(k *simhost.Kernel) error {
		k.Cut(c)
		return nil
	}
}

func failing(op string) func(*simhost.Kernel) error {
	return func(k *simhost.Kernel) error {
		k.Fail(simhost.Fault{Op: op, Times: -1, Errno: syscall.ENOBUFS})
		return nil
	}
}

// Checks that hang end by themselves, and do not take the others with them.
func TestBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := simhost.New(simhost.Options{})
		defer k.Close()
		k.Fail(simhost.Fault{Op: "probes.*", Times: -1, Delay: time.Hour})
		start := time.Now()
		got := connectivity.Passing(t.Context(), k.Host())
		if diff := cmp.Diff([]ledger.Check{carrierEno1}, got); diff != "" || time.Since(start) > 10*time.Second {
			t.Errorf("after %s:\n%s", time.Since(start), diff)
		}
	})
}
