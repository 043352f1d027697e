package merge_test

import (
	"testing"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/merge"
)

func TestComputedFrom(t *testing.T) {
	type input struct {
		policies []sriovv1.SriovNetworkNodePolicy
		node     merge.Node
	}
	fresh := func() input {
		return input{
			policies: []sriovv1.SriovNetworkNodePolicy{
				policy("used", spec{NumVfs: 4, NicSelector: pfNames("ens41f0np0")}),
				policy("elsewhere", spec{NumVfs: 4, NodeSelector: map[string]string{"zone": "b"}, NicSelector: pfNames("ens41f0np0")}),
				policy("default", spec{NumVfs: 4, NicSelector: pfNames("ens41f0np0")}),
			},
			node: node(),
		}
	}
	compute := func(in input) string { return merge.Compile(in.policies).Merge(in.node).Spec.ComputedFrom }
	before := compute(fresh())
	tests := []struct {
		name    string
		change  func(*input)
		changes bool
	}{
		{"nothing", func(*input) {}, false},
		{"policy of another node", func(in *input) { in.policies[1].Spec.NumVfs = 5 }, false},
		{"policy named default", func(in *input) { in.policies[2].Spec.NumVfs = 5 }, false},
		{"metadata and status of the policy", func(in *input) {
			in.policies[0].Generation, in.policies[0].ResourceVersion, in.policies[0].Status.MatchedNodes = 7, "9", 3
		}, false},
		{"order of policies and PFs", func(in *input) {
			in.policies[0], in.policies[1] = in.policies[1], in.policies[0]
			in.node.Interfaces[0], in.node.Interfaces[2] = in.node.Interfaces[2], in.node.Interfaces[0]
		}, false},
		{"order of altNames", func(in *input) { in.node.Interfaces[0].AltNames = []string{"uplink0", "enp95s0f0np0"} }, false},
		{"status noise", func(in *input) {
			pf := &in.node.Interfaces[0]
			pf.NumVfs, pf.Mac, pf.MTU, pf.EswitchMode, pf.LinkAdminState = 4, "02:00:00:00:00:01", 9000, "switchdev", "down"
			pf.VFs = []sriovv1.VirtualFunction{{VfID: 0, PCIAddress: "0000:5f:00.2"}}
			pf.Blockers = []sriovv1.Blocker{{Code: "X"}}
		}, false},
		{"switch ID without a bond", func(in *input) { in.node.Interfaces[0].SwitchID = "1e4a63" }, false},
		{"labels that no policy uses", func(in *input) { in.node.Labels["new"] = "label" }, false},
		{"policy that asks for zero VFs", func(in *input) {
			in.policies = append(in.policies, policy("zero", spec{NicSelector: pfNames("ens41f0np0")}))
		}, false},

		{"spec of the policy", func(in *input) { in.policies[0].Spec.MTU = 9000 }, true},
		{"name of the policy", func(in *input) { in.policies[0].Name = "renamed" }, true},
		{"one more policy", func(in *input) {
			in.policies = append(in.policies, policy("more", spec{NumVfs: 1, NicSelector: pfNames("absent")}))
		}, true},
		{"label that selects", func(in *input) { in.node.Labels["zone"] = "b" }, true},
		{"name of a PF", func(in *input) { in.node.Interfaces[0].Name = "ens41f0" }, true},
		{"altName of a PF", func(in *input) { in.node.Interfaces[0].AltNames = []string{"uplink0"} }, true},
		{"vendor", func(in *input) { in.node.Interfaces[0].Vendor = "8086" }, true},
		{"deviceID", func(in *input) { in.node.Interfaces[0].DeviceID = "1019" }, true},
		{"a character that moves to another field", func(in *input) { in.node.Interfaces[0].Vendor, in.node.Interfaces[0].DeviceID = "15b31", "017" }, true},
		{"link type", func(in *input) { in.node.Interfaces[0].LinkType = "IB" }, true},
		{"netFilter", func(in *input) { in.node.Interfaces[0].NetFilter = "openstack/NetworkID:1" }, true},
		{"PCI address", func(in *input) { in.node.Interfaces[0].PCIAddress = "0000:60:00.0" }, true},
		{"one PF less", func(in *input) { in.node.Interfaces = in.node.Interfaces[1:] }, true},
		{"permission of the pool", func(in *input) { in.node.AllowNodeNetwork = true }, true},
		{"RDMA mode", func(in *input) { in.node.RdmaMode = "exclusive" }, true},
		{"configuration mode", func(in *input) { in.node.Systemd = true }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := fresh()
			tt.change(&in)
			if changed := compute(in) != before; changed != tt.changes {
				t.Errorf("changed = %t, want %t", changed, tt.changes)
			}
		})
	}
}

func TestSwitchIDCountsWithABond(t *testing.T) {
	set := merge.Compile([]sriovv1.SriovNetworkNodePolicy{policy("p", bonded(1, "bond1", "ens41f1np1", "ens5np0"))})
	n := node()
	before := set.Merge(n).Spec.ComputedFrom
	n.Interfaces[1].SwitchID = "1e4a63"
	if set.Merge(n).Spec.ComputedFrom == before {
		t.Error("computedFrom did not change with the switch ID that decides about a bond")
	}
}

func TestComputedFromWithoutMatchOrInventory(t *testing.T) {
	set := merge.Compile([]sriovv1.SriovNetworkNodePolicy{policy("p", spec{NumVfs: 4, NicSelector: pfNames("absent")})})
	n := node()
	n.RdmaMode = "exclusive"
	got := set.Merge(n).Spec
	if got.ComputedFrom == "" {
		t.Error("a spec that no policy matches is computed nevertheless")
	}
	wantDiff(t, "spec without a match", sriovv1.SriovNetworkNodeStateSpec{
		System: sriovv1.System{RdmaMode: "exclusive"}, ComputedFrom: got.ComputedFrom,
	}, got)

	n.Interfaces = []sriovv1.InterfaceStatus{{Name: "no-address"}}
	wantDiff(t, "spec without inventory", sriovv1.SriovNetworkNodeStateSpec{}, set.Merge(n).Spec)
	n.Interfaces = nil
	r := set.Merge(n)
	wantDiff(t, "spec without inventory", sriovv1.SriovNetworkNodeStateSpec{}, r.Spec)
	wantDiff(t, "misses without inventory", []merge.Miss{{Field: "nicSelector", Node: "n1"}}, r.Policies["p"].Misses)
	n.Reported = true
	if got := set.Merge(n).Spec; got.ComputedFrom == "" || got.System.RdmaMode != "exclusive" {
		t.Errorf("a node that reported no PF has a computed spec, got %+v", got)
	}
	n.Systemd = true
	if got := set.Merge(n).Spec.System; got != (sriovv1.System{RdmaMode: "exclusive", ConfigurationMode: "systemd"}) {
		t.Errorf("system settings are %+v", got)
	}
	if merge.Compile(nil).Merge(node()).Spec.ComputedFrom == "" {
		t.Error("a spec without any policy is computed nevertheless")
	}
}
