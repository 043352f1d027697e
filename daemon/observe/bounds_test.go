package observe_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
)

// never is longer than anybody waits.
const never = 1000 * time.Hour

// TestHangingDoor lets one kind of operation never return. The observation ends
// in time, and says which facts are missing because of it and why.
func TestHangingDoor(t *testing.T) {
	tests := []struct {
		op string
		// after is how long the observation takes.
		after time.Duration
		// facts of the PF in switchdev mode that become unreadable.
		facts []string
		// err is part of the error of an observation that fails.
		err string
	}{
		{op: "pods.*", after: 10 * time.Second},
		{op: "devlink.Ports*", after: 30 * time.Second, facts: []string{inventory.FactPorts}},
		{op: "devlink.Eswitch *" + pf0, after: 30 * time.Second, facts: []string{inventory.FactEswitch, inventory.FactSteeringMode, inventory.FactFirmware}},
		{op: "devlink.Info *" + pf0, after: 30 * time.Second, facts: []string{inventory.FactFirmware}},
		{op: "devlink.*" + pf0 + "*", after: 30 * time.Second, facts: []string{inventory.FactEswitch, inventory.FactSteeringMode, inventory.FactFirmware}},
		{op: "links.NodeNetwork*", after: 30 * time.Second, facts: []string{inventory.FactNodeNetwork}},
		{op: "links.VFs *", after: 30 * time.Second, facts: []string{inventory.FactAdmin}},
		{op: "ethtool.Feature ens41f0np0/*", after: 30 * time.Second, facts: []string{inventory.FactHWTCOffload}},
		{op: "fs.ReadFile */" + pf0 + "/sriov_numvfs", after: 30 * time.Second, facts: []string{inventory.FactNumVFs}},
		{op: "fs.ReadFile */" + pf0 + "/*", after: 35 * time.Second, facts: []string{inventory.FactNumVFs, inventory.FactVendor}},
		{op: "links.List*", after: 30 * time.Second, err: "listing links: listing links on rtnetlink: no answer within 30s"},
		{op: "fs.ReadDir sys/bus/pci/devices", after: 30 * time.Second, err: "listing PCI devices: "},
		{op: "fs.*", after: 30 * time.Second, err: "reading the boot id: "},
		{op: "*", after: 30 * time.Second, err: "listing links: "},
	}
	for _, test := range tests {
		t.Run(test.op, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := connectX5(t)
				switchdev(t, k, pf0, 3)
				k.Settle()
				want := node(t, k.Admin())
				k.Fail(simhost.Fault{Op: test.op, Times: -1, Delay: never})
				began := time.Now()
				got, err := observe.Node(t.Context(), k.Host())
				if took := time.Since(began); took < test.after || took > test.after+10*time.Second {
					t.Errorf("it took %v, want %v", took, test.after)
				}
				if test.err != "" {
					if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), test.err) {
						t.Errorf("error is %v, want %q", err, test.err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if unknown := strings.Contains(got.PodsUnknown, "no answer within 10s"); unknown != (test.op == "pods.*") {
					t.Errorf("PodsUnknown is %q", got.PodsUnknown)
				}
				missing := map[string]bool{}
				for _, u := range got.PF(pf0).Unreadable {
					missing[u.Fact] = strings.Contains(u.Reason, "no answer within ")
				}
				for _, fact := range test.facts {
					if !missing[fact] {
						t.Errorf("%s has no reason: %+v", fact, got.PF(pf0).Unreadable)
					}
				}
				if len(test.facts) == 0 && len(missing) > 0 {
					t.Errorf("unreadable are %v", missing)
				}
				if test.op == "links.NodeNetwork*" || test.op == "devlink.Ports*" {
					return
				}
				if diff := cmp.Diff(want.PF(pf1), got.PF(pf1)); diff != "" {
					t.Errorf("the other port (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestStuckEswitchChange looks at a machine on which somebody's change of the
// eswitch mode hangs in the driver and keeps the lock of that device.
func TestStuckEswitchChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := connectX5(t)
		want := node(t, k.Admin())
		k.Fail(simhost.Fault{Op: "devlink.SetEswitchMode *" + pf0 + "*", Delay: never})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := k.Host().Devlink.SetEswitchMode(ctx, host.DevlinkOf(pf0), "switchdev"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		for range 2 {
			began := time.Now()
			got, err := observe.Node(t.Context(), k.Host())
			if took := time.Since(began); err != nil || took > time.Minute {
				t.Fatalf("after %v: %v", took, err)
			}
			for _, fact := range []string{inventory.FactEswitch, inventory.FactNumVFs} {
				if !unreadable(got.PF(pf0), fact) {
					t.Errorf("%s is not among %+v", fact, got.PF(pf0).Unreadable)
				}
			}
			if diff := cmp.Diff(want.PF(pf1), got.PF(pf1)); diff != "" {
				t.Errorf("the other port (-want +got):\n%s", diff)
			}
			if got.PodsUnknown != "" {
				t.Errorf("PodsUnknown is %q", got.PodsUnknown)
			}
		}
	})
}

func unreadable(pf *inventory.PF, fact string) bool {
	for _, u := range pf.Unreadable {
		if u.Fact == fact {
			return true
		}
	}
	return false
}

// TestManyStuckDevices has every function of a large machine hang.
func TestManyStuckDevices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := connectX5(t)
		switchdev(t, k, pf0, 3)
		switchdev(t, k, pf1, 3)
		k.Settle()
		k.Fail(simhost.Fault{Op: "devlink.*", Times: -1, Delay: never})
		k.Fail(simhost.Fault{Op: "ethtool.*", Times: -1, Delay: never})
		k.Fail(simhost.Fault{Op: "links.VFs*", Times: -1, Delay: never})
		k.Fail(simhost.Fault{Op: "fs.Read*/virtfn*", Times: -1, Delay: never})
		began := time.Now()
		got, err := observe.Node(t.Context(), k.Host())
		if took := time.Since(began); err != nil || took > 45*time.Second || len(got.PFs) != 2 {
			t.Errorf("%d PFs after %v: %v", len(got.PFs), took, err)
		}
	})
}

// TestSlowHost answers everything, so slowly that the observation is never done.
func TestSlowHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := connectX5(t)
		k.Fail(simhost.Fault{Op: "*", Times: -1, Delay: 9 * time.Second})
		began := time.Now()
		_, err := observe.Node(t.Context(), k.Host())
		if took := time.Since(began); took != 2*time.Minute {
			t.Errorf("it took %v", took)
		}
		if want := "observing the host: it took longer than 2m0s"; !errors.Is(err, context.DeadlineExceeded) || err.Error() != want {
			t.Errorf("error is %v, want %s", err, want)
		}
	})
}

// TestCanceled ends an observation that waits, with the reason of whoever ends it.
func TestCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := connectX5(t)
		k.Fail(simhost.Fault{Op: "devlink.Ports*", Delay: never})
		stop := errors.New("shutting down")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, stop)
		defer cancel()
		began := time.Now()
		_, err := observe.Node(ctx, k.Host())
		if !errors.Is(err, stop) || time.Since(began) != time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}
