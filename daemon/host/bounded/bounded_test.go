package bounded_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/bounded"
)

type resource struct{ closed *atomic.Int32 }

func (r resource) Close() error { r.closed.Add(1); return nil }

func TestReturns(t *testing.T) {
	var calls bounded.Calls
	refused := errors.New("refused")
	got, err := bounded.Do(t.Context(), &calls, "device", func() (int, error) { return 7, refused })
	if got != 7 || !errors.Is(err, refused) {
		t.Errorf("Do = %d, %v", got, err)
	}
}

func TestEndedContext(t *testing.T) {
	var calls bounded.Calls
	var closed atomic.Int32
	reason := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	_, err := bounded.DoWith(ctx, &calls, "device", resource{&closed}, func(resource) (int, error) {
		t.Error("f has run")
		return 0, nil
	})
	if !errors.Is(err, reason) || closed.Load() != 1 {
		t.Errorf("DoWith = %v, resource closed %d times", err, closed.Load())
	}
}

// TestAbandoned leaves a call that takes five minutes, as a driver may, after
// one: until it returns others on the same device are refused, on other devices
// not, and its resource stays open.
func TestAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls bounded.Calls
		var closed atomic.Int32
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		_, err := bounded.DoWith(ctx, &calls, "0000:3b:00.0", resource{&closed}, func(resource) (int, error) {
			<-time.After(5 * time.Minute)
			return 1, nil
		})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if closed.Load() != 0 {
			t.Error("the resource was closed under the running call")
		}
		quick := func() (int, error) { return 2, nil }
		if _, err := bounded.Do(t.Context(), &calls, "0000:3b:00.0", quick); !errors.Is(err, bounded.ErrPending) {
			t.Errorf("the same device: %v, want ErrPending", err)
		}
		if got, err := bounded.Do(t.Context(), &calls, "0000:3b:00.1", quick); got != 2 || err != nil {
			t.Errorf("another device: %d, %v", got, err)
		}
		<-time.After(4 * time.Minute)
		synctest.Wait()
		if closed.Load() != 1 {
			t.Errorf("the resource was closed %d times", closed.Load())
		}
		if got, err := bounded.Do(t.Context(), &calls, "0000:3b:00.0", quick); got != 2 || err != nil {
			t.Errorf("after it has returned: %d, %v", got, err)
		}
	})
}
