package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Network is what the kinds have in common that become a NetworkAttachmentDefinition.
//
// +kubebuilder:object:generate=false
type Network interface {
	metav1.Object
	runtime.Object
	// TargetNamespace is the namespace of the NetworkAttachmentDefinition.
	TargetNamespace() string
	// NetworkStatusOf is the part of the status that all these kinds have. It
	// is the object's own: what is written to it is in the object.
	NetworkStatusOf() *NetworkStatus
}

// TargetNamespace implements Network.
func (n *SriovNetwork) TargetNamespace() string { return orOwn(n.Spec.NetworkNamespace, n.Namespace) }

// NetworkStatusOf implements Network.
func (n *SriovNetwork) NetworkStatusOf() *NetworkStatus { return &n.Status }

// TargetNamespace implements Network.
func (n *SriovIBNetwork) TargetNamespace() string { return orOwn(n.Spec.NetworkNamespace, n.Namespace) }

// NetworkStatusOf implements Network.
func (n *SriovIBNetwork) NetworkStatusOf() *NetworkStatus { return &n.Status }

// TargetNamespace implements Network.
func (n *OVSNetwork) TargetNamespace() string { return orOwn(n.Spec.NetworkNamespace, n.Namespace) }

// NetworkStatusOf implements Network.
func (n *OVSNetwork) NetworkStatusOf() *NetworkStatus { return &n.Status }

// TargetNamespace implements Network.
func (n *OffloadNetwork) TargetNamespace() string { return orOwn(n.Spec.NetworkNamespace, n.Namespace) }

// NetworkStatusOf implements Network.
func (n *OffloadNetwork) NetworkStatusOf() *NetworkStatus { return &n.Status.NetworkStatus }

func orOwn(namespace, own string) string {
	if namespace != "" {
		return namespace
	}
	return own
}
