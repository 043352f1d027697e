package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/failure"
	"github.com/sriov-offload/sriov-offload-operator/daemon/firmware"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

const (
	// reloadDeadline is for binding a driver that loads firmware: nfp alone waits up
	// to 30 s for the management firmware (nfp_nsp_init).
	reloadDeadline = 3 * time.Minute
	// rollbackDeadline is for going back to the firmware before.
	rollbackDeadline = 2 * time.Minute
)

// noteFirmware remembers, before the first effect of a chain, its link and that
// the driver is to be bound anew.
func (r *runner) noteFirmware(ctx context.Context, led *ledger.Ledger, c plan.Chain, address string) error {
	var noted ledger.Firmware
	concerned := false
	for _, stage := range c.Stages {
		for _, step := range stage {
			switch s := step.(type) {
			case plan.LinkFirmware:
				concerned = concerned || s.PF == address
				noted.Link, noted.Targets, noted.Before, noted.Folders = s.Link, []string{s.Target}, s.Before, s.Folders
				noted.SearchPath, noted.App = s.SearchPath, s.RunsBefore
				if s.DropIn != nil {
					noted.DropIn = s.DropIn.Path
				}
			case plan.ReloadDriver:
				concerned = concerned || s.PF == address
				noted.Driver, noted.Pending = s.Driver, r.observed.BootID
				if noted.App == "" {
					noted.App = s.RunsBefore
				}
			}
		}
	}
	if !concerned {
		return nil
	}
	if err := led.NoteFirmware(ctx, address, noted); err != nil {
		return &fault{kind: failure.FaultLedger, text: "writing the ledger", err: err}
	}
	return nil
}

// ledgerFault names what a failed write of the ledger is.
func ledgerFault(err error) error {
	if err == nil {
		return nil
	}
	return &fault{kind: failure.FaultLedger, text: "writing the ledger", err: err}
}

// linkFirmware makes the drop-in first: without the link it does nothing.
func (e *executor) linkFirmware(ctx context.Context, s plan.LinkFirmware) error {
	if s.DropIn != nil {
		if _, err := e.host.Files.Put(ctx, s.DropIn.Path, []byte(s.DropIn.Content), s.DropIn.Executable); err != nil {
			return fmt.Errorf("writing the file for the initramfs: %w", err)
		}
	}
	if _, err := e.host.Files.Link(ctx, s.Link, s.Target); err != nil {
		return fmt.Errorf("linking the firmware: %w", err)
	}
	if s.SearchPath == "" {
		return nil
	}
	return e.setSearchPath(ctx, "/"+s.SearchPath)
}

// setSearchPath writes firmware_class.path without a newline, which kernels
// before 5.16 would take for a part of the path, and reads it back. Writing
// nothing does nothing; a NUL is the empty text.
func (e *executor) setSearchPath(ctx context.Context, folder string) error {
	data := folder
	if data == "" {
		data = "\x00"
	}
	if err := e.host.FS.WriteFile(ctx, firmware.SearchPathParameter, []byte(data)); err != nil {
		return fmt.Errorf("setting firmware_class.path: %w", err)
	}
	now, err := e.host.FS.ReadFile(ctx, firmware.SearchPathParameter)
	if err != nil {
		return fmt.Errorf("reading firmware_class.path back: %w", err)
	}
	if got := strings.TrimSpace(string(now)); got != folder {
		return faultf(failure.FaultNotTaken, "firmware_class.path is %q", got)
	}
	return nil
}

// unlinkFirmware puts the disk back to what it was, unless somebody else has
// changed the link since it was observed.
func (e *executor) unlinkFirmware(ctx context.Context, s plan.UnlinkFirmware) error {
	if s.SearchPath != "" {
		if err := e.setSearchPath(ctx, ""); err != nil {
			return err
		}
	}
	if err := e.restoreLink(ctx, s.PF, s.Link, s.Before); err != nil {
		return err
	}
	if s.DropIn != "" {
		if err := e.host.Files.Remove(ctx, s.DropIn); err != nil {
			return fmt.Errorf("removing the file for the initramfs: %w", err)
		}
	}
	for _, folder := range slices.Backward(s.Folders) {
		if err := e.host.Files.RemoveDir(ctx, folder); err != nil {
			return fmt.Errorf("removing a folder for firmware: %w", err)
		}
	}
	return ledgerFault(e.ledger.FirmwareUnlinked(ctx, s.PF))
}

// restoreLink lets a link of ours lead to where it led before.
func (e *executor) restoreLink(ctx context.Context, pf, link, before string) error {
	if link == "" {
		return nil
	}
	now, err := e.host.FS.ReadLink(ctx, link)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		now = ""
	case err != nil:
		return fmt.Errorf("reading the firmware link: %w", err)
	}
	switch {
	case now == before || !e.ledger.Record().Firmware[pf].Ours(now):
		return nil
	case before == "":
		err = e.host.Files.Remove(ctx, link)
	default:
		_, err = e.host.Files.Link(ctx, link, before)
	}
	if err != nil {
		return fmt.Errorf("restoring the firmware link: %w", err)
	}
	return nil
}

// reloadDriver unbinds a PF and binds it again. A driver that does not take the
// firmware leaves the PF without netdevs: then the link leads to where it led
// before, and the driver gets the firmware that it had.
func (e *executor) reloadDriver(ctx context.Context, s plan.ReloadDriver) error {
	err := e.rebindPF(ctx, s.PF, s.Driver)
	if err == nil {
		err = e.awaitApplication(ctx, s)
	}
	if err == nil {
		return ledgerFault(e.ledger.FirmwareLoaded(ctx, s.PF, s.Name))
	}
	var f *fault
	// Who was told to stop goes on later, and a host that has changed is planned again.
	if s.Link == "" || errors.Is(err, context.Canceled) || errors.As(err, &f) && f.kind == failure.FaultOutdated {
		return err
	}
	back, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackDeadline)
	defer cancel()
	if failed := e.rollback(back, s); failed != nil {
		return fmt.Errorf("%w; going back to the firmware before failed as well: %w", err, failed)
	}
	return err
}

// rollback binds the driver with the link as it was.
func (e *executor) rollback(ctx context.Context, s plan.ReloadDriver) error {
	if s.Before != "" {
		// From now on a link to the old place is ours too.
		if err := e.ledger.NoteFirmware(ctx, s.PF, e.ledWith(s)); err != nil {
			return err
		}
	}
	if err := e.restoreLink(ctx, s.PF, s.Link, s.Before); err != nil {
		return err
	}
	if err := e.rebindPF(ctx, s.PF, s.Driver); err != nil {
		return err
	}
	if err := e.awaitApplication(ctx, plan.ReloadDriver{PF: s.PF, Driver: s.Driver}); err != nil {
		return err
	}
	return e.ledger.FirmwareLoaded(ctx, s.PF, firmware.App(s.Before))
}

// ledWith is what is remembered of a link, with one target more unless that is
// the one before we came.
func (e *executor) ledWith(s plan.ReloadDriver) ledger.Firmware {
	known := e.ledger.Record().Firmware[s.PF]
	if s.Before != known.Before {
		known.Targets = append(slices.Clone(known.Targets), s.Before)
	}
	return known
}

// rebindPF unbinds a PF from its driver, if it has one, and binds it again. VFs
// that have come in the meantime would be lost: nobody has looked who uses them.
func (e *executor) rebindPF(ctx context.Context, pf, driver string) error {
	bound, err := e.driver(ctx, pf)
	if err != nil {
		return err
	}
	if bound != "" {
		n, err := e.readInt(ctx, pf, numVFs)
		switch {
		case err != nil:
			return err
		case n > 0:
			return faultf(failure.FaultOutdated, "%d VFs have appeared in the meantime", n)
		}
		if err := e.unbind(ctx, pf, bound); err != nil {
			return err
		}
	}
	if err := e.host.FS.WriteFile(ctx, path.Join(pciDrivers, driver, "bind"), []byte(pf)); err != nil {
		return fmt.Errorf("binding %s to %s: %w", pf, driver, err)
	}
	return e.await(ctx, driver+" to take "+pf, func(ctx context.Context) (bool, error) {
		now, err := e.driver(ctx, pf)
		return now == driver, err
	})
}

// awaitApplication waits for the PF's netdev and until the driver can say which
// application runs, and demands the wanted one.
func (e *executor) awaitApplication(ctx context.Context, s plan.ReloadDriver) error {
	running := ""
	err := e.await(ctx, "the netdev and the application firmware of "+s.PF, func(ctx context.Context) (bool, error) {
		l, err := e.uplinkOf(ctx, s.PF)
		if err != nil {
			return false, err
		}
		text, err := e.host.Ethtool.FirmwareVersion(ctx, l.Name)
		if gone(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		_, err = e.host.Devlink.Eswitch(ctx, host.DevlinkOf(s.PF))
		if err != nil && !unsupported(err) {
			return false, err
		}
		// The management firmware may be too busy to answer for a moment.
		running, err = firmware.Running(text, err == nil)
		return err == nil, nil
	})
	if err != nil {
		return err
	}
	if s.App != "" && running != s.App && running == s.From {
		return faultf(failure.FaultKept, "application firmware %s runs as before", running)
	}
	if s.App != "" && running != s.App {
		return faultf(failure.FaultNotTaken, "application firmware %s runs", running)
	}
	return nil
}

func (e *executor) releaseFirmware(ctx context.Context, s plan.ReleaseFirmware) error {
	return ledgerFault(e.ledger.ForgetFirmware(ctx, s.PF))
}

// firmwareEffect carries out steps about application firmware.
func (e *executor) firmwareEffect(ctx context.Context, step plan.Step) error {
	switch s := step.(type) {
	case plan.LinkFirmware:
		return e.linkFirmware(ctx, s)
	case plan.UnlinkFirmware:
		return e.unlinkFirmware(ctx, s)
	case plan.ReloadDriver:
		return e.reloadDriver(ctx, s)
	case plan.ReleaseFirmware:
		return e.releaseFirmware(ctx, s)
	}
	return fmt.Errorf("step %s is not known", step.Kind())
}
