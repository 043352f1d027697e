package probes_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/probes"
)

// The API server is there while somebody listens, and asking for it ends with the
// context.
func TestAPIServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &probes.Client{Server: listener.Addr().String()}
	if err := c.APIServer(t.Context()); err != nil {
		t.Errorf("while it listens: %v", err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.APIServer(t.Context()); err == nil {
		t.Error("nobody listens, and there is no error")
	}
	if err := (&probes.Client{}).APIServer(t.Context()); err == nil {
		t.Error("the address is not known, and there is no error")
	}
	// TEST-NET-1 has nobody; whatever a network makes of it, it ends.
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = (&probes.Client{Server: "192.0.2.1:6443"}).APIServer(short)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("a connection that does not come about outlives its context")
	}
}

func TestServerOf(t *testing.T) {
	for configured, want := range map[string]string{
		"https://10.96.0.1:443":          "10.96.0.1:443",
		"https://api.example.com":        "api.example.com:443",
		"http://localhost":               "localhost:80",
		"https://[2001:db8::1]:6443/k8s": "[2001:db8::1]:6443",
		"127.0.0.1:8080":                 "127.0.0.1:8080",
		"":                               "",
		"https://":                       "",
		"://":                            "",
	} {
		got, err := probes.ServerOf(configured)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("ServerOf(%q) = %q, %v", configured, got, err)
		}
	}
}
