package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// guest is a kind of machine.
type guest struct {
	name string
	// suite is the folder of its specs below test/vm/guest.
	suite string
	// netdevsim is the variant of that module that it has.
	netdevsim variant
	// modules of the kernel that are loaded, in any order, with what they need.
	modules []string
	// devices of QEMU.
	devices []string
	// cluster: the machine is a node of a real control plane on this machine, and has
	// the released daemon.
	cluster bool
	// limit is how long the machine may take.
	limit time.Duration
}

// guests returns the machines.
func guests() []guest {
	base := []string{
		"pps_core", "ptp", "dca", "i2c-algo-bit", "igb", "igbvf", "vfio", "vfio_iommu_type1", "irqbypass", "vfio-pci-core", "vfio-pci",
		"tls", "bonding", "psample", "macsec", "8021q", "garp", "stp", "llc", "mrp", "dummy",
	}
	return []guest{
		{name: "igb", suite: "igb", modules: base, devices: igbDevices(), limit: 4 * time.Minute},
		{name: "daemon", suite: "daemon", modules: append(append([]string(nil), base...), "failover", "net_failover", "virtio_net"), devices: igbDevices(), cluster: true, limit: 8 * time.Minute},
		{name: "netdevsim", suite: "netdevsim", netdevsim: stock, modules: netdevsimModules(), limit: 4 * time.Minute},
	}
}

// netdevsimModules are what netdevsim and traffic control on it need.
func netdevsimModules() []string {
	return []string{
		"psample", "macsec", "pps_core", "ptp", "tls", "bonding", "8021q", "garp", "stp", "llc", "mrp", "dummy",
		"cls_flower", "cls_matchall", "sch_ingress", "act_mirred", "act_gact",
	}
}

// igbDevices are two cards with two ports each: hub 0 joins the first ports, hub 1
// the second ones, so that a bond of one card has a partner on the other. A card's
// second function is found only when the first one names it (ARI).
func igbDevices() []string {
	out := []string{"-device", "intel-iommu,id=iommu0,intremap=on"}
	for card := 1; card <= 2; card++ {
		out = append(out, "-device", fmt.Sprintf("pcie-root-port,id=rp%d,chassis=%d,slot=%d", card, card, card))
		for port := range 2 {
			more := ""
			if port == 0 {
				more = ",multifunction=on,x-pcie-ari-nextfn-1=on"
			}
			out = append(out,
				"-netdev", fmt.Sprintf("hubport,id=n%d%d,hubid=%d", card, port, port),
				"-device", fmt.Sprintf("igb,id=c%dp%d,bus=rp%d,addr=0.%d%s,romfile=,netdev=n%d%d,mac=52:54:00:00:%02d:%d0", card, port, card, port, more, card, port, card, port))
		}
	}
	return out
}

// statuses of QEMU: isa-debug-exit turns a value v into v<<1|1, see init.
const (
	statusPassed = 16<<1 | 1
	statusFailed = 17<<1 | 1
)

// result counts the specs of a machine.
type result struct{ passed, failed int }

// boot runs a machine to its end and shows its console.
func (l *lab) boot(ctx context.Context, g guest, image, log string, devices ...string) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, g.limit)
	defer cancel()
	file, err := os.Create(log)
	if err != nil {
		return result{}, err
	}
	defer func() { _ = file.Close() }()
	qemu := l.path("qemu")
	arguments := []string{
		// Through its own loader and libraries: nothing is installed on this machine.
		"--library-path", filepath.Join(qemu, "usr/lib/x86_64-linux-gnu") + ":" + filepath.Join(qemu, "lib/x86_64-linux-gnu"),
		filepath.Join(qemu, "usr/bin/qemu-system-x86_64"),
		"-L", filepath.Join(qemu, "usr/share/qemu"), "-L", filepath.Join(qemu, "usr/share/seabios"),
		"-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none", "-serial", "stdio", "-nic", "none",
		"-accel", "tcg,thread=multi", "-machine", "q35", "-cpu", "max", "-smp", "2", "-m", "512",
		"-device", "isa-debug-exit,iobase=0xf4,iosize=4",
		"-kernel", l.path("kernel/boot/vmlinuz-" + l.release), "-initrd", image,
		"-append", "console=ttyS0 quiet panic=-1 mitigations=off intel_iommu=on iommu=pt -- " + strings.Join(testFlags(), " "),
	}
	cmd := exec.CommandContext(ctx, filepath.Join(qemu, "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"), slices.Concat(arguments, g.devices, devices)...)
	console, err := cmd.StdoutPipe()
	if err != nil {
		return result{}, err
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		return result{}, fmt.Errorf("starting QEMU: %w", err)
	}
	found, tail := follow(console, file)
	err = cmd.Wait()
	return found, verdict(ctx, g, err, cmd.ProcessState.ExitCode(), tail, complaints.String())
}

func testFlags() []string {
	flags := []string{"-test.v", "-test.timeout=10m"}
	if run := os.Getenv("RUN"); run != "" {
		flags = append(flags, "-test.run="+run)
	}
	return flags
}

// tailLines is how much of the console a failure shows.
const tailLines = 60

// complaint is what a test says of a failure: file and line, then text.
var complaint = regexp.MustCompile(`^ *[a-z0-9_]+\.go:[0-9]+: `)

// follow shows the console's lines about specs and keeps all of them in a file.
func follow(console io.Reader, file io.Writer) (result, []string) {
	var found result
	var tail []string
	lines := bufio.NewScanner(console)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		_, _ = fmt.Fprintln(file, line)
		if tail = append(tail, line); len(tail) > tailLines {
			tail = tail[1:]
		}
		text := strings.TrimSpace(line)
		switch {
		// A subtest is a spec; what groups them is not counted.
		case strings.HasPrefix(text, "--- PASS: ") && strings.Contains(text, "/"):
			found.passed++
		case strings.HasPrefix(text, "--- FAIL: ") && strings.Contains(text, "/"):
			found.failed++
		}
		if os.Getenv("VERBOSE") == "1" || strings.HasPrefix(text, "--- FAIL") || complaint.MatchString(line) || strings.HasPrefix(text, "figure ") {
			fmt.Println("    " + line)
		}
	}
	return found, tail
}

// verdict says how a machine ended.
func verdict(ctx context.Context, g guest, err error, status int, tail []string, complaints string) error {
	end := "\n--- end of its console ---\n" + strings.Join(tail, "\n") + "\n" + complaints
	switch {
	case status == statusPassed:
		return nil
	case status == statusFailed:
		return errors.New("a spec failed" + end)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("it did not end within %s%s", g.limit, end)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("it died without a word (QEMU: %w)%s", err, end)
}
