package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Machine is what we did to how the machine starts, and for what it was restarted.
// All of it outlives boots.
type Machine struct {
	// Arguments of the kernel's command line that we gave to the boot loader, or were
	// about to, by argument: "intel_iommu=on".
	Arguments map[string]Argument `json:"arguments,omitempty"`
	// Reboots by key of their reason (plan.Reason).
	Reboots map[string]Restart `json:"reboots,omitempty"`
	// Needs by PCI address of the PF: what it showed that only a reboot helps.
	Needs map[string]Need `json:"needs,omitempty"`
	// RDMARefused is the id of the boot in which the kernel refused to change the
	// RDMA mode; empty if it did not.
	RDMARefused string `json:"rdmaRefused,omitempty"`
}

// Argument is one of ours on the kernel's command line.
type Argument struct {
	// Tool that set it.
	Tool string `json:"tool"`
	// Pending tells that it is about to be set, or taken back.
	Pending bool `json:"pending,omitempty"`
}

// Restart is a reboot that we asked for.
type Restart struct {
	// BootID of the boot that it was to end.
	BootID string `json:"bootID"`
	// Why in words.
	Why string `json:"why,omitempty"`
}

// Kinds of needs.
const (
	// NeedMemorySpace: there was no memory space for VFs.
	NeedMemorySpace = "MemorySpace"
	// NeedDriver: a driver did not give its device up, or not take it again, and the
	// firmware that it is to load comes with the next boot alone.
	NeedDriver = "Driver"
)

// Need is what a PF showed in a boot.
type Need struct {
	BootID string `json:"bootID"`
	// Kind is one of the above.
	Kind string `json:"kind"`
	// Message has the machine's words.
	Message string `json:"message,omitempty"`
}

func (m Machine) clone() Machine {
	m.Arguments, m.Reboots, m.Needs = maps.Clone(m.Arguments), maps.Clone(m.Reboots), maps.Clone(m.Needs)
	return m
}

// changeMachine stores what change makes of the record, if it makes a difference.
func (l *Ledger) changeMachine(ctx context.Context, what string, change func(*Machine)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.record.clone()
	change(&next.Machine)
	if next.Machine.equal(&l.record.Machine) {
		return nil
	}
	if err := l.save(ctx, next); err != nil {
		return fmt.Errorf("noting %s: %w", what, err)
	}
	return nil
}

func (m *Machine) equal(o *Machine) bool {
	return maps.Equal(m.Arguments, o.Arguments) && maps.Equal(m.Reboots, o.Reboots) && maps.Equal(m.Needs, o.Needs) && m.RDMARefused == o.RDMARefused
}

// NoteArguments remembers arguments before the boot loader is told of them.
func (l *Ledger) NoteArguments(ctx context.Context, tool string, arguments ...string) error {
	return l.changeMachine(ctx, "kernel arguments "+strings.Join(arguments, " "), func(m *Machine) {
		if m.Arguments == nil {
			m.Arguments = map[string]Argument{}
		}
		for _, a := range arguments {
			m.Arguments[a] = Argument{Tool: tool, Pending: true}
		}
	})
}

// SettleArguments remembers that the boot loader has them.
func (l *Ledger) SettleArguments(ctx context.Context, arguments ...string) error {
	return l.changeMachine(ctx, "kernel arguments "+strings.Join(arguments, " "), func(m *Machine) {
		for _, a := range arguments {
			if known, ok := m.Arguments[a]; ok {
				m.Arguments[a] = Argument{Tool: known.Tool}
			}
		}
	})
}

// ForgetArguments drops arguments that were taken back.
func (l *Ledger) ForgetArguments(ctx context.Context, arguments ...string) error {
	return l.changeMachine(ctx, "kernel arguments "+strings.Join(arguments, " "), func(m *Machine) {
		for _, a := range arguments {
			delete(m.Arguments, a)
		}
	})
}

// NoteReboot remembers, before the machine is restarted, for what and in which
// boot. A reason that is known keeps the boot that it was first noted in: one reboot
// is all that it gets.
func (l *Ledger) NoteReboot(ctx context.Context, bootID string, why map[string]string) error {
	return l.changeMachine(ctx, "a reboot", func(m *Machine) {
		if m.Reboots == nil {
			m.Reboots = map[string]Restart{}
		}
		for key, text := range why {
			if _, known := m.Reboots[key]; !known {
				m.Reboots[key] = Restart{BootID: bootID, Why: text}
			}
		}
	})
}

// ForgetReboots drops reasons that are none any more.
func (l *Ledger) ForgetReboots(ctx context.Context, keys ...string) error {
	return l.changeMachine(ctx, "reboots", func(m *Machine) {
		for _, key := range keys {
			delete(m.Reboots, key)
		}
	})
}

// NoteNeed remembers what a PF showed in this boot.
func (l *Ledger) NoteNeed(ctx context.Context, pciAddress string, need Need) error {
	return l.changeMachine(ctx, "what "+pciAddress+" needs", func(m *Machine) {
		if m.Needs == nil {
			m.Needs = map[string]Need{}
		}
		m.Needs[pciAddress] = need
	})
}

// ForgetNeeds drops the needs of PFs of which nothing is wanted any more.
func (l *Ledger) ForgetNeeds(ctx context.Context, pciAddresses ...string) error {
	return l.changeMachine(ctx, "needs", func(m *Machine) {
		for _, pf := range pciAddresses {
			delete(m.Needs, pf)
		}
	})
}

// NoteRDMARefused remembers that the kernel refused to change the RDMA mode in a boot.
func (l *Ledger) NoteRDMARefused(ctx context.Context, bootID string) error {
	return l.changeMachine(ctx, "that the RDMA mode cannot be changed", func(m *Machine) { m.RDMARefused = bootID })
}

// valid is the part of Record.valid for the machine. Arguments are given to
// programs: none may be taken for an option of theirs.
func (m *Machine) valid() error {
	for _, a := range slices.Sorted(maps.Keys(m.Arguments)) {
		if !isName(a) || strings.HasPrefix(a, "-") || !isName(m.Arguments[a].Tool) {
			return fmt.Errorf("machine.arguments[%q], set by %q, is no argument of a kernel or no tool", a, m.Arguments[a].Tool)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m.Reboots)) {
		if err := nameOrEmpty(fmt.Sprintf("machine.reboots[%q].bootID", key), m.Reboots[key].BootID); err != nil {
			return err
		}
	}
	for _, address := range slices.Sorted(maps.Keys(m.Needs)) {
		if need := m.Needs[address]; !isName(address) || !isName(need.Kind) {
			return fmt.Errorf("machine.needs[%q] has the kind %q: one of them is no name", address, need.Kind)
		}
	}
	return nameOrEmpty("machine.rdmaRefused", m.RDMARefused)
}
