package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// Probation of a change on one PF: it is under way, or over and not yet known to
// have left the node its connections. It is noted before the first effect, so
// that a daemon that dies in between finds it and knows what to go back to.
type Probation struct {
	Identity
	// Before is the state of the PF before the change.
	Before Initial `json:"before"`
	// Want identifies what was wanted of the PF, see plan.Chain.
	Want string `json:"want,omitempty"`
	// With are the PFs that are changed together, this one among them, by PCI
	// address; Bonds are those that the change makes of them, Bridges those of ours
	// that the PF had before.
	With    []string `json:"with,omitempty"`
	Bonds   []string `json:"bonds,omitempty"`
	Bridges []string `json:"bridges,omitempty"`
	// Firmware: the change makes the PF's driver load another application firmware
	// than the one that ran at first contact, to which it may go back.
	Firmware bool `json:"firmware,omitempty"`
	// App is the application firmware that ran; empty if there is none.
	App string `json:"app,omitempty"`
	// Member is the bond that the PF was a member of; empty if none.
	Member string `json:"member,omitempty"`
	// Checks are connections that the node had before the change.
	Checks []Check `json:"checks,omitempty"`
}

// Check is a connection of the node that can be asked for.
type Check struct {
	// Kind is one of those of daemon/connectivity.
	Kind string `json:"kind"`
	// Address of a gateway; empty for other kinds.
	Address string `json:"address,omitempty"`
	// Link is the device (bus address) of the link, or its name if it has none;
	// empty for kinds that are about no link.
	Link string `json:"link,omitempty"`
}

// Loss is a change of a PF that cost the node a connection. It is not tried again
// while the same is wanted.
type Loss struct {
	// Vendor and DeviceID of the PF, as in Identity.
	Vendor   string `json:"vendor,omitempty"`
	DeviceID string `json:"deviceID,omitempty"`
	// Want is that of the Probation.
	Want string `json:"want"`
	// Message says in words what was lost and what became of it.
	Message string `json:"message,omitempty"`
}

// Concerns tells whether a loss says something about a PF of which something is
// wanted now: the same is wanted of the same kind of NIC. A boot changes nothing.
func (l Loss) Concerns(now Identity, want string) bool {
	return l.Want == want && !differ(l.Vendor, now.Vendor) && !differ(l.DeviceID, now.DeviceID)
}

// Begin notes changes that are about to begin, by PF, all at once. An open one of
// the same boot and NIC stays as it is: the state before the first of several
// unfinished changes is the one that had the connections.
func (l *Ledger) Begin(ctx context.Context, probations map[string]Probation) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.record.clone()
	if next.Probations == nil {
		next.Probations = map[string]Probation{}
	}
	for pf, p := range probations {
		if known, open := next.Probations[pf]; !open || known.Stale(p.Identity) {
			next.Probations[pf] = p
		}
	}
	if err := l.save(ctx, next); err != nil {
		return fmt.Errorf("noting the change of %v: %w", slices.Sorted(maps.Keys(probations)), err)
	}
	return nil
}

// End closes changes, and keeps for those that cost a connection that they did.
// Both are stored at once.
func (l *Ledger) End(ctx context.Context, pfs []string, losses map[string]Loss) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.record.clone()
	for _, pf := range pfs {
		delete(next.Probations, pf)
	}
	if len(next.Probations) == len(l.record.Probations) && len(losses) == 0 {
		return nil
	}
	for pf, loss := range losses {
		if next.Losses == nil {
			next.Losses = map[string]Loss{}
		}
		next.Losses[pf] = loss
	}
	if err := l.save(ctx, next); err != nil {
		return fmt.Errorf("ending the change of %v: %w", pfs, err)
	}
	return nil
}

// ForgetLosses drops the losses of PFs of which something else is wanted now.
func (l *Ledger) ForgetLosses(ctx context.Context, pfs ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.record.clone()
	for _, pf := range pfs {
		delete(next.Losses, pf)
	}
	if len(next.Losses) == len(l.record.Losses) {
		return nil
	}
	if err := l.save(ctx, next); err != nil {
		return fmt.Errorf("forgetting what %v cost: %w", pfs, err)
	}
	return nil
}

// validSafety is the part of valid for probations and losses.
func (r *Record) validSafety() error {
	for _, address := range slices.Sorted(maps.Keys(r.Probations)) {
		p := r.Probations[address]
		where := fmt.Sprintf("probations[%q]", address)
		if !isName(address) {
			return fmt.Errorf("%s: the key is no PCI address", where)
		}
		before := PF{Identity: p.Identity, Initial: p.Before}
		if err := before.valid(where); err != nil {
			return err
		}
		for i, c := range p.Checks {
			if !isName(c.Kind) {
				return fmt.Errorf("%s.checks[%d].kind is %q, which is no name", where, i, c.Kind)
			}
		}
	}
	for _, address := range slices.Sorted(maps.Keys(r.Losses)) {
		where := fmt.Sprintf("losses[%q]", address)
		if !isName(address) {
			return fmt.Errorf("%s: the key is no PCI address", where)
		}
		if !isName(r.Losses[address].Want) {
			return fmt.Errorf("%s.want is %q, which is no name", where, r.Losses[address].Want)
		}
	}
	return nil
}
