package network

import (
	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// ovsConf is the configuration of ovs-cni (its pkg/types: NetConf), as far as
// we write it.
type ovsConf struct {
	header
	Type          string          `json:"type"`
	Capabilities  map[string]bool `json:"capabilities,omitempty"`
	Bridge        string          `json:"bridge,omitempty"`
	Vlan          int             `json:"vlan,omitempty"`
	MTU           int             `json:"mtu,omitempty"`
	Trunk         []ovsTrunk      `json:"trunk,omitempty"`
	InterfaceType string          `json:"interface_type,omitempty"`
	IPAM          object          `json:"ipam"`
}

type ovsTrunk struct {
	ID    *int `json:"id,omitempty"`
	MinID *int `json:"minID,omitempty"`
	MaxID *int `json:"maxID,omitempty"`
}

func ovsConfig(n *sriovv1.OVSNetwork) ([]byte, error) {
	caps, err := capabilities(n.Spec.Capabilities)
	if err != nil {
		return nil, err
	}
	addresses, err := ipam(n.Spec.IPAM)
	if err != nil {
		return nil, err
	}
	var trunk []ovsTrunk
	for _, t := range n.Spec.Trunk {
		trunk = append(trunk, ovsTrunk(t))
	}
	return encodeConfig(n.Name, func(h header) any {
		return ovsConf{
			header: h, Type: "ovs", Capabilities: caps, Bridge: n.Spec.Bridge, Vlan: n.Spec.Vlan, MTU: n.Spec.MTU,
			Trunk: trunk, InterfaceType: n.Spec.InterfaceType, IPAM: addresses,
		}
	}, n.Spec.MetaPlugins)
}
