package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/failure"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/lag"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

const (
	// lagGap is how often the state of a LAG is looked at: it comes without an
	// event, typically within a second.
	lagGap = 100 * time.Millisecond
	// lagSettle is how long the NIC is given where the kernel does not tell the
	// state of its LAG: as long as netplan waits for it to be told.
	lagSettle = 5 * time.Second
)

// noteBonds records the bonds that a chain makes before its first effect.
func (r *runner) noteBonds(ctx context.Context, led *ledger.Ledger, c plan.Chain) error {
	for _, stage := range c.Stages {
		for _, step := range stage {
			s, ok := step.(plan.CreateBond)
			if !ok {
				continue
			}
			if err := led.NoteBond(ctx, s.Name, ledger.Bond{BootID: r.observed.BootID, Members: s.PFs}); err != nil {
				return &fault{kind: failure.FaultLedger, text: "writing the ledger", err: err}
			}
		}
	}
	return nil
}

// judgeBonds takes out of the ledger the bonds that somebody else has made in the
// meantime: they must never be removed as ours.
func judgeBonds(ctx context.Context, led *ledger.Ledger, failures []Failure) error {
	for i := range failures {
		step, ok := failures[i].Step.(plan.CreateBond)
		var f *fault
		if !ok || !errors.As(failures[i].Err, &f) || f.kind != failure.FaultBondExists {
			continue
		}
		if err := led.ForgetBonds(ctx, step.Name); err != nil {
			return err
		}
	}
	return nil
}

// bondEffect carries out the steps on bonds and their members.
func (e *executor) bondEffect(ctx context.Context, step plan.Step) error {
	switch s := step.(type) {
	case plan.CreateBond:
		return e.createBond(ctx, s)
	case plan.SetBond:
		return e.setBond(ctx, s)
	case plan.SetBondMTU:
		return e.onBond(ctx, s.Name, func(b host.Bond) error {
			if b.MTU == s.MTU {
				return nil
			}
			return e.host.Links.SetMTU(ctx, b.Index, s.MTU)
		})
	case plan.SetBondUp:
		return e.onBond(ctx, s.Name, func(b host.Bond) error { return e.setBondUp(ctx, b, true) })
	case plan.DeleteBond:
		return e.deleteBond(ctx, s)
	case plan.ReleaseOther:
		return e.releaseOther(ctx, s)
	case plan.AwaitLAG:
		return e.awaitLAG(ctx, s)
	case plan.SetLinkDown:
		return e.onUplink(ctx, s.PF, func(ctx context.Context, l host.Link) error { return e.setDown(ctx, l) })
	case plan.EnslaveMember:
		return e.enslave(ctx, s)
	case plan.ReleaseMember:
		return e.releaseMember(ctx, s)
	}
	return e.firmwareEffect(ctx, step)
}

// bond returns the bond with this name; false when there is none.
func (r *runner) bond(ctx context.Context, name string) (host.Bond, bool, error) {
	list, err := r.host.Bonds.List(ctx)
	if err != nil {
		return host.Bond{}, false, fmt.Errorf("listing bonds: %w", err)
	}
	i := slices.IndexFunc(list, func(b host.Bond) bool { return b.Name == name })
	if i < 0 {
		return host.Bond{}, false, nil
	}
	return list[i], true, nil
}

// onBond does something with a bond, which must be there.
func (r *runner) onBond(ctx context.Context, name string, do func(host.Bond) error) error {
	b, ok, err := r.bond(ctx, name)
	switch {
	case err != nil:
		return err
	case !ok:
		return faultf(failure.FaultOutdated, "bond %s is gone", name)
	}
	return do(b)
}

// createBond makes a bond, unless one is there: that is not ours then, whatever it
// looks like, because there was none when the plan was made.
func (e *executor) createBond(ctx context.Context, s plan.CreateBond) error {
	_, ok, err := e.bond(ctx, s.Name)
	switch {
	case err != nil:
		return err
	case ok:
		return faultf(failure.FaultBondExists, "bond %s is there already", s.Name)
	}
	if err := e.host.Bonds.Create(ctx, s.Name, options(s.Options)); err != nil {
		return fmt.Errorf("creating the bond: %w", err)
	}
	return nil
}

func options(o plan.BondOptions) host.BondOptions {
	return host.BondOptions{
		Mode: o.Mode, MiimonMilliseconds: o.MiimonMilliseconds, XmitHashPolicy: o.XmitHashPolicy, LACPRate: o.LACPRate,
	}
}

// setBond sets options, with the bond down if they need that. It stays down: a
// step of its own sets it up.
func (e *executor) setBond(ctx context.Context, s plan.SetBond) error {
	return e.onBond(ctx, s.Name, func(b host.Bond) error {
		if s.Down {
			if err := e.setBondUp(ctx, b, false); err != nil {
				return err
			}
		}
		if err := e.host.Bonds.SetOptions(ctx, b.Index, options(s.Options)); err != nil {
			return fmt.Errorf("setting options of the bond: %w", err)
		}
		return nil
	})
}

func (e *executor) setBondUp(ctx context.Context, b host.Bond, up bool) error {
	if b.Up == up {
		return nil
	}
	return e.host.Links.SetUp(ctx, b.Index, up)
}

func (e *executor) deleteBond(ctx context.Context, s plan.DeleteBond) error {
	b, ok, err := e.bond(ctx, s.Name)
	if err != nil || !ok {
		return err
	}
	// A member that came meanwhile is somebody's, and would be thrown out.
	for _, m := range b.Members {
		if !slices.Contains(e.namesIn(s.Name), m.Name) {
			return faultf(failure.FaultOutdated, "%s has become a member of bond %s in the meantime", m.Name, s.Name)
		}
	}
	if err := e.host.Bonds.Delete(ctx, b.Index); err != nil {
		return fmt.Errorf("deleting the bond: %w", err)
	}
	return nil
}

// namesIn are the members that a bond had when the host was observed.
func (r *runner) namesIn(bond string) []string {
	if b := r.observed.Bond(bond); b != nil {
		return b.Members
	}
	return nil
}

func (e *executor) releaseOther(ctx context.Context, s plan.ReleaseOther) error {
	return e.onBond(ctx, s.Name, func(b host.Bond) error {
		i := slices.IndexFunc(b.Members, func(m host.BondMember) bool { return m.Name == s.Netdev })
		if i < 0 {
			return nil
		}
		return e.host.Bonds.SetMaster(ctx, b.Members[i].Index, 0)
	})
}

func (e *executor) setDown(ctx context.Context, l host.Link) error {
	if !l.Up {
		return nil
	}
	return e.host.Links.SetUp(ctx, l.Index, false)
}

// enslave makes a PF's netdev a member of a bond. It must be down; the bond sets
// it up.
func (e *executor) enslave(ctx context.Context, s plan.EnslaveMember) error {
	return e.onBond(ctx, s.Bond, func(b host.Bond) error {
		return e.onUplink(ctx, s.PF, func(ctx context.Context, l host.Link) error {
			switch l.MasterIndex {
			case b.Index:
				return nil
			case 0:
			default:
				return faultf(failure.FaultOutdated, "netdev %s has become a member of something else in the meantime", l.Name)
			}
			if err := e.setDown(ctx, l); err != nil {
				return err
			}
			return e.host.Bonds.SetMaster(ctx, l.Index, b.Index)
		})
	})
}

func (e *executor) releaseMember(ctx context.Context, s plan.ReleaseMember) error {
	b, ok, err := e.bond(ctx, s.Bond)
	if err != nil || !ok {
		return err
	}
	return e.onUplink(ctx, s.PF, func(ctx context.Context, l host.Link) error {
		if l.MasterIndex != b.Index {
			return nil
		}
		return e.host.Bonds.SetMaster(ctx, l.Index, 0)
	})
}

// awaitLAG waits until both ports tell that the NIC offloads their bond. Where the
// kernel does not tell it (before Linux 5.19, or without debugfs), the NIC is given
// its time: there is no fact to wait for.
func (e *executor) awaitLAG(ctx context.Context, s plan.AwaitLAG) error {
	unknown := false
	err := e.awaitEvery(ctx, lagGap, "the NIC to offload bond "+s.Name, func(ctx context.Context) (bool, error) {
		for _, pf := range s.PFs {
			state, err := lag.Read(ctx, e.host.FS, pf)
			switch {
			case err != nil:
				return false, err
			case !state.Known:
				unknown = true
				return true, nil
			case !state.VFLAG():
				return false, nil
			}
		}
		return true, nil
	})
	if err == nil && unknown {
		return pause(ctx, nil, lagSettle)
	}
	return err
}
