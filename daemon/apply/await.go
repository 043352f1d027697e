package apply

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/failure"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// How often a fact is looked at while waiting for it: not before minGap has
// passed, then at the next event, and at growing intervals in case none comes.
const (
	minGap   = 10 * time.Millisecond
	firstGap = 40 * time.Millisecond
	maxGap   = time.Second
)

// watcher wakes everybody who waits for a fact when something changes.
type watcher struct {
	mu      sync.Mutex
	changed chan struct{}
}

// newWatcher follows the events until ctx ends. Without events, waiting polls.
func newWatcher(ctx context.Context, events host.Events) *watcher {
	w := &watcher{changed: make(chan struct{})}
	stream, err := events.Subscribe(ctx)
	if err != nil {
		return w
	}
	go func() {
		for range stream {
			w.wake()
		}
	}()
	return w
}

func (w *watcher) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
}

// next is closed at the next change.
func (w *watcher) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changed
}

// fault is a failure without an errno of the kernel.
type fault struct {
	kind failure.Fault
	text string
	err  error
}

func (f *fault) Error() string {
	if f.err != nil {
		return fmt.Sprintf("%s: %v", f.text, f.err)
	}
	return f.text
}

func (f *fault) Unwrap() error { return f.err }

func faultf(kind failure.Fault, format string, args ...any) error {
	return &fault{kind: kind, text: fmt.Sprintf(format, args...)}
}

// await returns when done says so. An error of done ends it; the end of ctx is a
// fault that says what was missing.
func (r *runner) await(ctx context.Context, what string, done func(context.Context) (bool, error)) error {
	return r.awaitEvery(ctx, maxGap, what, done)
}

// awaitEvery is await for a fact that no event tells: it is looked at as often as
// most says.
func (r *runner) awaitEvery(ctx context.Context, most time.Duration, what string, done func(context.Context) (bool, error)) error {
	for gap := firstGap; ; gap = min(2*gap, most) {
		changed := r.watch.next()
		ok, err := done(ctx)
		if err == nil && ok {
			return nil
		}
		if err == nil || ctx.Err() != nil {
			err = pause(ctx, changed, gap)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return &fault{kind: failure.FaultTimeout, text: "waiting for " + what, err: err}
		}
		if err != nil {
			return err
		}
	}
}

// pause waits for a change, at least minGap and at most gap.
func pause(ctx context.Context, changed <-chan struct{}, gap time.Duration) error {
	least := time.NewTimer(minGap)
	defer least.Stop()
	select {
	case <-least.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	most := time.NewTimer(gap - minGap)
	defer most.Stop()
	select {
	case <-changed:
	case <-most.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
