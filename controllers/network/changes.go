package network

import (
	"slices"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/fleet"
)

// definitionChanged passes changes of what we write: the owner, the resource,
// the configuration.
func definitionChanged() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok := e.ObjectOld.(*nadv1.NetworkAttachmentDefinition)
			now, ok2 := e.ObjectNew.(*nadv1.NetworkAttachmentDefinition)
			return ok && ok2 && (before.Spec.Config != now.Spec.Config ||
				len(before.OwnerReferences) != len(now.OwnerReferences) ||
				before.Annotations[sriovv1.AnnotationNetworkOwner] != now.Annotations[sriovv1.AnnotationNetworkOwner] ||
				before.Annotations[sriovv1.AnnotationResourceName] != now.Annotations[sriovv1.AnnotationResourceName])
		},
	}
}

// kubeOVNChanged passes changes of what was asked for and of whether it is in
// use: not those of the addresses in use, which are many.
func kubeOVNChanged() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			if e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() || markOf(e.ObjectOld) != markOf(e.ObjectNew) {
				return true
			}
			before, ok := e.ObjectOld.(*unstructured.Unstructured)
			now, ok2 := e.ObjectNew.(*unstructured.Unstructured)
			if !ok || !ok2 {
				return false
			}
			for _, kind := range []string{"Ready", "Error"} {
				oldMessage, oldTrue := condition(before, kind)
				newMessage, newTrue := condition(now, kind)
				if oldTrue != newTrue || oldMessage != newMessage {
					return true
				}
			}
			return false
		},
	}
}

// markOf is by what an object is known to be ours.
func markOf(obj client.Object) [2]string {
	return [2]string{obj.GetLabels()[labelManagedBy], obj.GetAnnotations()[sriovv1.AnnotationNetworkOwner]}
}

// offerChanged passes node states whose part in a resource may have changed: its
// spec, whether it is ready, and the names of its PFs.
func offerChanged() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok := e.ObjectOld.(*sriovv1.SriovNetworkNodeState)
			now, ok2 := e.ObjectNew.(*sriovv1.SriovNetworkNodeState)
			return ok && ok2 && (before.Generation != now.Generation ||
				fleet.ReadinessOf(before).Ready != fleet.ReadinessOf(now).Ready ||
				!slices.EqualFunc(before.Status.Interfaces, now.Status.Interfaces, func(a, b sriovv1.InterfaceStatus) bool {
					return a.PCIAddress == b.PCIAddress && a.Name == b.Name
				}))
		},
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}
