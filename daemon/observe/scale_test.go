package observe_test

import (
	"testing"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
)

// fourPFs is a machine with two dual-port NICs and the same number of VFs on
// every port, in switchdev mode.
func fourPFs(t testing.TB, vfs int) *simhost.Kernel {
	t.Helper()
	k := simhost.New(simhost.Options{NICs: []simhost.NIC{
		simhost.ConnectX6Dx(simhost.At("0000:3b:00.0"), simhost.TotalVFs(127)),
		simhost.ConnectX6Dx(simhost.At("0000:86:00.0"), simhost.TotalVFs(127)),
	}})
	t.Cleanup(k.Close)
	if vfs > 0 {
		for _, pf := range []string{"0000:3b:00.0", "0000:3b:00.1", "0000:86:00.0", "0000:86:00.1"} {
			switchdev(t, k, pf, vfs)
		}
	}
	return k
}

// TestOperations holds an observation to its price: a constant for the node, a
// constant for each PF, a constant for each VF.
func TestOperations(t *testing.T) {
	const forNode, forPF, forVF = 24 + 30 + 12, 18, 7
	for _, vfs := range []int{0, 1, 16, 127} {
		k := fourPFs(t, vfs)
		h := k.Host()
		k.ResetOps()
		n := node(t, h)
		found := 0
		for _, pf := range n.PFs {
			found += len(pf.VFs)
			if len(pf.Representors) != vfs || len(pf.Unreadable) != 0 {
				t.Errorf("%s: %d representors, unreadable %v", pf.PCIAddress, len(pf.Representors), pf.Unreadable)
			}
		}
		if len(n.PFs) != 4 || found != 4*vfs {
			t.Fatalf("found %d PFs with %d VFs, want 4 with %d", len(n.PFs), found, 4*vfs)
		}
		ops := k.Ops()
		if limit := forNode + 4*(forPF+forVF*vfs); ops.Total() > limit {
			t.Errorf("%d VFs: %d operations, at most %d are allowed: %v", 4*vfs, ops.Total(), limit, ops.ByKind)
		}
		if ops.Writes != 0 {
			t.Errorf("an observation has written %d times: %v", ops.Writes, ops.ByKind)
		}
		t.Logf("%d VFs: %v", 4*vfs, ops.ByKind)
	}
}

func BenchmarkObserve(b *testing.B) {
	h := fourPFs(b, 127).Host()
	b.ReportAllocs()
	for b.Loop() {
		if n := node(b, h); len(n.PFs) != 4 {
			b.Fatal("PFs are missing")
		}
	}
}
