package boot

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

const (
	pfA = "0000:5f:00.0"
	pfB = "0000:5f:00.1"
	pfC = "0000:86:00.0"
)

// observed has PFs with as many VFs, in legacy mode.
func observed(numVFs map[string]int) inventory.Node {
	node := inventory.Node{BootID: "b"}
	for _, address := range []string{pfA, pfB, pfC} {
		n, known := numVFs[address]
		if !known {
			continue
		}
		pf := inventory.PF{PCIAddress: address, Driver: "mlx5_core", NumVFs: &n,
			Eswitch: inventory.Eswitch{Known: true, Supported: true, Mode: "legacy"}}
		for i := range n {
			pf.VFs = append(pf.VFs, inventory.VF{Index: i})
		}
		node.PFs = append(node.PFs, pf)
	}
	return node
}

func interfaces(numVFs map[string]int) []sriovv1.Interface {
	var out []sriovv1.Interface
	for _, address := range []string{pfA, pfB, pfC} {
		if n, ok := numVFs[address]; ok {
			out = append(out, sriovv1.Interface{PCIAddress: address, NumVfs: n})
		}
	}
	return out
}

func todo(pfs ...string) plan.Plan {
	var p plan.Plan
	for _, pf := range pfs {
		p.Chains = append(p.Chains, plan.Chain{PFs: []string{pf}, Stages: []plan.Stage{{plan.SetLinkUp{PF: pf}}}})
	}
	return p
}

func bond(members ...string) sriovv1.Bond {
	return sriovv1.Bond{BondSpec: sriovv1.BondSpec{Name: "b"}, Members: members}
}

func bridge(name, uplink string) sriovv1.OVSConfigExt {
	return sriovv1.OVSConfigExt{Name: name, Uplinks: []sriovv1.OVSUplinkConfigExt{{PCIAddress: uplink}}}
}

// A boot brings back what is in force, PF by PF.
func TestNext(t *testing.T) {
	type vfs = map[string]int
	tests := map[string]struct {
		before, now        vfs
		beforeBonds, bonds []sriovv1.Bond
		bridges            []sriovv1.OVSConfigExt
		found              vfs
		todo               plan.Plan
		want               vfs
		wantBonds          []sriovv1.Bond
		wantBridges        []sriovv1.OVSConfigExt
	}{
		"all in force":              {now: vfs{pfA: 2, pfB: 3}, found: vfs{pfA: 2, pfB: 3}, want: vfs{pfA: 2, pfB: 3}},
		"a change that waits":       {before: vfs{pfA: 2, pfC: 1}, now: vfs{pfA: 4, pfC: 2}, found: vfs{pfA: 2, pfC: 2}, todo: todo(pfA), want: vfs{pfA: 2, pfC: 2}},
		"a change that is blocked":  {before: vfs{pfA: 2}, now: vfs{pfA: 400}, found: vfs{pfA: 2}, want: vfs{pfA: 2}},
		"the first change waits":    {now: vfs{pfA: 4}, found: vfs{pfA: 0}, todo: todo(pfA), want: vfs{}},
		"a PF that is not there":    {before: vfs{pfA: 2}, now: vfs{pfA: 3}, found: vfs{}, want: vfs{pfA: 2}},
		"a PF that was given back":  {before: vfs{pfA: 2, pfC: 1}, now: vfs{pfC: 1}, found: vfs{pfA: 0, pfC: 1}, want: vfs{pfC: 1}},
		"a PF that cannot yet be":   {before: vfs{pfA: 2, pfC: 1}, now: vfs{pfC: 1}, found: vfs{pfA: 2, pfC: 1}, todo: todo(pfA), want: vfs{pfA: 2, pfC: 1}},
		"only links are to be done": {before: vfs{pfA: 2}, now: vfs{pfA: 2}, found: vfs{pfA: 2}, todo: todo(pfA), want: vfs{pfA: 2}},
		"one port of a bond waits": {
			before: vfs{pfA: 2, pfB: 2, pfC: 1}, now: vfs{pfA: 4, pfB: 4, pfC: 2}, bonds: []sriovv1.Bond{bond(pfA, pfB)},
			found: vfs{pfA: 2, pfB: 4, pfC: 2}, todo: todo(pfA), want: vfs{pfA: 2, pfB: 2, pfC: 2},
		},
		"a bond that goes waits": {
			before: vfs{pfA: 2, pfB: 2}, beforeBonds: []sriovv1.Bond{bond(pfA, pfB)}, now: vfs{pfA: 3, pfB: 3},
			found: vfs{pfA: 3, pfB: 2}, todo: todo(pfB), want: vfs{pfA: 2, pfB: 2}, wantBonds: []sriovv1.Bond{bond(pfA, pfB)},
		},
		"a bond and a bridge in force": {
			now: vfs{pfA: 2, pfB: 2}, bonds: []sriovv1.Bond{bond(pfA, pfB)}, bridges: []sriovv1.OVSConfigExt{bridge("br", pfA)},
			found: vfs{pfA: 2, pfB: 2}, want: vfs{pfA: 2, pfB: 2}, wantBonds: []sriovv1.Bond{bond(pfA, pfB)}, wantBridges: []sriovv1.OVSConfigExt{bridge("br", pfA)},
		},
		"a bridge on a PF that waits": {
			now: vfs{pfA: 2}, bridges: []sriovv1.OVSConfigExt{bridge("br", pfA)}, found: vfs{pfA: 0}, todo: todo(pfA), want: vfs{},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before := sriovv1.SriovNetworkNodeStateSpec{Interfaces: interfaces(tt.before), Bonds: tt.beforeBonds, ComputedFrom: "old"}
			in := plan.Input{Observed: observed(tt.found), Drivers: driver.Default()}
			in.Spec = sriovv1.SriovNetworkNodeStateSpec{Interfaces: interfaces(tt.now), Bonds: tt.bonds,
				Bridges: sriovv1.Bridges{OVS: tt.bridges}, System: sriovv1.System{ConfigurationMode: "systemd"}, ComputedFrom: "new"}
			want := sriovv1.SriovNetworkNodeStateSpec{Interfaces: interfaces(tt.want), Bonds: tt.wantBonds,
				Bridges: sriovv1.Bridges{OVS: tt.wantBridges}, System: in.Spec.System, ComputedFrom: "new"}
			if diff := cmp.Diff(want, next(before, in, tt.todo), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("next boot (-want +got):\n%s", diff)
			}
		})
	}
}
