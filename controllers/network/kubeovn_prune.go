package network

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// list is where the objects of a kind are.
func (o *kubeOVNObserved) list(kind schema.GroupVersionKind) *[]unstructured.Unstructured {
	switch kind {
	case vlanKind:
		return &o.vlans
	case providerNetworkKind:
		return &o.providerNetworks
	}
	return &o.subnets
}

func (o *kubeOVNObserved) of(kind schema.GroupVersionKind) []unstructured.Unstructured {
	return *o.list(kind)
}

func find(list []unstructured.Unstructured, name string) *unstructured.Unstructured {
	for i := range list {
		if list[i].GetName() == name {
			return &list[i]
		}
	}
	return nil
}

// unneeded are the objects that we made and that nobody needs any more, in the
// order in which they have to go: Subnets of the network n, and Vlans and
// ProviderNetworks to which no network of all and nobody else refers. n itself
// counts by what it is now.
func unneeded(n *sriovv1.OffloadNetwork, all []sriovv1.OffloadNetwork, seen kubeOVNObserved) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	usedVlans, usedNetworks := map[string]bool{}, map[string]bool{}
	for i := range all {
		other := &all[i]
		if other.Namespace == n.Namespace && other.Name == n.Name {
			other = n
		}
		if other.Spec.CNI != cniKubeOVN || !other.DeletionTimestamp.IsZero() || !isUnderlay(other) {
			continue
		}
		s := other.Spec.KubeOVN.Subnet
		network, _ := providerNetwork(s.DefaultInterface, seen.providerNetworks)
		id := 0
		if s.VlanID != nil {
			id = *s.VlanID
		}
		vlan, _ := vlanOf(network, id, seen.vlans)
		usedNetworks[network], usedVlans[vlan] = true, true
	}
	gone := n.Spec.CNI != cniKubeOVN || !n.DeletionTimestamp.IsZero()
	for i := range seen.subnets {
		s := &seen.subnets[i]
		mine := isOurs(s) && s.GetAnnotations()[sriovv1.AnnotationNetworkOwner] == OwnerRef(n)
		if mine && (gone || s.GetName() != subnetName(n)) {
			out = append(out, going(s)...)
			continue
		}
		if !mine {
			usedVlans[specText(s, "vlan")] = true
		}
	}
	for i := range seen.vlans {
		v := &seen.vlans[i]
		if isOurs(v) && !usedVlans[v.GetName()] {
			out = append(out, going(v)...)
			continue
		}
		usedNetworks[specText(v, "provider")] = true
	}
	for i := range seen.providerNetworks {
		if p := &seen.providerNetworks[i]; isOurs(p) && !usedNetworks[p.GetName()] {
			out = append(out, going(p)...)
		}
	}
	return out
}

// going leaves out what is being deleted already.
func going(u *unstructured.Unstructured) []*unstructured.Unstructured {
	if u.GetDeletionTimestamp() != nil {
		return nil
	}
	return []*unstructured.Unstructured{u}
}
