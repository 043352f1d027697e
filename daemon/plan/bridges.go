package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// Codes of blockers that concern Open vSwitch bridges.
const (
	CodeOVSUnavailable = "OVSUnavailable"
	CodeForeignBridge  = "ForeignBridge"
	CodeUplinkTaken    = "UplinkTaken"
	CodeBridgeInUse    = "BridgeInUse"
	CodeBridgeInvalid  = "BridgeInvalid"
)

func bridgeCodes() []BlockerCode {
	return []BlockerCode{
		{CodeOVSUnavailable, "A bridge is to be made, changed or removed, and Open vSwitch does not answer on this node.",
			"Start Open vSwitch on the node (ovsdb-server and ovs-vswitchd; socket /run/openvswitch/db.sock); the daemon looks again every 30 seconds."},
		{CodeForeignBridge, "A bridge with the name of the wanted one is there, and the operator did not make it.",
			"Remove the bridge (ovs-vsctl del-br), or remove bridge from the policy."},
		{CodeUplinkTaken, "The PF is a port of another Open vSwitch bridge.",
			"Take the port out of that bridge (ovs-vsctl del-port), or remove bridge from the policy."},
		{CodeBridgeInUse, "A bridge that is to be removed has ports besides its uplink, and no pod is known to use them.",
			"Remove the ports from the bridge (ovs-vsctl del-port), or the pods or networks that they belong to."},
		{CodeBridgeInvalid, "The bridge that is wanted cannot be made.",
			"Correct the policy's bridge, or remove it; see the message."},
	}
}

// bridging is what concerns Open vSwitch bridges of one PF.
type bridging struct {
	address string
	// pf is nil when it is not there.
	pf          *inventory.PF
	ovs         *inventory.OVS
	podsUnknown bool
	// want is nil when no bridge is wanted; mtu is what is wanted of the PF's.
	want *sriovv1.OVSConfigExt
	mtu  int
	// leavesBond: the PF is taken out of its bond before it gets a bridge.
	leavesBond bool
	// frozen: what is wanted cannot be, and what is there stays as it is.
	frozen bool
	// noted is the bridge that the ledger knows; empty if none.
	noted string

	// What is to be done, once the rest of the PF is known not to be blocked.
	remove []Step
	ensure Step
}

func newBridging(in *Input, address string, pf *inventory.PF) bridging {
	b := bridging{
		address: address, pf: pf, ovs: &in.Observed.OVS, podsUnknown: in.Observed.PodsUnknown != "",
		noted: in.Owned.Bridges[address].Name,
	}
	for i := range in.Spec.Bridges.OVS {
		bridge := &in.Spec.Bridges.OVS[i]
		if !hasUplink(bridge, address) {
			continue
		}
		b.want = bridge
		b.frozen = b.frozen || invalidBridge(&in.Spec, i) != ""
	}
	return b
}

func hasUplink(bridge *sriovv1.OVSConfigExt, address string) bool {
	return slices.ContainsFunc(bridge.Uplinks, func(u sriovv1.OVSUplinkConfigExt) bool { return u.PCIAddress == address })
}

// ours returns the bridges that we made for the PF.
func (b *bridging) ours() []*inventory.Bridge {
	var out []*inventory.Bridge
	for i := range b.ovs.Bridges {
		if b.ovs.Bridges[i].Owner == b.address {
			out = append(out, &b.ovs.Bridges[i])
		}
	}
	return out
}

// attached tells whether the PF's netdev is a port of a bridge of ours.
func (b *bridging) attached() bool {
	return b.pf != nil && b.pf.Netdev != nil && slices.ContainsFunc(b.ours(), func(o *inventory.Bridge) bool {
		return slices.ContainsFunc(o.Ports, func(p inventory.BridgePort) bool { return p.Has(b.pf.Netdev.Name) })
	})
}

// freed is the PF as it is without our bridge: that the uplink has Open vSwitch as
// its master stands in nobody's way.
func (b *bridging) freed() *inventory.PF {
	if b.frozen || !b.attached() || b.pf.Netdev.MasterKind != masterOVS {
		return b.pf
	}
	pf, netdev := *b.pf, *b.pf.Netdev
	netdev.Master, netdev.MasterKind = "", ""
	pf.Netdev = &netdev
	return &pf
}

// masterOVS is the kind of ovs-system, the master of all ports of the kernel's
// datapath.
const masterOVS = "openvswitch"

// unwanted returns the bridges of ours that have to go: all of them when the VFs
// are made anew, else those that are not the wanted one. A frozen one stays.
func (b *bridging) unwanted(all bool) []*inventory.Bridge {
	if b.frozen {
		return nil
	}
	return slices.DeleteFunc(b.ours(), func(o *inventory.Bridge) bool { return !all && b.want != nil && o.Name == b.want.Name })
}

// planRemoval plans the removal of bridges, or says why not.
func (b *bridging) planRemoval(all bool) []Blocker {
	b.remove = nil
	if b.ovs.Unknown != "" {
		if b.noted == "" || !all && b.want != nil {
			return nil
		}
		return b.blocks(CodeOVSUnavailable, "Open vSwitch bridge %s is to be removed first, but %s", b.noted, b.ovs.Unknown)
	}
	var steps []Step
	for _, bridge := range b.unwanted(all) {
		others, vfs := b.others(bridge)
		switch {
		case b.pf != nil && b.pf.NodeNetwork != "":
			return b.blocks(CodeNodeNetwork, "Open vSwitch bridge %s is to be removed, but the PF %s", bridge.Name, b.pf.NodeNetwork)
		case len(others) > 0:
			return b.blocks(CodeBridgeInUse, "Open vSwitch bridge %s is to be removed, but has %s besides the uplink", bridge.Name, portsText(others))
		}
		steps = append(steps, RemoveBridge{PF: b.address, Name: bridge.Name, VFs: vfs})
	}
	b.remove = steps
	return nil
}

// others sorts the ports of a bridge besides the uplink: representors of VFs that
// pods use, which go with their pods, and those of which nobody says that they go.
func (b *bridging) others(bridge *inventory.Bridge) (names []string, vfs []int) {
	for i := range bridge.Ports {
		p := &bridge.Ports[i]
		if p.Owner == b.address {
			continue
		}
		if vf, ok := b.usedVF(p); ok {
			vfs = append(vfs, vf)
			continue
		}
		names = append(names, p.Name)
	}
	slices.Sort(vfs)
	return names, vfs
}

// usedVF returns the VF in use whose representor is in a port.
func (b *bridging) usedVF(p *inventory.BridgePort) (int, bool) {
	if b.pf == nil {
		return 0, false
	}
	for i := range b.pf.Representors {
		r := &b.pf.Representors[i]
		vf := b.pf.VF(r.VF)
		if p.Has(r.Netdev.Name) && vf != nil && (inUse(vf) || b.podsUnknown) {
			return r.VF, true
		}
	}
	return 0, false
}

func portsText(names []string) string {
	const most = 8
	what := "port "
	if len(names) > 1 {
		what = "ports "
	}
	if len(names) > most {
		return fmt.Sprintf("%s%s and %d more", what, strings.Join(names[:most], ", "), len(names)-most)
	}
	return what + strings.Join(names, ", ")
}

func (b *bridging) blocks(code, format string, args ...any) []Blocker {
	return []Blocker{blocker(b.address, code, format, args...)}
}

// planBridge plans the wanted bridge, or says why not. Anew: whatever is there now
// is removed before.
func (b *bridging) planBridge(anew bool) []Blocker {
	b.ensure = nil
	if b.want == nil || b.frozen {
		return nil
	}
	if b.ovs.Unknown != "" {
		return b.blocks(CodeOVSUnavailable, "Open vSwitch bridge %s is wanted, but %s", b.want.Name, b.ovs.Unknown)
	}
	config := &b.want.Uplinks[0].Interface
	if request := config.MTURequest; request != nil && *request < b.mtu {
		return b.blocks(CodeBridgeInvalid, "mtuRequest %d of Open vSwitch bridge %s is below the MTU of %d that is wanted of the PF", *request, b.want.Name, b.mtu)
	}
	if blockers := b.obstacles(); len(blockers) > 0 {
		return blockers
	}
	step := b.difference(anew)
	if !step.Makes && !step.Attaches && len(step.Columns) == 0 {
		return nil
	}
	if step.touches().link && b.pf.NodeNetwork != "" {
		return b.blocks(CodeNodeNetwork, "Open vSwitch bridge %s is wanted, but the PF %s", b.want.Name, b.pf.NodeNetwork)
	}
	b.ensure = step
	return nil
}

// obstacles says why the PF cannot be the uplink of the wanted bridge.
func (b *bridging) obstacles() []Blocker {
	n := b.pf.Netdev
	for i := range b.ovs.Bridges {
		o := &b.ovs.Bridges[i]
		switch {
		case o.Owner == b.address:
		case o.Name == b.want.Name:
			return b.blocks(CodeForeignBridge, "Open vSwitch bridge %s is wanted, and there is one of this name that is not ours", o.Name)
		case slices.ContainsFunc(o.Ports, func(p inventory.BridgePort) bool { return p.Name == n.Name || p.Has(n.Name) }):
			return b.blocks(CodeUplinkTaken, "Open vSwitch bridge %s is wanted, but the PF's netdev %s is a port of bridge %s", b.want.Name, n.Name, o.Name)
		}
	}
	switch {
	case n.Master != "" && b.leavesBond:
	case n.Master != "" && n.MasterKind != masterOVS:
		return b.blocks(CodePFHasMaster, "Open vSwitch bridge %s is wanted, but the PF's netdev %s is a member of %s", b.want.Name, n.Name, masterText(n))
	case n.Master != "" && !b.attached():
		return b.blocks(CodeUplinkTaken, "Open vSwitch bridge %s is wanted, but the PF's netdev %s is a port of an Open vSwitch whose database is another one", b.want.Name, n.Name)
	}
	return nil
}

// difference is the step that makes the bridge what is wanted.
func (b *bridging) difference(anew bool) EnsureBridge {
	step := EnsureBridge{PF: b.address, Bridge: b.want, Makes: true}
	netdev := b.pf.Netdev
	if request := b.want.Uplinks[0].Interface.MTURequest; request != nil {
		step.Lowers = *request < netdev.MTU
	}
	i := slices.IndexFunc(b.ovs.Bridges, func(o inventory.Bridge) bool { return o.Name == b.want.Name })
	if anew || i < 0 {
		return step
	}
	found := &b.ovs.Bridges[i]
	uplink := found.Uplink()
	step.Makes = false
	step.Attaches = uplink == nil || !uplink.Has(netdev.Name) || uplink.Error != "" || valueOr(uplink.OFPort, -1) < 0
	step.Columns = bridgeColumns(b.want, found, uplink)
	return step
}

// bridgeColumns returns the columns that are not as wanted.
func bridgeColumns(want *sriovv1.OVSConfigExt, found *inventory.Bridge, uplink *inventory.BridgePort) []string {
	var out []string
	differs := func(column string, as bool) {
		if !as {
			out = append(out, column)
		}
	}
	config := &want.Bridge
	const system = "system"
	differs("datapath_type", cmp.Or(config.DatapathType, system) == cmp.Or(found.DatapathType, system))
	differs("fail_mode", config.FailMode == found.FailMode)
	differs("external_ids", holds(found.ExternalIDs, config.ExternalIDs))
	differs("other_config", holds(found.OtherConfig, config.OtherConfig))
	if uplink != nil {
		config := &want.Uplinks[0].Interface
		differs("type of the uplink", cmp.Or(config.Type, system) == cmp.Or(uplink.Type, system))
		differs("mtu_request of the uplink", valueOr(config.MTURequest, 0) == valueOr(uplink.MTURequest, 0))
		differs("options of the uplink", holds(uplink.Options, config.Options))
		differs("external_ids of the uplink", holds(uplink.ExternalIDs, config.ExternalIDs))
		differs("other_config of the uplink", holds(uplink.OtherConfig, config.OtherConfig))
	}
	if len(out) == 0 {
		differs(staleKeys, slices.Equal(bridgeKeys(want), found.Set))
	}
	return out
}

func holds(column, wanted map[string]string) bool {
	for key, value := range wanted {
		if now, ok := column[key]; !ok || now != value {
			return false
		}
	}
	return true
}

// bridgeKeys is what we set in columns that others write to as well, as
// host.OVSWant.Keys names it and the bridge remembers it.
func bridgeKeys(want *sriovv1.OVSConfigExt) []string {
	uplink := &want.Uplinks[0].Interface
	keys := []string{}
	for column, entries := range map[string]map[string]string{
		"bridge/external_ids": want.Bridge.ExternalIDs, "bridge/other_config": want.Bridge.OtherConfig,
		"uplink/options": uplink.Options, "uplink/external_ids": uplink.ExternalIDs, "uplink/other_config": uplink.OtherConfig,
	} {
		for key := range maps.Keys(entries) {
			keys = append(keys, column+"/"+key)
		}
	}
	slices.Sort(keys)
	return keys
}
