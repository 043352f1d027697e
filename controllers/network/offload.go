package network

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Values of spec.cni and spec.kubeOVN.mode.
const (
	cniKubeOVN   = "kube-ovn"
	cniAntrea    = "antrea"
	modeUnderlay = "underlay"
)

const (
	// offloadCNIVersion is the one of the offload guides: both CNIs and the
	// plugins chained after them know it in every release.
	offloadCNIVersion = "0.3.1"
	// defaultServerSocket is where kube-ovn-cni listens on every node.
	defaultServerSocket = "/run/openvswitch/kube-ovn-daemon.sock"
	// defaultLogicalSwitch is the Subnet that Kube-OVN makes by itself.
	defaultLogicalSwitch = "ovn-default"
)

// Annotations of pods.
const (
	annotationDefaultNetwork = "v1.multus-cni.io/default-network"
	annotationNetworks       = "k8s.v1.cni.cncf.io/networks"
)

// kubeOVNConf is the configuration of the CNI of Kube-OVN (its pkg/netconf). The
// device id is not in it: Multus adds that.
type kubeOVNConf struct {
	Type         string `json:"type"`
	ServerSocket string `json:"server_socket"`
	Provider     string `json:"provider"`
}

type antreaConf struct {
	Type string `json:"type"`
	IPAM object `json:"ipam"`
}

// chainedConf is a plugin that works on what the runtime hands to it.
type chainedConf struct {
	Type         string          `json:"type"`
	Capabilities map[string]bool `json:"capabilities"`
}

func offloadConfig(n *sriovv1.OffloadNetwork) ([]byte, error) {
	var main any
	switch n.Spec.CNI {
	case cniKubeOVN:
		if err := checkProvider(n); err != nil {
			return nil, err
		}
		if isUnderlay(n) {
			if _, err := underlaySubnet(n); err != nil {
				return nil, err
			}
		}
		main = kubeOVNConf{Type: cniKubeOVN, ServerSocket: serverSocket(n), Provider: provider(n)}
	case cniAntrea:
		addresses, err := ipam(n.Spec.IPAM)
		if err != nil {
			return nil, err
		}
		if len(addresses) == 0 {
			addresses = object{"type": "host-local"}
		}
		main = antreaConf{Type: cniAntrea, IPAM: addresses}
	default:
		return nil, invalid("spec.cni", "is %q; it has to be %s or %s", n.Spec.CNI, cniKubeOVN, cniAntrea)
	}
	plugins := []any{main}
	if on(n.Spec.PortMappings, true) {
		plugins = append(plugins, chainedConf{Type: "portmap", Capabilities: map[string]bool{"portMappings": true}})
	}
	if on(n.Spec.Bandwidth, n.Spec.CNI == cniAntrea) {
		plugins = append(plugins, chainedConf{Type: "bandwidth", Capabilities: map[string]bool{"bandwidth": true}})
	}
	return encode(struct {
		header
		Plugins []any `json:"plugins"`
	}{header{CNIVersion: offloadCNIVersion, Name: n.Spec.CNI}, plugins})
}

func on(v *bool, unset bool) bool {
	if v == nil {
		return unset
	}
	return *v
}

func offloadResource(n *sriovv1.OffloadNetwork, d Defaults) string {
	return cmp.Or(n.Spec.ResourcePrefix, d.ResourcePrefix, sriovv1.DefaultResourcePrefix) + "/" + n.Spec.ResourceName
}

// checkProvider: Kube-OVN takes a provider for one of its own only if it has
// exactly three parts (pkg/util: IsOvnProvider).
func checkProvider(n *sriovv1.OffloadNetwork) error {
	if !strings.Contains(n.Name, ".") {
		return nil
	}
	return invalid("metadata.name", "%q has a dot, and Kube-OVN would not take %s for a provider of its own; choose a name without dots", n.Name, provider(n))
}

// provider binds a NetworkAttachmentDefinition to Subnets.
func provider(n *sriovv1.OffloadNetwork) string {
	return fmt.Sprintf("%s.%s.ovn", n.Name, n.TargetNamespace())
}

func serverSocket(n *sriovv1.OffloadNetwork) string {
	if n.Spec.KubeOVN == nil {
		return defaultServerSocket
	}
	return cmp.Or(n.Spec.KubeOVN.ServerSocket, defaultServerSocket)
}

func isUnderlay(n *sriovv1.OffloadNetwork) bool {
	return n.Spec.KubeOVN != nil && n.Spec.KubeOVN.Mode == modeUnderlay && n.Spec.KubeOVN.Subnet != nil
}

// logicalSwitch is the Subnet from which pods of a Kube-OVN network get addresses.
func logicalSwitch(n *sriovv1.OffloadNetwork) string {
	switch {
	case isUnderlay(n):
		return subnetName(n)
	case n.Spec.KubeOVN != nil && n.Spec.KubeOVN.LogicalSwitch != "":
		return n.Spec.KubeOVN.LogicalSwitch
	}
	return defaultLogicalSwitch
}

// PodTemplate returns what a pod has to carry to get an offloaded VF of the
// network. It is right for every release of the CNI: the Subnet of a Kube-OVN
// network is always named, since newer releases no longer fall back to the
// default of the namespace.
func PodTemplate(n *sriovv1.OffloadNetwork, d Defaults) (*sriovv1.OffloadPodTemplate, error) {
	resource := offloadResource(n, d)
	t := &sriovv1.OffloadPodTemplate{
		Annotations: map[string]string{},
		Resources: sriovv1.OffloadPodResources{
			Requests: map[string]string{resource: "1"},
			Limits:   map[string]string{resource: "1"},
		},
	}
	if n.Spec.CNI == cniKubeOVN {
		t.Annotations[provider(n)+".kubernetes.io/logical_switch"] = logicalSwitch(n)
	}
	if !isUnderlay(n) {
		t.Annotations[annotationDefaultNetwork] = n.TargetNamespace() + "/" + n.Name
		return t, nil
	}
	// The VF is a second interface with the default route: the first one stays
	// in the overlay, where Services are.
	subnet, err := underlaySubnet(n)
	if err != nil {
		return nil, err
	}
	networks, err := json.Marshal([]networkSelection{{Name: n.Name, Namespace: n.TargetNamespace(), DefaultRoute: subnet.gateways}})
	if err != nil {
		return nil, fmt.Errorf("encoding the networks of a pod: %w", err)
	}
	t.Annotations[annotationNetworks] = string(networks)
	return t, nil
}

// networkSelection is one element of the annotation k8s.v1.cni.cncf.io/networks.
type networkSelection struct {
	Name         string   `json:"name"`
	Namespace    string   `json:"namespace"`
	DefaultRoute []string `json:"default-route,omitempty"`
}
