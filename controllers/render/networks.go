package render

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/network"
	"github.com/sriov-offload/sriov-offload-operator/controllers/settings"
)

// networks of all kinds; unlike everything else they may be in any namespace.
type networks struct {
	sriov   []sriovv1.SriovNetwork
	ib      []sriovv1.SriovIBNetwork
	ovs     []sriovv1.OVSNetwork
	offload []sriovv1.OffloadNetwork
}

// Kinds of networks.
const (
	kindSriovNetwork   = "SriovNetwork"
	kindIBNetwork      = "SriovIBNetwork"
	kindOVSNetwork     = "OVSNetwork"
	kindOffloadNetwork = "OffloadNetwork"
)

// NetworkReport is what a pod has to carry to be attached to a network.
type NetworkReport struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// PodTemplate of an OffloadNetwork.
	PodTemplate *sriovv1.OffloadPodTemplate `json:"podTemplate,omitempty"`
}

// all are the networks by namespace, name and kind. One without a namespace is
// taken to be in the operator's.
func (n *networks) all(operator string) []sriovv1.Network {
	var out []sriovv1.Network
	for i := range n.sriov {
		out = append(out, &n.sriov[i])
	}
	for i := range n.ib {
		out = append(out, &n.ib[i])
	}
	for i := range n.ovs {
		out = append(out, &n.ovs[i])
	}
	for i := range n.offload {
		out = append(out, &n.offload[i])
	}
	for _, o := range out {
		o.SetNamespace(cmp.Or(o.GetNamespace(), operator))
	}
	slices.SortFunc(out, func(a, b sriovv1.Network) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()), cmp.Compare(network.KindOf(a), network.KindOf(b)))
	})
	return out
}

// renderNetworks renders the networks as the manager does, in a cluster where
// nothing of theirs is there yet. What cannot be rendered is a problem.
func (s *scoped) renderNetworks(l *loader) (objects []any, reports []NetworkReport, err error) {
	defaults := network.Defaults{Namespace: s.namespace, ResourcePrefix: settings.From(s.config()).ResourcePrefix}
	for _, n := range s.networks.all(s.namespace) {
		kind := network.KindOf(n)
		made, pod, err := renderNetwork(n, defaults)
		var bad *network.InvalidError
		switch {
		case errors.As(err, &bad):
			l.problem("", fmt.Sprintf("%s %s/%s", kind, n.GetNamespace(), n.GetName()), bad.Field, bad.Message)
		case err != nil:
			return nil, nil, err
		}
		objects = append(objects, made...)
		reports = append(reports, NetworkReport{Kind: kind, Namespace: n.GetNamespace(), Name: n.GetName(), PodTemplate: pod})
	}
	return objects, reports, nil
}

func renderNetwork(n sriovv1.Network, defaults network.Defaults) ([]any, *sriovv1.OffloadPodTemplate, error) {
	nad, err := network.Render(n, defaults)
	if err != nil {
		return nil, nil, err
	}
	objects := []any{nad}
	others, err := network.KubeOVNObjects(n)
	if err != nil {
		return nil, nil, err
	}
	for _, o := range others {
		objects = append(objects, o.Object)
	}
	offload, is := n.(*sriovv1.OffloadNetwork)
	if !is {
		return objects, nil, nil
	}
	pod, err := network.PodTemplate(offload, defaults)
	return objects, pod, err
}
