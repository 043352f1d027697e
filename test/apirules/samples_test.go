package apirules_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	sigsyaml "sigs.k8s.io/yaml"

	v1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/test/controlplane"
)

// guidePolicy is the policy of the Kube-OVN offload guide, as its readers apply it.
const guidePolicy = `apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata:
  name: policy
  namespace: kube-system
spec:
  nodeSelector:
    feature.node.kubernetes.io/network-sriov.capable: "true"
  eSwitchMode: switchdev
  numVfs: 3
  nicSelector:
    pfNames:
    - ens41f0np0
    - ens41f1np1
  resourceName: cx_sriov_switchdev
`

var _ = Describe("samples", func() {
	It("are all listed, cover every kind and are accepted as written", func(ctx SpecContext) {
		kinds := map[string]bool{}
		for _, file := range sampleFiles() {
			for _, obj := range objectsIn(sample(file)) {
				By(file + " " + obj.GetKind() + " " + obj.GetName())
				ensureNamespace(ctx, obj.GetNamespace())
				Expect(api.Create(ctx, obj)).To(Succeed())
				DeferCleanup(func(ctx SpecContext) { Expect(api.Delete(ctx, obj)).To(Succeed()) })
				kinds[obj.GetKind()] = true
			}
		}
		for kind := range bases {
			Expect(kinds).To(HaveKey(kind))
		}
		expectDecodable(ctx)
	})

	It("of the pages about the guides and networks are accepted as written", func(ctx SpecContext) {
		root, err := controlplane.ModuleRoot()
		Expect(err).NotTo(HaveOccurred())
		pages, err := filepath.Glob(filepath.Join(root, "docs", "guides", "*.md"))
		Expect(err).NotTo(HaveOccurred())
		pages = append(pages, filepath.Join(root, "docs", "networks.md"))
		found := 0
		for _, page := range pages {
			data, err := os.ReadFile(page)
			Expect(err).NotTo(HaveOccurred())
			for _, block := range yamlBlocks(string(data)) {
				for _, obj := range objectsIn([]byte(block)) {
					By(filepath.Base(page) + " " + obj.GetName())
					ensureNamespace(ctx, obj.GetNamespace())
					Expect(client.WithFieldValidation(api, metav1.FieldValidationStrict).Create(ctx, obj, client.DryRunAll)).To(Succeed())
					found++
				}
			}
		}
		Expect(found).To(BeNumerically(">=", len(pages)-1))
	})

	It("have the guide's policy word for word", func() {
		Expect(string(sample("sriovnetwork_v1_sriovnetworknodepolicy_kube-ovn.yaml"))).To(HaveSuffix(guidePolicy))
	})
})

var _ = Describe("manifests written for sriov-network-operator", func() {
	DescribeTable("are accepted, and fields that we do not know are dropped",
		func(ctx SpecContext, manifest string) {
			for _, obj := range objectsIn([]byte(manifest)) {
				obj.SetNamespace(namespace)
				Expect(client.WithFieldValidation(api, metav1.FieldValidationWarn).Create(ctx, obj, client.DryRunAll)).To(Succeed())
				spec, _, err := unstructured.NestedMap(obj.Object, "spec")
				Expect(err).NotTo(HaveOccurred())
				Expect(spec).NotTo(HaveKey("fieldOfAnotherRelease"))
			}
		},
		Entry("policy with everything", `
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: {name: policy-net-1}
spec:
  fieldOfAnotherRelease: true
  resourceName: intelnics
  nodeSelector: {feature.node.kubernetes.io/network-sriov.capable: "true", kubernetes.io/os: linux}
  priority: 99
  mtu: 9000
  numVfs: 6
  nicSelector: {vendor: "8086", deviceID: "158b", rootDevices: ["0000:01:00.1"], pfNames: ["eth1#0-3"]}
  deviceType: vfio-pci
  isRdma: false
  needVhostNet: false
  linkType: eth
  excludeTopology: true
  externallyManaged: false
`),
		Entry("policies that split one PF", `
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: {name: policy-1}
spec: {resourceName: intelnics, nodeSelector: {}, priority: 99, numVfs: 5, nicSelector: {vendor: "8086", pfNames: ["ens803f0#0-1"]}, deviceType: netdevice}
---
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: {name: policy-2}
spec: {resourceName: dpdk, nodeSelector: {}, priority: 99, numVfs: 5, nicSelector: {vendor: "8086", pfNames: ["ens803f0#2-4"]}, deviceType: vfio-pci}
`),
		Entry("policy with a bridge", `
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkNodePolicy
metadata: {name: ovs}
spec:
  nodeSelector: {node-role.kubernetes.io/worker: ""}
  resourceName: switchdev
  nicSelector: {vendor: 15b3, deviceID: 101d, rootDevices: ["0000:d8:00.0"]}
  numVfs: 5
  eSwitchMode: switchdev
  bridge: {ovs: {bridge: {datapathType: netdev, failMode: secure}, uplink: {interface: {type: dpdk, options: {dpdk-devargs: "0000:d8:00.0,dv_flow_en=2"}}}}}
`),
		Entry("networks", `
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetwork
metadata: {name: net}
spec:
  networkNamespace: default
  ipam: '{"type": "dhcp"}'
  vlan: 0
  vlanQoS: 0
  vlanProto: 802.1Q
  spoofChk: "on"
  trust: "off"
  linkState: enable
  minTxRate: 0
  maxTxRate: 0
  capabilities: '{ "mac": true }'
  resourceName: intelnics
  metaPlugins: '{"type": "rdma"}'
  logLevel: debug
  logFile: /tmp/sriov.log
---
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovIBNetwork
metadata: {name: ib}
spec: {networkNamespace: default, resourceName: mlx, linkState: enable, capabilities: '{"infinibandGUID": true}'}
---
apiVersion: sriovnetwork.openshift.io/v1
kind: OVSNetwork
metadata: {name: ovs}
spec: {networkNamespace: default, resourceName: switchdev, bridge: br1, vlan: 5, mtu: 1500, interfaceType: dpdk, trunk: [{id: 17}, {minID: 5, maxID: 9}]}
`),
		Entry("configuration", `
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovOperatorConfig
metadata: {name: default}
spec:
  configDaemonNodeSelector: {node-role.kubernetes.io/worker: ""}
  enableInjector: true
  enableOperatorWebhook: true
  enableOvsOffload: false
  logLevel: 2
  disableDrain: false
  configurationMode: systemd
  useCDI: true
  disablePlugins: [mellanox]
  featureGates: {parallelNicConfig: true, mellanoxFirmwareReset: false}
  configDaemonEnvVars: {LOG: verbose}
---
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkPoolConfig
metadata: {name: pool-1}
spec: {maxUnavailable: 2, nodeSelector: {matchLabels: {node-role.kubernetes.io/worker: ""}}, rdmaMode: exclusive}
---
apiVersion: sriovnetwork.openshift.io/v1
kind: SriovNetworkPoolConfig
metadata: {name: pool-2}
spec: {ovsHardwareOffloadConfig: {name: worker}}
`),
	)
})

// sampleFiles lists the files of config/samples and checks that its kustomization lists the same.
func sampleFiles() []string {
	GinkgoHelper()
	root, err := controlplane.ModuleRoot()
	Expect(err).NotTo(HaveOccurred())
	paths, err := filepath.Glob(filepath.Join(root, "config", "samples", "sriovnetwork_v1_*.yaml"))
	Expect(err).NotTo(HaveOccurred())
	files := make([]string, len(paths))
	for i, path := range paths {
		files[i] = filepath.Base(path)
	}
	kustomization := struct {
		Resources []string `json:"resources"`
	}{}
	Expect(sigsyaml.Unmarshal(sample("kustomization.yaml"), &kustomization)).To(Succeed())
	// Nobody should apply the node state: it would overwrite a live one.
	applied := slices.DeleteFunc(slices.Clone(files), func(f string) bool { return f == "sriovnetwork_v1_sriovnetworknodestate.yaml" })
	Expect(kustomization.Resources).To(Equal(applied))
	return files
}

func sample(name string) []byte {
	GinkgoHelper()
	root, err := controlplane.ModuleRoot()
	Expect(err).NotTo(HaveOccurred())
	data, err := os.ReadFile(filepath.Join(root, "config", "samples", name))
	Expect(err).NotTo(HaveOccurred())
	return data
}

// yamlBlocks returns the blocks of YAML in a page.
func yamlBlocks(page string) []string {
	var out []string
	for i, part := range strings.Split(page, "```") {
		if text, ok := strings.CutPrefix(part, "yaml\n"); ok && i%2 == 1 {
			out = append(out, text)
		}
	}
	return out
}

func objectsIn(data []byte) []*unstructured.Unstructured {
	GinkgoHelper()
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	var objects []*unstructured.Unstructured
	for {
		obj := &unstructured.Unstructured{}
		err := decoder.Decode(obj)
		if errors.Is(err, io.EOF) {
			return objects
		}
		Expect(err).NotTo(HaveOccurred())
		objects = append(objects, obj)
	}
}

func ensureNamespace(ctx context.Context, name string) {
	GinkgoHelper()
	err := api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	Expect(client.IgnoreAlreadyExists(err)).To(Succeed())
}

// expectDecodable lists every kind with its Go type: what the API server took, our types take.
func expectDecodable(ctx context.Context) {
	GinkgoHelper()
	for _, list := range []client.ObjectList{
		&v1.SriovNetworkNodePolicyList{}, &v1.SriovNetworkNodeStateList{}, &v1.SriovNetworkList{}, &v1.SriovIBNetworkList{},
		&v1.OVSNetworkList{}, &v1.OffloadNetworkList{}, &v1.SriovOperatorConfigList{}, &v1.SriovNetworkPoolConfigList{},
	} {
		Expect(api.List(ctx, list)).To(Succeed())
	}
}
