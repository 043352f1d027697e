package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

const ib0, ib1 = "0000:d8:00.0", "0000:d8:00.1"

func looked(t *testing.T, script string) inventory.Node {
	t.Helper()
	k := newMachine(t, script)
	defer k.Close()
	n, err := observe.Node(t.Context(), k.Admin())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func ibSpec(pf string, vfs int) sriovv1.Interface {
	return sriovv1.Interface{PCIAddress: pf, NumVfs: vfs, LinkType: "IB", VfGroups: []sriovv1.VfGroup{
		{DeviceType: "netdevice", VfRange: sriovv1.VFRange{First: 0, Last: vfs - 1}},
	}}
}

func guidsOf(p plan.Plan) []string {
	var out []string
	for _, s := range p.Steps() {
		if g, ok := s.(plan.SetVFGUID); ok {
			out = append(out, g.GUID)
		}
	}
	return out
}

// GUIDs of VFs are the same at every computation, differ from each other and from
// those of all PFs, on whatever two ports, and are locally administered unicast.
func TestGUIDs(t *testing.T) {
	node := looked(t, "nic vpi")
	rapid.Check(t, func(rt *rapid.T) {
		first := rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(rt, "GUID")
		if rapid.Bool().Draw(rt, "vendor's") {
			first[3], first[4] = 3, 0
		}
		first[0], first[7] = first[0]&^3, first[7]|1
		second := slices.Clone(first)
		second[rapid.SampledFrom([]int{0, 1, 2, 5, 6, 7}).Draw(rt, "differs in")] ^= 0x10
		text := func(guid []byte) string { return strings.ReplaceAll(fmt.Sprintf("% x", guid), " ", ":") }
		node := node
		node.PFs = slices.Clone(node.PFs)
		for i, guid := range [][]byte{first, second} {
			netdev := *node.PFs[i].Netdev
			netdev.MAC = "00:00:10:49:fe:80:00:00:00:00:00:00:" + text(guid)
			node.PFs[i].Netdev = &netdev
		}
		got := guidsOf(compute(node, ibSpec(ib0, 16), ibSpec(ib1, 16)))
		if again := guidsOf(compute(node, ibSpec(ib0, 16), ibSpec(ib1, 16))); !slices.Equal(got, again) {
			rt.Fatalf("%v and then %v", got, again)
		}
		seen := map[string]bool{text(first): true, text(second): true}
		for _, guid := range got {
			var b byte
			if _, err := fmt.Sscanf(guid, "%02x:", &b); err != nil || len(guid) != 23 || b&3 != 2 || seen[guid] {
				rt.Fatalf("GUID %s of %v", guid, got)
			}
			seen[guid] = true
		}
		if len(seen) != 34 {
			rt.Fatalf("%d GUIDs", len(seen))
		}
	})
}

// What cannot be told apart from "none" is not acted on.
func TestUnknownDevices(t *testing.T) {
	const pf = "0000:3b:00.0"
	vdpa := guideSpec(pf, 2)
	vdpa.VfGroups[0].VdpaType = "vhost"
	rdma := guideSpec(pf, 2)
	rdma.VfGroups[0].IsRdma = true
	user := guideSpec(pf, 2)
	user.VfGroups[0].DeviceType = "vfio-pci"
	unknown := func(fact string) func(*inventory.Node) {
		return func(n *inventory.Node) {
			n.PFs[0].Unreadable = []inventory.Unreadable{{Fact: fact, Reason: "input/output error"}}
		}
	}
	bus := func(name string) func(*inventory.Node) {
		return func(n *inventory.Node) { n.Buses[name] = inventory.Bus{Unknown: "100% input/output error"} }
	}
	for _, c := range []struct {
		name    string
		spec    sriovv1.Interface
		change  func(*inventory.Node)
		blocked []string
	}{
		{"vDPA devices", vdpa, unknown(inventory.FactVDPA), []string{plan.CodeFactUnreadable}},
		{"vDPA devices of no use", rdma, unknown(inventory.FactVDPA), nil},
		{"RDMA devices", rdma, unknown(inventory.FactRDMA), []string{plan.CodeFactUnreadable}},
		{"RDMA devices of no use", vdpa, unknown(inventory.FactRDMA), nil},
		{"PCI drivers", user, bus("pci"), []string{plan.CodeFactUnreadable}},
		{"PCI drivers of no use", vdpa, bus("pci"), nil},
		{"vDPA drivers", vdpa, bus("vdpa"), []string{plan.CodeFactUnreadable}},
		{"auxiliary drivers", vdpa, bus("auxiliary"), []string{plan.CodeFactUnreadable}},
		{"everything known", vdpa, func(*inventory.Node) {}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			node := looked(t, "nic cx6dx")
			c.change(&node)
			p := compute(node, c.spec)
			if diff := cmp.Diff(c.blocked, codesOf(p, pf)); diff != "" {
				t.Errorf("blockers: %v", p.Blockers)
			}
			if len(p.Blockers) > 0 && (len(p.Chains) > 0 || strings.Contains(p.Blockers[0].Message, "%!")) {
				t.Errorf("%v, and yet %v", p.Blockers, p.Chains)
			}
		})
	}
}

// A port without a GUID of its own has none to make others of: nothing is touched.
func TestNoPortGUID(t *testing.T) {
	for _, mac := range []string{"", "b8:ce:f6:22:33:40", "00:00:10:49:fe:80:00:00:00:00:00:00:00:00:00:00:00:00:00:00", "00:00:10:49:fe:80:00:00:00:00:00:00:ff:ff:ff:ff:ff:ff:ff:ff"} {
		node := looked(t, "nic vpi")
		node.PFs[0].Netdev.MAC = mac
		p := compute(node, ibSpec(ib0, 2), ibSpec(ib1, 2))
		if diff := cmp.Diff([]string{plan.CodeNoPortGUID}, codesOf(p, ib0)); diff != "" || len(stepsOn(p, ib0)) > 0 {
			t.Errorf("%q: blockers %v, steps %v", mac, p.BlockersOf(ib0), stepsOn(p, ib0))
		}
		if len(guidsOf(p)) != 2 {
			t.Errorf("%q: the other port gets GUIDs %v", mac, guidsOf(p))
		}
	}
}

// The ports of an offloaded bond share the RDMA device of the first.
func TestRDMAOfCard(t *testing.T) {
	node := looked(t, "nic cx5")
	node.PFs[1].RDMA = nil
	spec := guideSpec(cx1, 1)
	spec.VfGroups[0].IsRdma = true
	if p := compute(node, spec); len(p.Blockers) > 0 {
		t.Errorf("blockers: %v", p.Blockers)
	}
	node.PFs[0].RDMA = nil
	if p := compute(node, spec); len(p.Blockers) != 1 || p.Blockers[0].Code != plan.CodeRDMAMissing {
		t.Errorf("blockers: %v", p.Blockers)
	}
}

// A vDPA device that somebody else made under another name stays, and serves if it
// is of the right type.
func TestForeignVDPA(t *testing.T) {
	const pf = "0000:3b:00.0"
	for _, c := range []struct {
		name, kind, want string
		change           func(*sriovv1.VfGroup)
		steps            []string
	}{
		{"mine", "vhost", "vhost", nil, nil},
		{"mine", "vhost", "", nil, nil},
		{"mine", "virtio", "vhost", nil, []string{"make the vDPA device of VF 0 a vhost device"}},
		{"vdpa:0000:3b:00.2", "vhost", "", nil, []string{"remove the vDPA device of VF 0"}},
		// It would end with the VF's driver anyway.
		{"mine", "vhost", "", func(g *sriovv1.VfGroup) { g.DeviceType = "vfio-pci" },
			[]string{"remove the vDPA device of VF 0", "bind VF 0 to vfio-pci"}},
		{"mine", "vhost", "vhost", func(g *sriovv1.VfGroup) { g.IsRdma = true }, []string{
			"remove the vDPA device of VF 0", "bind VF 0 to its driver again for its RDMA device", "make a vhost vDPA device of VF 0",
		}},
	} {
		node := looked(t, "nic cx6dx\nautoprobe "+pf+" 0\nnumvfs "+pf+" 1\nmode "+pf+" switchdev\noffload enp59s0f0np0 on\nup enp59s0f0np0\nautoprobe "+pf+" 1\nbind "+pf+" 0 mlx5_core\nmac "+pf+" 0 02:00:00:00:00:01")
		node.PFs[0].VFs[0].VDPA = &inventory.VDPA{Name: c.name, Type: c.kind}
		spec := guideSpec(pf, 1)
		spec.VfGroups[0].VdpaType = c.want
		if c.change != nil {
			c.change(&spec.VfGroups[0])
		}
		if diff := cmp.Diff(c.steps, stepsOn(compute(node, spec), pf)); diff != "" {
			t.Errorf("%s %s, %q wanted:\n%s", c.name, c.kind, c.want, diff)
		}
	}
}
