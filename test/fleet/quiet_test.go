package fleet_test

import (
	"context"
	"reflect"
	"time"

	. "github.com/onsi/gomega"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

// quiet waits until everything has settled, then forgets what was counted.
func quiet(ctx context.Context) {
	Eventually(notReady).WithContext(ctx).Should(BeEmpty())
	quietFor(time.Second)
	resetRequests()
}

func resetRequests() {
	for _, r := range requests {
		r.Reset()
	}
}

// writes counts, by component and resource, what was sent since the last reset.
func writes() map[string]int {
	out := map[string]int{}
	for component, r := range requests {
		for what, n := range r.Writes() {
			out[component+": "+what] = n
		}
	}
	return out
}

// quietFor waits until nothing has moved for d.
func quietFor(d time.Duration) {
	type picture struct {
		writes map[string]int
		ops    map[string]simhost.Ops
	}
	last := picture{}
	since := time.Now()
	Eventually(func(g Gomega) {
		now := picture{writes: writes(), ops: totalOps()}
		if !reflect.DeepEqual(last, now) {
			last, since = now, time.Now()
		}
		g.Expect(time.Since(since)).To(BeNumerically(">=", d))
	}).Should(Succeed())
}

func totalOps() map[string]simhost.Ops {
	out := map[string]simhost.Ops{}
	for name, k := range kernels {
		out[name] = k.Ops()
	}
	return out
}
