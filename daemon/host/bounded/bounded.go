package bounded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrPending refuses a call on an object of which an abandoned call has not
// returned yet: it would only wait for the same lock and hold another thread.
var ErrPending = errors.New("an earlier call has not returned from the kernel yet")

// Calls are the calls of one door. The zero value is ready for use.
type Calls struct {
	mu sync.Mutex
	// abandoned counts, by object, the calls that are in the kernel and whose
	// callers have left.
	abandoned map[string]int
}

// Do runs f and returns its result, or an error as soon as the context ends. In
// that case f goes on in a goroutine of its own until the kernel returns, its
// result is lost, and until then other calls on the object are refused.
func Do[T any](ctx context.Context, c *Calls, object string, f func() (T, error)) (T, error) {
	return DoWith(ctx, c, object, nothing{}, func(nothing) (T, error) { return f() })
}

// DoWith is Do with a resource that belongs to the call: it is closed when f has
// returned, or when f is not run at all.
func DoWith[T any, R io.Closer](ctx context.Context, c *Calls, object string, r R, f func(R) (T, error)) (T, error) {
	var zero T
	if err := c.refuse(ctx, object); err != nil {
		_ = r.Close()
		return zero, err
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := f(r)
		_ = r.Close()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		c.add(object, 1)
		go func() {
			<-done
			c.add(object, -1)
		}()
		return zero, fmt.Errorf("the kernel has not returned: %w", context.Cause(ctx))
	}
}

// nothing is the resource of a call without one.
type nothing struct{}

func (nothing) Close() error { return nil }

// refuse tells why a call must not begin.
func (c *Calls) refuse(ctx context.Context, object string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.abandoned[object] > 0 {
		return ErrPending
	}
	return nil
}

func (c *Calls) add(object string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.abandoned == nil {
		c.abandoned = map[string]int{}
	}
	c.abandoned[object] += n
	if c.abandoned[object] == 0 {
		delete(c.abandoned, object)
	}
}
