package agent

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// cached is a client as a daemon has it: reads come from its cache, writes need
// the API server, which is there while the node is connected.
type cached struct {
	client.Client
	kernel *simhost.Kernel
	spec   sriovv1.SriovNetworkNodeStateSpec
	// before is called ahead of each write.
	before func()
}

func (c *cached) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	obj.SetName(key.Name)
	obj.SetNamespace(key.Namespace)
	obj.SetGeneration(1)
	obj.(*sriovv1.SriovNetworkNodeState).Spec = c.spec
	return nil
}

func (c *cached) Status() client.SubResourceWriter { return statusWriter{cached: c} }

// statusWriter is the part of cached that needs the API server.
type statusWriter struct {
	client.SubResourceWriter
	cached *cached
}

func (c *cached) GroupVersionKindFor(runtime.Object) (schema.GroupVersionKind, error) {
	return sriovv1.GroupVersion.WithKind("SriovNetworkNodeState"), nil
}

func (w statusWriter) Apply(context.Context, runtime.ApplyConfiguration, ...client.SubResourceApplyOption) error {
	w.cached.before()
	if !w.cached.kernel.Connected() {
		return errors.New("dial tcp 10.96.0.1:443: i/o timeout")
	}
	return nil
}

func switchdev() sriovv1.SriovNetworkNodeStateSpec {
	return sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "x", Interfaces: []sriovv1.Interface{{
		PCIAddress: address, NumVfs: 2, EswitchMode: "switchdev",
	}}}
}

// A turn takes a change back that cost the node its connections before it writes
// anything to the API, and says so afterwards.
func TestTurnRecoversWithoutTheAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}, Delays: simhost.TypicalDelays()})
		defer k.Close()
		k.Cut(simhost.Cut{PF: address, Mode: "switchdev", APIServer: true, Carriers: true})
		writes := 0
		c := &cached{kernel: k, spec: switchdev(), before: func() {
			writes++
			if !k.Connected() {
				t.Errorf("write %d to the API comes while the node is cut off", writes)
			}
		}}
		a := &Agent{Client: c, Host: k.Host(), Store: k.Store(), Drivers: driver.Default(), Resync: time.Hour}
		if _, err := a.Reconcile(t.Context(), reconcile.Request{}); err != nil {
			t.Fatal(err)
		}
		if !k.Connected() || writes != 2 {
			t.Errorf("connected %t after %d writes", k.Connected(), writes)
		}
		status := a.written.status
		ready := readyCondition(status)
		if ready.Reason != sriovv1.ReasonBlocked || !strings.Contains(ready.Message, "the connections of the node are back") {
			t.Errorf("Ready is %+v", ready)
		}
		if len(status.Interfaces[0].Blockers) != 1 || status.Interfaces[0].Blockers[0].Code != plan.CodeConnectivityLost {
			t.Errorf("blockers %+v", status.Interfaces[0].Blockers)
		}
	})
}

func readyCondition(s sriovv1.SriovNetworkNodeStateStatus) (ready struct{ Reason, Message string }) {
	for _, c := range s.Conditions {
		if c.Type == sriovv1.ConditionReady {
			ready.Reason, ready.Message = c.Reason, c.Message
		}
	}
	return ready
}

// A daemon that was stopped in the middle recovers at its start, without anything
// of the API.
func TestRecoverAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5()}, Delays: simhost.TypicalDelays()})
		defer k.Close()
		before := k.Dump()
		k.Cut(simhost.Cut{PF: address, Mode: "switchdev", Carriers: true})
		c := &cached{kernel: k, spec: switchdev(), before: func() {}}
		first := &Agent{Client: c, Host: k.Host(), Store: k.Store(), Drivers: driver.Default(), Resync: time.Hour}
		short, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := first.Reconcile(short, reconcile.Request{}); !errors.Is(err, context.DeadlineExceeded) || k.Connected() {
			t.Fatalf("connected %t, the turn ended with %v", k.Connected(), err)
		}
		second := &Agent{Host: k.Host(), Store: k.Store(), Drivers: driver.Default()}
		second.recoverAtStart(t.Context())
		k.Settle()
		if diff := cmp.Diff(before, k.Dump()); diff != "" || !k.Connected() {
			t.Errorf("connected %t (-before +after):\n%s", k.Connected(), diff)
		}
	})
}

// The gate lets an interruption of the node's own network through with permission,
// and only if it takes no VFs from anybody.
func TestGatePermission(t *testing.T) {
	for name, c := range map[string]struct {
		allowed bool
		change  func(*inventory.Node)
		runs    bool
	}{
		"without permission": {allowed: false, change: func(*inventory.Node) {}},
		"with permission":    {allowed: true, change: func(*inventory.Node) {}, runs: true},
		"a pod holds a VF":   {allowed: true, change: func(n *inventory.Node) { n.PFs[0].VFs[0].Pod = "shop/cart-0" }},
		"pods not known":     {allowed: true, change: func(n *inventory.Node) { n.PodsUnknown = "no kubelet" }},
	} {
		t.Run(name, func(t *testing.T) {
			observed := node()
			observed.PFs[0].NodeNetwork = "carries the default route"
			observed.PFs[0].VFs[0].Pod, observed.PFs[0].VFs[0].Netdev = "", &inventory.Netdev{Name: "eth9"}
			c.change(&observed)
			wanted := spec()
			wanted.Interfaces[0].AllowNodeNetwork = c.allowed
			got := Decide(wanted, observed, planOf(plan.RemoveVFs{PF: address, Count: 2}), Before{})
			if got.Disruption != sriovv1.DisruptionNode || got.Run.Empty() == c.runs || (got.Verdict == WaitForDrain) == c.runs {
				t.Errorf("%s, disruption %s, runs %v", got.Verdict, got.Disruption, got.Run.Steps())
			}
		})
	}
}
