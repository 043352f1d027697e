package agent

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// The status shows bridges of ours and those that have a PF as a port, within the
// limits of the schema.
func TestBridgesOfStatus(t *testing.T) {
	mtu, many := 9000, map[string]string{}
	for i := range 100 {
		many[fmt.Sprintf("k%03d", i)] = "v"
	}
	many["a"+strings.Repeat("k", maxColumnKey)], many["b"] = "long key", strings.Repeat("v", maxColumnValue+1)
	node := inventory.Node{
		PFs: []inventory.PF{{PCIAddress: "0000:5f:00.1", Netdev: &inventory.Netdev{Name: "ens1f1"}}},
		OVS: inventory.OVS{Bridges: []inventory.Bridge{
			{Name: "br-ex", FailMode: "odd", ExternalIDs: many, Ports: []inventory.BridgePort{
				{Name: "bond", Interfaces: []string{"ens1f1", "ens9"}}, {Name: "patch", Interfaces: []string{"patch"}},
			}},
			{Name: "br-int", Ports: []inventory.BridgePort{{Name: "veth0", Interfaces: []string{"veth0"}}}},
			{Name: "br-ours", Owner: "0000:5f:00.0", FailMode: "secure", DatapathType: "netdev", Ports: []inventory.BridgePort{
				{Name: "ens1f0", Owner: "0000:5f:00.0", Interfaces: []string{"ens1f0"}, Type: "dpdk", MTURequest: &mtu, Options: map[string]string{"a": "b"}},
			}},
		}},
	}
	status := Report(sriovv1.SriovNetworkNodeStateStatus{}, Facts{Observed: &node}, metav1.Now())
	got := status.Bridges.OVS
	if len(got) != 2 || len(got[0].Bridge.ExternalIDs) != maxColumnEntries || got[0].Bridge.ExternalIDs["k000"] != "v" || got[0].Bridge.FailMode != "" {
		t.Fatalf("bridges are %+v", got)
	}
	got[0].Bridge.ExternalIDs = nil
	want := []sriovv1.OVSConfigExt{
		{Name: "br-ex", Uplinks: []sriovv1.OVSUplinkConfigExt{{PCIAddress: "0000:5f:00.1", Name: "bond"}}},
		{
			Name: "br-ours", Bridge: sriovv1.OVSBridgeConfig{FailMode: "secure", DatapathType: "netdev"},
			Uplinks: []sriovv1.OVSUplinkConfigExt{{
				PCIAddress: "0000:5f:00.0", Name: "ens1f0",
				Interface: sriovv1.OVSInterfaceConfig{Type: "dpdk", MTURequest: &mtu, Options: map[string]string{"a": "b"}},
			}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bridges (-want +got):\n%s", diff)
	}
}

// No event may tell that Open vSwitch starts: the daemon looks by itself.
func TestAwaitsOVS(t *testing.T) {
	a := &Agent{Resync: time.Hour}
	for code, want := range map[string]time.Duration{plan.CodeOVSUnavailable: heldRetry, plan.CodeBridgeInUse: heldRetry, plan.CodeNoDriver: time.Hour} {
		facts := Facts{Plan: plan.Plan{Blockers: []plan.Blocker{{Blocker: sriovv1.Blocker{Code: code}}}}}
		if got := a.nextTurn(facts); got != want {
			t.Errorf("with %s: %v, want %v", code, got, want)
		}
	}
}
