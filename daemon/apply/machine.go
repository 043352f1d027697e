package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/failure"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// Deadlines of steps that run programs of the machine, a little longer than those
// that the programs have by themselves.
const (
	loaderDeadline = 6 * time.Minute
	moduleDeadline = 90 * time.Second
)

// machineEffect carries out steps on the machine as a whole.
func (e *executor) machineEffect(ctx context.Context, step plan.Step) (known bool, err error) {
	switch s := step.(type) {
	case plan.SetKernelArguments:
		if err := e.addArguments(ctx, s); err != nil {
			return true, err
		}
		return true, e.removeArguments(ctx, s)
	case plan.SetRDMAMode:
		return true, e.setRDMAMode(ctx, s)
	case plan.LoadModule:
		return true, e.host.Machine.LoadModule(ctx, s.Module)
	case plan.Reboot:
		return true, e.reboot(ctx, s)
	}
	return false, nil
}

// addArguments tells the boot loader of arguments. What it has already is somebody
// else's, and is not taken back later.
func (e *executor) addArguments(ctx context.Context, s plan.SetKernelArguments) error {
	if len(s.Add) == 0 {
		return nil
	}
	there, err := e.host.Machine.KernelArguments(ctx, s.Tool)
	if err != nil {
		return fmt.Errorf("reading what the boot loader has: %w", err)
	}
	ours := e.ledger.Record().Machine.Arguments
	mine := slices.DeleteFunc(slices.Clone(s.Add), func(a string) bool {
		_, known := ours[a]
		return !known && slices.Contains(there, a)
	})
	if len(mine) == 0 {
		return nil
	}
	if err := e.noted(e.ledger.NoteArguments(ctx, s.Tool, mine...)); err != nil {
		return err
	}
	if err := e.host.Machine.SetKernelArguments(ctx, s.Tool, mine, nil); err != nil {
		return err
	}
	return e.noted(e.ledger.SettleArguments(ctx, mine...))
}

// removeArguments takes arguments of ours back.
func (e *executor) removeArguments(ctx context.Context, s plan.SetKernelArguments) error {
	if len(s.Remove) == 0 {
		return nil
	}
	if err := e.host.Machine.SetKernelArguments(ctx, s.Tool, nil, s.Remove); err != nil {
		return err
	}
	return e.noted(e.ledger.ForgetArguments(ctx, s.Remove...))
}

// setRDMAMode tries it. That the kernel refuses is how one finds out that it takes
// a reboot: network namespaces are not to be counted from here.
func (e *executor) setRDMAMode(ctx context.Context, s plan.SetRDMAMode) error {
	err := e.host.RDMA.SetNetnsMode(ctx, s.Mode)
	if errors.Is(err, syscall.EBUSY) {
		return e.noted(e.ledger.NoteRDMARefused(ctx, e.observed.BootID))
	}
	if err != nil {
		return err
	}
	now, err := e.host.RDMA.NetnsMode(ctx)
	switch {
	case err != nil:
		return err
	case now != s.Mode:
		return faultf(failure.FaultNotTaken, "the RDMA namespace mode is %s", now)
	}
	return nil
}

// reboot asks for a restart of the machine, and remembers before for what: if that
// is still there then, it is not asked for again.
func (e *executor) reboot(ctx context.Context, s plan.Reboot) error {
	why := map[string]string{}
	for _, r := range s.Reasons {
		why[r.Key] = r.Text
	}
	if err := e.noted(e.ledger.NoteReboot(ctx, e.observed.BootID, why)); err != nil {
		return err
	}
	return e.host.Power.Reboot(ctx)
}

// noteNeeds remembers failures that the next boot alone may help.
func (c *chainRun) noteNeeds(ctx context.Context, led *ledger.Ledger, failures []Failure) error {
	for i := range failures {
		kind := needOf(&failures[i])
		if kind == "" {
			continue
		}
		need := ledger.Need{BootID: c.observed.BootID, Kind: kind, Message: failures[i].Message}
		if err := led.NoteNeed(ctx, failures[i].PF, need); err != nil {
			return err
		}
	}
	return nil
}

// needOf is the kind of need that a failure shows; empty for most.
func needOf(f *Failure) string {
	var found *fault
	_, reload := f.Step.(plan.ReloadDriver)
	switch {
	case f.Code == "NoMMIO":
		return ledger.NeedMemorySpace
	case f.Code == "LAGBroken", reload && errors.As(f.Err, &found) && found.kind == failure.FaultKept:
		return ledger.NeedDriver
	}
	return ""
}
