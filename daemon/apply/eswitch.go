package apply

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/failure"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/steering"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// Retries of a mode change that the driver is too busy for.
const (
	busyTries = 5
	busyPause = 500 * time.Millisecond
)

// setEswitchMode reads first: some drivers refuse the mode that is in force.
func (e *executor) setEswitchMode(ctx context.Context, s plan.SetEswitchMode) error {
	handle := host.DevlinkOf(s.PF)
	now, err := e.host.Devlink.Eswitch(ctx, handle)
	if err != nil {
		return fmt.Errorf("reading the eswitch mode: %w", err)
	}
	if now.Mode == s.Mode {
		return nil
	}
	err = e.whileBusy(ctx, func() error { return e.host.Devlink.SetEswitchMode(ctx, handle, s.Mode) })
	if err != nil {
		return fmt.Errorf("setting the eswitch mode: %w", err)
	}
	return e.await(ctx, "eswitch mode "+s.Mode, func(ctx context.Context) (bool, error) {
		now, err := e.host.Devlink.Eswitch(ctx, handle)
		return now.Mode == s.Mode, err
	})
}

// whileBusy does something again, after growing pauses, while the driver is busy.
func (e *executor) whileBusy(ctx context.Context, do func() error) error {
	pauseFor := busyPause
	for try := 1; ; try++ {
		err := do()
		if !errors.Is(err, syscall.EBUSY) || try == busyTries {
			return err
		}
		if err := pause(ctx, nil, pauseFor); err != nil {
			return err
		}
		pauseFor *= 2
	}
}

// setInlineMode sets the mode even if it is in force: the driver then sets it on
// the vports of new VFs.
func (e *executor) setInlineMode(ctx context.Context, s plan.SetInlineMode) error {
	handle := host.DevlinkOf(s.PF)
	err := e.whileBusy(ctx, func() error { return e.host.Devlink.SetInlineMode(ctx, handle, s.Mode) })
	if err != nil {
		return fmt.Errorf("setting the inline mode: %w", err)
	}
	now, err := e.host.Devlink.Eswitch(ctx, handle)
	if err != nil {
		return fmt.Errorf("reading the inline mode back: %w", err)
	}
	if now.InlineMode != s.Mode {
		return faultf(failure.FaultNotTaken, "the inline mode is %s", now.InlineMode)
	}
	return nil
}

// setSteeringMode sets the mode and reads it back: compat files of MLNX_OFED are
// known to say yes and do nothing.
func (e *executor) setSteeringMode(ctx context.Context, s plan.SetSteeringMode) error {
	return e.onUplink(ctx, s.PF, func(ctx context.Context, l host.Link) error {
		now, err := steering.Read(ctx, e.host, s.PF, l.Name)
		if err != nil {
			return fmt.Errorf("reading the flow steering mode: %w", err)
		}
		if now == s.Mode {
			return nil
		}
		err = e.whileBusy(ctx, func() error { return steering.Set(ctx, e.host, s.PF, l.Name, s.Mode) })
		if err != nil {
			return fmt.Errorf("setting the flow steering mode: %w", err)
		}
		if now, err = steering.Read(ctx, e.host, s.PF, l.Name); err != nil {
			return fmt.Errorf("reading the flow steering mode back: %w", err)
		}
		if now != s.Mode {
			return faultf(failure.FaultNotTaken, "the flow steering mode is %q", now)
		}
		return nil
	})
}

// noteTrial remembers, before the first effect, the order that a chain tries on a
// driver that is not known.
func (r *runner) noteTrial(ctx context.Context, led *ledger.Ledger, c plan.Chain, address string) error {
	order, pf := c.Trial(address), r.observed.PF(address)
	if order == "" || pf == nil {
		return nil
	}
	if err := led.NoteOrder(ctx, pf.Driver, string(order)); err != nil {
		return &fault{kind: failure.FaultLedger, text: "writing the ledger", err: err}
	}
	return nil
}

// judgeTrials puts the other order into the ledger when the driver refused the
// mode in the one that was tried.
func (r *runner) judgeTrials(ctx context.Context, led *ledger.Ledger, failures []Failure) error {
	for i := range failures {
		step, ok := failures[i].Step.(plan.SetEswitchMode)
		if !ok || step.Trial == "" || !wrongOrder(failures[i].Err) {
			continue
		}
		if pf := r.observed.PF(step.PF); pf != nil {
			if err := led.ReplaceOrder(ctx, pf.Driver, string(step.Trial), string(step.Trial.Other())); err != nil {
				return err
			}
		}
	}
	return nil
}

// wrongOrder tells whether a refusal may mean that VFs should, or should not,
// have been there.
func wrongOrder(err error) bool {
	return errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.EINVAL) || errors.Is(err, host.NotSupported)
}
