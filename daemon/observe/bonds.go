package observe

import (
	"cmp"
	"context"
	"slices"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/lag"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// addBonds reads the bonds of the host, and the LAG over the NIC of every PF that
// is a member of one.
func (s *scan) addBonds(ctx context.Context, node *inventory.Node) {
	bonds, err := s.host.Bonds.List(ctx)
	if err != nil {
		node.BondsUnknown = err.Error()
		return
	}
	for i := range bonds {
		b := bondOf(&bonds[i])
		b.NodeNetwork = s.dependence(bonds[i].Index)
		node.Bonds = append(node.Bonds, b)
	}
	slices.SortFunc(node.Bonds, func(a, b inventory.Bond) int { return cmp.Compare(a.Name, b.Name) })
	for i := range node.PFs {
		pf := &node.PFs[i]
		if pf.Netdev != nil && pf.Netdev.MasterKind == host.KindBond {
			pf.LAG = s.lag(ctx, pf.PCIAddress)
		}
	}
}

// lag is the LAG over the NIC of a PF. That it cannot be read is as much as that
// the kernel does not tell it: an old kernel must not stop what works with it.
func (s *scan) lag(ctx context.Context, pf string) *inventory.LAG {
	state, err := lag.Read(ctx, s.host.FS, pf)
	if err != nil {
		return &inventory.LAG{Reason: err.Error()}
	}
	return &inventory.LAG{Known: state.Known, Reason: state.Reason, Active: state.VFLAG()}
}

// bondOf is a bond as the inventory shows it. In active-backup mode one member is
// active; in the others the kernel calls every member active, and those without a
// link carry nothing.
func bondOf(b *host.Bond) inventory.Bond {
	out := inventory.Bond{
		Name: b.Name, Mode: b.Mode, XmitHashPolicy: b.XmitHashPolicy, LACPRate: b.LACPRate,
		MiimonMilliseconds: b.MiimonMilliseconds, MTU: b.MTU, Up: b.Up, Carrier: b.Carrier,
	}
	if b.LACP != nil {
		out.LACP = &inventory.LACP{Ports: b.LACP.Ports, PartnerMAC: b.LACP.PartnerMAC}
	}
	for _, m := range b.Members {
		out.Members = append(out.Members, m.Name)
		// Members of another aggregator than the active one carry nothing either.
		aside := b.LACP != nil && m.Aggregator != b.LACP.Aggregator
		if m.Active && m.Linked && !aside {
			out.ActiveMembers = append(out.ActiveMembers, m.Name)
		}
	}
	slices.Sort(out.Members)
	slices.Sort(out.ActiveMembers)
	return out
}
