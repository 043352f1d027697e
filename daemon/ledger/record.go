package ledger

import (
	"context"
	"maps"
	"slices"
)

// Record is what the ledger holds. Its zero value is "nothing is ours".
type Record struct {
	// Version of the format.
	Version int `json:"version"`
	// PFs by PCI address.
	PFs map[string]PF `json:"pfs,omitempty"`
}

// PF is what we know to be ours on one PF.
type PF struct {
	// Initial is the state at first contact, restored when the PF is given back.
	Initial Initial `json:"initial"`
	// OwnsVFs tells that we changed, or were about to change, the number of VFs or
	// the eswitch mode. Without it, giving the PF back leaves both as they are.
	OwnsVFs bool `json:"ownsVFs,omitempty"`
}

// Initial is the state of a PF before we touched it.
type Initial struct {
	NumVFs      int    `json:"numVfs"`
	EswitchMode string `json:"eswitchMode,omitempty"`
	MTU         int    `json:"mtu,omitempty"`
	Autoprobe   *bool  `json:"autoprobe,omitempty"`
	HWTCOffload *bool  `json:"hwTcOffload,omitempty"`
	Up          *bool  `json:"up,omitempty"`
	// VFs that existed, ordered by index.
	VFs []InitialVF `json:"vfs,omitempty"`
}

// InitialVF is the state of a VF before we touched its PF.
type InitialVF struct {
	Index int `json:"index"`
	// Driver is empty when the VF was not bound.
	Driver string `json:"driver,omitempty"`
	// Override is driver_override; empty when there was none.
	Override string `json:"override,omitempty"`
	// MTU in bytes; 0 when the VF had no netdev.
	MTU int `json:"mtu,omitempty"`
}

// VF returns the VF with this index.
func (i *Initial) VF(index int) (InitialVF, bool) {
	n := slices.IndexFunc(i.VFs, func(v InitialVF) bool { return v.Index == index })
	if n < 0 {
		return InitialVF{}, false
	}
	return i.VFs[n], true
}

// clone copies the map, so that a holder of the copy never sees later writes.
// The values in it are never changed in place.
func (r Record) clone() Record {
	r.PFs = maps.Clone(r.PFs)
	return r
}

// Store keeps the encoded record. A missing record is fs.ErrNotExist. A store
// that implements fmt.Stringer is named in errors.
type Store interface {
	Load(ctx context.Context) ([]byte, error)
	// Save returns when the record would survive a power loss.
	Save(ctx context.Context, data []byte) error
}
