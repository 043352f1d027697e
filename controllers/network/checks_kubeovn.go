package network

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"

	"github.com/sriov-offload/sriov-offload-operator/controllers/nodes"
)

// Definitions of Kube-OVN.
const (
	crdSubnets          = "subnets.kubeovn.io"
	crdVlans            = "vlans.kubeovn.io"
	crdProviderNetworks = "provider-networks.kubeovn.io"
)

// annotationTunnelInterface on a node overrides --iface of kube-ovn-cni there.
const annotationTunnelInterface = nodes.AnnotationTunnelInterface

// kubeOVNKinds are the definitions that a network needs.
func kubeOVNKinds(n *sriovv1.OffloadNetwork) []string {
	if isUnderlay(n) {
		return []string{crdSubnets, crdVlans, crdProviderNetworks}
	}
	return []string{crdSubnets}
}

func hasAllKinds(crds map[string]bool, names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return !crds[name] })
}

func (f *facts) kubeOVNThere(n *sriovv1.OffloadNetwork) sriovv1.NetworkCheck {
	const remedy = "install Kube-OVN"
	var missing []string
	for _, name := range kubeOVNKinds(n) {
		if !f.crds[name] {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return failed(CheckCNI, "the cluster has no "+strings.Join(missing, ", "), remedy)
	}
	d := f.daemonSet("kube-ovn-cni")
	if d == nil {
		return failed(CheckCNI, "there is no DaemonSet kube-ovn-cni", remedy)
	}
	return passed(CheckCNI, "DaemonSet %s/%s", d.Namespace, d.Name)
}

// kubeOVNOffload: start-ovs.sh of ovs-ovn sets other_config:hw-offload from HW_OFFLOAD.
func (f *facts) kubeOVNOffload() sriovv1.NetworkCheck {
	const remedy = "install Kube-OVN with HW_OFFLOAD=true (Helm: func.HW_OFFLOAD, or features.enableHardwareOffload of chart v2)"
	d := f.daemonSet("ovs-ovn")
	if d == nil {
		return unknown(CheckHardwareOffload, "there is no DaemonSet ovs-ovn", remedy)
	}
	at := fmt.Sprintf("DaemonSet %s/%s", d.Namespace, d.Name)
	for i := range d.Spec.Template.Spec.Containers {
		for _, e := range d.Spec.Template.Spec.Containers[i].Env {
			switch {
			case e.Name != "HW_OFFLOAD":
			case e.ValueFrom != nil:
				return unknown(CheckHardwareOffload, at+" takes HW_OFFLOAD from elsewhere", remedy)
			case e.Value == "true":
				return passed(CheckHardwareOffload, "%s has HW_OFFLOAD=true", at)
			default:
				return failed(CheckHardwareOffload, fmt.Sprintf("%s has HW_OFFLOAD=%s", at, e.Value), remedy)
			}
		}
	}
	return failed(CheckHardwareOffload, at+" does not set HW_OFFLOAD, which is false then", remedy)
}

// loadBalancer: --enable-lb is true unless it is set.
func (f *facts) loadBalancer() sriovv1.NetworkCheck {
	const remedy = "install Kube-OVN with ENABLE_LB=false (Helm: func.ENABLE_LB, or features.enableLoadbalancer of chart v2)"
	if len(f.deployments) == 0 {
		return unknown(CheckLoadBalancer, "there is no Deployment kube-ovn-controller", remedy)
	}
	d := &f.deployments[0]
	at := fmt.Sprintf("Deployment %s/%s", d.Namespace, d.Name)
	for j := range d.Spec.Template.Spec.Containers {
		value, set := flagValue(&d.Spec.Template.Spec.Containers[j], "enable-lb")
		switch {
		case set && value == "false":
			return passed(CheckLoadBalancer, "%s has --enable-lb=false", at)
		case set:
			return failed(CheckLoadBalancer, fmt.Sprintf("%s has --enable-lb=%s", at, value), remedy)
		}
	}
	return failed(CheckLoadBalancer, at+" does not set --enable-lb, which is true then", remedy)
}

// fit of an interface to the --iface of kube-ovn-cni.
type fit int

const (
	fitsNot fit = iota
	// fitsMaybe: as a regular expression, which counts only where no interface
	// has the text as its name.
	fitsMaybe
	fitsExactly
)

// fitOf applies the rule of kube-ovn-cni (pkg/daemon: findInterface): the name of
// an interface, else regular expressions separated by commas, not anchored.
func fitOf(iface, pattern string) fit {
	if iface == pattern || slices.Contains(strings.Split(pattern, ","), iface) {
		return fitsExactly
	}
	expression, err := regexp.Compile("(" + strings.Join(strings.Split(pattern, ","), ")|(") + ")")
	if err == nil && expression.MatchString(iface) {
		return fitsMaybe
	}
	return fitsNot
}

func bestFit(ifaces []string, pattern string) (iface string, best fit) {
	for _, i := range ifaces {
		if f := fitOf(i, pattern); f > best {
			iface, best = i, f
		}
	}
	return iface, best
}

// tunnelInterface: in mode overlay tunnels have to end on the uplink of the VFs,
// in mode underlay that uplink is in a bridge and must not carry them.
func (f *facts) tunnelInterface(n *sriovv1.OffloadNetwork) sriovv1.NetworkCheck {
	d := f.daemonSet("kube-ovn-cni")
	if d == nil {
		return unknown(CheckTunnelInterface, "there is no DaemonSet kube-ovn-cni", "")
	}
	pattern := ""
	for i := range d.Spec.Template.Spec.Containers {
		if v, set := flagValue(&d.Spec.Template.Spec.Containers[i], "iface"); set {
			pattern = v
		}
	}
	if c, all := f.annotatedTunnels(n); all || c.Result == sriovv1.CheckFailed {
		return c
	}
	at := fmt.Sprintf("DaemonSet %s/%s", d.Namespace, d.Name)
	if isUnderlay(n) {
		return f.underlayTunnel(n, at, pattern)
	}
	return f.overlayTunnel(at, pattern)
}

func (f *facts) overlayTunnel(at, pattern string) sriovv1.NetworkCheck {
	remedy := "install Kube-OVN with IFACE set to the uplink of the VFs: the bond, or the PF"
	if len(f.offer.uplinks) > 0 {
		remedy += " (" + strings.Join(f.offer.uplinks[:min(3, len(f.offer.uplinks))], " or ") + ")"
	}
	if pattern == "" {
		return unknown(CheckTunnelInterface, at+" has no --iface, so tunnels end where the node's own address is", remedy)
	}
	if len(f.offer.uplinks) == 0 {
		return unknown(CheckTunnelInterface, fmt.Sprintf("%s has --iface=%s; the uplinks of the VFs are not known yet", at, pattern), "")
	}
	if iface, fits := bestFit(f.offer.uplinks, pattern); fits > fitsNot {
		return passed(CheckTunnelInterface, "%s has --iface=%s, which fits %s", at, pattern, iface)
	}
	return failed(CheckTunnelInterface, fmt.Sprintf("%s has --iface=%s, which is not the %s", at, pattern, named("uplink", f.offer.uplinks)), remedy)
}

func (f *facts) underlayTunnel(n *sriovv1.OffloadNetwork, at, pattern string) sriovv1.NetworkCheck {
	const remedy = "install Kube-OVN with IFACE set to a NIC other than the uplink of the VFs"
	uplinks := append([]string{n.Spec.KubeOVN.Subnet.DefaultInterface}, f.offer.uplinks...)
	if pattern == "" {
		return unknown(CheckTunnelInterface, at+" has no --iface, so tunnels end where the node's own address is", remedy+", unless that is so already")
	}
	switch iface, fits := bestFit(uplinks, pattern); fits {
	case fitsExactly:
		return failed(CheckTunnelInterface, fmt.Sprintf("%s has --iface=%s, and %s is in the bridge of the provider network", at, pattern, iface), remedy)
	case fitsMaybe:
		return unknown(CheckTunnelInterface, fmt.Sprintf("%s has --iface=%s, which fits %s too", at, pattern, iface), remedy)
	}
	return passed(CheckTunnelInterface, "%s has --iface=%s, which is not the uplink of the VFs", at, pattern)
}

// annotatedTunnels looks at nodes that say their tunnel interface themselves,
// and tells whether all nodes with the resource do.
func (f *facts) annotatedTunnels(n *sriovv1.OffloadNetwork) (c sriovv1.NetworkCheck, all bool) {
	uplinks := f.offer.uplinks
	if isUnderlay(n) {
		uplinks = append([]string{n.Spec.KubeOVN.Subnet.DefaultInterface}, uplinks...)
	}
	annotated := 0
	for _, node := range f.offer.nodes {
		iface, found := f.tunnels[node]
		if !found {
			continue
		}
		annotated++
		if slices.Contains(uplinks, iface) == isUnderlay(n) {
			return failed(CheckTunnelInterface, fmt.Sprintf("node %s has %s: %s; the uplinks of the VFs are %s", node, annotationTunnelInterface, iface, strings.Join(uplinks, ", ")),
				"mode overlay needs the uplink there, mode underlay another NIC"), false
		}
	}
	return passed(CheckTunnelInterface, "every node with the resource says it by %s", annotationTunnelInterface), annotated > 0 && annotated == len(f.offer.nodes)
}

// subnet: Kube-OVN says by conditions whether it took the Subnet into use.
func (f *facts) subnet(n *sriovv1.OffloadNetwork) sriovv1.NetworkCheck {
	name := subnetName(n)
	if f.foreign != "" {
		return failed(CheckSubnet, f.foreign, "rename or remove that object")
	}
	if !hasAllKinds(f.crds, kubeOVNKinds(n)) {
		return unknown(CheckSubnet, "Kube-OVN was not found", "")
	}
	i := slices.IndexFunc(f.kubeOVN.subnets, func(s unstructured.Unstructured) bool { return s.GetName() == name })
	if i < 0 {
		return pending(CheckSubnet, "Subnet "+name+" is being made", "")
	}
	s := &f.kubeOVN.subnets[i]
	if why, bad := condition(s, "Error"); bad {
		return failed(CheckSubnet, fmt.Sprintf("Kube-OVN refuses Subnet %s: %s", name, why), "see the events of the Subnet and the log of kube-ovn-controller")
	}
	if _, ready := condition(s, "Ready"); !ready {
		return pending(CheckSubnet, "Kube-OVN has not taken Subnet "+name+" into use yet", "see the log of kube-ovn-controller if that lasts")
	}
	return passed(CheckSubnet, "Subnet %s is bound to provider %s", name, provider(n))
}

func (f *facts) logicalSwitch(n *sriovv1.OffloadNetwork) sriovv1.NetworkCheck {
	name := logicalSwitch(n)
	if !f.crds[crdSubnets] {
		return unknown(CheckLogicalSwitch, "Kube-OVN was not found", "")
	}
	if slices.ContainsFunc(f.kubeOVN.subnets, func(s unstructured.Unstructured) bool { return s.GetName() == name }) {
		return passed(CheckLogicalSwitch, "Subnet %s exists", name)
	}
	return pending(CheckLogicalSwitch, "there is no Subnet "+name, "create it, or name another one in spec.kubeOVN.logicalSwitch")
}

// condition tells whether a condition of an object of Kube-OVN is true, and what it says.
func condition(u *unstructured.Unstructured, kind string) (message string, isTrue bool) {
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range conditions {
		c, isMap := c.(map[string]any)
		if !isMap || c["type"] != kind {
			continue
		}
		message, _ = c["message"].(string)
		if reason, _ := c["reason"].(string); message == "" {
			message = reason
		}
		return message, c["status"] == string(corev1.ConditionTrue)
	}
	return "", false
}
