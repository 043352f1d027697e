//go:build vm

package daemon

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Ports of the two cards.
const (
	port10 = "0000:01:00.0"
	port11 = "0000:01:00.1"
	port20 = "0000:02:00.0"
	port21 = "0000:02:00.1"
)

func TestDaemon(t *testing.T) {
	for _, spec := range []struct {
		label string
		run   func(*testing.T)
	}{
		{"a legacy policy: VFs, a group on vfio-pci, MTU; and back", legacy},
		{"drift: VFs that somebody removed come back", drift},
		{"killed at any moment, the daemon comes to the same end", killed},
		{"switchdev mode on a NIC that is not on PCI, and back", switchdev},
		{"seven VFs on each of four PFs", figures},
	} {
		t.Run(spec.label, spec.run)
	}
}

func legacy(t *testing.T) {
	start(t)
	ready(t, map[string]int{port10: 0})
	netdevs := policy("netdevs", 4, port10+"#0-1")
	netdevs.Spec.MTU = 2000
	vfio := policy("vfio", 4, port10+"#2-3")
	vfio.Spec.DeviceType = sriovv1.DeviceTypeVFIO
	create(t, netdevs)
	create(t, vfio)
	ready(t, map[string]int{port10: 4, port11: 0})
	for vf, want := range []string{"igbvf", "igbvf", "vfio-pci", "vfio-pci"} {
		if got := driver(t, port10, vf); got != want {
			t.Errorf("VF %d is bound to %q, want %s", vf, got, want)
		}
	}
	for _, function := range []string{port10, port10 + "/virtfn0", port10 + "/virtfn1"} {
		if got := mtu(t, function); got != 2000 {
			t.Errorf("MTU of %s is %d", function, got)
		}
	}
	remove(t, netdevs)
	remove(t, vfio)
	ready(t, map[string]int{port10: 0})
	if got := mtu(t, port10); got != 1500 {
		t.Errorf("MTU of the PF is %d after the policies have left", got)
	}
	if got := number(t, port10, "sriov_drivers_autoprobe"); got != 1 {
		t.Errorf("autoprobe is %d after the policies have left", got)
	}
}

func drift(t *testing.T) {
	start(t)
	create(t, policy("drift", 2, port11))
	ready(t, map[string]int{port11: 2})
	if err := os.WriteFile(pci(port11, "sriov_numvfs"), []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	ready(t, map[string]int{port11: 2})
	for vf := range 2 {
		if got := driver(t, port11, vf); got != "igbvf" {
			t.Errorf("VF %d is bound to %q", vf, got)
		}
	}
}

func killed(t *testing.T) {
	const seed = 7
	random := rand.New(rand.NewPCG(seed, seed))
	p := policy("killed", 1, port20)
	create(t, p)
	for round := range 6 {
		daemon := start(t)
		want := 1 + (round*3)%7
		if err := api.Patch(t.Context(), p, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"numVfs":%d}}`, want))); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-daemon.done:
			t.Fatalf("the daemon ended by itself: %v", err)
		case <-time.After(time.Duration(random.IntN(2500)) * time.Millisecond):
		}
		daemon.end(syscall.SIGKILL)
	}
	start(t)
	ready(t, map[string]int{port20: p.Spec.NumVfs})
	for vf := range p.Spec.NumVfs {
		if got := driver(t, port20, vf); got != "igbvf" {
			t.Errorf("VF %d is bound to %q", vf, got)
		}
	}
}

// figures compares the daemon with a program that makes the same writes and nothing
// else, in the same run.
func figures(t *testing.T) {
	ports := []string{port10, port11, port20, port21}
	want := map[string]int{}
	removeVFs(t, ports)
	began := time.Now()
	errs := make(chan error, len(ports))
	for _, port := range ports {
		want[port] = 7
		go func() { errs <- bare(port, 7) }()
	}
	for range ports {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	alone := time.Since(began)
	removeVFs(t, ports)
	start(t)
	ready(t, map[string]int{port10: 0, port21: 0})
	began = time.Now()
	create(t, policy("figures", 7, ports...))
	ready(t, want)
	took := time.Since(began)
	fmt.Printf("figure 4 PFs from 0 to 7 VFs: daemon %.1f s, bare writes %.1f s, ratio %.2f\n", took.Seconds(), alone.Seconds(), took.Seconds()/alone.Seconds())
}

// removeVFs leaves ports as they were at boot; earlier specs may have left VFs.
func removeVFs(t *testing.T, ports []string) {
	t.Helper()
	for _, port := range ports {
		if err := os.WriteFile(pci(port, "sriov_numvfs"), []byte("0"), 0); err != nil {
			t.Fatal(err)
		}
	}
}

// bare makes VFs and waits until each has its netdev.
func bare(pf string, vfs int) error {
	if err := os.WriteFile(pci(pf, "sriov_numvfs"), fmt.Append(nil, vfs), 0); err != nil {
		return err
	}
	deadline := time.Now().Add(time.Minute)
	for vf := 0; vf < vfs; {
		names, err := os.ReadDir(pci(pf, fmt.Sprintf("virtfn%d/net", vf)))
		switch {
		case err == nil && len(names) > 0:
			vf++
		case time.Now().After(deadline):
			return errors.Join(err, errors.New("no netdev"))
		}
	}
	return nil
}
