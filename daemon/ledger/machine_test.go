package ledger_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// What concerns the machine is there again after a restart; a reboot keeps the boot
// that it was first asked for in.
func TestMachine(t *testing.T) {
	k := simhost.New(simhost.Options{})
	t.Cleanup(k.Close)
	ctx := t.Context()
	l, err := ledger.Open(ctx, k.Store())
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	must(l.NoteArguments(ctx, "grubby", "iommu=pt", "pci=realloc", "intel_iommu=on"))
	must(l.SettleArguments(ctx, "iommu=pt", "never=noted"))
	must(l.ForgetArguments(ctx, "intel_iommu=on"))
	must(l.NoteReboot(ctx, "boot-1", map[string]string{"a": "first", "b": "second"}))
	must(l.NoteReboot(ctx, "boot-2", map[string]string{"a": "again"}))
	must(l.ForgetReboots(ctx, "b"))
	must(l.NoteNeed(ctx, "0000:3b:00.0", ledger.Need{BootID: "boot-2", Kind: ledger.NeedDriver}))
	must(l.NoteNeed(ctx, "0000:3b:00.1", ledger.Need{BootID: "boot-2", Kind: ledger.NeedMemorySpace}))
	must(l.ForgetNeeds(ctx, "0000:3b:00.1"))
	must(l.NoteRDMARefused(ctx, "boot-2"))
	again, err := ledger.Open(ctx, k.Store())
	must(err)
	want := ledger.Machine{
		Arguments:   map[string]ledger.Argument{"iommu=pt": {Tool: "grubby"}, "pci=realloc": {Tool: "grubby", Pending: true}},
		Reboots:     map[string]ledger.Restart{"a": {BootID: "boot-1", Why: "first"}},
		Needs:       map[string]ledger.Need{"0000:3b:00.0": {BootID: "boot-2", Kind: ledger.NeedDriver}},
		RDMARefused: "boot-2",
	}
	record := again.Record()
	if diff := cmp.Diff(want, record.Machine); diff != "" || record.Empty() {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"--args=x", "a b", ""} {
		if err := l.NoteArguments(ctx, "grubby", bad); err == nil {
			t.Errorf("%q was noted as an argument", bad)
		}
	}
}
