package ledger

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
)

// Firmware is what we did on the disk so that a card loads an application
// firmware. Unlike the rest it outlives a boot.
type Firmware struct {
	// Link is ours, or about to be: its path from the root. Empty when there is no
	// link of ours any more.
	Link string `json:"link,omitempty"`
	// Targets are where we let it lead, or were about to. A link that leads
	// elsewhere is somebody else's.
	Targets []string `json:"targets,omitempty"`
	// Before is where the link led when we came; empty if there was none.
	Before string `json:"before,omitempty"`
	// DropIn is the file for the initramfs; empty if there is none.
	DropIn string `json:"dropIn,omitempty"`
	// Folders that were not there, outer ones first.
	Folders []string `json:"folders,omitempty"`
	// SearchPath is the folder that we let firmware_class.path name; empty if that
	// was not needed.
	SearchPath string `json:"searchPath,omitempty"`
	// App is the application that ran when we came, by the name of its folder where
	// the card's link told it: the driver calls flower and flower-next the same.
	App string `json:"app,omitempty"`
	// Loaded is the application that the driver took when we last bound it anew, by
	// the name of its folder; empty before that, and when it was the one of before.
	Loaded string `json:"loaded,omitempty"`
	// Driver of the PF.
	Driver string `json:"driver,omitempty"`
	// Pending is the boot in which the driver is to be bound anew and was not yet;
	// empty when there is none.
	Pending string `json:"pending,omitempty"`
}

// NoteFirmware remembers, before the first effect, a link and what comes with
// it. What was known of the same link, and of the state before, stays.
func (l *Ledger) NoteFirmware(ctx context.Context, pciAddress string, noted Firmware) error {
	return l.changeFirmware(ctx, pciAddress, func(known Firmware) Firmware {
		noted.App, noted.Driver, noted.Loaded = cmp.Or(known.App, noted.App), cmp.Or(noted.Driver, known.Driver), known.Loaded
		switch noted.Link {
		case "":
			// Only the driver is to be bound anew.
			pending := noted.Pending
			app, driver := noted.App, noted.Driver
			noted = known
			noted.App, noted.Driver, noted.Pending = app, driver, cmp.Or(pending, known.Pending)
		case known.Link:
			noted.Targets = union(known.Targets, noted.Targets)
			noted.Folders = union(known.Folders, noted.Folders)
			noted.Before = known.Before
			noted.DropIn, noted.SearchPath = cmp.Or(noted.DropIn, known.DropIn), cmp.Or(noted.SearchPath, known.SearchPath)
			noted.Pending = cmp.Or(noted.Pending, known.Pending)
		default:
			noted.Pending = cmp.Or(noted.Pending, known.Pending)
		}
		return noted
	})
}

// FirmwareLoaded remembers that the driver was bound anew, and which application
// it took: the name of its folder, empty for the one of before.
func (l *Ledger) FirmwareLoaded(ctx context.Context, pciAddress, app string) error {
	return l.changeFirmware(ctx, pciAddress, func(known Firmware) Firmware {
		known.Pending, known.Loaded = "", app
		return known
	})
}

// FirmwareUnlinked remembers that nothing of ours is left on the disk.
func (l *Ledger) FirmwareUnlinked(ctx context.Context, pciAddress string) error {
	return l.changeFirmware(ctx, pciAddress, func(known Firmware) Firmware {
		return Firmware{App: known.App, Driver: known.Driver, Pending: known.Pending}
	})
}

// ForgetFirmware drops what was remembered.
func (l *Ledger) ForgetFirmware(ctx context.Context, pciAddress string) error {
	return l.changeFirmware(ctx, pciAddress, func(Firmware) Firmware { return Firmware{} })
}

// changeFirmware stores what change makes of a record; nothing is stored of one
// that is empty, or has not changed.
func (l *Ledger) changeFirmware(ctx context.Context, pciAddress string, change func(Firmware) Firmware) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.record.Firmware[pciAddress]
	changed := change(known)
	if changed.equal(known) {
		return nil
	}
	next := l.record.clone()
	if next.Firmware == nil {
		next.Firmware = map[string]Firmware{}
	}
	next.Firmware[pciAddress] = changed
	if changed.equal(Firmware{}) {
		delete(next.Firmware, pciAddress)
	}
	if err := l.save(ctx, next); err != nil {
		return fmt.Errorf("noting the firmware of %s: %w", pciAddress, err)
	}
	return nil
}

func (f Firmware) equal(o Firmware) bool {
	return f.Link == o.Link && f.Before == o.Before && f.DropIn == o.DropIn && f.SearchPath == o.SearchPath && f.App == o.App &&
		f.Loaded == o.Loaded && f.Driver == o.Driver && f.Pending == o.Pending && slices.Equal(f.Targets, o.Targets) && slices.Equal(f.Folders, o.Folders)
}

// Ours tells whether a link that leads to this target is ours.
func (f Firmware) Ours(target string) bool { return slices.Contains(f.Targets, target) }

// validFirmware checks the firmware of all cards. Paths are of files that we
// remove: none may lead out of the root.
func (r *Record) validFirmware() error {
	for _, address := range slices.Sorted(maps.Keys(r.Firmware)) {
		f, where := r.Firmware[address], fmt.Sprintf("firmware[%q]", address)
		if !isName(address) {
			return fmt.Errorf("%s: the key is no PCI address", where)
		}
		for _, v := range []struct{ field, value string }{{"app", f.App}, {"loaded", f.Loaded}, {"driver", f.Driver}, {"pending", f.Pending}} {
			if err := nameOrEmpty(where+"."+v.field, v.value); err != nil {
				return err
			}
		}
		for _, path := range append([]string{f.Link, f.DropIn, f.SearchPath}, f.Folders...) {
			if path != "" && (!fs.ValidPath(path) || path == ".") {
				return fmt.Errorf("%s has the path %q, which is not relative and clean", where, path)
			}
		}
	}
	return nil
}
