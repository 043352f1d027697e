package apirules_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/yaml"
)

var _ = DescribeTable("the API server fills in exactly the documented defaults",
	func(ctx SpecContext, kind, patch, want string) {
		obj := changed(kind, patch)
		Expect(try(ctx, obj)).To(Succeed())
		wanted := map[string]any{}
		Expect(yaml.Unmarshal([]byte(want), &wanted)).To(Succeed())
		got, err := yaml.Marshal(obj.Object["spec"])
		Expect(err).NotTo(HaveOccurred())
		full, err := yaml.Marshal(merged(changed(kind, patch).Object["spec"].(map[string]any), wanted))
		Expect(err).NotTo(HaveOccurred())
		Expect(string(got)).To(Equal(string(full)))
	},
	Entry("a policy: no priority, no eSwitchMode, no mtu", "SriovNetworkNodePolicy", `{}`, `{deviceType: netdevice, isRdma: false}`),
	Entry("a policy with priority 0", "SriovNetworkNodePolicy", `{priority: 0}`, `{deviceType: netdevice, isRdma: false}`),
	Entry("a bond", "SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bond: {name: bond1, mode: 802.3ad}}`,
		`{deviceType: netdevice, isRdma: false, bond: {miimonMilliseconds: 100, ownership: Managed}}`),
	Entry("a node state: nothing", "SriovNetworkNodeState", `{}`, `{}`),
	Entry("a network: no rates", "SriovNetwork", `{}`, `{logLevel: info}`),
	Entry("a network with rates of 0", "SriovNetwork", `{minTxRate: 0, maxTxRate: 0}`, `{logLevel: info}`),
	Entry("an InfiniBand network: nothing", "SriovIBNetwork", `{}`, `{}`),
	Entry("an OVS network: nothing", "OVSNetwork", `{}`, `{}`),
	Entry("an offload network", "OffloadNetwork", `{}`, `{portMappings: true}`),
	Entry("an offload network of Kube-OVN", "OffloadNetwork", `{kubeOVN: {}}`,
		`{portMappings: true, kubeOVN: {mode: overlay, serverSocket: /run/openvswitch/kube-ovn-daemon.sock}}`),
	Entry("the configuration", "SriovOperatorConfig", `{}`, `{configurationMode: daemon, resourcePrefix: openshift.io}`),
	Entry("a pool: no maxUnavailable, no nodeSelector", "SriovNetworkPoolConfig", `{}`, `{approval: Automatic}`),
	Entry("a drain: half an hour", "SriovNetworkPoolConfig", `{drain: {force: true}}`, `{approval: Automatic, drain: {force: true, deadlineSeconds: 1800}}`),
)
