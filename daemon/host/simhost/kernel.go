package simhost

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// Options describe the simulated machine. The zero value is a machine without
// SR-IOV NICs, with an IOMMU, on which everything happens at once.
type Options struct {
	NICs []NIC
	// NoIOMMU leaves every function without an IOMMU group.
	NoIOMMU bool
	// IOMMUOff is a machine whose BIOS has VT-d on and whose kernel uses it only with
	// the argument intel_iommu=on.
	IOMMUOff bool
	// NoModules are modules that are not loaded and of which there is no file:
	// ModuleVFIO and others. Unloaded are those that could be loaded.
	NoModules, Unloaded []string
	// BootLoader starts the machine.
	BootLoader BootLoader
	// Namespaces: there are network namespaces besides the machine's, whether or not
	// pods hold VFs.
	Namespaces bool
	// RDMAModeStays: the RDMA core is loaded from an initramfs without our options.
	RDMAModeStays bool
	// ReadOnly are folders on file systems that are mounted read-only: "usr".
	ReadOnly []string
	// NoBonding is a kernel without the bonding driver, NoDebugfs one that does not
	// tell the state of a LAG.
	NoBonding, NoDebugfs bool
	// NoLACPPartner is a switch that does not speak LACP.
	NoLACPPartner bool
	// NoOVS leaves the machine without Open vSwitch.
	NoOVS bool
	// NetworkManager runs on the machine.
	NetworkManager bool
	// NoSystemd is a machine with another init.
	NoSystemd bool
	// Delays of what the real kernel does later or slowly.
	Delays Delays
}

// Delays say how long things take; zero means at once, within the operation.
type Delays struct {
	// NumVFs and Eswitch are how long the write itself blocks.
	NumVFs, Eswitch time.Duration
	// PerVF is how much longer a write of sriov_numvfs blocks for each VF.
	PerVF time.Duration
	// Probe is how long a driver's probe blocks the write that binds a VF.
	Probe time.Duration
	// VF is the time from sriov_numvfs to the VFs' PCI functions.
	VF time.Duration
	// Netdev is the time from binding a driver to its netdev.
	Netdev time.Duration
	// Rename is the time from a VF's or representor's netdev to its name by udev;
	// until then it has the kernel's.
	Rename time.Duration
	// Representor is the time from the cause to VF representors.
	Representor time.Duration
	// Carrier is the time from setting a PF up to its carrier, and how long a
	// reset takes the carrier away.
	Carrier time.Duration
	// LAG is the time from a change of a bond to that of the NIC's LAG.
	LAG time.Duration
	// OVS is how long ovs-vswitchd takes to carry out a change.
	OVS time.Duration
}

// TypicalDelays are those of real machines, in order of magnitude.
func TypicalDelays() Delays {
	return Delays{
		NumVFs:      300 * time.Millisecond,
		Eswitch:     500 * time.Millisecond,
		VF:          50 * time.Millisecond,
		Netdev:      200 * time.Millisecond,
		Representor: 150 * time.Millisecond,
		Carrier:     700 * time.Millisecond,
		LAG:         time.Second,
		OVS:         50 * time.Millisecond,
	}
}

// Kernel is one simulated machine. It is safe for concurrent use. Under
// testing/synctest it must be made inside the bubble.
type Kernel struct {
	mu   sync.Mutex
	opts Options
	// epoch changes at every boot: what was scheduled before does not happen.
	epoch  int
	closed bool
	boots  int
	gen    *generation
	// off is closed when the machine stops: at a reboot and by Close.
	off    chan struct{}
	timers map[*time.Timer]struct{}
	// idle is closed when the last timer is gone; nil while nobody waits.
	idle chan struct{}
	// held are the locks that writes under way hold, by PCI address: one lock for
	// the function's device_lock and the lock of its devlink instance, which
	// drivers take inside of each other. Each is closed at its release.
	held map[string]chan struct{}

	functions map[string]*function
	drivers   map[string]bool
	cards     []*card
	groups    map[string]int
	// rdmas counts the RDMA devices that there have been.
	rdmas int
	links links
	pods  pods
	// nodeNetwork is the reason by name of netdev; it is configuration of the
	// host and comes back after a reboot.
	nodeNetwork map[string]string
	stored      map[string][]byte
	// disk are files and folders outside of sysfs and procfs, by path.
	disk    disk
	ovs     *ovs
	systemd systemd
	// networkManager is what NetworkManager has read of its settings.
	networkManager string
	machine        machine
	// firmwarePath is firmware_class.path.
	firmwarePath string
	// reach is what lies between the machine and its cluster.
	reach reach

	subscribers map[*subscriber]struct{}
	log         []string

	faults    []*fault
	crash     *crashPoint
	ops       Ops
	counted   bool
	forbidden []string
	// early are VFs that were bound before the LAG of their NIC.
	early []string
}

// generation is one life of a caller; its handles die with it.
type generation struct{ dead chan struct{} }

func (g *generation) ended() bool {
	select {
	case <-g.dead:
		return true
	default:
		return false
	}
}

// New boots a machine. It panics when two functions have one address or two
// netdevs one name, which is a mistake of the caller's.
func New(opts Options) *Kernel {
	k := &Kernel{
		opts:        opts,
		timers:      map[*time.Timer]struct{}{},
		groups:      map[string]int{},
		pods:        pods{owners: map[string]string{}},
		nodeNetwork: map[string]string{managementName: "carries the default route"},
		stored:      map[string][]byte{},
		disk:        newDisk(),
		ovs:         newOVS(!opts.NoOVS),
		subscribers: map[*subscriber]struct{}{},
		gen:         &generation{dead: make(chan struct{})},
	}
	for i := range opts.NICs {
		k.disk.firmware(&opts.NICs[i])
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.installTools()
	k.boot()
	return k
}

// boot builds the state of a machine that has just started.
func (k *Kernel) boot() {
	k.epoch++
	k.boots++
	k.bootMachine()
	k.bootSystemd()
	// Nothing follows the links that come now.
	k.ovs.restart(false)
	k.off = make(chan struct{})
	k.held = map[string]chan struct{}{}
	k.functions = map[string]*function{}
	k.drivers = map[string]bool{managementDriver: true}
	if k.hasModule(ModuleVFIO) {
		k.drivers[vfioDriver] = true
	}
	k.rdmas = 0
	k.cards = nil
	k.links = newLinks()
	k.firmwarePath = ""
	k.addLink(&link{name: "lo", mac: "00:00:00:00:00:00", mtu: 65536, up: true, role: roleOther})
	k.addManagement()
	k.startNetworkManager()
	for i := range k.opts.NICs {
		k.addCard(k.opts.NICs[i])
	}
	k.ovs.restart(!k.opts.NoOVS && !k.systemd.noNetwork)
	k.reconfigureOVS()
	// What was said at boot is of no interest.
	k.log = nil
}

// Host returns the doors to the machine for the living caller. After a crash
// they are dead until Restart; handles from before stay dead.
func (k *Kernel) Host() host.Host {
	k.mu.Lock()
	defer k.mu.Unlock()
	return (&handle{k: k, gen: k.gen}).host()
}

// Admin returns doors that never crash, meet no faults, and are not counted:
// an administrator at the console.
func (k *Kernel) Admin() host.Host {
	return (&handle{k: k, admin: true}).host()
}

// Restart gives the caller a new life after a crash; the kernel keeps its
// state. Handles from before are dead, also when there was no crash.
func (k *Kernel) Restart() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.endGeneration()
	k.gen = &generation{dead: make(chan struct{})}
}

// Reboot starts the machine again. VFs, eswitch and steering modes, offload
// features, bindings, admin MACs and bonds are lost; files and the host's own
// network configuration stay; pods are gone until they are assigned again. It
// returns when the units that AtBoot runs have ended.
func (k *Kernel) Reboot() {
	k.reset()
	k.startUnits()
}

func (k *Kernel) reset() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stop()
	k.gen = &generation{dead: make(chan struct{})}
	k.pods.owners = map[string]string{}
	k.boot()
}

// Close switches the machine off: timers stop, subscriptions end, handles die.
func (k *Kernel) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return
	}
	k.closed = true
	k.epoch++
	k.stop()
}

func (k *Kernel) endGeneration() {
	if !k.gen.ended() {
		close(k.gen.dead)
	}
	k.crash = nil
}

// stop ends everything that is under way in the machine.
func (k *Kernel) stop() {
	k.endGeneration()
	close(k.off)
	for s := range k.subscribers {
		k.drop(s)
	}
	for t := range k.timers {
		t.Stop()
	}
	clear(k.timers)
	k.settled()
}

// later runs f with the lock held after d, unless the machine is rebooted or
// closed first; with d zero it runs f at once.
func (k *Kernel) later(d time.Duration, f func()) {
	if d <= 0 {
		// what the kernel does on its own is nobody's operation
		counted := k.counted
		k.counted = false
		f()
		k.counted = counted
		return
	}
	epoch := k.epoch
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.timers, t)
		if k.epoch == epoch {
			f()
			k.settled()
		}
	})
	k.timers[t] = struct{}{}
}

// bootID is the same for the same number of boots.
func (k *Kernel) bootID() string {
	return fmt.Sprintf("5b0075a1-0000-4000-8000-%012x", k.boots)
}

// logLines is how much of its log the kernel keeps.
const logLines = 2000

// printk adds a line to the kernel log as dev_printk does: driver, device, text.
func (k *Kernel) printk(fn *function, format string, args ...any) {
	by := fn.driver
	if by == "" {
		by = "pci"
	}
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		k.log = append(k.log, fmt.Sprintf("%s %s: %s", by, fn.address, line))
	}
	if len(k.log) > 2*logLines {
		k.log = append([]string(nil), k.log[len(k.log)-logLines:]...)
	}
}

// Settle returns when nothing is under way any more: VFs, netdevs, carriers and
// LAGs have arrived.
func (k *Kernel) Settle() {
	for {
		k.mu.Lock()
		idle := k.idle
		if len(k.timers) == 0 {
			k.mu.Unlock()
			return
		}
		if idle == nil {
			idle = make(chan struct{})
			k.idle = idle
		}
		k.mu.Unlock()
		<-idle
	}
}

// settled tells those who wait in Settle. Called with the lock held whenever
// timers became fewer.
func (k *Kernel) settled() {
	if len(k.timers) == 0 && k.idle != nil {
		close(k.idle)
		k.idle = nil
	}
}
