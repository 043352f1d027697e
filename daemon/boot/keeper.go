package boot

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/log"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

//go:embed units/*.service
var units embed.FS

const (
	// unitFolder is where an administrator's units are.
	unitFolder = "etc/systemd/system"
	// wants has the links that enable our units.
	wants = unitFolder + "/multi-user.target.wants"
	// ownProgram is this process's program.
	ownProgram = "/proc/self/exe"
)

// unitNames of ours.
func unitNames() []string {
	var names []string
	for _, p := range phases() {
		names = append(names, p.unit())
	}
	return names
}

// Keeper keeps on a host what its boot needs, or nothing. The zero value with a
// Host is ready for use; it must be used by one goroutine.
type Keeper struct {
	Host host.Host
	// Program is the file that is copied to the host; empty means this process's.
	Program string
	// NodeIP and KubeletSocket are those of State.
	NodeIP, KubeletSocket string

	// digest of Program; empty until it was read.
	digest string
	// verified tells that the program on the host was found to be ours, and enabled
	// that systemd said so of the units. Both are asked once in the life of a daemon.
	verified, enabled bool
}

// Keep prepares the next boot as the spec asks, and reports on the last one. Todo
// is what is still to be done of the spec; only what is in force is for the boot.
// It costs a few reads when there is nothing to change.
func (k *Keeper) Keep(ctx context.Context, led *ledger.Ledger, in plan.Input, todo plan.Plan) Status {
	if in.Spec.System.ConfigurationMode != sriovv1.ConfigurationSystemd {
		if err := k.Remove(ctx, led); err != nil {
			return notRemoved(err)
		}
		return inDaemonMode()
	}
	switch err := k.install(ctx, led, in, todo); {
	case errors.Is(err, host.ErrNoSystemd):
		return withoutSystemd()
	case err != nil:
		k.verified, k.enabled = false, false
		return notInstalled(k.linked(ctx), err)
	}
	if led.Record().Boot.BootID == in.Observed.BootID {
		return installed(nil)
	}
	return installed(k.outcomes(ctx, in.Observed.BootID))
}

// linked tells whether a boot would start our units.
func (k *Keeper) linked(ctx context.Context) bool {
	return !slices.ContainsFunc(phases(), func(p Phase) bool {
		_, err := k.Host.FS.ReadLink(ctx, wants+"/"+p.unit())
		return err != nil
	})
}

// install puts everything in its place: what a unit needs before the unit, and
// what is written before the ledger knows of it.
func (k *Keeper) install(ctx context.Context, led *ledger.Ledger, in plan.Input, todo plan.Plan) error {
	if !k.enabled {
		if _, err := k.Host.Systemd.Unit(ctx, Early.unit()); err != nil {
			return err
		}
	}
	if err := k.note(ctx, led, in.Observed.BootID); err != nil {
		return err
	}
	if err := k.putProgram(ctx); err != nil {
		return err
	}
	if err := k.putState(ctx, in, todo); err != nil {
		return err
	}
	changed, err := k.putUnits(ctx)
	if err != nil || !changed && k.enabled {
		return err
	}
	return k.enable(ctx)
}

// note lists all that is ours in the ledger. A folder that is missing now will
// have been made by us.
func (k *Keeper) note(ctx context.Context, led *ledger.Ledger, bootID string) error {
	b := ledger.Boot{BootID: bootID, Units: unitNames(), Files: []string{statePath, programPath}}
	for _, p := range phases() {
		b.Files = append(b.Files, p.resultPath(), unitFolder+"/"+p.unit(), wants+"/"+p.unit())
	}
	for _, dir := range []string{folder, path.Dir(programPath), unitFolder, wants} {
		switch _, err := k.Host.FS.ReadDir(ctx, dir); {
		case errors.Is(err, fs.ErrNotExist):
			b.Folders = append(b.Folders, dir)
		case err != nil:
			return err
		}
	}
	return led.NoteBoot(ctx, b)
}

// putProgram copies our program to the host, unless it is there.
func (k *Keeper) putProgram(ctx context.Context) error {
	names, err := k.Host.FS.ReadDir(ctx, path.Dir(programPath))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if k.verified && slices.Contains(names, path.Base(programPath)) {
		return nil
	}
	found, err := k.Host.Files.Digest(ctx, programPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if k.digest != "" && found == k.digest {
		k.verified = true
		return nil
	}
	return k.copyProgram(ctx, found)
}

// copyProgram copies it if its digest differs from what was found.
func (k *Keeper) copyProgram(ctx context.Context, found string) error {
	name := k.Program
	if name == "" {
		name = ownProgram
	}
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("opening our own program: %w", err)
	}
	defer func() { _ = file.Close() }()
	if k.digest, err = digestOf(file); err != nil {
		return fmt.Errorf("reading our own program: %w", err)
	}
	if found == k.digest {
		k.verified = true
		return nil
	}
	if _, err := file.Seek(0, 0); err != nil {
		return fmt.Errorf("reading our own program: %w", err)
	}
	if _, err := k.Host.Files.Copy(ctx, programPath, file, 0o755); err != nil {
		return err
	}
	log.FromContext(ctx).Info("Copied our program to the host for the boot", "path", programPath)
	k.verified = true
	return nil
}

// putState writes what is in force, if it differs from what is written. A state
// that cannot be read is one without anything in force.
func (k *Keeper) putState(ctx context.Context, in plan.Input, todo plan.Plan) error {
	found, err := k.Host.FS.ReadFile(ctx, statePath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var before State
	if err == nil {
		if before, err = decodeState(found); err != nil {
			log.FromContext(ctx).Error(err, "Writing the state for the boot anew")
			before = State{}
		}
	}
	state := State{NodeIP: k.NodeIP, KubeletSocket: k.KubeletSocket, Spec: next(before.Spec, in, todo)}
	data, err := state.encode()
	if err != nil || bytes.Equal(data, found) {
		return err
	}
	if _, err := k.Host.Files.Copy(ctx, statePath, bytes.NewReader(data), 0o600); err != nil {
		return err
	}
	log.FromContext(ctx).Info("Wrote what is in force for the boot", "path", statePath, "interfaces", len(state.Spec.Interfaces))
	return nil
}

// putUnits writes the units that differ and tells whether there were some, or a
// link that enables one is missing.
func (k *Keeper) putUnits(ctx context.Context) (changed bool, err error) {
	for _, p := range phases() {
		content, err := units.ReadFile("units/" + p.unit())
		if err != nil {
			return false, err
		}
		name := unitFolder + "/" + p.unit()
		found, err := k.Host.FS.ReadFile(ctx, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		if _, err := k.Host.FS.ReadLink(ctx, wants+"/"+p.unit()); errors.Is(err, fs.ErrNotExist) {
			changed = true
		}
		if bytes.Equal(found, content) {
			continue
		}
		changed = true
		if _, err := k.Host.Files.Put(ctx, name, content, false); err != nil {
			return false, err
		}
		log.FromContext(ctx).Info("Wrote a unit for the boot", "path", name)
	}
	return changed, nil
}

// enable enables the units and asks systemd whether it will start them.
func (k *Keeper) enable(ctx context.Context) error {
	s := k.Host.Systemd
	k.enabled = false
	if err := s.Enable(ctx, unitNames()...); err != nil {
		return err
	}
	if err := s.Reload(ctx); err != nil {
		return err
	}
	for _, p := range phases() {
		state, err := s.Unit(ctx, p.unit())
		if err != nil {
			return err
		}
		if state.Load != "loaded" || state.File != "enabled" {
			return fmt.Errorf("systemd will not start %s: load %s, file %s", p.unit(), word(state.Load), word(state.File))
		}
	}
	k.enabled = true
	return nil
}

// outcomes reads what became of the phases at this boot.
func (k *Keeper) outcomes(ctx context.Context, bootID string) []outcome {
	var out []outcome
	for _, p := range phases() {
		o := outcome{phase: p}
		o.result, o.unread = readResult(ctx, k.Host, p, bootID)
		if o.result == nil && o.unread == nil {
			o.unit, o.unread = k.Host.Systemd.Unit(ctx, p.unit())
		}
		out = append(out, o)
	}
	return out
}

// Remove takes away all that the ledger lists as installed for the boot: units,
// program, state, results, and folders of ours that are empty then. VFs and modes
// stay as they are.
func (k *Keeper) Remove(ctx context.Context, led *ledger.Ledger) error {
	k.verified, k.enabled = false, false
	return Remove(ctx, k.Host, led)
}

// Remove is Keeper.Remove for whoever cleans a host for good.
func Remove(ctx context.Context, h host.Host, led *ledger.Ledger) error {
	record := led.Record().Boot
	if record.Empty() {
		return nil
	}
	// The links are among the files. What systemd is asked for is more: links that
	// somebody else made to our units.
	if err := h.Systemd.Disable(ctx, record.Units...); err != nil && ctx.Err() == nil {
		log.FromContext(ctx).Info("systemd has not disabled our units; their links are removed nevertheless", "reason", err.Error())
	}
	var errs []error
	for _, name := range slices.Backward(record.Files) {
		errs = append(errs, h.Files.Remove(ctx, name))
	}
	for _, name := range slices.Backward(record.Folders) {
		errs = append(errs, h.Files.RemoveDir(ctx, name))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := h.Systemd.Reload(ctx); err != nil && ctx.Err() == nil {
		log.FromContext(ctx).Info("systemd has not read its units again; it does at the next boot", "reason", err.Error())
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := led.ForgetBoot(ctx); err != nil {
		return err
	}
	log.FromContext(ctx).Info("Removed what was installed for the boot")
	return nil
}
