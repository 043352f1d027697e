package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/failure"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

const (
	vdpaDevices = "sys/bus/vdpa/devices"
	vdpaDrivers = "sys/bus/vdpa/drivers"
	// rdmaWait and managerWait are how long the parts of a VF's driver may take
	// after its probe.
	rdmaWait    = 15 * time.Second
	managerWait = 10 * time.Second
	// vdpaDeadline is for a change of a vDPA device: the kernel has one lock for
	// those of all.
	vdpaDeadline = time.Minute
)

// rebindVF takes the driver from a VF and lets the kernel probe it once more. It
// looks first: a VF that is as it should be was probed by somebody else.
func (e *executor) rebindVF(ctx context.Context, s plan.RebindVF) error {
	address, err := e.vfAddress(ctx, s.PF, s.VF)
	if err != nil {
		return err
	}
	missing, err := e.rdmaMissing(ctx, address, s.GUID)
	if err != nil || missing == "" {
		return err
	}
	// A VF that the chain itself has made may be in use already.
	if pod := e.owners[address]; pod != "" {
		return faultf(failure.FaultOutdated, "pod %s got VF %d in the meantime", pod, s.VF)
	}
	now, err := e.driver(ctx, address)
	if err != nil {
		return err
	}
	bind := plan.BindVF{PF: s.PF, VF: s.VF, Driver: s.Driver, KernelDefault: true}
	if err := e.rebind(ctx, bind, address, now); err != nil {
		return err
	}
	if err := e.awaitVFNetdev(ctx, bind, address); err != nil {
		return err
	}
	return e.awaitRDMA(ctx, address, s.GUID)
}

// awaitRDMA waits for a function's RDMA device, with a node GUID or whatever it has.
func (e *executor) awaitRDMA(ctx context.Context, address string, guid bool) error {
	ctx, cancel := context.WithTimeout(ctx, rdmaWait)
	defer cancel()
	missing := ""
	err := e.await(ctx, "the RDMA device of "+address, func(ctx context.Context) (bool, error) {
		var err error
		missing, err = e.rdmaMissing(ctx, address, guid)
		return missing == "", err
	})
	var f *fault
	if !errors.As(err, &f) {
		return err
	}
	kind := failure.FaultNoRDMA
	if missing == noNodeGUID {
		kind = failure.FaultNoNodeGUID
	}
	return &fault{kind: kind, text: address + " has " + missing, err: f.err}
}

// What a function lacks.
const (
	noRDMADevice = "no RDMA device"
	noNodeGUID   = "an RDMA device without a node GUID"
)

// rdmaMissing tells what is missing of a function's RDMA device, empty if nothing.
func (e *executor) rdmaMissing(ctx context.Context, address string, guid bool) (string, error) {
	folder := path.Join(host.DeviceDir(address), "infiniband")
	names, err := e.host.FS.ReadDir(ctx, folder)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(names) == 0 {
		return noRDMADevice, nil
	}
	if err != nil {
		return "", fmt.Errorf("looking for the RDMA device: %w", err)
	}
	if !guid {
		return "", nil
	}
	data, err := e.host.FS.ReadFile(ctx, path.Join(folder, names[0], "node_guid"))
	if errors.Is(err, fs.ErrNotExist) {
		return noRDMADevice, nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the node GUID: %w", err)
	}
	if strings.Trim(strings.TrimSpace(string(data)), "0:") == "" {
		return noNodeGUID, nil
	}
	return "", nil
}

func (e *executor) setVFGUID(ctx context.Context, s plan.SetVFGUID) error {
	return e.onStageUplink(ctx, s.PF, func(pf host.Link) error {
		return e.host.Links.SetVFGUID(ctx, pf.Index, s.VF, s.GUID)
	})
}

// createVDPA makes the vDPA device of a VF, unless there is one, and binds it.
func (e *executor) createVDPA(ctx context.Context, pf string, vf int, kind string) error {
	address, err := e.vfAddress(ctx, pf, vf)
	if err != nil {
		return err
	}
	name, err := e.vdpaOf(ctx, address)
	if err != nil {
		return err
	}
	if name == "" {
		name = inventory.VDPAName(address)
		if err := e.awaitManager(ctx, address); err != nil {
			return err
		}
		if err := e.host.VDPA.Create(ctx, name, host.DevlinkOf(address)); err != nil {
			return fmt.Errorf("making the vDPA device: %w", err)
		}
	}
	return e.bindVDPA(ctx, name, inventory.VDPADriver(kind))
}

// vdpaOf returns the name of the vDPA device that is made of a function, empty if
// there is none.
func (r *runner) vdpaOf(ctx context.Context, address string) (string, error) {
	list, err := r.host.VDPA.Devices(ctx)
	if err != nil {
		return "", fmt.Errorf("listing vDPA devices: %w", err)
	}
	for _, d := range list {
		if d.Manager == host.DevlinkOf(address) {
			return d.Name, nil
		}
	}
	return "", nil
}

// awaitManager waits until vDPA devices can be made of a function.
func (e *executor) awaitManager(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, managerWait)
	defer cancel()
	err := e.await(ctx, "the vDPA management device of "+address, func(ctx context.Context) (bool, error) {
		list, err := e.host.VDPA.Managers(ctx)
		for _, m := range list {
			if m == host.DevlinkOf(address) {
				return true, nil
			}
		}
		return false, err
	})
	var f *fault
	if errors.As(err, &f) {
		return &fault{kind: failure.FaultNoManager, text: address + " has no vDPA management device", err: f.err}
	}
	return err
}

// bindVDPA binds a vDPA device to a driver. The kernel has bound a new one to the
// first driver that it found. Before Linux 5.17 there is no driver_override, and
// none is needed: every driver takes every device.
func (e *executor) bindVDPA(ctx context.Context, name, driver string) error {
	now, err := e.vdpaDriver(ctx, name)
	if err != nil || now == driver {
		return err
	}
	err = e.host.FS.WriteFile(ctx, path.Join(vdpaDevices, name, "driver_override"), []byte(driver+"\n"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("writing driver_override of %s: %w", name, err)
	}
	if now != "" {
		if err := e.host.FS.WriteFile(ctx, path.Join(vdpaDrivers, now, "unbind"), []byte(name)); err != nil {
			return fmt.Errorf("unbinding %s from %s: %w", name, now, err)
		}
	}
	if err := e.host.FS.WriteFile(ctx, path.Join(vdpaDrivers, driver, "bind"), []byte(name)); err != nil {
		return fmt.Errorf("binding %s to %s: %w", name, driver, err)
	}
	if now, err = e.vdpaDriver(ctx, name); err != nil {
		return err
	}
	if now != driver {
		return faultf(failure.FaultNotBound, "%s is bound to %q instead of %s", name, now, driver)
	}
	return nil
}

// vdpaDriver returns the driver of a vDPA device, empty when it has none.
func (e *executor) vdpaDriver(ctx context.Context, name string) (string, error) {
	target, err := e.host.FS.ReadLink(ctx, path.Join(vdpaDevices, name, "driver"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the driver of %s: %w", name, err)
	}
	return path.Base(target), nil
}

// removeVDPA removes the vDPA device of a VF. One that has gone meanwhile is fine.
func (e *executor) removeVDPA(ctx context.Context, s plan.RemoveVDPA) error {
	address, err := e.vfAddress(ctx, s.PF, s.VF)
	if err != nil {
		return err
	}
	name, err := e.vdpaOf(ctx, address)
	if err != nil || name == "" {
		return err
	}
	if err := e.host.VDPA.Delete(ctx, name); err != nil && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("removing the vDPA device: %w", err)
	}
	return nil
}
