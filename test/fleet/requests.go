package fleet

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"

	"k8s.io/client-go/rest"
)

// Requests counts what components send to the API server, apart from watches.
type Requests struct {
	mu   sync.Mutex
	sent map[string]int
}

// Config returns a copy of config whose requests are counted for a component.
func (r *Requests) Config(config *rest.Config, component string) *rest.Config {
	counted := rest.CopyConfig(config)
	counted.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return counter{requests: r, component: component, next: next}
	})
	return counted
}

// Reset forgets everything counted so far.
func (r *Requests) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = nil
}

// Writes returns how often each write was sent, as "component VERB path".
func (r *Requests) Writes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, key := range slices.Sorted(maps.Keys(r.sent)) {
		out = append(out, fmt.Sprintf("%s x%d", key, r.sent[key]))
	}
	return out
}

func (r *Requests) count(component string, req *http.Request) {
	if req.Method == http.MethodGet {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sent == nil {
		r.sent = map[string]int{}
	}
	r.sent[fmt.Sprintf("%s %s %s", component, req.Method, req.URL.Path)]++
}

type counter struct {
	requests  *Requests
	component string
	next      http.RoundTripper
}

// RoundTrip counts the request and sends it on.
func (c counter) RoundTrip(req *http.Request) (*http.Response, error) {
	c.requests.count(c.component, req)
	return c.next.RoundTrip(req)
}
