package apply_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sriov-offload/sriov-offload-operator/daemon/cleanup"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
)

// life is what happens to a daemon on one machine, spec by spec, until it is
// cleaned up after.
type life struct {
	*scenario
	// bare: the machine has no folder for rules.
	bare bool
	// crashes and reboots while each spec is carried out; nil for none.
	crashes []*crash
	// last is a crash of the cleanup.
	last *crash
}

func lives() *rapid.Generator[*life] {
	return rapid.Custom(func(rt *rapid.T) *life {
		l := &life{scenario: podless(rt, 3), bare: rapid.Bool().Draw(rt, "bare")}
		maybe := func(odds int) *crash {
			if rapid.IntRange(0, odds).Draw(rt, "crashes") < odds {
				return nil
			}
			c := crashes().Draw(rt, "crash")
			return &c
		}
		for i := range l.specs {
			for j := range l.specs[i].Interfaces {
				// What somebody else manages is his from then on, whatever it was.
				l.specs[i].Interfaces[j].ExternallyManaged = false
			}
			c := maybe(1)
			if c != nil {
				c.reboot = rapid.IntRange(0, 3).Draw(rt, "reboot") == 3
			}
			l.crashes = append(l.crashes, c)
		}
		l.last = maybe(2)
		return l
	})
}

// Cleanup after anything brings machine and disk back to what they were, and
// leaves no ledger. What it cannot bring back, others hold.
func TestCleanup(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := lives().Draw(rt, "life")
		if err := bubble(t, l.run); err != nil {
			rt.Fatalf("%v\nbare %t, last %+v, crashes %+v\n%s", err, l.bare, l.last, l.crashes, l.scenario)
		}
	})
}

func (l *life) run(ctx context.Context) error {
	k := l.boot(ctx)
	defer k.Close()
	if l.bare {
		for _, folder := range []string{"etc/udev/rules.d", "etc/udev"} {
			if err := k.Admin().Files.RemoveDir(ctx, folder); err != nil {
				return err
			}
		}
	}
	disk, err := listing(ctx, k)
	if err != nil {
		return err
	}
	first, err := observe.Node(ctx, k.Admin())
	if err != nil {
		return err
	}
	machine, rebooted := stateOf(k), false
	for i, spec := range l.specs {
		c := l.crashes[i]
		if c == nil {
			if err := stabilize(ctx, k, spec); err != nil {
				return err
			}
			continue
		}
		// A turn takes some hundred operations; most of those that change something
		// are among the last.
		c.arm(k, simhost.Ops{Reads: 200, Writes: 40})
		if _, err := take(ctx, k, spec); err != nil && !k.Crashed() {
			return err
		}
		k.CrashAfter(0)
		if c.reboot {
			k.Reboot()
			k.Settle()
			// What there was before is gone for good, whoever had made it.
			machine, rebooted = withoutOurBridges(stateOf(k)), true
		} else {
			k.Restart()
		}
	}
	k.Settle()
	if err := l.clean(ctx, k); err != nil {
		var stopped *cleanup.Error
		if errors.As(err, &stopped) && stopped.Code == cleanup.Blocked && heldByOthers(err.Error()) {
			return nil
		}
		return fmt.Errorf("cleanup: %w", err)
	}
	now := asLoose(stateOf(k), machine)
	misled := slices.ContainsFunc(first.PFs, func(pf inventory.PF) bool { return linkedLater(&first, &pf) })
	if (rebooted || misled) && slices.ContainsFunc(l.specs, wantsFirmware) {
		// At boot an Agilio loads what our link leads to: no first contact of this boot
		// tells what it would be like without.
		machine, now = withoutAgilio(machine), withoutAgilio(now)
	}
	if diff := cmp.Diff(machine, now); diff != "" {
		return fmt.Errorf("machine (-before +after):\n%s", diff)
	}
	if settings := k.NetworkManagerSettings(); settings != "" {
		return fmt.Errorf("NetworkManager still has %s", settings)
	}
	left, err := listing(ctx, k)
	if diff := cmp.Diff(disk, left); diff != "" || err != nil {
		return fmt.Errorf("disk (-before +after):\n%s %w", diff, err)
	}
	if _, err := k.Store().Load(ctx); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the ledger is still there: %w", err)
	}
	return forbiddenBy(k)
}

// withoutAgilio leaves out of a state the cards whose firmware can be chosen, with
// what belongs to them.
func withoutAgilio(state string) string {
	var out strings.Builder
	agilio := false
	for line := range strings.Lines(state) {
		if !strings.HasPrefix(line, " ") {
			agilio = strings.Contains(line, " driver nfp ")
		}
		if !agilio {
			out.WriteString(line)
		}
	}
	return out.String()
}

// clean cleans up, once more after a crash.
func (l *life) clean(ctx context.Context, k *simhost.Kernel) error {
	once := func() error {
		var out bytes.Buffer
		err := cleanup.Run(ctx, cleanup.Options{Host: k.Host(), Store: k.Store(), Drivers: driver.Default(), Out: &out})
		k.Settle()
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out.String())
		}
		return nil
	}
	if l.last != nil {
		l.last.arm(k, simhost.Ops{Reads: 200, Writes: 20})
		if err := once(); err != nil && !k.Crashed() {
			return err
		}
		k.CrashAfter(0)
		k.Restart()
	}
	return once()
}

// heldByOthers tells whether a cleanup was stopped by what others need.
func heldByOthers(reason string) bool {
	return strings.Contains(reason, "is a member of") || strings.Contains(reason, "carries the default route")
}

// transient is what no undo gives back: a netdev that was down may be up (nothing
// is ever set down), MACs of VFs that are made anew are random, and with them goes
// what was set through the PF; representors that are made anew offload, if their
// uplink did; and the inline mode of a PF in legacy mode is kept by its VFs.
var transient = regexp.MustCompile(` (up|down)( mtu)| (admin MAC|mac|GUID) [0-9a-f:]+|(  representor .*) hw-tc-offload (true|false)|( numvfs [1-9].* eswitch legacy.*) inline [a-z]+`)

func stateOf(k *simhost.Kernel) string {
	dump := strings.Replace(k.Dump(), "NetworkManager has read: "+k.NetworkManagerSettings(), "", 1)
	return transient.ReplaceAllString(dump, "$2$4$6")
}

var mtus = regexp.MustCompile(` mtu [0-9]+`)

// asLoose replaces in a dump the MTUs that another dump does not tell.
func asLoose(dump, other string) string {
	loose := map[string]bool{}
	for line := range strings.Lines(other) {
		if name, _, found := strings.Cut(strings.TrimPrefix(line, "  netdev "), " mtu any"); found {
			loose[name] = true
		}
	}
	var out []string
	for line := range strings.Lines(dump) {
		if name, _, found := strings.Cut(strings.TrimPrefix(line, "  netdev "), " mtu "); found && loose[name] {
			line = mtus.ReplaceAllString(line, " mtu any")
		}
		out = append(out, line)
	}
	return strings.Join(out, "")
}

// withoutOurBridges leaves out of a dump the bridges that are marked as ours: Open
// vSwitch brings them back after a reboot, and a cleanup removes them all the same.
func withoutOurBridges(dump string) string {
	var kept []string
	ours, ports := false, []string(nil)
	for line := range strings.Lines(dump) {
		switch {
		case strings.HasPrefix(line, "ovs bridge "):
			ours = strings.Contains(line, "sriov-offload-operator:")
		case ours && strings.HasPrefix(line, "  port "):
			ports = append(ports, strings.Fields(line)[1])
		default:
			ours = false
		}
		if !ours {
			kept = append(kept, line)
		}
	}
	for i, line := range kept {
		for _, port := range ports {
			if strings.HasPrefix(line, "  netdev "+port+" ") {
				// Open vSwitch requests its MTU at boot; the one before it is noted.
				kept[i] = mtus.ReplaceAllString(strings.Replace(line, " master ovs-system", "", 1), " mtu any")
			}
		}
	}
	return strings.Join(kept, "")
}

// listing is every file and folder below etc.
func listing(ctx context.Context, k *simhost.Kernel) (map[string]string, error) {
	out := k.Files()
	var walk func(folder string) error
	walk = func(folder string) error {
		names, err := k.Admin().FS.ReadDir(ctx, folder)
		if err != nil {
			return err
		}
		for _, name := range names {
			path := folder + "/" + name
			if _, isFile := out[path]; isFile {
				continue
			}
			out[path] = "folder"
			if err := walk(path); err != nil {
				return err
			}
		}
		return nil
	}
	return out, walk("etc")
}
