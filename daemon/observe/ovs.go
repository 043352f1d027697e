package observe

import (
	"context"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// ovsBound is for the database of Open vSwitch, which answers within milliseconds.
const ovsBound = 5 * time.Second

// openvswitch returns the bridges of the node. That there is no Open vSwitch is
// no error: most nodes have none, and only who wants a bridge needs to know why.
func openvswitch(ctx context.Context, h host.Host) inventory.OVS {
	ctx, cancel := context.WithTimeoutCause(ctx, ovsBound, late(ovsBound))
	defer cancel()
	found, err := h.OVS.Bridges(ctx)
	if err != nil {
		return inventory.OVS{Unknown: err.Error()}
	}
	var out inventory.OVS
	for _, b := range found {
		out.Bridges = append(out.Bridges, bridge(b))
	}
	return out
}

func bridge(b host.OVSBridge) inventory.Bridge {
	out := inventory.Bridge{
		Name: b.Name, Owner: b.Owner, DatapathType: b.DatapathType, FailMode: b.FailMode,
		ExternalIDs: b.ExternalIDs, OtherConfig: b.OtherConfig, Set: b.Set,
	}
	for _, p := range b.Ports {
		port := inventory.BridgePort{Name: p.Name, Owner: p.Owner}
		for n, i := range p.Interfaces {
			port.Interfaces = append(port.Interfaces, i.Name)
			if n == 0 {
				port.Type, port.MTURequest, port.OFPort, port.Error = i.Type, i.MTURequest, i.OFPort, i.Error
				port.Options, port.ExternalIDs, port.OtherConfig = i.Options, i.ExternalIDs, i.OtherConfig
			}
		}
		out.Ports = append(out.Ports, port)
	}
	return out
}
