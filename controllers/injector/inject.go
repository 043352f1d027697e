package injector

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	nadutils "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/utils"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
)

// Annotations of pods.
const (
	annotationDefaultNetwork = "v1.multus-cni.io/default-network"
	annotationNetworks       = "k8s.v1.cni.cncf.io/networks"
)

// attachments are the NetworkAttachmentDefinitions of a pod: one entry for every
// interface, so a name may come twice. Names without a namespace are resolved as
// Multus does: a default network in its own namespace, others in the pod's.
func attachments(annotations map[string]string, podNamespace, multusNamespace string) ([]types.NamespacedName, error) {
	var out []types.NamespacedName
	if text := annotations[annotationDefaultNetwork]; text != "" {
		selected, err := parse(text, multusNamespace)
		if err != nil {
			return nil, fmt.Errorf("reading annotation %s: %w", annotationDefaultNetwork, err)
		}
		// Multus takes the first and ignores the rest.
		if len(selected) > 0 {
			out = append(out, types.NamespacedName{Namespace: selected[0].Namespace, Name: selected[0].Name})
		}
	}
	if text := annotations[annotationNetworks]; text != "" {
		selected, err := parse(text, podNamespace)
		if err != nil {
			return nil, fmt.Errorf("reading annotation %s: %w", annotationNetworks, err)
		}
		for _, s := range selected {
			out = append(out, types.NamespacedName{Namespace: s.Namespace, Name: s.Name})
		}
	}
	return out, nil
}

// parse reads an annotation as Multus does. The library that both use panics on
// a null in a list, which anybody may write.
func parse(text, namespace string) ([]*nadv1.NetworkSelectionElement, error) {
	if strings.ContainsAny(text, `[{"`) {
		var selected []*nadv1.NetworkSelectionElement
		if err := json.Unmarshal([]byte(text), &selected); err != nil {
			return nil, err
		}
		if slices.Contains(selected, nil) {
			return nil, errors.New("the list of networks has a null")
		}
	}
	return nadutils.ParseNetworkAnnotation(text, namespace)
}

// inject raises the requests and limits of the first container until the pod as
// a whole asks for wanted devices of each resource, and tells whether it changed
// anything. What a person asked for in any container counts, so injecting twice
// is as injecting once. The pod must have a container.
func inject(pod *corev1.Pod, wanted map[corev1.ResourceName]int64) bool {
	changed := false
	first := &pod.Spec.Containers[0]
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		missing := wanted[name] - asked(pod, name)
		if missing <= 0 {
			continue
		}
		// Extended resources need a request that is equal to the limit.
		total := resource.NewQuantity(missing+askedBy(first, name), resource.DecimalSI)
		if first.Resources.Requests == nil {
			first.Resources.Requests = corev1.ResourceList{}
		}
		if first.Resources.Limits == nil {
			first.Resources.Limits = corev1.ResourceList{}
		}
		first.Resources.Requests[name], first.Resources.Limits[name] = *total, *total
		changed = true
	}
	return changed
}

// asked is how many devices the pod asks for. Init containers hand theirs back,
// unless they go on running beside the others.
func asked(pod *corev1.Pod, name corev1.ResourceName) int64 {
	total := int64(0)
	for i := range pod.Spec.Containers {
		total += askedBy(&pod.Spec.Containers[i], name)
	}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			total += askedBy(c, name)
		}
	}
	return total
}

// askedBy reads the limit, which is the request too if only it is set.
func askedBy(c *corev1.Container, name corev1.ResourceName) int64 {
	limit, request := c.Resources.Limits[name], c.Resources.Requests[name]
	return max(limit.Value(), request.Value())
}
