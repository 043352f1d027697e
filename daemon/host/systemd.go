package host

import (
	"context"
	"errors"
)

// ErrNoSystemd says that the machine was not booted with systemd, or the folder
// run/systemd of it cannot be seen.
var ErrNoSystemd = errors.New("systemd does not run here: there is no /run/systemd/system")

// UnitState is what systemd says of a unit, in systemd's own words.
type UnitState struct {
	// Load is "loaded", "not-found", "bad-setting", "masked" or another of them.
	Load string
	// Active is "active", "activating", "inactive", "failed" or another of them.
	Active string
	// Result of a service's last run: "success", "exit-code", "timeout" or another
	// of them; empty when the unit is not loaded.
	Result string
	// File is "enabled", "disabled", "masked" or another of them; empty when there
	// is no file.
	File string
	// NeedsReload tells that the file has changed since systemd read it.
	NeedsReload bool
}

// Systemd talks to the machine's service manager. Every method returns an error
// for which errors.Is(err, ErrNoSystemd) holds when there is none.
type Systemd interface {
	// Reload makes systemd read all unit files again. Nothing is started or stopped.
	Reload(ctx context.Context) error
	// Enable makes the links that the files' [Install] sections ask for. Units that
	// are enabled stay so; ENOENT for one without a file. Nothing is started.
	Enable(ctx context.Context, units ...string) error
	// Disable removes all links to the units. That there is no file or no link is no
	// error. Nothing is stopped.
	Disable(ctx context.Context, units ...string) error
	// Unit returns the state of a unit, be there a file of it or not.
	Unit(ctx context.Context, unit string) (UnitState, error)
}
