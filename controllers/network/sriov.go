package network

import (
	"cmp"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// sriovConf is the configuration of sriov-cni (its pkg/types: NetConf), as far
// as we write it.
type sriovConf struct {
	header
	Type         string          `json:"type"`
	Vlan         int             `json:"vlan"`
	SpoofChk     string          `json:"spoofchk,omitempty"`
	Trust        string          `json:"trust,omitempty"`
	VlanQoS      int             `json:"vlanQoS"`
	VlanProto    string          `json:"vlanProto,omitempty"`
	MinTxRate    *int            `json:"min_tx_rate,omitempty"` // Mbps, 0: no limit
	MaxTxRate    *int            `json:"max_tx_rate,omitempty"`
	Capabilities map[string]bool `json:"capabilities,omitempty"`
	LinkState    string          `json:"link_state,omitempty"`
	LogLevel     string          `json:"logLevel"`
	LogFile      string          `json:"logFile,omitempty"`
	IPAM         object          `json:"ipam"`
}

func sriovConfig(n *sriovv1.SriovNetwork) ([]byte, error) {
	caps, err := capabilities(n.Spec.Capabilities)
	if err != nil {
		return nil, err
	}
	addresses, err := ipam(n.Spec.IPAM)
	if err != nil {
		return nil, err
	}
	s := n.Spec
	return encodeConfig(n.Name, func(h header) any {
		return sriovConf{
			header: h, Type: "sriov",
			Vlan: s.Vlan, VlanQoS: s.VlanQoS, VlanProto: strings.ToLower(s.VlanProto),
			SpoofChk: s.SpoofChk, Trust: s.Trust, LinkState: s.LinkState,
			MinTxRate: s.MinTxRate, MaxTxRate: s.MaxTxRate,
			Capabilities: caps, LogLevel: cmp.Or(s.LogLevel, "info"), LogFile: s.LogFile, IPAM: addresses,
		}
	}, s.MetaPlugins)
}

// ibConf is the configuration of ib-sriov-cni, as far as we write it.
type ibConf struct {
	header
	Type         string          `json:"type"`
	Capabilities map[string]bool `json:"capabilities,omitempty"`
	LinkState    string          `json:"link_state,omitempty"`
	IPAM         object          `json:"ipam"`
}

func ibConfig(n *sriovv1.SriovIBNetwork) ([]byte, error) {
	caps, err := capabilities(n.Spec.Capabilities)
	if err != nil {
		return nil, err
	}
	addresses, err := ipam(n.Spec.IPAM)
	if err != nil {
		return nil, err
	}
	return encodeConfig(n.Name, func(h header) any {
		return ibConf{header: h, Type: "ib-sriov", Capabilities: caps, LinkState: n.Spec.LinkState, IPAM: addresses}
	}, n.Spec.MetaPlugins)
}
