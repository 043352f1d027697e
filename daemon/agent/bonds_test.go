package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// lagFacts are two ports in switchdev mode, in bond1, which their NIC offloads.
func lagFacts() Facts {
	port := func(address, name string) inventory.PF {
		return inventory.PF{
			PCIAddress: address, Driver: "mlx5_core", Eswitch: inventory.Eswitch{Known: true, Supported: true, Mode: "switchdev"},
			Netdev: &inventory.Netdev{Name: name, Master: "bond1", MasterKind: "bond", HWTCOffload: &inventory.Feature{On: true}},
			LAG:    &inventory.LAG{Known: true, Active: true},
		}
	}
	members := []string{"0000:5f:00.0", "0000:5f:00.1"}
	return Facts{
		Spec: sriovv1.SriovNetworkNodeStateSpec{
			ComputedFrom: "x",
			Interfaces: []sriovv1.Interface{
				{PCIAddress: members[0], EswitchMode: "switchdev"}, {PCIAddress: members[1], EswitchMode: "switchdev"},
			},
			Bonds: []sriovv1.Bond{{BondSpec: sriovv1.BondSpec{Name: "bond1", Mode: "802.3ad"}, Members: members}},
		},
		Observed: &inventory.Node{
			PFs: []inventory.PF{port(members[0], "p0"), port(members[1], "p1")},
			Bonds: []inventory.Bond{{
				Name: "bond1", Mode: "802.3ad", MTU: 9000, Up: true, Carrier: true, Members: []string{"p0", "p1"}, ActiveMembers: []string{"p1"},
				LACP: &inventory.LACP{Ports: 1, PartnerMAC: "00:1c:73:00:00:01"},
			}},
		},
	}
}

// The status of a bond, and OffloadReady, as facts go missing one by one.
func TestReportBonds(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Facts)
		vfLAG  string
		reason string
		ready  bool
		words  string
	}{
		{"offloaded", func(*Facts) {}, "active", "", true, "the NIC offloads bond bond1"},
		{"not offloaded", func(f *Facts) { f.Observed.PFs[1].LAG.Active = false }, "inactive", "see the kernel log", false, "VF-LAG of bond bond1 is not active"},
		{"not known", func(f *Facts) { f.Observed.PFs[0].LAG = &inventory.LAG{Reason: "no debugfs"} }, "unknown", "no debugfs", true, "is not known: no debugfs"},
		{"legacy", func(f *Facts) { f.Observed.PFs[1].Eswitch.Mode = "legacy"; f.Spec.Interfaces = f.Spec.Interfaces[:1] },
			"inactive", "0000:5f:00.1 is not in switchdev mode", false, "0000:5f:00.1 is not in switchdev mode"},
		{"mode", func(f *Facts) { f.Observed.Bonds[0].Mode = "balance-rr" }, "inactive", "mode balance-rr", false, "mode balance-rr"},
		{"down", func(f *Facts) { f.Observed.Bonds[0].Up = false }, "active", "", false, "bond bond1 is down"},
		{"one member", func(f *Facts) { f.Observed.Bonds[0].Members = []string{"p0"} }, "inactive", "1 members", false, "has the members 0000:5f:00.0 instead of 0000:5f:00.0, 0000:5f:00.1"},
		{"a stranger", func(f *Facts) { f.Observed.Bonds[0].Members = []string{"eth9", "p0", "p1"} }, "inactive", "eth9 is no PF", false, "eth9"},
		{"other NICs", func(f *Facts) {
			f.Observed.PFs[1].PCIAddress = "0000:af:00.0"
			f.Spec.Interfaces = f.Spec.Interfaces[:1]
		},
			"inactive", "different NICs", false, "0000:af:00.0"},
		{"gone", func(f *Facts) { f.Observed.Bonds = nil }, "inactive", "there is no bond of this name", false, "bond bond1 is not there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := lagFacts()
			c.change(&f)
			got := Report(sriovv1.SriovNetworkNodeStateStatus{}, f, metav1.NewTime(time.Unix(1000, 0)))
			if len(got.Bonds) != 1 || got.Bonds[0].VFLAG != c.vfLAG || !strings.Contains(got.Bonds[0].Reason, c.reason) || (c.reason == "") != (got.Bonds[0].Reason == "") {
				t.Errorf("bonds are %+v", got.Bonds)
			}
			ready := meta.FindStatusCondition(got.Conditions, sriovv1.ConditionOffloadReady)
			if ready.Status != conditionStatus(c.ready) || !strings.Contains(ready.Message, c.words) {
				t.Errorf("OffloadReady is %+v", ready)
			}
		})
	}
}

// All that is told of a bond.
func TestReportBondStatus(t *testing.T) {
	f := lagFacts()
	up := true
	want := []sriovv1.BondStatus{{
		Name: "bond1", Mode: "802.3ad", Members: []string{"0000:5f:00.0", "0000:5f:00.1"}, ActiveMembers: []string{"0000:5f:00.1"},
		MTU: 9000, LinkAdminState: "up", Carrier: &up, LACP: &sriovv1.BondLACP{Ports: 1, PartnerMAC: "00:1c:73:00:00:01"}, VFLAG: "active",
	}}
	got := Report(sriovv1.SriovNetworkNodeStateStatus{}, f, metav1.Now())
	if diff := cmp.Diff(want, got.Bonds); diff != "" {
		t.Errorf("bonds (-want +got):\n%s", diff)
	}
	if got.Interfaces[0].Bond != "bond1" {
		t.Errorf("interface is %+v", got.Interfaces[0])
	}
	// No switch answers; and a bond that nobody wants, of netdevs that are none of ours, is not our business.
	f.Observed.Bonds[0].LACP.PartnerMAC = "00:00:00:00:00:00"
	f.Observed.Bonds = append(f.Observed.Bonds, inventory.Bond{Name: "other", Members: []string{"eth8", "eth9"}})
	got = Report(sriovv1.SriovNetworkNodeStateStatus{}, f, metav1.Now())
	if len(got.Bonds) != 1 || got.Bonds[0].LACP.PartnerMAC != "" {
		t.Errorf("bonds are %+v", got.Bonds)
	}
	f.Spec.Bonds, f.Observed.PFs[0].LAG.Active = nil, false
	got = Report(sriovv1.SriovNetworkNodeStateStatus{}, f, metav1.Now())
	if len(got.Bonds) != 1 || !strings.Contains(got.Bonds[0].Reason, "no policy wants this bond") {
		t.Errorf("bonds are %+v", got.Bonds)
	}
}

// VFs that wait for a bond of the host's are looked at again soon: no event tells
// that a NIC offloads it.
func TestWaitsForBond(t *testing.T) {
	a := &Agent{Resync: time.Hour}
	for code, want := range map[string]time.Duration{
		plan.CodeBondNotReady: bondRetry, plan.CodeLAGInactive: bondRetry, plan.CodeBondNotOurs: time.Hour,
	} {
		facts := Facts{Plan: plan.Plan{Blockers: []plan.Blocker{{Blocker: sriovv1.Blocker{Code: code}}}}}
		if got := a.nextTurn(facts); got != want {
			t.Errorf("%s: next turn in %v, want %v", code, got, want)
		}
	}
}
