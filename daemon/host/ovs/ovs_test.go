package ovs_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/hosttest"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/ovs"
)

// The rules that the simulated machine follows are those of a real Open vSwitch.
func TestConformance(t *testing.T) {
	around := func(t *testing.T, f func(*testing.T)) { f(t) }
	hosttest.OVS(t, around, func(t *testing.T) hosttest.OVSMachine { return startServer(t).machine() })
}

// Transactions that come between our reading and our writing are not lost.
func TestOthersAtTheSameTime(t *testing.T) {
	s := startServer(t)
	client := s.client()
	want := func(i int) host.OVSWant {
		return host.OVSWant{
			Name: fmt.Sprintf("br%d", i), Owner: fmt.Sprintf("0000:5f:00.%d", i), DatapathType: "dummy",
			Uplink: host.OVSInterface{Name: fmt.Sprintf("p%d", i), Type: "dummy"},
		}
	}
	const writers = 4
	errs := make([]error, writers+1)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() { errs[i] = client.EnsureBridge(t.Context(), want(i)) })
	}
	wg.Wait()
	for i := range writers {
		wg.Go(func() {
			changed := want(i)
			changed.ExternalIDs = map[string]string{"ours": "1"}
			errs[i] = errors.Join(errs[i], client.EnsureBridge(t.Context(), changed))
		})
	}
	wg.Go(func() {
		for n := range 10 {
			errs[writers] = errors.Join(errs[writers], s.vsctl("--no-wait", "set", "bridge", "br0", fmt.Sprintf("external_ids:n%d=1", n)))
		}
	})
	wg.Wait()
	found, err := client.Bridges(t.Context())
	if err := errors.Join(append(errs, err)...); err != nil {
		t.Fatal(err)
	}
	if len(found) != writers {
		t.Fatalf("%d bridges", len(found))
	}
	for i, b := range found {
		if len(b.Ports) != 1 || b.ExternalIDs["ours"] != "1" || b.Owner != want(i).Owner {
			t.Errorf("bridge %+v", b)
		}
	}
	if len(found[0].ExternalIDs) != 11 {
		t.Errorf("keys of others were lost: %v", found[0].ExternalIDs)
	}
}

// A server that was restarted is as good as new.
func TestRestart(t *testing.T) {
	s := startServer(t)
	client := s.client()
	want := host.OVSWant{Name: "br0", Owner: "0000:5f:00.0", DatapathType: "dummy", Uplink: host.OVSInterface{Name: "p0", Type: "dummy"}}
	if err := client.EnsureBridge(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	s.stop("ovsdb-server")
	if _, err := client.Bridges(t.Context()); !errors.Is(err, host.ErrOVSNotRunning) || !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), s.socket()) {
		t.Errorf("with a dead server: %v", err)
	}
	if err := os.Remove(s.socket()); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Bridges(t.Context()); !errors.Is(err, host.ErrOVSNotRunning) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a socket: %v", err)
	}
	s.start("ovsdb-server", s.dir+"/conf.db", "--remote=punix:"+s.socket())
	err := s.eventually(func() error { return client.EnsureBridge(t.Context(), want) })
	if found, listErr := client.Bridges(t.Context()); err != nil || listErr != nil || len(found) != 1 || found[0].Owner != want.Owner {
		t.Errorf("after the restart: %+v, %v, %v", found, err, listErr)
	}
}

// A server that accepts and never answers holds nobody.
func TestMute(t *testing.T) {
	dir, err := os.MkdirTemp("", "ovs")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	listener, err := net.Listen("unix", filepath.Join(dir, "db.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	client := &ovs.Client{Sockets: []string{filepath.Join(dir, "db.sock")}}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = client.Bridges(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "has not answered") {
		t.Errorf("error is %v", err)
	}
}

// What the database refuses is told in its words.
func TestRefused(t *testing.T) {
	s := startServer(t)
	err := s.client().EnsureBridge(t.Context(), host.OVSWant{Name: "br0", Owner: "0000:5f:00.0", FailMode: "open", Uplink: host.OVSInterface{Name: "p0"}})
	he, ok := errors.AsType[*host.Error](err)
	if !ok || !strings.Contains(he.Text, "constraint violation") || !strings.Contains(err.Error(), "open is not one of the allowed values") {
		t.Errorf("error is %v", err)
	}
}

// A database that nobody has initialized is not one without bridges.
func TestNotInitialized(t *testing.T) {
	s := startServer(t)
	s.stop("ovs-vswitchd")
	if err := s.vsctl("--no-wait", "--", "destroy", "Open_vSwitch", "."); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client().Bridges(t.Context()); err == nil || !strings.Contains(err.Error(), "not initialized") {
		t.Errorf("error is %v", err)
	}
}
