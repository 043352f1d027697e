package counting_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/test/counting"
)

func TestResource(t *testing.T) {
	for path, want := range map[string]string{
		"/api/v1/nodes":                            "nodes",
		"/api/v1/nodes/n1":                         "nodes",
		"/api/v1/nodes/n1/status":                  "nodes/status",
		"/api/v1/namespaces/ns/configmaps":         "configmaps",
		"/api/v1/namespaces/ns/configmaps/c":       "configmaps",
		"/api/v1/namespaces/ns":                    "namespaces",
		"/api/v1/namespaces/ns/status":             "namespaces/status",
		"/apis/g.io/v1/namespaces/ns/things/t":     "things",
		"/apis/g.io/v1/namespaces/ns/things/t/sub": "things/sub",
		"/apis/g.io/v1/things":                     "things",
		"/apis/g.io/v1":                            "/apis/g.io/v1",
		"/healthz":                                 "/healthz",
	} {
		if got := counting.Resource(path); got != want {
			t.Errorf("Resource(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestRequests(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	var requests counting.Requests
	client := &http.Client{Transport: requests.Wrap(http.DefaultTransport)}
	send := func(method, path string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
	}
	send(http.MethodPatch, "/api/v1/nodes/n1")
	send(http.MethodPatch, "/api/v1/nodes/n2")
	send(http.MethodGet, "/api/v1/nodes?watch=true")
	send(http.MethodGet, "/api/v1/nodes/n1")
	send(http.MethodPut, "/apis/coordination.k8s.io/v1/namespaces/ns/leases/l")
	if diff := cmp.Diff(map[string]int{"patch nodes": 2}, requests.Writes()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"patch nodes": 2, "watch nodes": 1, "get nodes": 1}, requests.All()); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"update leases": 1}, requests.Leases()); diff != "" {
		t.Errorf("leases (-want +got):\n%s", diff)
	}
	requests.Reset()
	if diff := cmp.Diff(map[string]int{}, requests.All()); diff != "" {
		t.Errorf("after Reset (-want +got):\n%s", diff)
	}
}
