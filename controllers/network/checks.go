package network

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Names of checks.
const (
	// CheckResource: a switchdev policy provides the resource, and nodes have it.
	CheckResource = "Resource"
	// CheckMultus: Multus is there.
	CheckMultus = "Multus"
	// CheckCNI: the CNI is there, with the kinds that the network needs.
	CheckCNI = "CNI"
	// CheckHardwareOffload: the CNI starts Open vSwitch with hw-offload.
	CheckHardwareOffload = "HardwareOffload"
	// CheckLoadBalancer: Kube-OVN does not balance Services in OVN, whose hashing
	// groups no NIC offloads.
	CheckLoadBalancer = "LoadBalancer"
	// CheckTunnelInterface: the tunnel endpoint fits the mode of the network.
	CheckTunnelInterface = "TunnelInterface"
	// CheckSubnet: the Subnet bound to the network is there and in use.
	CheckSubnet = "Subnet"
	// CheckLogicalSwitch: the Subnet that gives pods their addresses exists.
	CheckLogicalSwitch = "LogicalSwitch"
)

// facts are what the checks of an OffloadNetwork look at.
type facts struct {
	offer offer
	// crds are the names of the definitions that the cluster has.
	crds map[string]bool
	// daemonSets and deployments by which the CNI and Multus are recognised.
	daemonSets  []appsv1.DaemonSet
	deployments []appsv1.Deployment
	// tunnels are the tunnel interfaces that nodes of the offer have by
	// annotation, by node.
	tunnels map[string]string
	// kubeOVN are the objects of Kube-OVN; foreign says which object of ours could
	// not be made since somebody else has its name.
	kubeOVN kubeOVNObserved
	foreign string
}

// checks looks at everything that others have to provide. Always the same checks
// in the same order for one kind of network.
func checks(n *sriovv1.OffloadNetwork, f *facts) []sriovv1.NetworkCheck {
	list := []sriovv1.NetworkCheck{f.resource(), f.multus()}
	if n.Spec.CNI == cniAntrea {
		return append(list, f.antrea(), f.antreaOffload())
	}
	list = append(list, f.kubeOVNThere(n), f.kubeOVNOffload(), f.loadBalancer(), f.tunnelInterface(n), f.subnet(n))
	if !isUnderlay(n) {
		list = append(list, f.logicalSwitch(n))
	}
	return list
}

func passed(name, format string, args ...any) sriovv1.NetworkCheck {
	return sriovv1.NetworkCheck{Name: name, Result: sriovv1.CheckPassed, Message: clip(fmt.Sprintf(format, args...))}
}

func failed(name, message, remedy string) sriovv1.NetworkCheck {
	return sriovv1.NetworkCheck{Name: name, Result: sriovv1.CheckFailed, Message: clip(message), Remedy: remedy}
}

func pending(name, message, remedy string) sriovv1.NetworkCheck {
	return sriovv1.NetworkCheck{Name: name, Result: sriovv1.CheckPending, Message: clip(message), Remedy: remedy}
}

func unknown(name, message, remedy string) sriovv1.NetworkCheck {
	return sriovv1.NetworkCheck{Name: name, Result: sriovv1.CheckUnknown, Message: clip(message), Remedy: remedy}
}

// clip leaves room for other checks in the message of the condition.
func clip(message string) string { return sriovv1.Clip(message, 400) }

// resource: a policy may come after the network, so its absence is waited for.
func (f *facts) resource() sriovv1.NetworkCheck {
	o := &f.offer
	switch {
	case len(o.nodes) > 0 && o.ready == 0:
		return pending(CheckResource, fmt.Sprintf("%s of switchdev VFs: none of %s is ready yet", o.resource, count(len(o.nodes), "node")), "see status.conditions of the node states")
	case len(o.nodes) > 0:
		return passed(CheckResource, "%s of switchdev VFs: %d of %s ready", o.resource, o.ready, count(len(o.nodes), "node"))
	case len(o.switchdev) > 0:
		return pending(CheckResource, fmt.Sprintf("%s provides %s, but no node has it", named("policy", o.switchdev), o.resource), "see status.unmatched of the policy")
	case len(o.legacy) > 0:
		return failed(CheckResource, fmt.Sprintf("%s provides %s in eSwitchMode legacy", named("policy", o.legacy), o.resource), "set eSwitchMode: switchdev in the policy")
	case len(o.others) > 0:
		return failed(CheckResource, fmt.Sprintf("no policy provides %s; %s", o.resource, named("policy", o.others)), "set the same resourcePrefix in the policy and in the network")
	}
	_, name, _ := strings.Cut(o.resource, "/")
	return pending(CheckResource, "no policy provides "+o.resource, fmt.Sprintf("apply a SriovNetworkNodePolicy with resourceName: %s and eSwitchMode: switchdev", name))
}

// crdDefinitions is the definition by which Multus is known.
const crdDefinitions = "network-attachment-definitions.k8s.cni.cncf.io"

func (f *facts) multus() sriovv1.NetworkCheck {
	const remedy = "install Multus, thin or thick"
	if !f.crds[crdDefinitions] {
		return failed(CheckMultus, "the cluster has no NetworkAttachmentDefinitions", remedy)
	}
	i := slices.IndexFunc(f.daemonSets, func(d appsv1.DaemonSet) bool { return strings.Contains(d.Name, "multus") })
	if i < 0 {
		return unknown(CheckMultus, "no DaemonSet has multus in its name", "if Multus does not run in another way, "+remedy)
	}
	return passed(CheckMultus, "DaemonSet %s/%s", f.daemonSets[i].Namespace, f.daemonSets[i].Name)
}

func (f *facts) antrea() sriovv1.NetworkCheck {
	if d := f.daemonSet("antrea-agent"); d != nil {
		return passed(CheckCNI, "DaemonSet %s/%s", d.Namespace, d.Name)
	}
	return failed(CheckCNI, "there is no DaemonSet antrea-agent", "install Antrea v0.9.0 or later")
}

func (f *facts) antreaOffload() sriovv1.NetworkCheck {
	const remedy = "install Antrea with ovs.hwOffload=true (Helm), or add --hw-offload after start_ovs of container antrea-ovs"
	d := f.daemonSet("antrea-agent")
	if d == nil {
		return unknown(CheckHardwareOffload, "Antrea was not found", "")
	}
	c := container(d.Spec.Template.Spec.Containers, "antrea-ovs")
	switch {
	case c == nil:
		return unknown(CheckHardwareOffload, fmt.Sprintf("DaemonSet %s/%s has no container antrea-ovs", d.Namespace, d.Name), remedy)
	case slices.Contains(slices.Concat(c.Command, c.Args), "--hw-offload"):
		return passed(CheckHardwareOffload, "container antrea-ovs of DaemonSet %s/%s has --hw-offload", d.Namespace, d.Name)
	}
	return failed(CheckHardwareOffload, fmt.Sprintf("container antrea-ovs of DaemonSet %s/%s has no --hw-offload", d.Namespace, d.Name), remedy)
}

func (f *facts) daemonSet(name string) *appsv1.DaemonSet {
	for i := range f.daemonSets {
		if f.daemonSets[i].Name == name {
			return &f.daemonSets[i]
		}
	}
	return nil
}

func container(list []corev1.Container, name string) *corev1.Container {
	for i := range list {
		if list[i].Name == name {
			return &list[i]
		}
	}
	return nil
}

// flagValue is the value of --NAME=VALUE, or --NAME VALUE, in the command line of a container.
func flagValue(c *corev1.Container, name string) (string, bool) {
	words := slices.Concat(c.Command, c.Args)
	value, found := "", false
	for i, w := range words {
		if v, has := strings.CutPrefix(w, "--"+name+"="); has {
			value, found = strings.Trim(v, `"'`), true
		} else if w == "--"+name && i+1 < len(words) {
			value, found = words[i+1], true
		}
	}
	return value, found
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// named joins at most three names and says how many more there are.
func named(kind string, names []string) string {
	const most = 3
	if len(names) <= most {
		return kind + " " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s %s and %d more", kind, strings.Join(names[:most], ", "), len(names)-most)
}
