package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of every kind of this package.
const Group = "sriovnetwork.openshift.io"

// GroupVersion is the group and version of every kind of this package.
var GroupVersion = schema.GroupVersion{Group: Group, Version: "v1"}

// SchemeBuilder collects the functions that register this package's kinds.
var SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

// AddToScheme registers this package's kinds in a scheme.
var AddToScheme = SchemeBuilder.AddToScheme

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&SriovNetworkNodePolicy{}, &SriovNetworkNodePolicyList{},
		&SriovNetworkNodeState{}, &SriovNetworkNodeStateList{},
		&SriovNetwork{}, &SriovNetworkList{},
		&SriovIBNetwork{}, &SriovIBNetworkList{},
		&OVSNetwork{}, &OVSNetworkList{},
		&OffloadNetwork{}, &OffloadNetworkList{},
		&SriovOperatorConfig{}, &SriovOperatorConfigList{},
		&SriovNetworkPoolConfig{}, &SriovNetworkPoolConfigList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
