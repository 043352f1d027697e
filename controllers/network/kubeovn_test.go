package network

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

func kubeOVNNetwork(namespace, name string) *sriovv1.OffloadNetwork {
	return &sriovv1.OffloadNetwork{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       sriovv1.OffloadNetworkSpec{CNI: cniKubeOVN, ResourceName: "cx", ResourcePrefix: "mellanox.com"},
	}
}

func underlayNetwork(name, iface string, vlan int) *sriovv1.OffloadNetwork {
	n := kubeOVNNetwork("default", name)
	n.Spec.KubeOVN = &sriovv1.KubeOVNNetwork{Mode: modeUnderlay, Subnet: &sriovv1.KubeOVNSubnet{
		CIDRBlock: "10.10.204.7/24,FD00::/64", Gateway: "10.10.204.254,fd00::1", VlanID: &vlan, DefaultInterface: iface,
		ExcludeIPs: []string{"10.10.204.1..10.10.204.100", "FD00::1"},
	}}
	return n
}

// TestPublishedDefinitions: what we make of Kube-OVN's kinds is valid by the
// definitions that Kube-OVN publishes, and has no field that they would drop.
func TestPublishedDefinitions(t *testing.T) {
	files, err := filepath.Glob("../../test/data/kube-ovn/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("definitions: %v, %v", files, err)
	}
	for _, file := range files {
		schemas := readDefinitions(t, file)
		for _, n := range []*sriovv1.OffloadNetwork{
			kubeOVNNetwork("default", "sriov"), kubeOVNNetwork("0digit", "sriov"), underlayNetwork("under", "bond1", 0),
			underlayNetwork("tagged", "bond1", 4094), underlayNetwork("int", "int", 5), underlayNetwork("long", "enp132s0f0np0v1", 5),
			underlayNetwork("odd", "Eth_0.100", 5),
		} {
			objects, err := kubeOVNObjects(n, kubeOVNObserved{})
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range objects {
				t.Run(fmt.Sprintf("%s/%s/%s/%s", filepath.Base(file), n.Namespace, n.Name, o.GetKind()), func(t *testing.T) {
					schemas.check(t, o)
				})
			}
		}
	}
}

// TestProviderRule: newer Kube-OVN attaches a pod only if some Subnet has the
// provider of its NetworkAttachmentDefinition; both old and new take the Subnet
// of the pod's annotation.
func TestProviderRule(t *testing.T) {
	for _, n := range []*sriovv1.OffloadNetwork{kubeOVNNetwork("default", "sriov"), underlayNetwork("under", "bond1", 0)} {
		objects, err := kubeOVNObjects(n, kubeOVNObserved{})
		if err != nil {
			t.Fatal(err)
		}
		bound := 0
		for _, o := range objects {
			if o.GetKind() == "Subnet" && specText(o, "provider") == n.Name+".default.ovn" {
				bound++
			}
		}
		pod, err := PodTemplate(n, Defaults{})
		if err != nil {
			t.Fatal(err)
		}
		if bound != 1 || pod.Annotations[n.Name+".default.ovn.kubernetes.io/logical_switch"] == "" {
			t.Errorf("%s: %d Subnets, annotations %v", n.Name, bound, pod.Annotations)
		}
	}
}

func TestUnderlayObjects(t *testing.T) {
	objects, err := kubeOVNObjects(underlayNetwork("under", "bond1", 20), kubeOVNObserved{})
	if err != nil {
		t.Fatal(err)
	}
	var got []any
	for _, o := range objects {
		got = append(got, o.GetKind(), o.GetName(), o.Object["spec"])
	}
	want := []any{
		"ProviderNetwork", "bond1", map[string]any{"defaultInterface": "bond1"},
		"Vlan", "bond1-vlan20", map[string]any{"id": int64(20), "provider": "bond1"},
		"Subnet", "sriov-default-under", map[string]any{
			"protocol": "Dual", "provider": "under.default.ovn", "vlan": "bond1-vlan20",
			"cidrBlock": "10.10.204.0/24,fd00::/64", "gateway": "10.10.204.254,fd00::1",
			"excludeIps": []any{"10.10.204.1..10.10.204.100", "fd00::1"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestBindingSubnetsDoNotOverlap: neither each other nor what is there, and the
// addresses of one that exists stay.
func TestBindingSubnetsDoNotOverlap(t *testing.T) {
	var seen kubeOVNObserved
	half := newKubeOVN(subnetKind, "theirs", map[string]any{"cidrBlock": "198.18.0.0/16"})
	seen.subnets = append(seen.subnets, *half)
	var taken []netip.Prefix
	for i := range 300 {
		s, err := bindingSubnet(kubeOVNNetwork("default", fmt.Sprint("n", i)), seen)
		if err != nil {
			t.Fatal(err)
		}
		p := netip.MustParsePrefix(specText(s, "cidrBlock"))
		gateway := netip.MustParseAddr(specText(s, "gateway"))
		if !bindingBlock.Overlaps(p) || prefixesOf("198.18.0.0/16")[0].Overlaps(p) || !p.Contains(gateway) || gateway == p.Addr() {
			t.Fatalf("%s, gateway %s", p, gateway)
		}
		for _, other := range taken {
			if other.Overlaps(p) {
				t.Fatalf("%s overlaps %s", p, other)
			}
		}
		taken = append(taken, p)
		seen.subnets = append(seen.subnets, *s)
	}
	again, err := bindingSubnet(kubeOVNNetwork("default", "n7"), seen)
	if err != nil || specText(again, "cidrBlock") != taken[7].String() {
		t.Errorf("%v, %v; want %s", again, err, taken[7])
	}
	all := newKubeOVN(subnetKind, "all", map[string]any{"cidrBlock": "198.16.0.0/12"})
	if _, err := bindingSubnet(kubeOVNNetwork("default", "new"), kubeOVNObserved{subnets: []unstructured.Unstructured{*all}}); err == nil {
		t.Error("no error without room")
	}
}

// TestSubnetNames: networks of different names have Subnets of different names.
func TestSubnetNames(t *testing.T) {
	names := map[string]string{}
	for _, n := range [][2]string{{"a-b", "c"}, {"a", "b-c"}, {"a-b-c", "d"}, {"a-b", "c-d"}, {"a", "b-c-d"}} {
		name := subnetName(kubeOVNNetwork(n[0], n[1]))
		if other := names[name]; other != "" {
			t.Errorf("%v and %s are both %s", n, other, name)
		}
		names[name] = fmt.Sprint(n)
	}
}

func TestUnneeded(t *testing.T) {
	objects := func(networks ...*sriovv1.OffloadNetwork) kubeOVNObserved {
		var seen kubeOVNObserved
		for _, n := range networks {
			made, err := kubeOVNObjects(n, kubeOVNObserved{})
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range made {
				if list := seen.list(o.GroupVersionKind()); find(*list, o.GetName()) == nil {
					*list = append(*list, *o)
				}
			}
		}
		return seen
	}
	a, b := underlayNetwork("a", "bond1", 20), underlayNetwork("b", "bond1", 21)
	now := metav1.Now()
	goneA := a.DeepCopy()
	goneA.DeletionTimestamp = &now
	antrea := a.DeepCopy()
	antrea.Spec.CNI, antrea.Spec.KubeOVN = cniAntrea, nil
	withForeign := objects(a)
	theirs := newKubeOVN(subnetKind, "theirs", map[string]any{"vlan": "bond1-vlan20"})
	theirs.SetLabels(nil)
	withForeign.subnets = append(withForeign.subnets, *theirs)

	for name, test := range map[string]struct {
		n    *sriovv1.OffloadNetwork
		all  []sriovv1.OffloadNetwork
		seen kubeOVNObserved
		want []string
	}{
		"nothing":         {a, []sriovv1.OffloadNetwork{*a, *b}, objects(a, b), nil},
		"one of two goes": {goneA, []sriovv1.OffloadNetwork{*goneA, *b}, objects(a, b), []string{"sriov-default-a", "bond1-vlan20"}},
		"the last goes":   {goneA, []sriovv1.OffloadNetwork{*goneA}, objects(a), []string{"sriov-default-a", "bond1-vlan20", "bond1"}},
		"another CNI":     {antrea, []sriovv1.OffloadNetwork{*a}, objects(a), []string{"sriov-default-a", "bond1-vlan20", "bond1"}},
		"others use it":   {goneA, []sriovv1.OffloadNetwork{*goneA}, withForeign, []string{"sriov-default-a"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, o := range unneeded(test.n, test.all, test.seen) {
				got = append(got, o.GetName())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

type definitions map[string]*apiextensionsv1.CustomResourceDefinition

func readDefinitions(t *testing.T, file string) definitions {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	out := definitions{}
	for {
		d := &apiextensionsv1.CustomResourceDefinition{}
		if err := decoder.Decode(d); err != nil {
			break
		}
		out[d.Spec.Names.Kind] = d
	}
	if len(out) != 3 {
		t.Fatalf("%s has %d definitions", file, len(out))
	}
	return out
}

func (d definitions) check(t *testing.T, o *unstructured.Unstructured) {
	t.Helper()
	definition := d[o.GetKind()]
	if definition == nil || definition.Spec.Scope != apiextensionsv1.ClusterScoped || o.GetNamespace() != "" {
		t.Fatalf("no cluster-wide definition of %s", o.GetKind())
	}
	internal := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(definition.Spec.Versions[0].Schema.OpenAPIV3Schema, internal, nil); err != nil {
		t.Fatal(err)
	}
	validator, _, err := validation.NewSchemaValidator(internal)
	if err != nil {
		t.Fatal(err)
	}
	structural, err := structuralschema.NewStructural(internal)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range validation.ValidateCustomResource(nil, o.Object, validator) {
		t.Error(err)
	}
	stored := runtime.DeepCopyJSON(o.Object)
	pruning.Prune(stored, structural, true)
	if diff := cmp.Diff(o.Object, stored); diff != "" {
		t.Errorf("fields that would be dropped:\n%s", diff)
	}
}

// TestNeedsFinalizer: what has no owner reference on everything that is made for
// it has to be waited for when it is deleted.
func TestNeedsFinalizer(t *testing.T) {
	offload := func(cni, networkNamespace string) *sriovv1.OffloadNetwork {
		n := &sriovv1.OffloadNetwork{Spec: sriovv1.OffloadNetworkSpec{CNI: cni, NetworkNamespace: networkNamespace}}
		n.Namespace = "a"
		return n
	}
	for _, test := range []struct {
		n    sriovv1.Network
		want bool
	}{
		{offload("kube-ovn", ""), true}, // the Subnet has no namespace, so no owner in one
		{offload("kube-ovn", "b"), true},
		{offload("antrea", ""), false},
		{offload("antrea", "a"), false},
		{offload("antrea", "b"), true},
	} {
		if got := needsFinalizer(test.n); got != test.want {
			t.Errorf("%+v: %v", test.n, got)
		}
	}
}

// TestSameObject: what Kube-OVN adds to an object is not a reason to write it,
// what it or anybody takes away or changes is.
func TestSameObject(t *testing.T) {
	spec := func(excluded ...any) map[string]any {
		return map[string]any{"provider": "a.b.ovn", "cidrBlock": "10.0.0.0/24", "excludeIps": excluded}
	}
	with := func(spec map[string]any, field string, value any) map[string]any {
		spec[field] = value
		return spec
	}
	desired := newKubeOVN(subnetKind, "s", spec("10.0.0.1..10.0.0.9"))
	for what, test := range map[string]struct {
		spec map[string]any
		want bool
	}{
		"as written":                   {spec("10.0.0.1..10.0.0.9"), true},
		"the gateway excluded as well": {spec("10.0.0.1..10.0.0.9", "10.0.0.254"), true},
		"a default filled in":          {with(spec("10.0.0.1..10.0.0.9"), "gatewayType", "distributed"), true},
		"an exclusion gone":            {spec("10.0.0.254"), false},
		"another provider":             {with(spec("10.0.0.1..10.0.0.9"), "provider", "ovn"), false},
	} {
		if got := sameObject(newKubeOVN(subnetKind, "s", test.spec), desired); got != test.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}
