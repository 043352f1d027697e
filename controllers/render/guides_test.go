package render_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// guideConfigs are the configurations of the offload guides, by CNI, with their
// mistakes put right: brackets that do not close, text before the object.
var guideConfigs = map[string]string{
	"kube-ovn": `{
    "cniVersion": "0.3.1", "name": "kube-ovn", "plugins": [
        {"type": "kube-ovn", "server_socket": "/run/openvswitch/kube-ovn-daemon.sock", "provider": "%s.%s.ovn"},
        {"type": "portmap", "capabilities": {"portMappings": true}}
    ]}`,
	"antrea": `{
    "cniVersion": "0.3.1", "name": "antrea", "plugins": [
        {"type": "antrea", "ipam": {"type": "host-local"}},
        {"type": "portmap", "capabilities": {"portMappings": true}},
        {"type": "bandwidth", "capabilities": {"bandwidth": true}}
    ]}`,
}

// TestGuides renders samples as they are and follows one resource name from the
// policy to the pod. The two guides of Antrea have one NetworkAttachmentDefinition,
// of which only the newer says the namespace.
func TestGuides(t *testing.T) {
	for _, guide := range []struct {
		name, policy, pf, vendor string
		networks                 []string
		namespace                string // of the network and of the operator
		cni, definition          string
		resource                 string
	}{
		{"antrea, both guides", "antrea-connectx5", "ens3f0np0", "15b3", []string{"antrea"}, "kube-system", "antrea", "kube-system/default", "mellanox.com/cx5_sriov_switchdev"},
		{"kube-ovn mellanox", "kube-ovn-connectx5", "ens41f0np0", "15b3", []string{"kube-ovn"}, "kube-system", "kube-ovn", "default/sriov", "mellanox.com/cx5_sriov_switchdev"},
		{"kube-ovn mellanox, older", "kube-ovn-connectx5", "ens41f0np0", "15b3", []string{"guides"}, "default", "kube-ovn", "default/default", "mellanox.com/cx5_sriov_switchdev"},
		{"kube-ovn corigine", "agilio", "ens47np0", "19ee", []string{"guides"}, "sriov-offload-operator", "kube-ovn", "default/default", "corigine.com/agilio_sriov"},
	} {
		t.Run(guide.name, func(t *testing.T) {
			samples := filepath.Join("..", "..", "config", "samples")
			policy := readFile(t, filepath.Join(samples, "sriovnetwork_v1_sriovnetworknodepolicy_"+guide.policy+".yaml"))
			operator := namespaceOf(t, policy)
			in := policy + "\n---\n" + machine(operator, guide.pf, guide.vendor)
			for _, name := range guide.networks {
				in += "\n---\n" + only(t, readFile(t, filepath.Join(samples, "sriovnetwork_v1_offloadnetwork_"+name+".yaml")), guide.namespace)
			}
			stdout, _, err := run(in, "-f", "-", "-n", operator, "-o", "json")
			if err != nil {
				t.Fatal(err)
			}
			out := parseList(t, stdout)
			namespace, name, _ := strings.Cut(guide.definition, "/")
			nad := out.find(t, "NetworkAttachmentDefinition", namespace, name)
			want := guideConfigs[guide.cni]
			if guide.cni == "kube-ovn" {
				want = fmt.Sprintf(want, name, namespace)
			}
			if diff := cmp.Diff(parse(t, want), parse(t, nad.Spec.Config)); diff != "" {
				t.Errorf("configuration (-guide +got):\n%s", diff)
			}
			out.checkResource(t, operator, guide.resource, namespace, name)
		})
	}
}

// printed is what one printed object has that matters here.
type printed struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Namespace   string            `json:"namespace"`
		Name        string            `json:"name"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Data map[string]string `json:"data"`
	Spec struct {
		Config   string `json:"config"`
		Provider string `json:"provider"`
	} `json:"spec"`
	Networks []struct {
		PodTemplate struct {
			Annotations map[string]string            `json:"annotations"`
			Resources   map[string]map[string]string `json:"resources"`
		} `json:"podTemplate"`
	} `json:"networks"`
}

type printedList []printed

func parseList(t *testing.T, text string) printedList {
	t.Helper()
	var list struct {
		Items printedList `json:"items"`
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func (l printedList) find(t *testing.T, kind, namespace, name string) *printed {
	t.Helper()
	for i := range l {
		if o := &l[i]; o.Kind == kind && o.Metadata.Namespace == namespace && (name == "" || o.Metadata.Name == name) {
			return o
		}
	}
	t.Fatalf("no %s %s/%s", kind, namespace, name)
	return nil
}

// checkResource follows the resource from the device plugin to the pod.
func (l printedList) checkResource(t *testing.T, operator, resource, namespace, name string) {
	t.Helper()
	var plugin struct {
		ResourceList []struct {
			ResourcePrefix string `json:"resourcePrefix"`
			ResourceName   string `json:"resourceName"`
		} `json:"resourceList"`
	}
	configMap := l.find(t, "ConfigMap", operator, "device-plugin-config-node1")
	if err := json.Unmarshal([]byte(configMap.Data["config.json"]), &plugin); err != nil {
		t.Fatal(err)
	}
	nad := l.find(t, "NetworkAttachmentDefinition", namespace, name)
	pod := l.find(t, "RenderReport", "", "").Networks[0].PodTemplate
	got := []string{nad.Metadata.Annotations["k8s.v1.cni.cncf.io/resourceName"]}
	for _, r := range plugin.ResourceList {
		got = append(got, r.ResourcePrefix+"/"+r.ResourceName)
	}
	for _, kind := range []string{"requests", "limits"} {
		for key := range pod.Resources[kind] {
			got = append(got, key)
		}
	}
	if diff := cmp.Diff([]string{resource, resource, resource, resource}, got); diff != "" {
		t.Errorf("definition, device plugin, requests, limits (-want +got):\n%s", diff)
	}
	if pod.Annotations["v1.multus-cni.io/default-network"] != namespace+"/"+name {
		t.Errorf("annotations %v", pod.Annotations)
	}
}

func parse(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func namespaceOf(t *testing.T, document string) string {
	t.Helper()
	var o printed
	if err := yaml.Unmarshal([]byte(document), &o); err != nil {
		t.Fatal(err)
	}
	return o.Metadata.Namespace
}

// only is the first document of a file that is in a namespace.
func only(t *testing.T, file, namespace string) string {
	t.Helper()
	for document := range strings.SplitSeq(file, "\n---\n") {
		if namespaceOf(t, document) == namespace {
			return document
		}
	}
	t.Fatalf("no document in namespace %s", namespace)
	return ""
}

// machine is a node with one PF that reports what the policy looks for.
func machine(operator, pf, vendor string) string {
	device, driver, address := "1017", "mlx5_core", "0000:03:00.0"
	if vendor == "19ee" {
		device, driver = "4000", "nfp"
	}
	return fmt.Sprintf(`apiVersion: v1
kind: Node
metadata: {name: node1, labels: {feature.node.kubernetes.io/network-sriov.capable: "true"}}
---
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodeState
metadata: {namespace: %s, name: node1}
status:
  inventory: Complete
  interfaces:
  - {name: %s, pciAddress: "%s", vendor: "%s", deviceID: "%s", driver: %s, totalvfs: 8, linkType: ETH, mtu: 1500}
`, operator, pf, address, vendor, device, driver)
}
