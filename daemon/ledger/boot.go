package ledger

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Boot is what we installed on the machine so that it is configured at boot,
// before the daemon runs. Its zero value is "nothing".
type Boot struct {
	// BootID of the boot in which it was installed: the units have not run in it.
	BootID string `json:"bootID,omitempty"`
	// Units that we enabled, or were about to.
	Units []string `json:"units,omitempty"`
	// Files and links of ours, and Folders that we made, outer ones first. Paths
	// have no leading slash.
	Files   []string `json:"files,omitempty"`
	Folders []string `json:"folders,omitempty"`
}

// Empty tells that nothing is installed.
func (b *Boot) Empty() bool { return len(b.Units)+len(b.Files)+len(b.Folders) == 0 }

// equal compares everything; order counts, because it is ours.
func (b *Boot) equal(o *Boot) bool {
	return b.BootID == o.BootID && slices.Equal(b.Units, o.Units) && slices.Equal(b.Files, o.Files) && slices.Equal(b.Folders, o.Folders)
}

// NoteBoot remembers what is about to be installed, before it is. Units, files and
// folders that are known stay; so does the boot in which the first were installed.
func (l *Ledger) NoteBoot(ctx context.Context, add Boot) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.record.Boot
	next := l.record.clone()
	next.Boot = Boot{
		BootID: known.BootID, Units: union(known.Units, add.Units),
		Files: union(known.Files, add.Files), Folders: union(known.Folders, add.Folders),
	}
	if known.Empty() {
		next.Boot.BootID = add.BootID
	}
	if next.Boot.equal(&known) {
		return nil
	}
	if err := l.save(ctx, next); err != nil {
		return fmt.Errorf("noting what is installed for the boot: %w", err)
	}
	return nil
}

// ForgetBoot drops it all, once it is removed.
func (l *Ledger) ForgetBoot(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.record.Boot.equal(&Boot{}) {
		return nil
	}
	next := l.record.clone()
	next.Boot = Boot{}
	if err := l.save(ctx, next); err != nil {
		return fmt.Errorf("forgetting what was installed for the boot: %w", err)
	}
	return nil
}

// union returns all of known, then what is new.
func union(known, add []string) []string {
	out := slices.Clone(known)
	for _, each := range add {
		if !slices.Contains(out, each) {
			out = append(out, each)
		}
	}
	return out
}

// bootPlaces are where files for the boot may be: a damaged record must not make
// us remove anything else.
var bootPlaces = []string{"etc/systemd/system", "var/lib/sriov-offload-operator"}

func (b *Boot) valid() error {
	if err := nameOrEmpty("boot.bootID", b.BootID); err != nil {
		return err
	}
	for i, unit := range b.Units {
		if !isName(unit) {
			return fmt.Errorf("boot.units[%d] is %q, which is no name", i, unit)
		}
	}
	for kind, paths := range map[string][]string{"files": b.Files, "folders": b.Folders} {
		for i, name := range paths {
			if !isBootPath(name) {
				return fmt.Errorf("boot.%s[%d] is %q, which is no place for a file of ours", kind, i, name)
			}
		}
	}
	return nil
}

func isBootPath(name string) bool {
	return fs.ValidPath(name) && slices.ContainsFunc(bootPlaces, func(place string) bool {
		return name == place || strings.HasPrefix(name, place+"/")
	})
}
