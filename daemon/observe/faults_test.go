package observe_test

import (
	"fmt"
	"reflect"
	"syscall"
	"testing"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
)

// TestUnknownIsNotAValue lets every single operation of an observation fail in
// turn. What the inventory then says is true, and what it no longer says of a PF
// has a reason in its Unreadable.
func TestUnknownIsNotAValue(t *testing.T) {
	k := connectX5(t)
	switchdev(t, k, pf0, 3)
	write(t, k.Admin(), attr(pf1, "sriov_numvfs"), "2")
	truth := node(t, k.Admin())
	if err := k.AssignVF(truth.PF(pf0).VF(2).PCIAddress, "default/pod"); err != nil {
		t.Fatal(err)
	}
	truth = node(t, k.Admin())
	h := k.Host()
	k.ResetOps()
	node(t, h)
	total := k.Ops().Total()
	if total < 50 {
		t.Fatalf("an observation has %d operations", total)
	}
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.EACCES, syscall.EBUSY} {
		for n := range total {
			k.Fail(simhost.Fault{Op: "*", Nth: n + 1, Errno: errno})
			got, err := observe.Node(t.Context(), h)
			k.ClearFaults()
			if err != nil {
				continue
			}
			where := fmt.Sprintf("operation %d is %v", n+1, errno)
			if len(got.PFs) != len(truth.PFs) {
				t.Fatalf("%s: %d PFs, want %d", where, len(got.PFs), len(truth.PFs))
			}
			for _, pf := range got.PFs {
				want := *truth.PF(pf.PCIAddress)
				unreadable := pf.Unreadable
				pf.Unreadable = nil
				if !within(reflect.ValueOf(pf), reflect.ValueOf(want)) {
					t.Errorf("%s: %s is %+v\nwhich is not true: %+v", where, pf.PCIAddress, pf, want)
				}
				if len(unreadable) == 0 && got.PodsUnknown == "" && !reflect.DeepEqual(pf, want) {
					t.Errorf("%s: of %s facts are missing without a reason: %+v\nwant %+v", where, pf.PCIAddress, pf, want)
				}
			}
		}
	}
}

// within tells that got says nothing that want does not say.
func within(got, want reflect.Value) bool {
	if got.IsZero() {
		return true
	}
	switch got.Kind() {
	case reflect.Pointer:
		return !want.IsNil() && within(got.Elem(), want.Elem())
	case reflect.Struct:
		for i := range got.NumField() {
			if !within(got.Field(i), want.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		for i := range got.Len() {
			found := false
			for j := range want.Len() {
				found = found || within(got.Index(i), want.Index(j))
			}
			if !found {
				return false
			}
		}
		return true
	default:
		return got.Equal(want)
	}
}
