package deviceplugin

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// renderFailed is the event on a node state whose resources the device plugin
// would refuse. Its results are the arguments of events.EventRecorder.Eventf.
func renderFailed(state *sriovv1.SriovNetworkNodeState, err error) (regarding, related runtime.Object, eventType, reason, action, note string, arg any) {
	return state, nil, corev1.EventTypeWarning, sriovv1.ReasonInvalid, "RenderDevicePluginConfig",
		"The device plugin keeps its present configuration: %v", err
}
