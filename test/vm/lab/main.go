// Command lab runs the tests on real kernels: make test-vm.
//
// It fetches QEMU and a kernel from Debian into a cache (VM_CACHE, by default in the
// user's cache folder), builds the test binaries and what the machines boot, runs
// each machine, and prints how many specs ran on each. GUEST picks one machine, RUN
// the specs, as go test -run does.
//
// It exits 1 when a spec fails, and when a machine hangs or dies, with the end of
// its console.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/test/controlplane"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == forwardCommand {
		if err := forward(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "test-vm failed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return err
	}
	l, err := openLab(ctx)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "sriov-vm-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	b := &builder{lab: l, root: root, work: work}
	var errs []error
	var summary strings.Builder
	for _, g := range guests() {
		if only := os.Getenv("GUEST"); only != "" && only != g.name {
			continue
		}
		began := time.Now()
		result, err := b.play(ctx, g)
		if err == nil && result.passed == 0 {
			err = errors.New("no spec ran")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("machine %s: %w", g.name, err))
		}
		fmt.Fprintf(&summary, "    %-10s %3d specs passed, %d failed, %.0f s\n", g.name, result.passed, result.failed, time.Since(began).Seconds())
	}
	if summary.Len() == 0 {
		return errors.New("GUEST names no machine")
	}
	say("specs on kernel %s\n%s", l.release, strings.TrimSuffix(summary.String(), "\n"))
	return errors.Join(errs...)
}

// play builds what a machine boots, and boots it.
func (b *builder) play(ctx context.Context, g guest) (result, error) {
	say("building machine %s", g.name)
	log := filepath.Join(b.work, g.name+".log")
	if !g.cluster {
		image, err := b.image(ctx, g, nil)
		if err != nil {
			return result{}, err
		}
		say("booting machine %s", g.name)
		return b.boot(ctx, g, image, log)
	}
	c, err := startCluster(ctx)
	if err != nil {
		return result{}, err
	}
	found, err := b.join(ctx, g, c, log)
	return found, errors.Join(err, c.stop())
}

// join boots a machine that is a node of a cluster.
func (b *builder) join(ctx context.Context, g guest, c *cluster, log string) (result, error) {
	image, err := b.image(ctx, g, c.kubeconfig)
	if err != nil {
		return result{}, err
	}
	devices, err := c.devices()
	if err != nil {
		return result{}, err
	}
	say("booting machine %s", g.name)
	return b.boot(ctx, g, image, log, devices...)
}

func say(format string, arguments ...any) { fmt.Printf("==> "+format+"\n", arguments...) }
