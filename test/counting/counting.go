package counting

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
)

// leases is the resource of leader election, whose renewals are counted apart.
const leases = "leases"

// Requests counts requests. The zero value is ready for use, and safe for
// concurrent use.
type Requests struct {
	mu     sync.Mutex
	counts map[string]int
}

// Wrap returns a transport that counts and passes on to next.
func (r *Requests) Wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		r.add(Verb(req) + " " + Resource(req.URL.Path))
		return next.RoundTrip(req)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func (r *Requests) add(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = map[string]int{}
	}
	r.counts[key]++
}

// Reset starts counting from zero.
func (r *Requests) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts = nil
}

// Writes returns the number of requests that change something, as
// "patch sriovnetworknodestates/status": 3, without those for leases.
func (r *Requests) Writes() map[string]int {
	return r.where(func(verb, resource string) bool { return writes(verb) && resource != leases })
}

// Leases returns the number of requests for leases.
func (r *Requests) Leases() map[string]int {
	return r.where(func(_, resource string) bool { return resource == leases })
}

// All returns the number of all requests but those for leases.
func (r *Requests) All() map[string]int {
	return r.where(func(_, resource string) bool { return resource != leases })
}

func (r *Requests) where(keep func(verb, resource string) bool) map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := maps.Clone(r.counts)
	maps.DeleteFunc(out, func(key string, _ int) bool {
		verb, resource, _ := strings.Cut(key, " ")
		return !keep(verb, resource)
	})
	if out == nil {
		out = map[string]int{}
	}
	return out
}

func writes(verb string) bool {
	switch verb {
	case "get", "watch", "options", "head":
		return false
	}
	return true
}

// Verb is create, update, patch, delete, watch, or get for lists too.
func Verb(req *http.Request) string {
	switch req.Method {
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodGet:
		if w := req.URL.Query().Get("watch"); w == "true" || w == "1" {
			return "watch"
		}
	}
	return strings.ToLower(req.Method)
}

// Resource is the plural name, with the subresource if there is one, of the
// resource that a request path of the API is for; a path that is for none comes
// back as it is.
func Resource(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api": // api/VERSION/...
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis": // apis/GROUP/VERSION/...
		parts = parts[3:]
	default:
		return path
	}
	if len(parts) > 2 && parts[0] == "namespaces" && parts[2] != "status" && parts[2] != "finalize" {
		parts = parts[2:]
	}
	if len(parts) > 2 { // RESOURCE/NAME/SUBRESOURCE
		return fmt.Sprintf("%s/%s", parts[0], parts[2])
	}
	return parts[0]
}
