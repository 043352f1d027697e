package network

import (
	"net/netip"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// subnetAddresses are the addresses of an underlay Subnet in the form in which
// Kube-OVN keeps them, so that it has nothing to correct.
type subnetAddresses struct {
	protocol   string // IPv4, IPv6 or Dual
	cidrBlock  string
	gateways   []string
	excludeIPs []any
	vlanID     int
}

// underlaySubnet reads spec.kubeOVN.subnet, by the rules that Kube-OVN applies
// when it takes a Subnet into use (pkg/util: ValidateSubnet): what breaks them
// would be accepted by the API server and then never work.
func underlaySubnet(n *sriovv1.OffloadNetwork) (*subnetAddresses, error) {
	s := n.Spec.KubeOVN.Subnet
	blocks, err := parseBlocks(s.CIDRBlock)
	if err != nil {
		return nil, err
	}
	out := &subnetAddresses{protocol: protocolOf(blocks)}
	var texts []string
	for _, b := range blocks {
		texts = append(texts, b.String())
	}
	out.cidrBlock = strings.Join(texts, ",")
	if out.gateways, err = parseGateways(s.Gateway, blocks); err != nil {
		return nil, err
	}
	if out.excludeIPs, err = parseExcluded(s.ExcludeIPs); err != nil {
		return nil, err
	}
	if s.VlanID != nil {
		out.vlanID = *s.VlanID
	}
	return out, nil
}

func parseBlocks(text string) ([]netip.Prefix, error) {
	const field = "spec.kubeOVN.subnet.cidrBlock"
	var blocks []netip.Prefix
	for part := range strings.SplitSeq(text, ",") {
		p, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, invalid(field, "%q is not an address block such as 10.10.204.0/24", part)
		}
		addr := p.Masked().Addr()
		switch {
		case p.IsSingleIP():
			return nil, invalid(field, "%s is a single address; a Subnet needs more than one", p)
		case addr.IsLoopback(), addr.IsMulticast(), addr.IsLinkLocalUnicast(), addr.IsUnspecified():
			return nil, invalid(field, "%s is not for pods: loopback, link-local, multicast and unspecified addresses are reserved", p)
		}
		blocks = append(blocks, p.Masked())
	}
	if len(blocks) > 2 || len(blocks) == 2 && blocks[0].Addr().Is4() == blocks[1].Addr().Is4() {
		return nil, invalid(field, "has to be one block, or an IPv4 and an IPv6 block separated by a comma")
	}
	return blocks, nil
}

func protocolOf(blocks []netip.Prefix) string {
	switch {
	case len(blocks) == 2:
		return "Dual"
	case blocks[0].Addr().Is4():
		return "IPv4"
	}
	return "IPv6"
}

// parseGateways wants one gateway in each block, in their order.
func parseGateways(text string, blocks []netip.Prefix) ([]string, error) {
	const field = "spec.kubeOVN.subnet.gateway"
	parts := strings.Split(text, ",")
	if len(parts) != len(blocks) {
		return nil, invalid(field, "has %d addresses, cidrBlock has %d blocks; name one gateway for each block", len(parts), len(blocks))
	}
	var gateways []string
	for i, part := range parts {
		addr, err := netip.ParseAddr(part)
		if err != nil {
			return nil, invalid(field, "%q is not an IP address", part)
		}
		if !blocks[i].Contains(addr) || addr == blocks[i].Addr() {
			return nil, invalid(field, "%s is not an address for a host in %s", addr, blocks[i])
		}
		gateways = append(gateways, addr.String())
	}
	return gateways, nil
}

func parseExcluded(list []string) ([]any, error) {
	const field = "spec.kubeOVN.subnet.excludeIPs"
	var out []any
	for _, entry := range list {
		first, last, isRange := strings.Cut(entry, "..")
		from, err := netip.ParseAddr(first)
		if err != nil {
			return nil, invalid(field, "%q is neither an IP address nor an interval such as 10.10.204.1..10.10.204.100", entry)
		}
		if !isRange {
			out = append(out, from.String())
			continue
		}
		to, err := netip.ParseAddr(last)
		if err != nil || from.Is4() != to.Is4() || to.Less(from) {
			return nil, invalid(field, "%q is not an interval from a lower to a higher address", entry)
		}
		out = append(out, from.String()+".."+to.String())
	}
	return out, nil
}
