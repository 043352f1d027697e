package network

import (
	"cmp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// cacheOptions keep in memory what the checks read of other people's workloads,
// and no more. Everything else is of kinds of which a cluster has few.
func cacheOptions() cache.Options {
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&appsv1.DaemonSet{}:  {Transform: slimDaemonSet},
			&appsv1.Deployment{}: {Field: fields.OneTermEqualSelector("metadata.name", "kube-ovn-controller"), Transform: slimDeployment},
		},
	}
}

// slimDaemonSet keeps the command lines of the DaemonSets that checks look at,
// and of all others nothing but the name.
func slimDaemonSet(in any) (any, error) {
	d, ok := in.(*appsv1.DaemonSet)
	if !ok {
		return in, nil
	}
	slim := &appsv1.DaemonSet{TypeMeta: d.TypeMeta, ObjectMeta: slimMeta(d.ObjectMeta)}
	if slices.Contains([]string{"ovs-ovn", "kube-ovn-cni", "antrea-agent"}, d.Name) {
		slim.Spec.Template.Spec.Containers = slimContainers(d.Spec.Template.Spec.Containers)
	}
	return slim, nil
}

func slimDeployment(in any) (any, error) {
	d, ok := in.(*appsv1.Deployment)
	if !ok {
		return in, nil
	}
	slim := &appsv1.Deployment{TypeMeta: d.TypeMeta, ObjectMeta: slimMeta(d.ObjectMeta)}
	slim.Spec.Template.Spec.Containers = slimContainers(d.Spec.Template.Spec.Containers)
	return slim, nil
}

func slimMeta(m metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: m.Namespace, Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion, Generation: m.Generation}
}

func slimContainers(list []corev1.Container) []corev1.Container {
	out := make([]corev1.Container, 0, len(list))
	for i := range list {
		out = append(out, corev1.Container{Name: list[i].Name, Command: list[i].Command, Args: list[i].Args, Env: list[i].Env})
	}
	return out
}

func sortByName(list []appsv1.DaemonSet) {
	slices.SortFunc(list, func(a, b appsv1.DaemonSet) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Namespace, b.Namespace))
	})
}
