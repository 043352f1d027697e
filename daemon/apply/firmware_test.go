package apply_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/apply"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/hostfile"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
)

const (
	agilio     = "0000:05:00.0"
	agilioLink = "lib/firmware/netronome/pci-" + agilio + ".nffw"
)

// onAgilio runs a case on a machine with an Agilio that runs the firmware nic.
func onAgilio(t *testing.T, opts simhost.Options, f func(ctx context.Context, k *simhost.Kernel) error, options ...simhost.NICOption) {
	t.Helper()
	err := bubble(t, func(ctx context.Context) error {
		opts.NICs = []simhost.NIC{simhost.AgilioNIC(options...)}
		opts.Delays = simhost.TypicalDelays()
		k := simhost.New(opts)
		defer k.Close()
		err := f(ctx, k)
		if k.Ops().ByKind["devlink.SetEswitchMode"] > 0 {
			err = errors.Join(err, errors.New("the mode of an Agilio was set"))
		}
		if f := k.Forbidden(); len(f) > 0 {
			return errors.Join(err, fmt.Errorf("forbidden: %s", strings.Join(f, "; ")))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// loading is the spec that the policy of the Corigine guide leads to.
func loading(app string, vfs int) sriovv1.SriovNetworkNodeStateSpec {
	spec := guide(vfs, agilio)
	spec.Interfaces[0].FirmwareApp = app
	return spec
}

// runs demands an application, and files on the disk besides those that were
// there at first.
func runs(ctx context.Context, k *simhost.Kernel, app string, before, files map[string]string) error {
	node, err := observe.Node(ctx, k.Admin())
	if err != nil {
		return err
	}
	if got := node.PF(agilio).Application.Running; got != app {
		return fmt.Errorf("%s runs, not %s", got, app)
	}
	added := map[string]string{}
	for name, content := range ownFiles(k) {
		if was, ok := before[name]; !ok || was != content {
			added[name], _, _ = strings.Cut(content, "\n")
		}
	}
	for name := range before {
		if _, ok := ownFiles(k)[name]; !ok {
			added[name] = "removed"
		}
	}
	if diff := cmp.Diff(files, added); diff != "" {
		return fmt.Errorf("files (-want +got):\n%s", diff)
	}
	return nil
}

// From the firmware nic to flower with VFs in one turn, on to its next version,
// and back to what was there; a link that was there comes back.
func TestFirmware(t *testing.T) {
	for name, c := range map[string]struct {
		linked string
		drop   string
		files  map[string]string
		opts   []simhost.NICOption
		suffix string
	}{
		"plain":      {},
		"linked":     {linked: "nic/nic_AMDA0099-0001_2x25.nffw"},
		"compressed": {suffix: ".xz"},
		"dracut":     {drop: "etc/dracut.conf.d/10-other.conf"},
		"hook":       {drop: "etc/initramfs-tools/hooks/other"},
		"shared":     {opts: []simhost.NICOption{simhost.Board("AMDA0081-0001", "4x10")}},
	} {
		t.Run(name, func(t *testing.T) {
			opts := append([]simhost.NICOption{
				simhost.FirmwareFiles("nic", "flower", "flower-next"), simhost.CompressedFirmware(c.suffix), simhost.AppVFs("nic", 4),
			}, c.opts...)
			onAgilio(t, simhost.Options{}, func(ctx context.Context, k *simhost.Kernel) error {
				if c.linked != "" {
					if _, err := k.Admin().Files.Link(ctx, agilioLink, c.linked); err != nil {
						return err
					}
				}
				if c.drop != "" {
					if err := k.PutFile(c.drop, "x"); err != nil {
						return err
					}
				}
				before, dump := ownFiles(k), k.Dump()
				for _, app := range []string{"flower", "flower-next", "flower"} {
					if err := converge(ctx, k, loading(app, 5)); err != nil {
						return fmt.Errorf("%s: %w", app, err)
					}
					file := "nic_AMDA0099.nffw"
					if name == "shared" {
						file = "nic_AMDA0081.nffw"
					}
					want := map[string]string{agilioLink + c.suffix: "-> " + app + "/" + file + c.suffix}
					switch name {
					case "dracut":
						want["etc/dracut.conf.d/98-sriov-offload-firmware-0000-05-00.0.conf"] = "# Written by sriov-offload-operator; in force when the initramfs is built again: dracut -f"
					case "hook":
						want["etc/initramfs-tools/hooks/sriov-offload-firmware-0000-05-00.0"] = "#!/bin/sh"
					}
					if err := runs(ctx, k, "flower", before, want); err != nil {
						return err
					}
				}
				if err := stabilize(ctx, k, sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}); err != nil {
					return err
				}
				if err := runs(ctx, k, "nic", before, map[string]string{}); err != nil {
					return err
				}
				return errors.Join(forgotten(ctx, k), same(dump, k))
			}, opts...)
		})
	}
}

func same(dump string, k *simhost.Kernel) error {
	if diff := cmp.Diff(linkless(dump), linkless(k.Dump())); diff != "" {
		return errors.New(diff)
	}
	return nil
}

func forgotten(ctx context.Context, k *simhost.Kernel) error {
	led, err := ledger.Open(ctx, k.Store())
	if err != nil {
		return err
	}
	if r := led.Record(); len(r.PFs) > 0 || len(r.Firmware) > 0 {
		return fmt.Errorf("the ledger still has %v %v", r.PFs, r.Firmware)
	}
	return nil
}

// The PF stays in the spec, and only the application is no longer wanted.
func TestFirmwareNoLongerWanted(t *testing.T) {
	onAgilio(t, simhost.Options{}, func(ctx context.Context, k *simhost.Kernel) error {
		before := ownFiles(k)
		if err := converge(ctx, k, loading("flower", 3)); err != nil {
			return err
		}
		spec := loading("", 2)
		spec.Interfaces[0].EswitchMode = "legacy"
		if err := converge(ctx, k, spec); err != nil {
			return err
		}
		return runs(ctx, k, "nic", before, map[string]string{})
	})
}

// A machine whose firmware folder cannot be written: the kernel looks into our
// folder, also after a reboot, and the folder is gone in the end.
func TestFirmwareReadOnly(t *testing.T) {
	onAgilio(t, simhost.Options{ReadOnly: []string{"lib"}}, func(ctx context.Context, k *simhost.Kernel) error {
		before := ownFiles(k)
		want := map[string]string{
			"var/lib/sriov-offload-operator/firmware/netronome/pci-" + agilio + ".nffw": "-> /lib/firmware/netronome/flower/nic_AMDA0099.nffw",
		}
		for range 2 {
			if err := converge(ctx, k, loading("flower", 3)); err != nil {
				return err
			}
			if err := runs(ctx, k, "flower", before, want); err != nil {
				return err
			}
			// The kernel forgets its parameter: nic is loaded.
			k.Reboot()
		}
		if err := stabilize(ctx, k, loading("flower", 3)); err != nil {
			return err
		}
		if err := stabilize(ctx, k, sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}); err != nil {
			return err
		}
		path, err := k.Admin().FS.ReadFile(ctx, "sys/module/firmware_class/parameters/path")
		if _, there := k.Admin().FS.ReadDir(ctx, "var/lib/sriov-offload-operator/firmware"); err != nil || strings.TrimSpace(string(path)) != "" || there == nil {
			return fmt.Errorf("firmware_class.path is %q, %w; the folder: %w", path, err, there)
		}
		return errors.Join(runs(ctx, k, "nic", before, map[string]string{}), forgotten(ctx, k))
	})
}

// A policy that was removed while the node was down, or before it came up again:
// the link outlived the boot, and is given back all the same.
func TestFirmwareUndoAfterReboot(t *testing.T) {
	for _, readOnly := range [][]string{nil, {"lib"}} {
		onAgilio(t, simhost.Options{ReadOnly: readOnly}, func(ctx context.Context, k *simhost.Kernel) error {
			before := ownFiles(k)
			if err := converge(ctx, k, loading("flower", 3)); err != nil {
				return err
			}
			k.Reboot()
			if err := stabilize(ctx, k, sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}); err != nil {
				return err
			}
			return errors.Join(runs(ctx, k, "nic", before, map[string]string{}), forgotten(ctx, k))
		})
	}
}

// What others did to the link since is left to them; VFs that others made are
// not removed to load another firmware.
func TestFirmwareOfOthers(t *testing.T) {
	onAgilio(t, simhost.Options{}, func(ctx context.Context, k *simhost.Kernel) error {
		before := ownFiles(k)
		if err := converge(ctx, k, loading("flower", 3)); err != nil {
			return err
		}
		k.Reboot()
		if err := set(agilio, "sriov_numvfs", "2")(ctx, k); err != nil {
			return err
		}
		if _, err := k.Admin().Files.Link(ctx, agilioLink, "flower/nic_AMDA0099-0001_2x25.nffw"); err != nil {
			return err
		}
		k.Settle()
		dump := k.Dump()
		if err := stabilize(ctx, k, sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}); err != nil {
			return err
		}
		return errors.Join(same(dump, k), forgotten(ctx, k),
			runs(ctx, k, "flower", before, map[string]string{agilioLink: "-> flower/nic_AMDA0099-0001_2x25.nffw"}))
	})
}

// A firmware that the driver does not take: the failure is explained, the card
// runs what it ran before, and our link is gone.
func TestFirmwareRefused(t *testing.T) {
	for name, c := range map[string]struct {
		content, code string
	}{
		"version": {simhost.FirmwareImage("flower", "unsupported"), "FirmwareVersionUnsupported"},
		"damaged": {"PK", "FirmwareBroken"},
		"other":   {simhost.FirmwareImage("ebpf", "2.0"), "FirmwareOther"},
		"board":   {simhost.FirmwareImage("flower", "2.14 AMDA0058"), "FirmwareBroken"},
	} {
		t.Run(name, func(t *testing.T) {
			onAgilio(t, simhost.Options{}, func(ctx context.Context, k *simhost.Kernel) error {
				good := ownFiles(k)["lib/firmware/netronome/flower/nic_AMDA0099.nffw"]
				if err := k.PutFile("lib/firmware/netronome/flower/nic_AMDA0099.nffw", c.content); err != nil {
					return err
				}
				before := ownFiles(k)
				first, err := take(ctx, k, loading("flower", 3))
				if err != nil {
					return err
				}
				if diff := cmp.Diff([]string{agilio + " " + c.code}, codes(&first)); diff != "" {
					return fmt.Errorf("%s\n%w", diff, first.result.Err())
				}
				if err := runs(ctx, k, "nic", before, map[string]string{}); err != nil {
					return err
				}
				if err := k.PutFile("lib/firmware/netronome/flower/nic_AMDA0099.nffw", good); err != nil {
					return err
				}
				return converge(ctx, k, loading("flower", 3))
			})
		})
	}
}

// VFs that come between the plan and the new binding of the driver are not lost.
func TestFirmwareOutdated(t *testing.T) {
	onAgilio(t, simhost.Options{}, func(ctx context.Context, k *simhost.Kernel) error {
		led, err := ledger.Open(ctx, k.Store())
		if err != nil {
			return err
		}
		observed, p, err := look(ctx, k.Host(), loading("flower", 3), led)
		if err != nil {
			return err
		}
		if err := set(agilio, "sriov_numvfs", "2")(ctx, k); err != nil {
			return err
		}
		k.Settle()
		result := apply.Run(ctx, k.Host(), led, observed, p)
		if diff := cmp.Diff([]string{agilio + " PlanOutdated"}, codes(&turn{result: result})); diff != "" {
			return errors.New(diff)
		}
		return converge(ctx, k, loading("flower", 3))
	})
}

// All ports of the card are up, offload and have the MTU, whatever was done to
// the second one; giving the card back restores them.
func TestFurtherPorts(t *testing.T) {
	with(t, nic(simhost.AgilioFlower, simhost.Down()), func(ctx context.Context, k *simhost.Kernel) error {
		h := k.Admin()
		if err := h.Ethtool.SetFeature(ctx, "ens3np1", "hw-tc-offload", false); err != nil {
			return err
		}
		spec := loading("flower", 2)
		spec.Interfaces[0].MTU = 4000
		if err := converge(ctx, k, spec); err != nil {
			return err
		}
		node, err := observe.Node(ctx, h)
		if err != nil {
			return err
		}
		for _, n := range node.PF(agilio).Ports() {
			if !n.Up || n.MTU != 4000 || !n.HWTCOffload.On {
				return fmt.Errorf("port %s is %+v %+v", n.Name, n, n.HWTCOffload)
			}
		}
		if err := stabilize(ctx, k, sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}); err != nil {
			return err
		}
		if node, err = observe.Node(ctx, h); err != nil {
			return err
		}
		ports := node.PF(agilio).Ports()
		if len(ports) != 2 || ports[0].MTU != 1500 || ports[1].MTU != 1500 || !ports[0].HWTCOffload.On || ports[1].HWTCOffload.On {
			return fmt.Errorf("ports are %+v %+v", ports[0], ports[1])
		}
		return forgotten(ctx, k)
	})
}

// The names of our files do not depend on what else is there.
func TestFirmwareFilesOfOthers(t *testing.T) {
	onAgilio(t, simhost.Options{}, func(ctx context.Context, k *simhost.Kernel) error {
		if err := converge(ctx, k, loading("flower", 1)); err != nil {
			return err
		}
		names := slices.Collect(maps.Keys(ownFiles(k)))
		if n := len(names); n == 0 || !slices.Contains(names, agilioLink) {
			return fmt.Errorf("files are %v", names)
		}
		return nil
	})
}

// A link that somebody else changes between the plan and the step is theirs.
func TestFirmwareLinkTakenMeanwhile(t *testing.T) {
	onAgilio(t, simhost.Options{}, func(ctx context.Context, k *simhost.Kernel) error {
		before := ownFiles(k)
		if err := converge(ctx, k, loading("flower", 1)); err != nil {
			return err
		}
		led, err := ledger.Open(ctx, k.Store())
		if err != nil {
			return err
		}
		observed, p, err := look(ctx, k.Host(), sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}, led)
		if err != nil {
			return err
		}
		if err := k.PutLink(agilioLink, "nic/nic_AMDA0099-0001_2x25.nffw"); err != nil {
			return err
		}
		result := apply.Run(ctx, k.Host(), led, observed, p)
		if err := result.Err(); err != nil {
			return err
		}
		return runs(ctx, k, "nic", before, map[string]string{agilioLink: "-> nic/nic_AMDA0099-0001_2x25.nffw"})
	})
}

// ownFiles are the files on the disk without those that any PF with VFs has.
func ownFiles(k *simhost.Kernel) map[string]string {
	out := k.Files()
	for _, name := range hostfile.Paths() {
		delete(out, name)
	}
	return out
}
