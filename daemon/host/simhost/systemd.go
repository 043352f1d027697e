package simhost

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// unitFolder is where the administrator's units are, ours among them.
const unitFolder = "etc/systemd/system"

// systemd is the machine's service manager, as far as it keeps and starts units
// of unitFolder.
type systemd struct {
	// loaded is the content of unit files as they were read last: at boot, and by a
	// reload.
	loaded map[string]string
	// ran is what became of the units that were started at this boot.
	ran map[string]host.UnitState
	// start runs what a unit executes; nil leaves every unit alone.
	start func(unit, command string) error
	// noNetwork and noKubelet tell how far the boot has come.
	noNetwork, noKubelet bool
}

// AtBoot lets a reboot start the units that are enabled: run gets the unit's name
// and its ExecStart, and returns nil when it ends with status 0. Units that come
// before network-pre.target run before the host has a network of its own, all
// others before the kubelet runs.
func (k *Kernel) AtBoot(run func(unit, command string) error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.systemd.start = run
}

// bootSystemd reads the units, as a machine that has just started does.
func (k *Kernel) bootSystemd() {
	k.readUnits()
	k.systemd.ran = map[string]host.UnitState{}
	starts := k.systemd.start != nil
	k.systemd.noNetwork, k.systemd.noKubelet = starts, starts
}

func (k *Kernel) readUnits() {
	k.systemd.loaded = map[string]string{}
	for name, f := range k.disk {
		if path.Dir(name) == unitFolder && path.Ext(name) == ".service" && !f.folder {
			k.systemd.loaded[path.Base(name)] = string(f.data)
		}
	}
}

// startUnits starts what is enabled, in order, until the machine is up. It is
// called without the lock: what it runs uses the machine's doors.
func (k *Kernel) startUnits() {
	k.mu.Lock()
	defer k.mu.Unlock()
	start := k.systemd.start
	if start == nil || k.opts.NoSystemd {
		k.startNetwork()
		k.systemd.noKubelet = false
		return
	}
	enabled := slices.DeleteFunc(slices.Sorted(maps.Keys(k.systemd.loaded)), func(unit string) bool { return len(k.unitLinks(unit)) == 0 })
	for _, beforeNetwork := range []bool{true, false} {
		if !beforeNetwork {
			k.startNetwork()
		}
		for _, unit := range enabled {
			content := k.systemd.loaded[unit]
			if slices.Contains(unitSetting(content, "Before"), "network-pre.target") == beforeNetwork {
				k.systemd.ran[unit] = k.startUnit(unit, content, start)
			}
		}
	}
	k.systemd.noKubelet = false
}

// startNetwork starts what comes after network-pre.target: the host's own network
// and Open vSwitch.
func (k *Kernel) startNetwork() {
	if k.systemd.noNetwork {
		k.systemd.noNetwork = false
		k.ovs.restart(!k.opts.NoOVS)
		k.reconfigureOVS()
	}
}

// startUnit runs one unit to its end. Called with the lock held.
func (k *Kernel) startUnit(unit, content string, start func(unit, command string) error) host.UnitState {
	failed := host.UnitState{Active: "failed", Result: "exit-code"}
	command := unitSetting(content, "ExecStart")
	if len(command) == 0 {
		return failed
	}
	// What is not there or not executable ends with status 203/EXEC.
	if at, err := k.disk.resolve(strings.Trim(command[0], "/"), 0); err != nil || k.disk[at] == nil || !k.disk[at].executable {
		return failed
	}
	k.mu.Unlock()
	err := start(unit, strings.Join(command, " "))
	k.mu.Lock()
	if err != nil {
		return failed
	}
	return host.UnitState{Active: "active", Result: "success"}
}

// unitSetting returns the words of all lines with a name.
func unitSetting(content, name string) []string {
	var out []string
	for line := range strings.Lines(content) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			out = append(out, strings.Fields(value)...)
		}
	}
	return out
}

// unitLinks returns the links that enable a unit.
func (k *Kernel) unitLinks(unit string) []string {
	var out []string
	for name, f := range k.disk {
		folder := path.Dir(name)
		if path.Base(name) == unit && path.Dir(folder) == unitFolder && path.Ext(folder) == ".wants" && f.target != "" {
			out = append(out, name)
		}
	}
	return out
}

type systemdDoor struct{ *handle }

// systemdCall describes a call; it fails on a machine without systemd.
func systemdCall[T any](ctx context.Context, d systemdDoor, method, object, words string, write bool, effect func() (T, error)) (T, error) {
	c := call{kind: "systemd." + method, object: object, words: words, device: "systemd", write: write}
	return run(ctx, d.handle, c, func() (T, error) {
		if d.k.opts.NoSystemd {
			var zero T
			return zero, host.ErrNoSystemd
		}
		return effect()
	})
}

// Reload implements host.Systemd.
func (d systemdDoor) Reload(ctx context.Context) error {
	_, err := systemdCall(ctx, d, "Reload", "all", "reloading unit files", true, func() (nothing, error) {
		d.k.readUnits()
		return nothing{}, nil
	})
	return err
}

// Enable implements host.Systemd, as unit_file_enable of systemd's
// shared/install.c: it follows the files on disk, whatever was loaded of them.
func (d systemdDoor) Enable(ctx context.Context, units ...string) error {
	names := strings.Join(units, " ")
	_, err := systemdCall(ctx, d, "Enable", names, "enabling "+names, true, func() (nothing, error) {
		for _, unit := range units {
			if d.k.disk[unitFolder+"/"+unit] == nil {
				return nothing{}, refusal{errno: syscall.ENOENT, text: "Unit " + unit + " does not exist."}
			}
		}
		if err := d.k.writable(unitFolder + "/x"); err != nil {
			return nothing{}, err
		}
		for _, unit := range units {
			for _, target := range unitSetting(string(d.k.disk[unitFolder+"/"+unit].data), "WantedBy") {
				link := unitFolder + "/" + target + ".wants/" + unit
				if _, err := d.k.disk.place(link, &file{target: "/" + unitFolder + "/" + unit}); err != nil {
					return nothing{}, err
				}
			}
		}
		return nothing{}, nil
	})
	return err
}

// Disable implements host.Systemd. Folders of links that become empty go too.
func (d systemdDoor) Disable(ctx context.Context, units ...string) error {
	names := strings.Join(units, " ")
	_, err := systemdCall(ctx, d, "Disable", names, "disabling "+names, true, func() (nothing, error) {
		if err := d.k.writable(unitFolder + "/x"); err != nil {
			return nothing{}, err
		}
		for _, unit := range units {
			for _, link := range d.k.unitLinks(unit) {
				delete(d.k.disk, link)
				if folder := path.Dir(link); len(d.k.disk.names(folder)) == 0 {
					delete(d.k.disk, folder)
				}
			}
		}
		return nothing{}, nil
	})
	return err
}

// Unit implements host.Systemd. A unit that was never read is read when it is
// asked for; one that was read is known until a reload.
func (d systemdDoor) Unit(ctx context.Context, unit string) (host.UnitState, error) {
	return systemdCall(ctx, d, "Unit", unit, "asking for the state of "+unit, false, func() (host.UnitState, error) {
		f := d.k.disk[unitFolder+"/"+unit]
		content, known := d.k.systemd.loaded[unit]
		if !known && f != nil {
			content, known = string(f.data), true
			d.k.systemd.loaded[unit] = content
		}
		state := host.UnitState{Load: "not-found", Active: "inactive"}
		if known {
			state = host.UnitState{Load: "loaded", Active: "inactive", Result: "success"}
			state.NeedsReload = f == nil || string(f.data) != content
		}
		if ran, ok := d.k.systemd.ran[unit]; ok {
			state.Active, state.Result = ran.Active, ran.Result
		}
		switch {
		case f == nil:
		case len(d.k.unitLinks(unit)) > 0:
			state.File = "enabled"
		default:
			state.File = "disabled"
		}
		return state, nil
	})
}
