package deviceplugin

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// recordRenderFailed tells on a node state that the device plugin would refuse
// one of its resources.
func recordRenderFailed(r events.EventRecorder, state *sriovv1.SriovNetworkNodeState, err error) {
	r.Eventf(state, nil, corev1.EventTypeWarning, sriovv1.ReasonInvalid, "RenderDevicePluginConfig",
		"The device plugin keeps its present configuration: %v", err)
}
