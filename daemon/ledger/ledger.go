package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"
)

// Version of the format that this code writes, and the newest it reads. Version
// 2 added the Identity of a PF, its inline and steering modes, and the Orders; a
// record of version 1 is read as one without. Version 3 added the Bonds, the
// Bridges of Open vSwitch, the vDPA type of VFs, the Files, the netdev and port of a
// PF, the Firmware, the further Ports of a PF, Boot, the Probations, the Losses and the
// Machine.
const Version = 3

// Errors of Open. Neither is ever taken for an empty record: what we do not
// remember having made, we would not remove.
var (
	// ErrCorrupt: the record cannot be decoded, or holds what no PF can have.
	ErrCorrupt = errors.New("the ledger is corrupt")
	// ErrNewer: the record was written by a newer version.
	ErrNewer = errors.New("the ledger was written by a newer version")
)

// Ledger is the record together with its store. Its methods may be called at
// the same time.
type Ledger struct {
	store Store

	mu     sync.Mutex
	record Record
}

// Open loads the record from the store. A store without a record is an empty ledger.
func Open(ctx context.Context, store Store) (*Ledger, error) {
	data, err := store.Load(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return &Ledger{store: store, record: Record{Version: Version}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("loading the ledger: %w", err)
	}
	record, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name(store), err)
	}
	return &Ledger{store: store, record: record}, nil
}

// name of a store in errors.
func name(s Store) string {
	if named, ok := s.(fmt.Stringer); ok {
		return named.String()
	}
	return "the ledger"
}

// decode is strict: a record with a field that this version does not know was
// not written by it.
func decode(data []byte) (Record, error) {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Record{}, corrupt(err)
	}
	if head.Version > Version {
		return Record{}, fmt.Errorf("%w (its format is %d, this version reads up to %d): run the newer version, or move the file away to make this version treat every VF on this node as somebody else's",
			ErrNewer, head.Version, Version)
	}
	if head.Version < 1 {
		return Record{}, corrupt(errors.New("it has no version"))
	}
	var r Record
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return Record{}, corrupt(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Record{}, corrupt(errors.New("something follows the record"))
	}
	if err := r.valid(); err != nil {
		return Record{}, corrupt(err)
	}
	r.Version = Version
	return r, nil
}

func corrupt(err error) error {
	return fmt.Errorf("%w: %w: restore the file from a backup, or move it away to make this node's VFs count as somebody else's",
		ErrCorrupt, err)
}

// Record returns a copy of what the ledger holds.
func (l *Ledger) Record() Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.record.clone()
}

// Note remembers a PF before the first effect on it. What is already known stays:
// the state at first contact is that of the first Note. Only when somebody else
// has changed the number of VFs or the mode since, and now we are about to, it is
// theirs that we go back to. What is known of another boot, or of another NIC in
// the slot, is worth nothing: the PF is noted anew.
//
// A state that Open would not read again is an error, and is not stored.
func (l *Ledger) Note(ctx context.Context, pciAddress string, identity Identity, initial Initial, ownsVFs bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	noted := PF{Identity: identity, Initial: initial, OwnsVFs: ownsVFs}
	known, ok := l.record.PFs[pciAddress]
	if ok && !known.Stale(identity) {
		noted = known.again(noted)
		if noted.Identity == known.Identity && noted.OwnsVFs == known.OwnsVFs {
			return nil
		}
	}
	next := l.record.clone()
	if next.PFs == nil {
		next.PFs = map[string]PF{}
	}
	next.PFs[pciAddress] = noted
	if err := l.save(ctx, next); err != nil {
		return fmt.Errorf("noting %s: %w", pciAddress, err)
	}
	return nil
}

// again is what is known of a PF after one more contact.
func (p PF) again(now PF) PF {
	out := p
	out.Identity = p.completed(now.Identity)
	if p.OwnsVFs || !now.OwnsVFs {
		return out
	}
	out.OwnsVFs = true
	if p.Initial.NumVFs != now.Initial.NumVFs || p.Initial.EswitchMode != now.Initial.EswitchMode {
		out.Initial.NumVFs = now.Initial.NumVFs
		out.Initial.EswitchMode = now.Initial.EswitchMode
		out.Initial.InlineMode = now.Initial.InlineMode
		out.Initial.VFs = now.Initial.VFs
	}
	return out
}

// NoteOrder remembers, before it is tried, the order that a driver may want. An
// order that is known already stays.
func (l *Ledger) NoteOrder(ctx context.Context, driver, order string) error {
	return l.changeOrder(ctx, driver, "", order)
}

// ReplaceOrder puts another order in the place of the one that was refused,
// unless somebody did so already.
func (l *Ledger) ReplaceOrder(ctx context.Context, driver, refused, other string) error {
	return l.changeOrder(ctx, driver, refused, other)
}

func (l *Ledger) changeOrder(ctx context.Context, driver, from, to string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.record.Orders[driver] != from {
		return nil
	}
	next := l.record.clone()
	if next.Orders == nil {
		next.Orders = map[string]string{}
	}
	next.Orders[driver] = to
	if err := l.save(ctx, next); err != nil {
		return fmt.Errorf("noting order %s of driver %s: %w", to, driver, err)
	}
	return nil
}

// Forget drops PFs that are no longer ours.
func (l *Ledger) Forget(ctx context.Context, pciAddresses ...string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := l.record.clone()
	maps.DeleteFunc(next.PFs, func(pf string, _ PF) bool { return slices.Contains(pciAddresses, pf) })
	if len(next.PFs) == len(l.record.PFs) {
		return nil
	}
	if err := l.save(ctx, next); err != nil {
		return fmt.Errorf("forgetting %v: %w", pciAddresses, err)
	}
	return nil
}

// save makes next the record once it is stored, and not before.
func (l *Ledger) save(ctx context.Context, next Record) error {
	next.Version = Version
	if err := next.valid(); err != nil {
		return fmt.Errorf("checking what is to be saved: %w", err)
	}
	data, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the ledger: %w", err)
	}
	if err := l.store.Save(ctx, append(data, '\n')); err != nil {
		return fmt.Errorf("saving %s: %w", name(l.store), err)
	}
	l.record = next
	return nil
}
