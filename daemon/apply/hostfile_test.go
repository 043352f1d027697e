package apply_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/hostfile"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// onHost runs f on a machine with NetworkManager.
func onHost(t *testing.T, opts simhost.Options, f func(context.Context, *simhost.Kernel) error) {
	t.Helper()
	opts.NICs = []simhost.NIC{simhost.ConnectX5()}
	err := bubble(t, func(ctx context.Context) error {
		k := simhost.New(opts)
		defer k.Close()
		return f(ctx, k)
	})
	if err != nil {
		t.Error(err)
	}
}

// filesOf is what the ledger knows of files.
func filesOf(ctx context.Context, k *simhost.Kernel) (map[string]ledger.File, error) {
	led, err := ledger.Open(ctx, k.Store())
	if err != nil {
		return nil, err
	}
	return led.Record().Files, nil
}

// The files come before VFs and representors, so that udev treats every one of
// them with our rules from its first event; they go with the last PF.
func TestHostFiles(t *testing.T) {
	onHost(t, simhost.Options{NetworkManager: true}, func(ctx context.Context, k *simhost.Kernel) error {
		before := k.Files()
		if err := stabilize(ctx, k, guide(2, pf0)); err != nil {
			return err
		}
		rules := k.Files()[hostfile.UdevRules]
		if !hostfile.Ours(rules) {
			return fmt.Errorf("rules: %q", rules)
		}
		for _, netdev := range []string{"ens41f0v0", "ens41f0r1"} {
			if !strings.Contains(k.RulesSeen(netdev), rules) {
				return fmt.Errorf("udev has treated %s without our rules", netdev)
			}
		}
		if settings := k.Files()[hostfile.NetworkManagerConf]; !strings.Contains(k.NetworkManagerSettings(), settings) || settings == "" {
			return fmt.Errorf("NetworkManager has read %q, not %q", k.NetworkManagerSettings(), settings)
		}
		want := map[string]ledger.File{hostfile.UdevRules: {}, hostfile.NetworkManagerConf: {}}
		files, err := filesOf(ctx, k)
		if diff := cmp.Diff(want, files); diff != "" || err != nil {
			return fmt.Errorf("ledger: %s %w", diff, err)
		}
		if err := stabilize(ctx, k, guide(2)); err != nil {
			return err
		}
		if files, err = filesOf(ctx, k); len(files) > 0 || err != nil {
			return fmt.Errorf("the ledger still has %v, %w", files, err)
		}
		if diff := cmp.Diff(before, k.Files()); diff != "" {
			return fmt.Errorf("files:\n%s", diff)
		}
		if settings := k.NetworkManagerSettings(); settings != "" {
			return fmt.Errorf("NetworkManager still has %s", settings)
		}
		return nil
	})
}

// VFs and representors that are there before the rules are announced once more.
func TestAnnounced(t *testing.T) {
	onHost(t, simhost.Options{}, func(ctx context.Context, k *simhost.Kernel) error {
		if err := stabilize(ctx, k, guide(2, pf0)); err != nil {
			return err
		}
		k.RemoveFile(hostfile.UdevRules)
		if err := k.RenameLink("ens41f0r0", "pod_h"); err != nil {
			return err
		}
		if err := stabilize(ctx, k, guide(2, pf0, pf1)); err != nil {
			return err
		}
		rules := k.Files()[hostfile.UdevRules]
		for _, netdev := range []string{"ens41f0v0", "pod_h", "ens41f1r1"} {
			if rules == "" || !strings.Contains(k.RulesSeen(netdev), rules) {
				return fmt.Errorf("udev has treated %s without our rules", netdev)
			}
		}
		return errors.Join(forbiddenBy(k))
	})
}

func forbiddenBy(k *simhost.Kernel) error {
	if f := k.Forbidden(); len(f) > 0 {
		return fmt.Errorf("forbidden: %s", strings.Join(f, "; "))
	}
	return nil
}

// What cannot be written is said; VFs are made all the same.
func TestHostFileRefused(t *testing.T) {
	for _, c := range []struct {
		fault simhost.Fault
		code  string
	}{
		{simhost.Fault{Op: "files.Put etc/udev/*", Times: -1, Errno: syscall.EROFS}, " HostFileReadOnly"},
		{simhost.Fault{Op: "files.Put etc/udev/*", Times: -1, Errno: syscall.EACCES}, " HostFileDenied"},
		{simhost.Fault{Op: "files.Put etc/udev/*", Times: -1, Errno: syscall.ENOSPC}, " HostDiskFull"},
		{simhost.Fault{Op: "files.Put etc/udev/*", Times: -1, Errno: syscall.ELOOP}, " HostFile"},
		{simhost.Fault{Op: "networkmanager.Reload *", Times: -1, Errno: syscall.EACCES}, " NetworkManagerRefused"},
	} {
		onHost(t, simhost.Options{NetworkManager: true}, func(ctx context.Context, k *simhost.Kernel) error {
			k.Fail(c.fault)
			first, err := take(ctx, k, guide(2, pf0))
			if err != nil {
				return err
			}
			k.Settle()
			if diff := cmp.Diff([]string{c.code}, codes(&first)); diff != "" {
				return errors.New(diff)
			}
			if err := reached(ctx, k, guide(2, pf0), &turn{}); err != nil {
				return err
			}
			// Whoever has not been told is told later.
			k.ClearFaults()
			if err := stabilize(ctx, k, guide(2, pf0)); err != nil {
				return err
			}
			if !strings.Contains(k.NetworkManagerSettings(), k.Files()[hostfile.NetworkManagerConf]) {
				return fmt.Errorf("%s: NetworkManager was never told", c.code)
			}
			files, err := filesOf(ctx, k)
			for name, f := range files {
				if f.Pending {
					return fmt.Errorf("%s: %s is still pending", c.code, name)
				}
			}
			return err
		})
	}
}

// Between plan and run somebody puts his own file in the place of ours, or in that
// of one that is to go: it stays.
func TestForeignFile(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		onHost(t, simhost.Options{}, func(ctx context.Context, k *simhost.Kernel) error {
			spec := guide(2, pf0)
			if leaves {
				if err := stabilize(ctx, k, spec); err != nil {
					return err
				}
				spec = guide(2)
			}
			if err := k.PutFile(hostfile.UdevRules, "mine"); err != nil {
				return err
			}
			if err := stabilize(ctx, k, spec); err != nil {
				return err
			}
			if got := k.Files()[hostfile.UdevRules]; got != "mine" {
				return fmt.Errorf("leaves %t: the file is %q", leaves, got)
			}
			files, err := filesOf(ctx, k)
			if len(files) > 0 || err != nil {
				return fmt.Errorf("leaves %t: ledger has %v, %w", leaves, files, err)
			}
			return nil
		})
	}
}

// Folders that were made for a file go with it, unless somebody else has put
// something there.
func TestHostFolders(t *testing.T) {
	for _, used := range []bool{false, true} {
		onHost(t, simhost.Options{}, func(ctx context.Context, k *simhost.Kernel) error {
			for _, folder := range []string{"etc/udev/rules.d", "etc/udev"} {
				if err := k.Admin().Files.RemoveDir(ctx, folder); err != nil {
					return err
				}
			}
			// The daemon dies when folder and file are there, and does not learn of it.
			k.CrashAfter(2, simhost.CountWrites)
			if err := stabilize(ctx, k, guide(1, pf0)); err != nil {
				return err
			}
			if used {
				if err := k.PutFile("etc/udev/rules.d/10-mine.rules", ""); err != nil {
					return err
				}
			}
			if err := stabilize(ctx, k, guide(1)); err != nil {
				return err
			}
			names, err := k.Admin().FS.ReadDir(ctx, "etc")
			if err != nil {
				return err
			}
			if left := slices.Contains(names, "udev"); left != used {
				return fmt.Errorf("used %t: the folder is left: %t; %v", used, left, slices.Sorted(maps.Keys(k.Files())))
			}
			return nil
		})
	}
}
