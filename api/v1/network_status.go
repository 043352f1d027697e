package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NetworkStatus says what became of a network: whether its NetworkAttachmentDefinition is in place.
type NetworkStatus struct {
	// conditions: Ready, Reconciling, Stalled.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation that this status describes.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}
