package apply

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/failure"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// Deadlines of steps. Drivers block in sriov_numvfs and in the mode change for
// as long as they need for all VFs.
const (
	numVFsDeadline  = 2 * time.Minute
	eswitchDeadline = 2 * time.Minute
	awaitDeadline   = time.Minute
	bindDeadline    = time.Minute
	linkDeadline    = 20 * time.Second
	// netdevWait is how long a VF's netdev may take before the VF is bound once more.
	netdevWait = 20 * time.Second
)

// executor carries out the steps of one stage.
type executor struct {
	*runner
	mu sync.Mutex
	// dumped are the links at the beginning of a stage that sets up VFs, so that
	// one dump serves them all. It is for finding links, not for their state.
	dumped []host.Link
	// owners are the pods that hold devices at the beginning of a stage that binds
	// VFs again, by PCI address.
	owners map[string]string
}

// prepare looks up what the steps of a stage have in common.
func (e *executor) prepare(ctx context.Context, stage plan.Stage) error {
	for _, step := range stage {
		switch step.(type) {
		case plan.SetVFMTU, plan.SetVFAdminMAC, plan.SetVFGUID:
			return e.redump(ctx)
		case plan.RebindVF:
			// Unknown owners are the gate's business: the plan was made for them.
			e.owners, _ = e.host.Pods.DeviceOwners(ctx)
			return nil
		}
	}
	return nil
}

func (e *executor) redump(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, linkDeadline)
	defer cancel()
	dump, err := e.dump(ctx)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dumped = dump
	return nil
}

// step carries out one step within its deadline.
func (e *executor) step(ctx context.Context, step plan.Step) error {
	ctx, cancel := context.WithTimeout(ctx, deadline(step))
	defer cancel()
	err := e.effect(ctx, step)
	// The write itself may have been cut off by the deadline.
	var f *fault
	if errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &f) {
		return &fault{kind: failure.FaultTimeout, text: "the step's deadline passed", err: err}
	}
	return err
}

func deadline(step plan.Step) time.Duration {
	switch step.(type) {
	case plan.CreateVFs, plan.RemoveVFs:
		return numVFsDeadline
	case plan.ReloadDriver:
		return reloadDeadline
	case plan.SetEswitchMode, plan.SetInlineMode, plan.SetSteeringMode:
		return eswitchDeadline
	case plan.AwaitRepresentors, plan.SetRepresentorHWTCOffload, plan.AwaitLAG:
		return awaitDeadline
	case plan.BindVF, plan.UnbindVF, plan.RebindVF:
		return bindDeadline
	case plan.EnsureBridge, plan.RemoveBridge:
		return ovsDeadline
	case plan.CreateVDPA, plan.BindVDPA, plan.RemoveVDPA:
		return vdpaDeadline
	case plan.SetKernelArguments:
		return loaderDeadline
	case plan.LoadModule:
		return moduleDeadline
	}
	return linkDeadline
}

func (e *executor) effect(ctx context.Context, step plan.Step) error {
	switch s := step.(type) {
	case plan.RemoveVFs:
		return e.removeVFs(ctx, s)
	case plan.CreateVFs:
		return e.createVFs(ctx, s)
	case plan.SetAutoprobe:
		return e.setAutoprobe(ctx, s)
	case plan.SetLinkUp:
		return e.setLinkUp(ctx, s)
	case plan.SetMTU:
		return e.setMTU(ctx, s)
	case plan.SetEswitchMode:
		return e.setEswitchMode(ctx, s)
	case plan.SetInlineMode:
		return e.setInlineMode(ctx, s)
	case plan.SetSteeringMode:
		return e.setSteeringMode(ctx, s)
	case plan.AwaitRepresentors:
		return e.awaitRepresentors(ctx, s)
	case plan.SetHWTCOffload:
		return e.setOffload(ctx, s)
	case plan.SetRepresentorHWTCOffload:
		return e.setRepresentorOffload(ctx, s)
	case plan.BindVF:
		return e.bindVF(ctx, s)
	case plan.UnbindVF:
		return e.unbindVF(ctx, s)
	case plan.SetVFOverride:
		return e.setVFOverride(ctx, s)
	case plan.SetVFMTU:
		return e.setVFMTU(ctx, s)
	case plan.SetVFAdminMAC:
		return e.setVFAdminMAC(ctx, s)
	case plan.EnsureBridge:
		return e.ensureBridge(ctx, s)
	case plan.RemoveBridge:
		return e.removeBridge(ctx, s)
	case plan.SetVFGUID:
		return e.setVFGUID(ctx, s)
	case plan.RebindVF:
		return e.rebindVF(ctx, s)
	case plan.CreateVDPA:
		return e.createVDPA(ctx, s.PF, s.VF, s.Type)
	case plan.BindVDPA:
		return e.createVDPA(ctx, s.PF, s.VF, s.Type)
	case plan.RemoveVDPA:
		return e.removeVDPA(ctx, s)
	case plan.PutHostFile:
		return e.putHostFile(ctx, s)
	case plan.RemoveHostFile:
		return e.removeHostFile(ctx, s)
	}
	if known, err := e.machineEffect(ctx, step); known {
		return err
	}
	return e.bondEffect(ctx, step)
}

// numVFs is the attribute that makes and removes VFs.
const numVFs = "sriov_numvfs"

func (e *executor) removeVFs(ctx context.Context, s plan.RemoveVFs) error {
	n, err := e.readInt(ctx, s.PF, numVFs)
	if err != nil {
		return err
	}
	if n > 0 {
		if err := e.write(ctx, s.PF, numVFs, "0"); err != nil {
			return err
		}
	}
	return e.await(ctx, "the VFs to leave the bus", func(ctx context.Context) (bool, error) {
		left, err := e.countVFs(ctx, s.PF)
		return left == 0, err
	})
}

// createVFs writes the number of VFs. The kernel accepts it even if the driver
// enables fewer ("%d VFs requested; only %d enabled", drivers/pci/iov.c), so the
// number is read back; and the VFs appear on the bus afterwards.
func (e *executor) createVFs(ctx context.Context, s plan.CreateVFs) error {
	n, err := e.readInt(ctx, s.PF, numVFs)
	if err != nil {
		return err
	}
	if n != s.Count {
		if err := e.allowed(ctx, s); err != nil {
			return err
		}
		if err := e.write(ctx, s.PF, numVFs, strconv.Itoa(s.Count)); err != nil {
			return err
		}
	}
	if n, err = e.readInt(ctx, s.PF, numVFs); err != nil {
		return err
	}
	if n < s.Count {
		return faultf(failure.FaultPartial, "%d VFs requested; only %d enabled", s.Count, n)
	}
	return e.await(ctx, fmt.Sprintf("%d VFs on the bus", s.Count), func(ctx context.Context) (bool, error) {
		found, err := e.countVFs(ctx, s.PF)
		return found >= s.Count, err
	})
}

// allowed refuses more VFs than the device can have: another firmware, loaded since
// the plan was made, may allow fewer. Only PCI has the attribute.
func (e *executor) allowed(ctx context.Context, s plan.CreateVFs) error {
	if host.Bus(s.PF) != host.BusPCI {
		return nil
	}
	total, err := e.readInt(ctx, s.PF, "sriov_totalvfs")
	if err == nil && s.Count > total {
		return faultf(failure.FaultTooMany, "%d VFs are wanted, sriov_totalvfs is %d", s.Count, total)
	}
	return err
}

func (e *executor) setAutoprobe(ctx context.Context, s plan.SetAutoprobe) error {
	const attribute = "sriov_drivers_autoprobe"
	want := 0
	if s.On {
		want = 1
	}
	if now, err := e.readInt(ctx, s.PF, attribute); err != nil || now == want {
		return err
	}
	return e.write(ctx, s.PF, attribute, strconv.Itoa(want))
}

func (e *executor) setLinkUp(ctx context.Context, s plan.SetLinkUp) error {
	return e.onPorts(ctx, s.PF, s.Port, func(ctx context.Context, l host.Link) error {
		if l.Up {
			return nil
		}
		return e.host.Links.SetUp(ctx, l.Index, true)
	})
}

func (e *executor) setMTU(ctx context.Context, s plan.SetMTU) error {
	return e.onPorts(ctx, s.PF, s.Port, func(ctx context.Context, l host.Link) error {
		if l.MTU == s.MTU || s.AtLeast && l.MTU > s.MTU {
			return nil
		}
		return e.host.Links.SetMTU(ctx, l.Index, s.MTU)
	})
}

func (e *executor) setOffload(ctx context.Context, s plan.SetHWTCOffload) error {
	return e.onPorts(ctx, s.PF, s.Port, func(ctx context.Context, l host.Link) error {
		return e.feature(ctx, l.Name, s.On)
	})
}

// tries of something that fails when a link is renamed or made anew between
// finding and using it.
const tries = 3

// onUplink does something with the PF's link.
func (e *executor) onUplink(ctx context.Context, pf string, do func(context.Context, host.Link) error) error {
	return retryGone(func() error {
		l, err := e.uplinkOf(ctx, pf)
		if err != nil {
			return err
		}
		return do(ctx, l)
	})
}

func retryGone(do func() error) error {
	var err error
	for range tries {
		if err = do(); !errors.Is(err, syscall.ENODEV) {
			return err
		}
	}
	return err
}

// feature turns hw-tc-offload of a netdev on or off.
func (e *executor) feature(ctx context.Context, netdev string, on bool) error {
	f, err := e.host.Ethtool.Feature(ctx, netdev, host.FeatureHWTCOffload)
	if err != nil {
		return fmt.Errorf("reading hw-tc-offload: %w", err)
	}
	switch {
	case f.On == on:
		return nil
	case f.Fixed:
		return faultf(failure.FaultFixed, "hw-tc-offload of %s is fixed", netdev)
	}
	if err := e.host.Ethtool.SetFeature(ctx, netdev, host.FeatureHWTCOffload, on); err != nil {
		return fmt.Errorf("setting hw-tc-offload: %w", err)
	}
	return nil
}

// setRepresentorOffload turns the feature on for representors. One that has no
// such feature, or a fixed one, stays as it is.
func (e *executor) setRepresentorOffload(ctx context.Context, s plan.SetRepresentorHWTCOffload) error {
	return retryGone(func() error {
		byVF, err := e.awaitVFs(ctx, s.PF, s.VFs)
		if err != nil {
			return err
		}
		for _, vf := range s.VFs {
			err := e.feature(ctx, byVF[vf].Name, true)
			var f *fault
			if err != nil && !errors.As(err, &f) {
				return err
			}
		}
		return nil
	})
}

func (e *executor) awaitRepresentors(ctx context.Context, s plan.AwaitRepresentors) error {
	vfs := make([]int, s.Count)
	for i := range vfs {
		vfs[i] = i
	}
	_, err := e.awaitVFs(ctx, s.PF, vfs)
	return err
}

// awaitVFs waits for the switch ID of the uplink and for representors.
func (e *executor) awaitVFs(ctx context.Context, pf string, vfs []int) (map[int]host.Link, error) {
	var found map[int]host.Link
	var without []int
	err := e.await(ctx, "the uplink's switch ID and VF representors", func(ctx context.Context) (bool, error) {
		byVF, switchID, err := e.representors(ctx, pf, vfs)
		if err != nil {
			return false, err
		}
		found, without = byVF, missing(byVF, vfs)
		return switchID != "" && len(without) == 0, nil
	})
	if err != nil && len(without) > 0 {
		return nil, fmt.Errorf("%d of %d representors are missing: %w", len(without), len(vfs), err)
	}
	return found, err
}
