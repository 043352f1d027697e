package apply_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// bridgeName is the name that the manager gives the bridge of a PF.
func bridgeName(address string) string { return "br-" + strings.ReplaceAll(address, ":", "_") }

// addBridges draws bridges for PFs of a spec that are to be in switchdev mode, and
// now and then for one that is not.
func addBridges(t *rapid.T, spec *sriovv1.SriovNetworkNodeStateSpec) {
	for i := range spec.Interfaces {
		iface := &spec.Interfaces[i]
		odds := 9
		if iface.EswitchMode == sriovv1.EswitchModeSwitchdev && !iface.ExternallyManaged {
			odds = 1
		}
		if rapid.IntRange(0, odds).Draw(t, "bridge") == odds {
			spec.Bridges.OVS = append(spec.Bridges.OVS, bridgeOf(t, iface.PCIAddress))
		}
	}
}

func bridgeOf(t *rapid.T, address string) sriovv1.OVSConfigExt {
	column := func(label string) map[string]string {
		if !rapid.Bool().Draw(t, label) {
			return nil
		}
		return map[string]string{
			rapid.SampledFrom([]string{"a", "b"}).Draw(t, label+" key"): rapid.SampledFrom([]string{"1", "2"}).Draw(t, label+" value"),
		}
	}
	b := sriovv1.OVSConfigExt{
		Name: bridgeName(address),
		Bridge: sriovv1.OVSBridgeConfig{
			DatapathType: rapid.SampledFrom([]string{"", "system", "netdev"}).Draw(t, "datapath"),
			FailMode:     rapid.SampledFrom([]string{"", "secure"}).Draw(t, "fail mode"),
			ExternalIDs:  column("external ids"),
		},
		Uplinks: []sriovv1.OVSUplinkConfigExt{{
			PCIAddress: address,
			Interface:  sriovv1.OVSInterfaceConfig{Options: column("options"), OtherConfig: column("other config")},
		}},
	}
	if mtu := rapid.SampledFrom([]int{0, 1500, 2000, 9000}).Draw(t, "mtu request"); mtu > 0 {
		b.Uplinks[0].Interface.MTURequest = &mtu
	}
	if rapid.IntRange(0, 15).Draw(t, "odd datapath") == 15 {
		b.Bridge.DatapathType = "nosuchtype"
	}
	return b
}

// pastOVS draws what somebody did to Open vSwitch before.
func pastOVS(t *rapid.T, p port) []action {
	var out []action
	add := func(odds int, text string, do func(*simhost.Kernel) error) {
		if rapid.IntRange(0, odds).Draw(t, text) == odds {
			out = append(out, action{p.address + " " + text, func(_ context.Context, k *simhost.Kernel) error { return do(k) }})
		}
	}
	add(11, "ovs: port of br-int", func(k *simhost.Kernel) error {
		_ = k.AddOVSBridge("br-int")
		return k.AddOVSPort("br-int", p.netdev)
	})
	add(11, "ovs: foreign bridge", func(k *simhost.Kernel) error { return k.AddOVSBridge(bridgeName(p.address)) })
	add(11, "ovs: foreign port", func(k *simhost.Kernel) error { return k.AddOVSPort(bridgeName(p.address), "v"+p.netdev[3:]) })
	add(23, "ovs: stopped", func(k *simhost.Kernel) error {
		k.StopOVS(false)
		return nil
	})
	return out
}

func bridgeText(b *sriovv1.OVSConfigExt) string {
	mtu := 0
	if n := b.Uplinks[0].Interface.MTURequest; n != nil {
		mtu = *n
	}
	return fmt.Sprintf("bridge %s %+v uplink %s mtu_request %d options %v", b.Name, b.Bridge, b.Uplinks[0].PCIAddress, mtu, b.Uplinks[0].Interface.Options)
}

// bridged compares the bridges with the spec, independently of the planner: each
// wanted one is there, with what is wanted and no key of an earlier spec, and its
// uplink works; and no other is ours.
func bridged(spec *sriovv1.SriovNetworkNodeStateSpec, node *inventory.Node, skip map[string]bool) error {
	wanted := map[string]*sriovv1.OVSConfigExt{}
	for i := range spec.Bridges.OVS {
		wanted[spec.Bridges.OVS[i].Name] = &spec.Bridges.OVS[i]
	}
	for i := range node.OVS.Bridges {
		b := &node.OVS.Bridges[i]
		if skip[b.Owner] || b.Owner == "" {
			continue
		}
		if err := asWanted(wanted[b.Name], b, node.PF(b.Owner)); err != nil {
			return fmt.Errorf("bridge %s: %w", b.Name, err)
		}
		delete(wanted, b.Name)
	}
	for name, b := range wanted {
		if !skip[b.Uplinks[0].PCIAddress] {
			return fmt.Errorf("bridge %s is not there", name)
		}
	}
	return nil
}

func asWanted(want *sriovv1.OVSConfigExt, b *inventory.Bridge, pf *inventory.PF) error {
	if want == nil {
		return errors.New("it is ours, and nobody wants it")
	}
	uplink := &want.Uplinks[0].Interface
	switch {
	case len(b.Ports) != 1 || b.Ports[0].Name != pf.Netdev.Name:
		return fmt.Errorf("its ports are %v", b.Ports)
	case b.Ports[0].Error != "" || b.Ports[0].OFPort == nil || *b.Ports[0].OFPort < 1:
		return fmt.Errorf("its uplink is not attached: %q", b.Ports[0].Error)
	case want.Bridge.FailMode != b.FailMode || strings.TrimSuffix(want.Bridge.DatapathType, "system") != strings.TrimSuffix(b.DatapathType, "system"):
		return fmt.Errorf("fail mode is %q, datapath %q", b.FailMode, b.DatapathType)
	case !maps.Equal(want.Bridge.ExternalIDs, b.ExternalIDs) || !maps.Equal(uplink.Options, b.Ports[0].Options) || !maps.Equal(uplink.OtherConfig, b.Ports[0].OtherConfig):
		return fmt.Errorf("columns are %v, %v, %v", b.ExternalIDs, b.Ports[0].Options, b.Ports[0].OtherConfig)
	case uplink.MTURequest != nil && pf.Netdev.MTU != *uplink.MTURequest:
		return fmt.Errorf("the PF's MTU is %d", pf.Netdev.MTU)
	case want.Bridge.DatapathType != "netdev" && pf.Netdev.MasterKind != "openvswitch":
		return fmt.Errorf("the uplink's master is %q", pf.Netdev.Master)
	}
	return nil
}

// unbridged: bridges of others are as they were, and of ours none is left, neither
// in Open vSwitch nor in the ledger.
func unbridged(before, after *inventory.Node, owned ledger.Record, kept map[string]bool) error {
	if before.OVS.Unknown != "" || after.OVS.Unknown != "" {
		return nil
	}
	theirs := func(n *inventory.Node) []inventory.Bridge {
		return slices.DeleteFunc(slices.Clone(n.OVS.Bridges), func(b inventory.Bridge) bool { return b.Owner != "" })
	}
	// Whether a port of somebody else's is attached depends on what we do to the netdev.
	state := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".OFPort" || p.Last().String() == ".Error" }, cmp.Ignore())
	if diff := cmp.Diff(theirs(before), theirs(after), state, cmpopts.EquateEmpty()); diff != "" {
		return fmt.Errorf("bridges of others (-before +after):\n%s", diff)
	}
	for _, b := range after.OVS.Bridges {
		if b.Owner != "" && !kept[b.Owner] {
			return fmt.Errorf("bridge %s of ours is left", b.Name)
		}
	}
	for pf := range owned.Bridges {
		if !kept[pf] {
			return fmt.Errorf("the ledger did not forget the bridge of %s", pf)
		}
	}
	return nil
}

// forgetEarlier leaves out of a record after a reboot what depends on whether a bridge
// was there already: who has seen a PF before the reboot remembers the MTU of then, which is a better
// guess than the one that Open vSwitch has set since.
func forgetEarlier(r *ledger.Record, bootID string) {
	if firstBoot(bootID) {
		return
	}
	for address, bridge := range r.Bridges {
		bridge.MTU = 0
		r.Bridges[address] = bridge
		pf, ok := r.PFs[address]
		switch {
		case ok && pf.OwnsVFs:
			pf.Initial.MTU = 0
			r.PFs[address] = pf
		case ok:
			// Who has made the bridge before the reboot has nothing left to do, and
			// so nothing to note.
			delete(r.PFs, address)
		}
	}
}

// leftBridges counts the writes that remove a bridge that survived a reboot, and give
// its uplink the MTU of before.
func leftBridges(ops simhost.Ops) int {
	removed := ops.ByKind["ovs.RemoveBridge"]
	return removed + min(removed, ops.ByKind["links.SetMTU"])
}

// unlessBridged leaves the MTU out of the comparison of a PF that had a bridge of ours
// in its first state: it survived a reboot, and Open vSwitch has set the MTU.
func unlessBridged(before *inventory.Node, address string) cmp.Option {
	ours := slices.ContainsFunc(before.OVS.Bridges, func(b inventory.Bridge) bool { return b.Owner == address })
	return cmp.FilterPath(func(p cmp.Path) bool { return ours && p.Last().String() == ".MTU" }, cmp.Ignore())
}

func firstBoot(bootID string) bool { return strings.HasSuffix(bootID, "-000000000001") }

// withoutEarlierMTUs leaves out of a dump after a reboot the MTUs of PFs that are on
// trial: if a bridge was there, Open vSwitch has set it.
func withoutEarlierMTUs(dump, bootID string) string {
	if firstBoot(bootID) {
		return dump
	}
	var out []string
	trial := false
	for line := range strings.Lines(dump) {
		if !strings.HasPrefix(line, " ") {
			trial = strings.HasSuffix(line, " on trial\n")
		}
		if words := strings.Fields(line); trial && len(words) > 4 && words[3] == "mtu" {
			words[4] = "any"
			line = strings.Join(words, " ") + "\n"
		}
		out = append(out, line)
	}
	return strings.Join(out, "")
}
