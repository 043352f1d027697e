package agent

import (
	"maps"
	"slices"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// awaitsOVS tells whether the plan waits for what no event may tell: that Open
// vSwitch starts, or that somebody changes a bridge.
func awaitsOVS(p plan.Plan) bool {
	return slices.ContainsFunc(p.Blockers, func(b plan.Blocker) bool {
		switch b.Code {
		case plan.CodeOVSUnavailable, plan.CodeForeignBridge, plan.CodeUplinkTaken, plan.CodeBridgeInUse:
			return true
		}
		return false
	})
}

// bridges turns those of the inventory into the API's form: bridges of ours, and
// others that have a PF as a port.
func bridges(n *inventory.Node) sriovv1.Bridges {
	var out sriovv1.Bridges
	for i := range n.OVS.Bridges {
		b := &n.OVS.Bridges[i]
		shown := sriovv1.OVSConfigExt{
			Name: sriovv1.Clip(b.Name, maxIdentity),
			Bridge: sriovv1.OVSBridgeConfig{
				DatapathType: sriovv1.Clip(b.DatapathType, maxWord), FailMode: failMode(b.FailMode),
				ExternalIDs: column(b.ExternalIDs), OtherConfig: column(b.OtherConfig),
			},
		}
		for j := range b.Ports {
			shown.Uplinks = append(shown.Uplinks, uplinks(n, &b.Ports[j])...)
		}
		shown.Uplinks = first(shown.Uplinks, maxUplinks)
		if b.Owner != "" || len(shown.Uplinks) > 0 {
			out.OVS = append(out.OVS, shown)
		}
	}
	out.OVS = first(out.OVS, sriovv1.MaxInterfaces)
	return out
}

// uplinks are the PFs that are in a port, and the PF that a port of ours was made
// for, even if its netdev is not there.
func uplinks(n *inventory.Node, p *inventory.BridgePort) []sriovv1.OVSUplinkConfigExt {
	var out []sriovv1.OVSUplinkConfigExt
	add := func(address string) {
		u := sriovv1.OVSUplinkConfigExt{
			PCIAddress: sriovv1.Clip(address, maxWord), Name: sriovv1.Clip(p.Name, maxWord),
			Interface: sriovv1.OVSInterfaceConfig{
				Type: sriovv1.Clip(p.Type, maxWord), Options: column(p.Options),
				ExternalIDs: column(p.ExternalIDs), OtherConfig: column(p.OtherConfig),
			},
		}
		if p.MTURequest != nil && *p.MTURequest > 0 {
			mtu := *p.MTURequest
			u.Interface.MTURequest = &mtu
		}
		out = append(out, u)
	}
	for i := range n.PFs {
		if netdev := n.PFs[i].Netdev; netdev != nil && p.Owner == "" && p.Has(netdev.Name) {
			add(n.PFs[i].PCIAddress)
		}
	}
	if p.Owner != "" {
		add(p.Owner)
	}
	return out
}

// failMode is absent when it is none that the schema knows.
func failMode(mode string) string {
	if mode == "secure" || mode == "standalone" {
		return mode
	}
	return ""
}

// Limits of what the schema takes in a column.
const (
	maxUplinks       = 64
	maxColumnEntries = 32
	maxColumnKey     = 63
	maxColumnValue   = 256
)

// column shows what a column holds, within the limits of the schema: agents of all
// kinds keep their notes in these columns.
func column(entries map[string]string) map[string]string {
	var out map[string]string
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		value := strings.ToValidUTF8(entries[key], "?")
		if len(key) > maxColumnKey || len(value) > maxColumnValue || len(out) == maxColumnEntries {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[key] = value
	}
	return out
}
