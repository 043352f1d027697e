package manager_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/manager"
	"github.com/sriov-offload/sriov-offload-operator/test/counting"
)

// availability counts, at every event of every node, how many nodes of each pool
// take no pods. Events of one watch are in the order of the changes.
type availability struct {
	mu     sync.Mutex
	limits map[string]int             // by pool
	down   map[string]map[string]bool // nodes by pool
	most   map[string]int
	broken []string
}

func (a *availability) see(_ context.Context, e watch.Event) {
	n, ok := e.Object.(*corev1.Node)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	pool := n.Labels["pool"]
	if a.down[pool] == nil {
		a.down[pool] = map[string]bool{}
	}
	delete(a.down[pool], n.Name)
	if n.Spec.Unschedulable && e.Type != watch.Deleted {
		a.down[pool][n.Name] = true
	}
	down := len(a.down[pool])
	a.most[pool] = max(a.most[pool], down)
	if down > a.limits[pool] {
		a.broken = append(a.broken, fmt.Sprintf("%d nodes of pool %q are unavailable, %d may be", down, pool, a.limits[pool]))
	}
}

// busiest is how many nodes were unavailable at once, by pool.
func (a *availability) busiest() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.most)
}

func (a *availability) left() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var left []string
	for _, nodes := range a.down {
		left = slices.AppendSeq(left, maps.Keys(nodes))
	}
	return left
}

// watchAvailability checks the limits of pools until the spec ends.
func (d *drained) watchAvailability(ctx context.Context, limits map[string]int) *availability {
	GinkgoHelper()
	a := &availability{limits: limits, down: map[string]map[string]bool{}, most: map[string]int{}}
	d.follow(ctx, &corev1.NodeList{}, "", a.see)
	DeferCleanup(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		Expect(a.broken).To(BeEmpty())
	})
	return a
}

// inParallel calls f for 0 to n-1, a few at a time.
func inParallel(n int, f func(i int)) {
	GinkgoHelper()
	var running sync.WaitGroup
	var next atomic.Int64
	for range 8 {
		running.Go(func() {
			defer GinkgoRecover()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	running.Wait()
}

// mortal is a manager that dies in the middle of what it does: from a request on,
// which may still have arrived, nothing that it sends arrives any more.
type mortal struct {
	left atomic.Int64
	died chan struct{}
	once *sync.Once
}

var errDead = errors.New("the manager is dead")

func (m *mortal) wrap(next http.RoundTripper) http.RoundTripper {
	return transport(func(req *http.Request) (*http.Response, error) {
		if counting.Verb(req) == "get" || counting.Verb(req) == "watch" {
			return next.RoundTrip(req)
		}
		switch left := m.left.Add(-1); {
		case left > 0:
			return next.RoundTrip(req)
		case left == 0:
			if req.Method == http.MethodPatch || req.Method == http.MethodPost {
				if answer, err := next.RoundTrip(req); err == nil {
					_ = answer.Body.Close() // nobody reads it
				}
			}
			m.once.Do(func() { close(m.died) })
		}
		return nil, errDead
	})
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

var _ = Describe("The drains of a fleet", func() {
	It("of 500 nodes never make more unavailable than may be, converge, and cost few requests", func(ctx SpecContext) {
		const size = 500
		d := newDrained(ctx, newCluster(ctx))
		tenth := intstr.FromString("10%")
		limited := func(s *sriovv1.SriovNetworkPoolConfigSpec) { s.MaxUnavailable = &tenth }
		limits := map[string]int{"tenth": size / 10}
		name := func(i int) string { return fmt.Sprintf("node%03d", i) }
		d.create(ctx, drainPool("tenth", limited))
		for i := range size / 25 {
			pool := fmt.Sprintf("pool%02d", i)
			d.create(ctx, drainPool(pool, limited))
			limits[pool] = 2 // of 25
		}
		inParallel(size, func(i int) { d.ready(ctx, name(i), map[string]string{"pool": "tenth"}) })
		d.idle()
		seen := d.watchAvailability(ctx, limits)

		rollout := func(hash string) {
			d.requests.Reset()
			began := time.Now()
			inParallel(size, func(i int) {
				d.propose(ctx, name(i), plan(hash, sriovv1.DisruptionVFPods, d.pod(ctx, name(i), hash+"-"+name(i))))
			})
			Eventually(func() int { return d.without(ctx, size) }).WithTimeout(10 * time.Minute).WithPolling(250 * time.Millisecond).Should(Equal(size))
			Eventually(seen.left).WithTimeout(time.Minute).Should(BeEmpty())
			took := time.Since(began)
			d.idle()
			AddReportEntry("rollout "+hash, fmt.Sprintf("%s; most unavailable at once %v; requests of the manager per node: %s",
				took.Round(time.Second), seen.busiest(), perNode(d.requests.All(), size)))
			requests := 0
			for _, n := range d.requests.All() {
				requests += n
			}
			Expect(requests).To(BeNumerically("<", 40*size))
			Expect(d.requests.Writes()["create pods/eviction"]).To(Equal(size))
			Expect(d.requests.Writes()["patch nodes"]).To(BeNumerically("<=", 3*size))
			Expect(d.requests.Writes()["patch sriovnetworknodestates/status"]).To(BeNumerically("<=", 4*size))
		}
		rollout("one-pool")
		Expect(seen.busiest()["tenth"]).To(BeNumerically(">", 1))
		inParallel(size, func(i int) { relabel(ctx, name(i), map[string]any{"pool": fmt.Sprintf("pool%02d", i/25)}) })
		rollout("pools-of-25")
	})

	It("converge when the manager is killed at any time, and leave no node cordoned that was not before", func(ctx SpecContext) {
		const size = 24
		seed := uint64(GinkgoRandomSeed())
		random := rand.New(rand.NewPCG(seed, seed))
		d := newDrained(ctx, newCluster(ctx))
		quarter := intstr.FromString("25%")
		d.create(ctx, drainPool("a", func(s *sriovv1.SriovNetworkPoolConfigSpec) { s.MaxUnavailable = &quarter }))
		name := func(i int) string { return fmt.Sprintf("node%02d", i) }
		inParallel(size, func(i int) { d.ready(ctx, name(i), map[string]string{"pool": "a"}) })
		seen := d.watchAvailability(ctx, map[string]int{"a": size / 4})
		cordon(ctx, name(7), true)
		d.stop()
		for i := range size {
			d.propose(ctx, name(i), plan("h1", sriovv1.DisruptionVFPods, d.pod(ctx, name(i), "h1-"+name(i))))
		}

		deaths := 0
		for ; d.without(ctx, size) < size && deaths < 60; deaths++ {
			d.liveFor(ctx, 1+random.Int64N(12))
		}
		AddReportEntry("deaths of the manager", deaths)
		Expect(deaths).To(BeNumerically(">=", 5))
		d.start(ctx)
		Eventually(func() int { return d.without(ctx, size) }).WithTimeout(5 * time.Minute).Should(Equal(size))
		Eventually(seen.left).WithTimeout(time.Minute).Should(Equal([]string{name(7)}))
		for i := range size {
			if i != 7 {
				Eventually(schedulable(ctx, name(i))).Should(BeTrue(), name(i))
			}
			Eventually(d.answer(ctx, name(i))).Should(HavePrefix(sriovv1.ReasonDrainNotNeeded))
		}
		Expect(d.gone()).To(HaveLen(size))
	})
})

// liveFor runs a manager until it has written so often, or has nothing to do.
func (d *drained) liveFor(ctx context.Context, writes int64) {
	GinkgoHelper()
	m := &mortal{died: make(chan struct{}), once: &sync.Once{}}
	m.left.Store(writes)
	o := d.options
	o.Config = rest.CopyConfig(o.Config)
	o.Config.Wrap(m.wrap)
	ctx, cancel := context.WithCancel(log.IntoContext(context.WithoutCancel(ctx), log.Log.WithValues("operator", d.namespace)))
	done := make(chan error, 1)
	go func() {
		defer GinkgoRecover()
		done <- manager.Run(ctx, o)
	}()
	Eventually(func() bool {
		select {
		case <-m.died:
			return true
		default:
			return d.without(ctx, 0) == d.count(ctx)
		}
	}).WithTimeout(2 * time.Minute).Should(BeTrue())
	cancel()
	Eventually(done).WithTimeout(time.Minute).Should(Receive())
}

func (d *drained) count(ctx context.Context) int {
	GinkgoHelper()
	return len(d.states(ctx))
}

func (d *drained) states(ctx context.Context) []sriovv1.SriovNetworkNodeState {
	GinkgoHelper()
	list := &sriovv1.SriovNetworkNodeStateList{}
	Expect(c.List(ctx, list, client.InNamespace(d.namespace))).To(Succeed())
	return list.Items
}

// without is how many nodes have no plan any more.
func (d *drained) without(ctx context.Context, atLeast int) int {
	GinkgoHelper()
	all := d.states(ctx)
	Expect(len(all)).To(BeNumerically(">=", atLeast))
	n := 0
	for i := range all {
		if all[i].Status.Plan == nil {
			n++
		}
	}
	return n
}

// perNode are requests divided by nodes, as text.
func perNode(requests map[string]int, nodes int) string {
	var parts []string
	total := 0
	for _, key := range slices.Sorted(maps.Keys(requests)) {
		total += requests[key]
		parts = append(parts, fmt.Sprintf("%s %.1f", key, float64(requests[key])/float64(nodes)))
	}
	return fmt.Sprintf("%.1f %v", float64(total)/float64(nodes), parts)
}
