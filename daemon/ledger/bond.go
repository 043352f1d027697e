package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Bond is a bonding device that we made. No bond survives a boot.
type Bond struct {
	// BootID of the boot in which it was noted; empty when that is not known.
	BootID string `json:"bootID,omitempty"`
	// Members are the PCI addresses of the PFs that it was made for.
	Members []string `json:"members"`
}

// Stale tells that the bond was made in another boot than now: one of its name
// that is there is somebody else's.
func (b Bond) Stale(bootID string) bool { return differ(b.BootID, bootID) }

// NoteBond remembers a bond before it is made.
func (l *Ledger) NoteBond(ctx context.Context, name string, bond Bond) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok := l.record.Bonds[name]
	if ok && known.BootID == bond.BootID && slices.Equal(known.Members, bond.Members) {
		return nil
	}
	next := l.record.clone()
	if next.Bonds == nil {
		next.Bonds = map[string]Bond{}
	}
	next.Bonds[name] = Bond{BootID: bond.BootID, Members: slices.Clone(bond.Members)}
	if err := l.save(ctx, next); err != nil {
		return fmt.Errorf("noting bond %s: %w", name, err)
	}
	return nil
}

// ForgetBonds drops bonds that are gone, or no longer ours.
func (l *Ledger) ForgetBonds(ctx context.Context, names ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.record.clone()
	maps.DeleteFunc(next.Bonds, func(name string, _ Bond) bool { return slices.Contains(names, name) })
	if len(next.Bonds) == len(l.record.Bonds) {
		return nil
	}
	if err := l.save(ctx, next); err != nil {
		return fmt.Errorf("forgetting bonds %v: %w", names, err)
	}
	return nil
}

// maxBondName is more than the kernel takes, which is the one to refuse a name.
const maxBondName = 64

// isLinkName tells whether a text may name an interface (dev_valid_name).
func isLinkName(s string) bool {
	unfit := func(c rune) bool { return unicode.IsSpace(c) || c == '/' || c == ':' || c == 0 }
	return s != "" && s != "." && s != ".." && len(s) <= maxBondName && !strings.ContainsFunc(s, unfit)
}

func (r *Record) validBonds() error {
	for _, name := range slices.Sorted(maps.Keys(r.Bonds)) {
		where := fmt.Sprintf("bonds[%q]", name)
		if !isLinkName(name) {
			return fmt.Errorf("%s: the key is no name of an interface", where)
		}
		if err := nameOrEmpty(where+".bootID", r.Bonds[name].BootID); err != nil {
			return err
		}
		for i, member := range r.Bonds[name].Members {
			if !isName(member) {
				return fmt.Errorf("%s.members[%d] is %q, which is no PCI address", where, i, member)
			}
		}
	}
	return nil
}
