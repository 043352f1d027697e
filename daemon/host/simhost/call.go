package simhost

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// ErrCrashed is what a dead caller gets from every operation.
var ErrCrashed = errors.New("the caller has crashed")

// Ops counts the operations of counted callers, Admin's excluded.
type Ops struct {
	Reads, Writes int
	// ByKind counts by door and method, e.g. "fs.ReadFile".
	ByKind map[string]int
}

// Total is the number of all operations.
func (o Ops) Total() int { return o.Reads + o.Writes }

// Fault makes operations fail or last longer.
type Fault struct {
	// Op is a pattern for "<door>.<method> <object>[ = <value>]" in which *
	// stands for any text: "fs.WriteFile */sriov_numvfs = 3",
	// "devlink.SetEswitchMode pci/0000:3b:00.0*", "links.SetMTU ens1 = *",
	// "ethtool.SetFeature ens1/hw-tc-offload = true", "pods.*", "store.Save*".
	Op string
	// Nth is the first matching operation that is hit, from 1; 0 means 1.
	Nth int
	// Times is how many are hit from there; 0 means 1, negative means all.
	Times int
	// Errno refuses the operation, which then has no effect. 0 lets it through.
	Errno syscall.Errno
	// Text is the extended acknowledgement that comes with Errno.
	Text string
	// Log is a line that the kernel logs about the device of the operation.
	Log string
	// Delay is how long the operation takes longer. A write that is given up
	// by its caller still takes effect when the delay is over, and until then
	// holds the lock that it took.
	Delay time.Duration
}

type fault struct {
	Fault
	seen, hit int
}

// CrashWhen refines where a caller crashes.
type CrashWhen int

const (
	// BeforeEffect crashes just before the operation takes effect.
	BeforeEffect CrashWhen = iota
	// CountWrites counts only the operations that change something.
	CountWrites
)

type crashPoint struct {
	left           int
	before, writes bool
}

// handle is a caller's access to the machine.
type handle struct {
	k     *Kernel
	gen   *generation
	admin bool
}

func (h *handle) host() host.Host {
	return host.Host{
		FS:      fsDoor{h},
		Files:   filesDoor{h},
		Devlink: devlinkDoor{h},
		Links:   linksDoor{h},
		Bonds:   bondsDoor{h},
		Ethtool: ethtoolDoor{h},
		Events:  eventsDoor{h},
		Pods:    podsDoor{h},
		Log:     logDoor{h},
		OVS:     ovsDoor{h},
		VDPA:    vdpaDoor{h},

		NetworkManager: networkManagerDoor{h},
		Systemd:        systemdDoor{h},
		Probes:         probesDoor{h},
		Machine:        machineDoor{h},
		Power:          powerDoor{h},
		RDMA:           rdmaDoor{h},
	}
}

// call describes one operation.
type call struct {
	// kind is door and method, object what it is about, value what is written.
	kind, object, value string
	write               bool
	// words and device go into host.Error.
	words, device string
	// takes is how long the kernel needs.
	takes time.Duration
	// lock is the PCI function whose lock the kernel takes for the operation,
	// allLocks for those of all one after the other, empty for none.
	lock string
}

const allLocks = "*"

func (c *call) key() string {
	if !c.write {
		return c.kind + " " + c.object
	}
	return c.kind + " " + c.object + " = " + c.value
}

// refusal is the kernel saying no.
type refusal struct {
	errno syscall.Errno
	text  string
}

func (r refusal) Error() string { return r.errno.Error() }

// refuse returns nil for errno 0.
func refuse(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return refusal{errno: errno}
}

// fail turns an internal error into what callers see.
func (c *call) fail(err error) error {
	if err == nil {
		return nil
	}
	out := &host.Error{Op: c.words, Object: c.device}
	if r, ok := errors.AsType[refusal](err); ok {
		out.Errno, out.Text = r.errno, r.text
		return out
	}
	out.Err = err
	return out
}

// fate is what was decided about an operation when it was admitted.
type fate struct {
	fault *Fault
	// crash: the caller dies when the operation ends; lost: before its effect.
	crash, lost bool
	delay       time.Duration
}

// admit counts an operation and decides what will become of it.
func (h *handle) admit(ctx context.Context, c *call) (fate, error) {
	if h.k.closed {
		return fate{}, ErrCrashed
	}
	if h.admin {
		return fate{}, context.Cause(ctx)
	}
	if h.gen.ended() {
		return fate{}, ErrCrashed
	}
	if ctx.Err() != nil {
		return fate{}, context.Cause(ctx)
	}
	k := h.k
	k.count(c)
	var f fate
	if p := k.crash; p != nil && (c.write || !p.writes) {
		p.left--
		f.crash, f.lost = p.left == 0, p.left == 0 && p.before
	}
	f.fault = k.faultFor(c)
	if f.fault != nil {
		f.delay = f.fault.Delay
	}
	return f, nil
}

func (k *Kernel) count(c *call) {
	if c.write {
		k.ops.Writes++
	} else {
		k.ops.Reads++
	}
	if k.ops.ByKind == nil {
		k.ops.ByKind = map[string]int{}
	}
	k.ops.ByKind[c.kind]++
}

func (k *Kernel) faultFor(c *call) *Fault {
	if len(k.faults) == 0 {
		return nil
	}
	key := c.key()
	for _, f := range k.faults {
		if !matches(f.Op, key) {
			continue
		}
		f.seen++
		if f.seen < max(f.Nth, 1) {
			continue
		}
		if f.Times >= 0 && f.hit >= max(f.Times, 1) {
			continue
		}
		f.hit++
		return &f.Fault
	}
	return nil
}

// matches tells whether text fits a pattern in which * stands for any text.
func matches(pattern, text string) bool {
	first, rest, found := strings.Cut(pattern, "*")
	if !found {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, first)
	if !ok {
		return false
	}
	parts := strings.Split(rest, "*")
	last := parts[len(parts)-1]
	for _, p := range parts[:len(parts)-1] {
		i := strings.Index(text, p)
		if i < 0 {
			return false
		}
		text = text[i+len(p):]
	}
	return strings.HasSuffix(text, last)
}

// run executes one operation: effect is called with the machine's lock held.
func run[T any](ctx context.Context, h *handle, c call, effect func() (T, error)) (T, error) {
	var zero T
	k := h.k
	k.mu.Lock()
	f, err := h.admit(ctx, &c)
	if err == nil {
		err = h.await(ctx, &c, f)
	}
	if err != nil {
		k.mu.Unlock()
		return zero, c.fail(err)
	}
	act := func() (T, error) { return perform(h, &c, f, effect) }
	wait := f.delay + c.takes
	if h.admin {
		wait = c.takes
	}
	if wait <= 0 || f.lost {
		v, err := act()
		k.mu.Unlock()
		return v, c.fail(err)
	}
	type outcome struct {
		v   T
		err error
	}
	done := make(chan outcome, 1)
	release := k.take(&c)
	k.later(wait, func() {
		v, err := act()
		release()
		done <- outcome{v, err}
	})
	dead := h.dead()
	k.mu.Unlock()
	select {
	case o := <-done:
		return o.v, c.fail(o.err)
	case <-ctx.Done():
		return zero, c.fail(context.Cause(ctx))
	case <-dead:
		return zero, c.fail(ErrCrashed)
	}
}

// dead is closed when the handle is of no use any more. Called with the lock held.
func (h *handle) dead() <-chan struct{} {
	if h.admin {
		return h.k.off
	}
	return h.gen.dead
}

// take gives a write the lock of its function until the returned func is called.
// Reads take it too, in a kernel, and are not modelled as holding it.
func (k *Kernel) take(c *call) (release func()) {
	if !c.write || c.lock == "" {
		return func() {}
	}
	held := make(chan struct{})
	k.held[c.lock] = held
	return func() {
		delete(k.held, c.lock)
		close(held)
	}
}

// await returns when nobody holds the lock that an operation needs. It is called,
// and returns, with the machine's lock held.
func (h *handle) await(ctx context.Context, c *call, f fate) error {
	k := h.k
	for {
		held := k.holder(c.lock)
		if held == nil {
			return nil
		}
		dead := h.dead()
		k.mu.Unlock()
		var err error
		select {
		case <-held:
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-dead:
			err = ErrCrashed
		}
		k.mu.Lock()
		if err == nil {
			continue
		}
		// An operation that was to be the caller's last is, done or not.
		if f.crash && !h.gen.ended() {
			k.endGeneration()
			err = ErrCrashed
		}
		return err
	}
}

// holder returns what is closed when the holder of a lock has released it, nil
// when the lock is free.
func (k *Kernel) holder(lock string) <-chan struct{} {
	if lock != allLocks {
		return k.held[lock]
	}
	for _, held := range k.held {
		return held
	}
	return nil
}

// perform is the moment of an operation's effect.
func perform[T any](h *handle, c *call, f fate, effect func() (T, error)) (T, error) {
	var v T
	k := h.k
	if f.lost {
		k.endGeneration()
		return v, ErrCrashed
	}
	if f.fault != nil && f.fault.Log != "" {
		about := c.device
		// A function whose address is written to a driver's file.
		if k.functions[c.value] != nil {
			about = c.value
		}
		k.logAbout(about, f.fault.Log)
	}
	var err error
	if f.fault != nil && f.fault.Errno != 0 {
		err = refusal{errno: f.fault.Errno, text: f.fault.Text}
	} else {
		k.counted = !h.admin
		v, err = effect()
		k.counted = false
	}
	if f.crash {
		k.endGeneration()
		var zero T
		return zero, ErrCrashed
	}
	return v, err
}

// logAbout logs a line on the function that a call names: by address, or by
// the name of its netdev.
func (k *Kernel) logAbout(device, text string) {
	fn := k.functions[device]
	if l := k.links.byName[device]; fn == nil && l != nil {
		fn = l.fn
	}
	if fn != nil {
		k.printk(fn, "%s", text)
		return
	}
	k.log = append(k.log, device+": "+text)
}

// forbid notes that a counted caller tried what it should have known to be
// wrong. Injected failures never come here.
func (k *Kernel) forbid(what string) {
	if k.counted {
		k.forbidden = append(k.forbidden, what)
	}
}

// Fail injects a fault. Faults apply in the order in which they were given;
// the first that fits an operation decides it.
func (k *Kernel) Fail(f Fault) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.faults = append(k.faults, &fault{Fault: f})
}

// ClearFaults removes all injected faults.
func (k *Kernel) ClearFaults() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.faults = nil
}

// CrashAfter lets the n-th further operation (from 1) be the caller's last:
// it takes effect, but the caller never learns of it. All handles die; a write
// that other goroutines of the caller already wait for still takes effect, as
// in a kernel. Zero or less disarms.
func (k *Kernel) CrashAfter(n int, when ...CrashWhen) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.crash = nil
	if n <= 0 {
		return
	}
	p := &crashPoint{left: n}
	for _, w := range when {
		switch w {
		case BeforeEffect:
			p.before = true
		case CountWrites:
			p.writes = true
		}
	}
	k.crash = p
}

// Crashed tells that the caller is dead and waits for Restart.
func (k *Kernel) Crashed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.gen.ended()
}

// Ops returns the number of operations since New or ResetOps.
func (k *Kernel) Ops() Ops {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := k.ops
	out.ByKind = make(map[string]int, len(k.ops.ByKind))
	for kind, n := range k.ops.ByKind {
		out.ByKind[kind] = n
	}
	return out
}

// ResetOps sets the counters to zero.
func (k *Kernel) ResetOps() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ops = Ops{}
}

// Forbidden lists every operation tried so far that a caller that knows the
// kernel's rules does not try, in order. Operations that failed only by
// injection are not in it.
func (k *Kernel) Forbidden() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.forbidden...)
}

// Store keeps one file on the machine's disk: it survives crash and reboot.
// It satisfies ledger.Store.
type Store struct{ h *handle }

// Store returns the ledger's file, for the living caller as Host does. Its
// operations count as the caller's.
func (k *Kernel) Store() *Store {
	k.mu.Lock()
	defer k.mu.Unlock()
	return &Store{h: &handle{k: k, gen: k.gen}}
}

const storeFile = "ledger"

// Load returns what was saved last, or fs.ErrNotExist.
func (s *Store) Load(ctx context.Context) ([]byte, error) {
	c := call{kind: "store.Load", object: storeFile, words: "reading", device: storeFile}
	return run(ctx, s.h, c, func() ([]byte, error) {
		data, ok := s.h.k.stored[storeFile]
		if !ok {
			return nil, refuse(syscall.ENOENT)
		}
		return append([]byte(nil), data...), nil
	})
}

// Save replaces the file, all or nothing.
func (s *Store) Save(ctx context.Context, data []byte) error {
	c := call{kind: "store.Save", object: storeFile, write: true, words: "writing", device: storeFile}
	_, err := run(ctx, s.h, c, func() (struct{}, error) {
		s.h.k.stored[storeFile] = append([]byte(nil), data...)
		return struct{}{}, nil
	})
	return err
}

// Delete removes the file.
func (s *Store) Delete(ctx context.Context) error {
	c := call{kind: "store.Delete", object: storeFile, write: true, words: "removing", device: storeFile}
	_, err := run(ctx, s.h, c, func() (struct{}, error) {
		delete(s.h.k.stored, storeFile)
		return struct{}{}, nil
	})
	return err
}
