package nodestate

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// TestStateChanged: every fact that merging reads is worth a reconcile, and the
// daemon's progress is not.
func TestStateChanged(t *testing.T) {
	state := func() *sriovv1.SriovNetworkNodeState {
		return &sriovv1.SriovNetworkNodeState{
			ObjectMeta: metav1.ObjectMeta{Name: "n", Generation: 1},
			Status: sriovv1.SriovNetworkNodeStateStatus{
				Inventory: sriovv1.InventoryComplete,
				Interfaces: []sriovv1.InterfaceStatus{{
					PCIAddress: "0000:5f:00.0", Name: "ens41f0np0", AltNames: []string{"uplink0"}, Vendor: "15b3", DeviceID: "1017",
					NetFilter: "openstack/NetworkID:1", LinkType: "ETH", SwitchID: "aa", TotalVfs: 8, NumVfs: 3,
				}},
			},
		}
	}
	tests := map[string]struct {
		change func(*sriovv1.SriovNetworkNodeState, *sriovv1.InterfaceStatus)
		passes bool
	}{
		"nothing": {func(*sriovv1.SriovNetworkNodeState, *sriovv1.InterfaceStatus) {}, false},
		"conditions": {func(s *sriovv1.SriovNetworkNodeState, _ *sriovv1.InterfaceStatus) {
			s.Status.Conditions = []metav1.Condition{{Type: "Ready"}}
		}, false},
		"progress": {func(_ *sriovv1.SriovNetworkNodeState, pf *sriovv1.InterfaceStatus) {
			pf.NumVfs, pf.EswitchMode, pf.MTU = 4, "switchdev", 9000
		}, false},
		"spec":        {func(s *sriovv1.SriovNetworkNodeState, _ *sriovv1.InterfaceStatus) { s.Generation = 2 }, true},
		"PCI address": {func(_ *sriovv1.SriovNetworkNodeState, pf *sriovv1.InterfaceStatus) { pf.PCIAddress = "0000:60:00.0" }, true},
		"name":        {func(_ *sriovv1.SriovNetworkNodeState, pf *sriovv1.InterfaceStatus) { pf.Name = "eth0" }, true},
		"altNames":    {func(_ *sriovv1.SriovNetworkNodeState, pf *sriovv1.InterfaceStatus) { pf.AltNames = nil }, true},
		"vendor":      {func(_ *sriovv1.SriovNetworkNodeState, pf *sriovv1.InterfaceStatus) { pf.Vendor = "" }, true},
		"deviceID":    {func(_ *sriovv1.SriovNetworkNodeState, pf *sriovv1.InterfaceStatus) { pf.DeviceID = "" }, true},
		"netFilter":   {func(_ *sriovv1.SriovNetworkNodeState, pf *sriovv1.InterfaceStatus) { pf.NetFilter = "" }, true},
		"link type":   {func(_ *sriovv1.SriovNetworkNodeState, pf *sriovv1.InterfaceStatus) { pf.LinkType = "IB" }, true},
		"switch ID":   {func(_ *sriovv1.SriovNetworkNodeState, pf *sriovv1.InterfaceStatus) { pf.SwitchID = "" }, true},
		"a PF less":   {func(s *sriovv1.SriovNetworkNodeState, _ *sriovv1.InterfaceStatus) { s.Status.Interfaces = nil }, true},
		"capability":  {func(_ *sriovv1.SriovNetworkNodeState, pf *sriovv1.InterfaceStatus) { pf.TotalVfs, pf.NumVfs = 0, 0 }, true},
		"not reported": {func(s *sriovv1.SriovNetworkNodeState, _ *sriovv1.InterfaceStatus) {
			s.Status = sriovv1.SriovNetworkNodeStateStatus{}
		}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			now := state()
			test.change(now, &now.Status.Interfaces[0])
			if got := stateChanged().Update(event.UpdateEvent{ObjectOld: state(), ObjectNew: now}); got != test.passes {
				t.Errorf("passes: %v, want %v", got, test.passes)
			}
		})
	}
}

// TestDeletedStateIsForgotten: what we wrote last must not stand in for a state
// that was deleted.
func TestDeletedStateIsForgotten(t *testing.T) {
	r := &Reconciler{Namespace: "ns"}
	state := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "n", ResourceVersion: "7"}}
	key := client.ObjectKeyFromObject(state)
	r.states.Wrote(state)
	if _, found := r.states.Of(key, nil, false); !found {
		t.Fatal("what was written is not remembered")
	}
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	r.stateHandler().Delete(t.Context(), event.DeleteEvent{Object: state}, queue)
	if _, found := r.states.Of(key, nil, false); found {
		t.Error("a deleted state is still remembered")
	}
	if queue.Len() != 1 {
		t.Errorf("%d nodes are to be reconciled, want 1", queue.Len())
	}
}
