package plan_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

const (
	cx0 = "0000:5f:00.0"
	cx1 = "0000:5f:00.1"
)

// observed is a ConnectX-5 whose first port has two VFs in legacy mode.
func observed(t *testing.T) inventory.Node {
	t.Helper()
	k := newMachine(t, "nic cx5\nnumvfs 0000:5f:00.0 2")
	defer k.Close()
	node, err := observe.Node(t.Context(), k.Admin())
	if err != nil {
		t.Fatal(err)
	}
	return node
}

// legacySpec keeps both VFs of the first port and sends the second one to vfio-pci.
func legacySpec() sriovv1.Interface {
	return sriovv1.Interface{PCIAddress: cx0, NumVfs: 2, VfGroups: []sriovv1.VfGroup{
		{DeviceType: "netdevice", VfRange: sriovv1.VFRange{First: 0, Last: 0}},
		{DeviceType: "vfio-pci", VfRange: sriovv1.VFRange{First: 1, Last: 1}},
	}}
}

func compute(node inventory.Node, ifaces ...sriovv1.Interface) plan.Plan {
	return plan.Compute(plan.Input{
		Spec:     sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test", Interfaces: ifaces},
		Observed: node, Drivers: driver.Default(),
	})
}

// stepsOn lists the steps on a PF.
func stepsOn(p plan.Plan, pf string) []string {
	var out []string
	for _, s := range p.Steps() {
		if s.Device() == pf {
			out = append(out, strings.TrimPrefix(s.String(), pf+": "))
		}
	}
	return out
}

func codesOf(p plan.Plan, pf string) []string {
	var out []string
	for _, b := range p.BlockersOf(pf) {
		out = append(out, b.Code)
	}
	return out
}

// A fact that exists and could not be read blocks exactly what depends on it: the
// whole PF, one VF, or nothing. The other port is not concerned.
func TestUnreadableFacts(t *testing.T) {
	everything := []string{"keep the MAC of VF 0", "bind VF 1 to vfio-pci"}
	for _, c := range []struct {
		fact string
		// legacy is what is still done when VFs are only set up; rebuild tells
		// whether making them anew in switchdev mode is still possible.
		legacy  []string
		rebuild bool
	}{
		{inventory.FactNumVFs, nil, false},
		{inventory.FactTotalVFs, nil, false},
		{inventory.FactAutoprobe, nil, false},
		{inventory.FactEswitch, nil, false},
		{inventory.FactNodeNetwork, nil, false},
		{inventory.FactDriver, nil, false},
		{inventory.FactDevice, nil, false},
		{inventory.FactAdmin, nil, false},
		{inventory.FactHWTCOffload, everything, false},
		{inventory.FactPorts, everything, false},
		{inventory.FactOf(inventory.FactHWTCOffload, "representor eth0"), everything, false},
		{inventory.FactIOMMUGroup, nil, true},
		{inventory.FactOf(inventory.FactDriver, "VF 0"), []string{"bind VF 1 to vfio-pci"}, false},
		{inventory.FactOf(inventory.FactDriver, "VF 1"), []string{"keep the MAC of VF 0"}, false},
		{inventory.FactOf(inventory.FactVF, "VF 1"), []string{"keep the MAC of VF 0"}, false},
		{inventory.FactSpeed, everything, true},
		{inventory.FactFirmware, everything, true},
		{inventory.FactNUMANode, everything, true},
		{inventory.FactSteeringMode, everything, true},
		{inventory.FactOf(inventory.FactDeviceID, "VF 0"), everything, true},
	} {
		t.Run(c.fact, func(t *testing.T) {
			node := observed(t)
			node.PFs[0].Unreadable = []inventory.Unreadable{{Fact: c.fact, Reason: "input/output error"}}
			if c.fact == inventory.FactOf(inventory.FactVF, "VF 1") {
				node.PFs[0].VFs = node.PFs[0].VFs[:1]
			}
			p := compute(node, legacySpec(), guideSpec(cx1, 1))
			if diff := cmp.Diff(c.legacy, stepsOn(p, cx0)); diff != "" {
				t.Errorf("steps:\n%s", diff)
			}
			if blocked := slices.Contains(codesOf(p, cx0), plan.CodeFactUnreadable); blocked == slices.Equal(c.legacy, everything) {
				t.Errorf("blockers %v", p.BlockersOf(cx0))
			}
			if len(stepsOn(p, cx1)) == 0 || len(codesOf(p, cx1)) > 0 {
				t.Errorf("the other port is concerned: %v", p.BlockersOf(cx1))
			}
			p = compute(node, guideSpec(cx0, 3))
			if rebuilt := len(p.Chains) > 0; rebuilt != c.rebuild {
				t.Errorf("VFs made anew: %t, blockers %v", rebuilt, p.Blockers)
			}
		})
	}
}

// What is missing without a reason is not guessed either.
func TestAbsentFacts(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*inventory.PF)
		code   string
	}{
		{"numvfs", func(pf *inventory.PF) { pf.NumVFs = nil }, plan.CodeFactUnreadable},
		{"totalvfs", func(pf *inventory.PF) { pf.TotalVFs = nil }, plan.CodeSRIOVDisabled},
		{"autoprobe", func(pf *inventory.PF) { pf.Autoprobe = nil }, plan.CodeAutoprobeMissing},
		{"eswitch", func(pf *inventory.PF) { pf.Eswitch = inventory.Eswitch{} }, plan.CodeFactUnreadable},
		{"no eswitch", func(pf *inventory.PF) { pf.Eswitch = inventory.Eswitch{Known: true} }, plan.CodeEswitchUnsupported},
		{"netdev", func(pf *inventory.PF) { pf.Netdev = nil }, plan.CodeNoNetdev},
		{"driver", func(pf *inventory.PF) { pf.Driver = "" }, plan.CodeNoDriver},
		{"vfio", func(pf *inventory.PF) { pf.Driver = "vfio-pci" }, plan.CodeNoDriver},
		{"fixed mode", func(pf *inventory.PF) { pf.Driver = "nfp" }, plan.CodeEswitchModeFixed},
		{"offload", func(pf *inventory.PF) { pf.Netdev.HWTCOffload = nil }, plan.CodeOffloadUnsupported},
		{"fixed offload", func(pf *inventory.PF) { pf.Netdev.HWTCOffload = &inventory.Feature{Fixed: true} }, plan.CodeOffloadUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			node := observed(t)
			c.change(&node.PFs[0])
			p := compute(node, guideSpec(cx0, 3), guideSpec(cx1, 3))
			if diff := cmp.Diff([]string{c.code}, codesOf(p, cx0)); diff != "" {
				t.Error(diff)
			}
			if steps := stepsOn(p, cx0); len(steps) > 0 {
				t.Errorf("steps in spite of it: %v", steps)
			}
			if len(stepsOn(p, cx1)) == 0 {
				t.Error("the other port is concerned")
			}
		})
	}
}

// A VF that left the bus is made anew with the others, which counts for their pods.
func TestLostVF(t *testing.T) {
	node := observed(t)
	pf := &node.PFs[0]
	pf.VFs[0].Pod = "default/web"
	pf.VFs = pf.VFs[:1]
	p := compute(node, legacySpec())
	if steps := stepsOn(p, cx0); !slices.Contains(steps, "remove 2 VFs") || !slices.Contains(steps, "create 2 VFs") {
		t.Errorf("steps %v", steps)
	}
	disruption, pods := plan.Disruption(p, node)
	if disruption != sriovv1.DisruptionVFPods || !slices.Equal(pods, []string{"default/web"}) {
		t.Errorf("disruption %s %v", disruption, pods)
	}
}

// A VF on its network driver whose netdev is not here may be in a container that
// the kubelet does not know.
func TestHiddenUser(t *testing.T) {
	node := observed(t)
	node.PFs[0].VFs[1].Netdev = nil
	p := compute(node, legacySpec())
	disruption, pods := plan.Disruption(p, node)
	if disruption != sriovv1.DisruptionVFPods || len(pods) > 0 {
		t.Errorf("disruption %s %v", disruption, pods)
	}
}

// The host talks over a VF: its driver is left alone.
func TestNodeNetworkOverVF(t *testing.T) {
	k := newMachine(t, "nic cx5\nnumvfs 0000:5f:00.0 2\nnetwork ens41f0v1 carries the default route\nup ens41f0v1")
	defer k.Close()
	node, err := observe.Node(t.Context(), k.Admin())
	if err != nil {
		t.Fatal(err)
	}
	p := compute(node, legacySpec())
	if diff := cmp.Diff([]string{"keep the MAC of VF 0"}, stepsOn(p, cx0)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{plan.CodeNodeNetwork}, codesOf(p, cx0)); diff != "" {
		t.Error(diff)
	}
}

// Whether the node's network depends on an externally managed PF is not known:
// its VFs are left alone if the change of one that is up might cut the node off.
func TestNodeNetworkUnknownOverExternalVF(t *testing.T) {
	const vf0, vf1 = "ens41f0v0", "ens41f0v1"
	external := legacySpec()
	external.ExternallyManaged = true
	external.VfGroups[0].MTU = 1400
	bind, mtu := "bind VF 1 to vfio-pci", "set MTU 1400 on VF 0"
	for _, c := range []struct {
		name, machine string
		steps         []string
	}{
		{"all down", "", []string{mtu, bind}},
		{"driver of one that is up", "up " + vf1, nil},
		{"MTU of one that is up", "up " + vf0, nil},
		{"nothing to change on the one that is up", "up " + vf0 + "\nmtu " + vf0 + " 1400", []string{bind}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newMachine(t, "nic cx5\nnumvfs 0000:5f:00.0 2\n"+c.machine)
			defer k.Close()
			k.Fail(simhost.Fault{Op: "links.NodeNetwork*", Errno: syscall.ENOBUFS})
			node, err := observe.Node(t.Context(), k.Host())
			if err != nil {
				t.Fatal(err)
			}
			p := compute(node, external)
			if diff := cmp.Diff(c.steps, stepsOn(p, cx0)); diff != "" {
				t.Errorf("steps:\n%s", diff)
			}
			if blocked := slices.Contains(codesOf(p, cx0), plan.CodeFactUnreadable); blocked != (c.steps == nil) {
				t.Errorf("blockers %v", p.Blockers)
			}
		})
	}
}

// A PF is given back only if it can be seen to be the NIC that was taken.
func TestUnreadableIdentity(t *testing.T) {
	for _, fact := range []string{inventory.FactVendor, inventory.FactDeviceID} {
		node := observed(t)
		pf := &node.PFs[0]
		owned := ledger.Record{PFs: map[string]ledger.PF{cx0: {Identity: plan.IdentityOf(&node, pf), OwnsVFs: true}}}
		pf.Vendor, pf.DeviceID = "", ""
		pf.Unreadable = []inventory.Unreadable{{Fact: fact, Reason: "input/output error"}}
		p := plan.Compute(plan.Input{
			Spec: sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}, Observed: node, Owned: owned, Drivers: driver.Default(),
		})
		if len(stepsOn(p, cx0)) > 0 || !slices.Equal(codesOf(p, cx0), []string{plan.CodeFactUnreadable}) {
			t.Errorf("%s: steps %v, blockers %v", fact, p.Steps(), p.Blockers)
		}
	}
}

// Whatever ledger can be opened, plans can be made with it.
func FuzzLedger(f *testing.F) {
	k := newMachine(f, "nic cx5\nnumvfs 0000:5f:00.0 2")
	defer k.Close()
	node, err := observe.Node(f.Context(), k.Admin())
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"version": 2, "pfs": {"0000:5f:00.0": {"ownsVFs": true, "initial": {"numVfs": -1}}}}`))
	f.Add([]byte(`{"version": 2, "pfs": {"0000:5f:00.0": {"ownsVFs": true, "initial": {"numVfs": 1, "vfs": [{"index": 7, "driver": "vfio-pci"}, {"index": 0}]}}}}`))
	f.Add([]byte(`{"version": 2, "pfs": {"0000:5f:00.0": {"initial": {"numVfs": 65535, "mtu": 1400, "autoprobe": false}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		led, err := ledger.Open(t.Context(), stored(data))
		if err != nil {
			return
		}
		p := plan.Compute(plan.Input{
			Spec: sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}, Observed: node, Owned: led.Record(), Drivers: driver.Default(),
		})
		plan.Disruption(p, node)
	})
}

type stored []byte

func (s stored) Load(context.Context) ([]byte, error) { return s, nil }
func (stored) Save(context.Context, []byte) error     { return nil }
func (stored) Delete(context.Context) error           { return nil }

// Every code is documented once, and met by a test.
func TestBlockerCodes(t *testing.T) {
	var met strings.Builder
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "facts_test.go") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		met.Write(data)
	}
	seen := map[string]bool{}
	// Codes that facts_test.go and devices_test.go name by their constants.
	constants := map[string]string{
		plan.CodeFactUnreadable: "CodeFactUnreadable", plan.CodeNoNetdev: "CodeNoNetdev",
		plan.CodeOffloadUnsupported: "CodeOffloadUnsupported", plan.CodeAutoprobeMissing: "CodeAutoprobeMissing",
		plan.CodeNoPortGUID: "CodeNoPortGUID",
	}
	for _, c := range plan.BlockerCodes() {
		if c.Code == "" || c.Meaning == "" || c.Remedy == "" || seen[c.Code] {
			t.Errorf("code %+v is incomplete or twice", c)
		}
		seen[c.Code] = true
		if constants[c.Code] == "" && !strings.Contains(met.String(), " "+c.Code+":") {
			t.Errorf("no test meets %s", c.Code)
		}
	}
}

// Neither Compute nor Disruption changes what it is given, and the same input
// gives the same plan.
func TestPure(t *testing.T) {
	node, spec := observed(t), []sriovv1.Interface{legacySpec(), guideSpec(cx1, 3)}
	before, specBefore := observed(t), []sriovv1.Interface{legacySpec(), guideSpec(cx1, 3)}
	first := compute(node, spec...)
	second := compute(node, spec...)
	plan.Disruption(first, node)
	if diff := cmp.Diff(before, node) + cmp.Diff(specBefore, spec); diff != "" {
		t.Errorf("input changed:\n%s", diff)
	}
	if first.Hash() == "" || first.Hash() != second.Hash() {
		t.Errorf("hashes %q and %q", first.Hash(), second.Hash())
	}
	var empty plan.Plan
	if empty.Hash() != "" {
		t.Errorf("hash of an empty plan: %q", empty.Hash())
	}
}

// BenchmarkCompute plans for 4 PFs with 127 VFs each: from nothing, and converged.
func BenchmarkCompute(b *testing.B) {
	const vfs = 127
	pfs := []string{"0000:3b:00.0", "0000:3b:00.1", "0000:3c:00.0", "0000:3c:00.1"}
	var fresh inventory.Node
	var spec sriovv1.SriovNetworkNodeStateSpec
	spec.ComputedFrom = "benchmark"
	total, on := vfs, true
	for _, pf := range pfs {
		none := 0
		fresh.PFs = append(fresh.PFs, inventory.PF{
			PCIAddress: pf, Driver: "mlx5_core", NumVFs: &none, TotalVFs: &total, Autoprobe: &on,
			Netdev:  &inventory.Netdev{Index: 1, Name: "p", MTU: 1500, LinkType: "ETH", HWTCOffload: &inventory.Feature{}},
			Eswitch: inventory.Eswitch{Known: true, Supported: true, Mode: "legacy"},
		})
		spec.Interfaces = append(spec.Interfaces, guideSpec(pf, vfs))
	}
	converged := inventory.Node{PFs: slices.Clone(fresh.PFs)}
	for i := range converged.PFs {
		pf := &converged.PFs[i]
		pf.NumVFs, pf.Eswitch.Mode = &total, "switchdev"
		pf.Netdev = &inventory.Netdev{Index: 1, Name: "p", MTU: 1500, LinkType: "ETH", Up: true, HWTCOffload: &inventory.Feature{On: true}}
		for v := range vfs {
			netdev := inventory.Netdev{Index: 10 + v, MTU: 1500, LinkType: "ETH", HWTCOffload: &inventory.Feature{On: true}}
			pf.VFs = append(pf.VFs, inventory.VF{Index: v, Driver: "mlx5_core", Netdev: &netdev, AdminMAC: "02:00:00:00:00:01"})
			pf.Representors = append(pf.Representors, inventory.Representor{VF: v, Netdev: netdev})
		}
	}
	for name, node := range map[string]inventory.Node{"fresh": fresh, "converged": converged} {
		in := plan.Input{Spec: spec, Observed: node, Drivers: driver.Default()}
		p := plan.Compute(in)
		// 10 steps on each PF, bind and MAC on each VF; nothing when converged.
		if got, want := len(p.Steps()), map[string]int{"fresh": 4 * (10 + 2*vfs)}[name]; got != want {
			b.Fatalf("%s: %d steps, want %d", name, got, want)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p := plan.Compute(in)
				plan.Disruption(p, node)
			}
		})
	}
}
