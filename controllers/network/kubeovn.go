package network

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Kinds of Kube-OVN that a network needs; none of them has a namespace.
var (
	kubeOVNVersion      = schema.GroupVersion{Group: "kubeovn.io", Version: "v1"}
	subnetKind          = kubeOVNVersion.WithKind("Subnet")
	vlanKind            = kubeOVNVersion.WithKind("Vlan")
	providerNetworkKind = kubeOVNVersion.WithKind("ProviderNetwork")
)

// Label with which everything is marked that we make and that has no owner
// reference.
const (
	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "sriov-offload-operator"
)

// kubeOVNObserved are the objects of Kube-OVN that are there.
type kubeOVNObserved struct {
	subnets, vlans, providerNetworks []unstructured.Unstructured
}

// kubeOVNObjects are what a network needs of Kube-OVN, in the order in which
// they have to be made. Objects that are there already and are not ours, such as
// a ProviderNetwork of the same interface, are used and not in the list.
func kubeOVNObjects(n *sriovv1.OffloadNetwork, seen kubeOVNObserved) ([]*unstructured.Unstructured, error) {
	if !isUnderlay(n) {
		subnet, err := bindingSubnet(n, seen)
		if err != nil {
			return nil, err
		}
		return []*unstructured.Unstructured{subnet}, nil
	}
	s, err := underlaySubnet(n)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	network, made := providerNetwork(n.Spec.KubeOVN.Subnet.DefaultInterface, seen.providerNetworks)
	if made != nil {
		objects = append(objects, made)
	}
	vlan, made := vlanOf(network, s.vlanID, seen.vlans)
	if made != nil {
		objects = append(objects, made)
	}
	spec := map[string]any{
		"protocol": s.protocol, "provider": provider(n), "vlan": vlan,
		"cidrBlock": s.cidrBlock, "gateway": strings.Join(s.gateways, ","),
	}
	if len(s.excludeIPs) > 0 {
		spec["excludeIps"] = s.excludeIPs
	}
	return append(objects, newSubnet(n, spec)), nil
}

func newSubnet(n *sriovv1.OffloadNetwork, spec map[string]any) *unstructured.Unstructured {
	u := newKubeOVN(subnetKind, subnetName(n), spec)
	u.SetAnnotations(map[string]string{sriovv1.AnnotationNetworkOwner: OwnerRef(n)})
	return u
}

func newKubeOVN(kind schema.GroupVersionKind, name string, spec map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	u.SetGroupVersionKind(kind)
	u.SetName(name)
	u.SetLabels(map[string]string{labelManagedBy: managedBy})
	return u
}

// maxSubnetName leaves room for what Kube-OVN adds to names of Subnets in names
// of OVN; the API server's own limit is 253.
const maxSubnetName = 200

// subnetName is different for networks of different names or namespaces, and
// does not begin with a digit, which the schema of Subnets forbids.
func subnetName(n *sriovv1.OffloadNetwork) string {
	name := "sriov-" + n.Namespace + "-" + n.Name
	// "a-b" + "c" and "a" + "b-c" have to differ.
	if strings.Contains(n.Namespace, "-") || len(name) > maxSubnetName {
		name = name[:min(len(name), maxSubnetName)] + "-" + hash(n.Namespace+"/"+n.Name)
	}
	return name
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}

// bindingBlock is where the addresses of binding Subnets are from: the block for
// measurements between devices (RFC 2544), which nobody routes.
var bindingBlock = netip.MustParsePrefix("198.18.0.0/15")

// bindingBits is the size of a binding Subnet. Nobody gets an address from it,
// but Kube-OVN wants room for a gateway.
const bindingBits = 29

// bindingSubnet is what newer Kube-OVN wants before it attaches a pod in mode
// overlay: some Subnet with the provider of the NetworkAttachmentDefinition. Pods
// get their addresses from the logical switch of their annotation instead.
func bindingSubnet(n *sriovv1.OffloadNetwork, seen kubeOVNObserved) (*unstructured.Unstructured, error) {
	name := subnetName(n)
	var taken []netip.Prefix
	for i := range seen.subnets {
		s := &seen.subnets[i]
		prefixes := prefixesOf(specText(s, "cidrBlock"))
		// The addresses of a Subnet cannot be changed, so those that it has stay.
		if s.GetName() == name && s.GetAnnotations()[sriovv1.AnnotationNetworkOwner] == OwnerRef(n) && len(prefixes) == 1 && bindingBlock.Overlaps(prefixes[0]) {
			return newBindingSubnet(n, prefixes[0]), nil
		}
		if s.GetName() != name {
			taken = append(taken, prefixes...)
		}
	}
	sum := sha256.Sum256([]byte(provider(n)))
	const slots = 1 << (bindingBits - 15)
	first := binary.BigEndian.Uint32(sum[:4]) % slots
	for i := range uint32(slots) {
		p := bindingSlot((first + i) % slots)
		if !slices.ContainsFunc(taken, p.Overlaps) {
			return newBindingSubnet(n, p), nil
		}
	}
	return nil, invalid("spec.kubeOVN", "every part of %s is used by a Subnet; the Subnet that binds %s needs 8 addresses of it", bindingBlock, provider(n))
}

func bindingSlot(i uint32) netip.Prefix {
	base := bindingBlock.Addr().As4()
	var addr [4]byte
	binary.BigEndian.PutUint32(addr[:], binary.BigEndian.Uint32(base[:])+i<<(32-bindingBits))
	return netip.PrefixFrom(netip.AddrFrom4(addr), bindingBits)
}

func newBindingSubnet(n *sriovv1.OffloadNetwork, p netip.Prefix) *unstructured.Unstructured {
	return newSubnet(n, map[string]any{
		"protocol": "IPv4", "provider": provider(n), "cidrBlock": p.String(), "gateway": p.Addr().Next().String(),
	})
}

func prefixesOf(cidrBlock string) []netip.Prefix {
	var out []netip.Prefix
	for text := range strings.SplitSeq(cidrBlock, ",") {
		if p, err := netip.ParsePrefix(strings.TrimSpace(text)); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out
}

// maxProviderNetworkName is in the schema of ProviderNetworks: the name of a
// bridge is made of it.
const maxProviderNetworkName = 12

var bridgeName = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)

// providerNetworkName is the name of the interface if it can be, since that is
// what a person looks for.
func providerNetworkName(iface string) string {
	if len(iface) <= maxProviderNetworkName && bridgeName.MatchString(iface) && iface != "int" { // br-int is the CNI's own
		return iface
	}
	return "pn-" + hash(iface)
}

// providerNetwork returns the ProviderNetwork of an interface, and how to make
// it unless somebody else has: an interface can be in one only.
func providerNetwork(iface string, seen []unstructured.Unstructured) (name string, made *unstructured.Unstructured) {
	name = providerNetworkName(iface)
	for _, theirs := range byName(seen) {
		if !isOurs(&theirs) && specText(&theirs, "defaultInterface") == iface {
			return theirs.GetName(), nil
		}
	}
	return name, newKubeOVN(providerNetworkKind, name, map[string]any{"defaultInterface": iface})
}

// vlanOf returns the Vlan of an id in a ProviderNetwork, and how to make it
// unless somebody else has: two of one id are a conflict for Kube-OVN.
func vlanOf(network string, id int, seen []unstructured.Unstructured) (name string, made *unstructured.Unstructured) {
	for _, theirs := range byName(seen) {
		observed, _, _ := unstructured.NestedInt64(theirs.Object, "spec", "id")
		if !isOurs(&theirs) && specText(&theirs, "provider") == network && observed == int64(id) {
			return theirs.GetName(), nil
		}
	}
	name = fmt.Sprintf("%s-vlan%d", network, id)
	return name, newKubeOVN(vlanKind, name, map[string]any{"id": int64(id), "provider": network})
}

func byName(list []unstructured.Unstructured) []unstructured.Unstructured {
	sorted := slices.Clone(list)
	slices.SortFunc(sorted, func(a, b unstructured.Unstructured) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return sorted
}

func isOurs(u *unstructured.Unstructured) bool { return u.GetLabels()[labelManagedBy] == managedBy }

func specText(u *unstructured.Unstructured, field string) string {
	text, _, _ := unstructured.NestedString(u.Object, "spec", field)
	return text
}

// KubeOVNObjects are what a network needs of Kube-OVN in a cluster where nothing
// is there yet; none for other CNIs.
func KubeOVNObjects(n sriovv1.Network) ([]*unstructured.Unstructured, error) {
	offload, is := n.(*sriovv1.OffloadNetwork)
	if !is || offload.Spec.CNI != cniKubeOVN {
		return nil, nil
	}
	return kubeOVNObjects(offload, kubeOVNObserved{})
}
