package network

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// maxNote is what the API server takes as the note of an event.
const maxNote = 1024

// recordStalled tells on a network that a person has to change something.
func recordStalled(r events.EventRecorder, n sriovv1.Network, v verdict) {
	r.Eventf(n, nil, corev1.EventTypeWarning, v.reason, "AttachNetwork", "%s", sriovv1.Clip(v.message, maxNote-1))
}
