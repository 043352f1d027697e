package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// Bridge is an Open vSwitch bridge that we made, or were about to make. The mark in
// the database says which bridges are ours; this says that there may be one while
// the database cannot be asked. It survives reboots, as the database does.
type Bridge struct {
	Name string `json:"name"`
	// MTU of the PF before the bridge, in bytes; 0 if it is not known. After a reboot
	// Open vSwitch sets the one that the bridge requests, before we can see another.
	MTU int `json:"mtu,omitempty"`
}

// NoteBridge remembers the bridge of a PF before it is made. What is known of a PF
// that has one already stays, but for its name.
func (l *Ledger) NoteBridge(ctx context.Context, pciAddress string, bridge Bridge) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok := l.record.Bridges[pciAddress]
	if ok {
		bridge.MTU = known.MTU
	}
	if ok && known == bridge {
		return nil
	}
	next := l.record.clone()
	if next.Bridges == nil {
		next.Bridges = map[string]Bridge{}
	}
	next.Bridges[pciAddress] = bridge
	if err := l.save(ctx, next); err != nil {
		return fmt.Errorf("noting bridge %s of %s: %w", bridge.Name, pciAddress, err)
	}
	return nil
}

// ForgetBridges drops the bridges of PFs, of which none is there any more.
func (l *Ledger) ForgetBridges(ctx context.Context, pciAddresses ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.record.clone()
	for _, address := range pciAddresses {
		delete(next.Bridges, address)
	}
	if len(next.Bridges) == len(l.record.Bridges) {
		return nil
	}
	if len(next.Bridges) == 0 {
		next.Bridges = nil
	}
	if err := l.save(ctx, next); err != nil {
		return fmt.Errorf("forgetting the bridges of %v: %w", pciAddresses, err)
	}
	return nil
}

// validBridges returns an error that names the first bridge that cannot be.
func (r *Record) validBridges() error {
	for _, address := range slices.Sorted(maps.Keys(r.Bridges)) {
		bridge := r.Bridges[address]
		where := fmt.Sprintf("bridges[%q]", address)
		if !isName(address) {
			return fmt.Errorf("%s: the key is no PCI address", where)
		}
		if !isName(bridge.Name) {
			return fmt.Errorf("%s.name is %q, which is no name", where, bridge.Name)
		}
		if err := within(where+".mtu", bridge.MTU, maxMTU); err != nil {
			return err
		}
	}
	return nil
}
