package observe

import (
	"cmp"
	"slices"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
)

// links is the link dump, indexed.
type links struct {
	byIndex map[int]host.Link
	byName  map[string]int
	// byParent holds ifindexes in the order of the dump; bySwitch those of VF
	// representors.
	byParent map[string][]int
	bySwitch map[string][]int
}

func newLinks(list []host.Link) links {
	l := links{
		byIndex: make(map[int]host.Link, len(list)), byName: make(map[string]int, len(list)),
		byParent: map[string][]int{}, bySwitch: map[string][]int{},
	}
	for _, link := range list {
		l.byIndex[link.Index] = link
		l.byName[link.Name] = link.Index
		if link.ParentDevice != "" {
			l.byParent[link.ParentDevice] = append(l.byParent[link.ParentDevice], link.Index)
		}
		if _, ok := parseVFPort(link.PortName); ok && link.SwitchID != "" {
			l.bySwitch[link.SwitchID] = append(l.bySwitch[link.SwitchID], link.Index)
		}
	}
	return l
}

// of returns the links whose parent is the function, or a virtio device among
// the entries of its folder: the parent of a virtio link is not the function.
func (l *links) of(address string, folder []string) []host.Link {
	indexes := slices.Clone(l.byParent[address])
	for _, name := range folder {
		if virtio.MatchString(name) {
			indexes = append(indexes, l.byParent[name]...)
		}
	}
	out := make([]host.Link, 0, len(indexes))
	for _, index := range indexes {
		out = append(out, l.byIndex[index])
	}
	return out
}

// uplink chooses the function's own link among those that it is the parent of:
// the physical port with the lowest number, else one without a port name; never
// a representor of another function.
func (l *links) uplink(candidates []host.Link) (host.Link, bool) {
	const unnamed = 1 << 16
	best, bestRank := host.Link{}, -1
	for _, link := range candidates {
		rank, ok := uplinkPort(link.PortName)
		if !ok {
			rank = unnamed
		}
		if !ok && link.PortName != "" {
			continue
		}
		if bestRank < 0 || rank < bestRank || rank == bestRank && link.Index < best.Index {
			best, bestRank = link, rank
		}
	}
	return best, bestRank >= 0
}

// furtherPorts returns the physical ports among the links of a function besides
// its uplink, ordered by number.
func (l *links) furtherPorts(candidates []host.Link, uplink host.Link) []host.Link {
	if _, ok := uplinkPort(uplink.PortName); !ok {
		return nil
	}
	ports := slices.DeleteFunc(slices.Clone(candidates), func(link host.Link) bool {
		_, ok := uplinkPort(link.PortName)
		return !ok || link.Index == uplink.Index
	})
	slices.SortFunc(ports, func(a, b host.Link) int {
		first, _ := uplinkPort(a.PortName)
		second, _ := uplinkPort(b.PortName)
		return cmp.Or(cmp.Compare(first, second), cmp.Compare(len(a.PortName), len(b.PortName)), cmp.Compare(a.PortName, b.PortName))
	})
	return ports
}

// netdev is a link as the inventory shows it.
func (l *links) netdev(link host.Link) *inventory.Netdev {
	linkType := "ETH"
	if link.Infiniband {
		linkType = "IB"
	}
	master := l.byIndex[link.MasterIndex]
	return &inventory.Netdev{
		Index: link.Index, Name: link.Name, AltNames: slices.Clone(link.AltNames),
		MAC: link.MAC, MTU: link.MTU, LinkType: linkType, Up: link.Up,
		Master: master.Name, MasterKind: master.Kind,
		SwitchID: link.SwitchID, PortName: link.PortName,
	}
}
