package apply

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/sriov-offload/sriov-offload-operator/daemon/failure"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// vfio is the kernel driver that needs an IOMMU group.
const vfio = "vfio-pci"

// bindVF gives a VF its driver: set or clear driver_override, unbind from
// another driver, probe. drivers_probe succeeds even when no driver takes the
// VF, so the driver link is looked at afterwards.
func (e *executor) bindVF(ctx context.Context, s plan.BindVF) error {
	address, err := e.vfAddress(ctx, s.PF, s.VF)
	if err != nil {
		return err
	}
	if s.Driver == vfio {
		if err := e.needIOMMUGroup(ctx, address); err != nil {
			return err
		}
	}
	wanted := ""
	if !s.KernelDefault {
		wanted = s.Driver
	}
	if err := e.setOverride(ctx, address, wanted); err != nil {
		return err
	}
	now, err := e.driver(ctx, address)
	if err != nil {
		return err
	}
	if !takes(s, now) {
		if err := e.rebind(ctx, s, address, now); err != nil {
			return err
		}
	}
	if !s.KernelDefault {
		return nil
	}
	if err := e.awaitVFNetdev(ctx, s, address); err != nil || !s.RDMA {
		return err
	}
	return e.awaitRDMA(ctx, address, false)
}

// takes tells whether a driver is the one that the step wants.
func takes(s plan.BindVF, driver string) bool {
	if s.Driver != "" {
		return driver == s.Driver
	}
	return driver != "" && !strings.Contains(driver, "vfio") && !strings.Contains(driver, "uio")
}

func (e *executor) needIOMMUGroup(ctx context.Context, address string) error {
	group, err := e.linkBase(ctx, address, "iommu_group")
	if err != nil {
		return err
	}
	if group == "" {
		return faultf(failure.FaultNoIOMMUGroup, "%s has no IOMMU group", address)
	}
	return nil
}

// setOverride writes driver_override if it differs. A newline clears it.
func (e *executor) setOverride(ctx context.Context, address, want string) error {
	now, err := e.override(ctx, address)
	if err != nil || now == want {
		return err
	}
	return e.write(ctx, address, "driver_override", want+"\n")
}

// rebind unbinds a VF from its driver and lets the kernel probe it.
func (e *executor) rebind(ctx context.Context, s plan.BindVF, address, bound string) error {
	if bound != "" {
		if err := e.unbind(ctx, address, bound); err != nil {
			return err
		}
	}
	if err := e.host.FS.WriteFile(ctx, pciProbe, []byte(address)); err != nil {
		return fmt.Errorf("probing %s: %w", address, err)
	}
	var now string
	ctx, cancel := context.WithTimeout(ctx, netdevWait)
	defer cancel()
	err := e.await(ctx, "a driver for "+address, func(ctx context.Context) (bool, error) {
		var err error
		now, err = e.driver(ctx, address)
		return now != "", err
	})
	var f *fault
	switch {
	case errors.As(err, &f):
		return &fault{kind: failure.FaultNotBound, text: "no driver took " + address, err: f.err}
	case err != nil:
		return err
	case !takes(s, now):
		return faultf(failure.FaultNotBound, "%s took %s instead of %s", now, address, s.Driver)
	}
	return nil
}

// awaitVFNetdev waits for the netdev of a VF on its kernel driver. Some drivers
// give up their first probe (the PF did not answer in time): one more bind cures it.
// An InfiniBand VF has a netdev only if IP over InfiniBand is loaded.
func (e *executor) awaitVFNetdev(ctx context.Context, s plan.BindVF, address string) error {
	pf := e.observed.PF(s.PF)
	if pf != nil && pf.Netdev != nil && pf.Netdev.LinkType == "IB" {
		return nil
	}
	missing := e.netdevSoon(ctx, address)
	var f *fault
	if !errors.As(missing, &f) || ctx.Err() != nil {
		return noNetdev(missing)
	}
	// A VF that the kernel bound by itself may be in a pod's namespace already.
	owners, err := e.host.Pods.DeviceOwners(ctx)
	switch {
	case err != nil:
		return noNetdev(missing)
	case owners[address] != "":
		return nil
	}
	bound, err := e.driver(ctx, address)
	if err != nil {
		return err
	}
	if err := e.rebind(ctx, s, address, bound); err != nil {
		return err
	}
	return noNetdev(e.netdevSoon(ctx, address))
}

func (e *executor) netdevSoon(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, netdevWait)
	defer cancel()
	return e.await(ctx, "the netdev of "+address, func(ctx context.Context) (bool, error) {
		return e.hasNetdev(ctx, address)
	})
}

func (e *executor) unbindVF(ctx context.Context, s plan.UnbindVF) error {
	address, err := e.vfAddress(ctx, s.PF, s.VF)
	if err != nil {
		return err
	}
	bound, err := e.driver(ctx, address)
	if err != nil || bound == "" {
		return err
	}
	return e.unbind(ctx, address, bound)
}

func (e *executor) unbind(ctx context.Context, address, driver string) error {
	err := e.host.FS.WriteFile(ctx, path.Join(pciDrivers, driver, "unbind"), []byte(address))
	if err != nil {
		return fmt.Errorf("unbinding %s from %s: %w", address, driver, err)
	}
	return e.await(ctx, address+" to be unbound", func(ctx context.Context) (bool, error) {
		now, err := e.driver(ctx, address)
		return now != driver, err
	})
}

func (e *executor) setVFOverride(ctx context.Context, s plan.SetVFOverride) error {
	address, err := e.vfAddress(ctx, s.PF, s.VF)
	if err != nil {
		return err
	}
	return e.setOverride(ctx, address, s.Driver)
}

func (e *executor) setVFMTU(ctx context.Context, s plan.SetVFMTU) error {
	l, err := e.vfLink(ctx, s.PF, s.VF)
	if err != nil || l.MTU == s.MTU {
		return err
	}
	return e.host.Links.SetMTU(ctx, l.Index, s.MTU)
}

func (e *executor) setVFAdminMAC(ctx context.Context, s plan.SetVFAdminMAC) error {
	l, err := e.vfLink(ctx, s.PF, s.VF)
	if err != nil {
		return err
	}
	return e.onStageUplink(ctx, s.PF, func(pf host.Link) error {
		return e.host.Links.SetVFMAC(ctx, pf.Index, s.VF, l.MAC)
	})
}

// onStageUplink finds the PF's link in the dump of the stage.
func (e *executor) onStageUplink(ctx context.Context, pf string, do func(host.Link) error) error {
	own, err := e.links(ctx, e.stageDump(), pf)
	if err != nil {
		return err
	}
	l, ok := uplink(own)
	if !ok {
		return faultf(failure.FaultNoNetdev, "the PF has no netdev")
	}
	return do(l)
}

func (e *executor) stageDump() []host.Link {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dumped
}

// vfLink finds the link of a VF, in the dump of the stage or by waiting for it.
func (e *executor) vfLink(ctx context.Context, pf string, index int) (host.Link, error) {
	address, err := e.vfAddress(ctx, pf, index)
	if err != nil {
		return host.Link{}, err
	}
	var found host.Link
	err = e.await(ctx, "the netdev of "+address, func(ctx context.Context) (bool, error) {
		own, err := e.links(ctx, e.stageDump(), address)
		if err != nil {
			return false, err
		}
		var ok bool
		if found, ok = uplink(own); ok {
			return true, nil
		}
		return false, e.redump(ctx)
	})
	return found, noNetdev(err)
}
