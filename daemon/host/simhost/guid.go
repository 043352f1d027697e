package simhost

import (
	"context"
	"fmt"
	"net"
	"syscall"
)

// SetVFGUID implements host.Links.
func (d linksDoor) SetVFGUID(ctx context.Context, index, vf int, guid string) error {
	value := fmt.Sprintf("%d %s", vf, guid)
	c := d.change("links.SetVFGUID", index, value, fmt.Sprintf("setting GUID %s on VF %d", guid, vf))
	return d.onLink(ctx, c, index, func(l *link) error { return d.k.setVFGUID(l, vf, guid) })
}

// setVFGUID is handle_vf_guid in net/core/rtnetlink.c with mlx5_ib_set_vf_guid in
// drivers/infiniband/hw/mlx5/ib_virt.c behind it. The driver keeps what was set
// and gives it to a VF that is made anew (sriov_restore_guids in sriov.c).
func (k *Kernel) setVFGUID(l *link, index int, guid string) error {
	hw, err := net.ParseMAC(guid)
	if err != nil || len(hw) != 8 {
		return refuse(syscall.EINVAL)
	}
	if l.role != rolePF || l.fn.class != classIB {
		k.forbid(l.name + ": setting a GUID through a link that is not InfiniBand")
		return refuse(syscall.EOPNOTSUPP)
	}
	p := l.fn.pf
	if index < 0 || index >= p.numVFs {
		k.forbid(fmt.Sprintf("%s: GUID for VF %d of %d", l.fn.address, index, p.numVFs))
		return refuse(syscall.EINVAL)
	}
	// Without a driver the VF is of no use to its pod.
	if vf := p.vf(index); vf != nil && vf.driver != "" {
		k.guardPod(vf, "setting a GUID")
	}
	p.guids[index] = hw.String()
	k.netlink(l)
	return nil
}
