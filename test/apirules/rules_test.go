package apirules_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// bases are the smallest good specs by kind; the tables below change one thing each.
var bases = map[string]string{
	"SriovNetworkNodePolicy": `{resourceName: cx, nodeSelector: {}, numVfs: 4, nicSelector: {vendor: "15b3"}}`,
	"SriovNetworkNodeState":  `{interfaces: [{pciAddress: "0000:5f:00.0", numVfs: 4}]}`,
	"SriovNetwork":           `{resourceName: cx}`,
	"SriovIBNetwork":         `{resourceName: cx}`,
	"OVSNetwork":             `{resourceName: cx}`,
	"OffloadNetwork":         `{resourceName: cx, cni: kube-ovn}`,
	"SriovOperatorConfig":    `{}`,
	"SriovNetworkPoolConfig": `{}`,
}

// changed is the base object of a kind with a JSON merge patch, written as YAML, on its spec.
func changed(kind, patch string) *unstructured.Unstructured {
	GinkgoHelper()
	spec := map[string]any{}
	Expect(yaml.Unmarshal([]byte(bases[kind]), &spec)).To(Succeed())
	change := map[string]any{}
	Expect(yaml.Unmarshal([]byte(patch), &change)).To(Succeed())
	return object(kind, merged(spec, change))
}

func merged(base, patch map[string]any) map[string]any {
	for key, value := range patch {
		patchMap, isMap := value.(map[string]any)
		baseMap, wasMap := base[key].(map[string]any)
		switch {
		case value == nil:
			delete(base, key)
		case isMap && wasMap:
			base[key] = merged(baseMap, patchMap)
		default:
			base[key] = value
		}
	}
	return base
}

// refused is a bad object and the words, field and remedy, that its refusal must have.
func refused(kind, patch string, words ...any) TableEntry {
	return Entry(kind+" "+patch, kind, patch, words)
}

var _ = DescribeTable("a single-object rule refuses",
	func(ctx SpecContext, kind, patch string, words []any) {
		err := try(ctx, changed(kind, patch))
		Expect(apierrors.IsInvalid(err)).To(BeTrue(), "error: %v", err)
		for _, word := range words {
			Expect(err.Error()).To(ContainSubstring("%s", word))
		}
		Expect(err.Error()).NotTo(ContainSubstring("rule evaluation error"))
	},
	// One field of a policy.
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bridge: {ovs: {bridge: {externalIDs: {kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk: v}}}}}`,
		"spec.bridge.ovs.bridge.externalIDs", "63 characters"),
	refused("SriovNetworkNodePolicy", `{resourceName: null}`, "spec.resourceName", "Required"),
	refused("SriovNetworkNodePolicy", `{resourceName: ""}`, "spec.resourceName"),
	refused("SriovNetworkNodePolicy", `{resourceName: -cx}`, "spec.resourceName", "letters and digits"),
	refused("SriovNetworkNodePolicy", `{resourceName: cx_}`, "spec.resourceName", "letters and digits"),
	refused("SriovNetworkNodePolicy", `{resourceName: mellanox.com/cx}`, "spec.resourceName", "resourcePrefix"),
	refused("SriovNetworkNodePolicy", `{resourceName: a123456789012345678901234567890123456789012345678901234567890123}`, "spec.resourceName", "63"),
	refused("SriovNetworkNodePolicy", `{resourcePrefix: Mellanox.com}`, "spec.resourcePrefix", "lower case"),
	refused("SriovNetworkNodePolicy", `{resourcePrefix: mellanox.com/}`, "spec.resourcePrefix", "DNS name"),
	refused("SriovNetworkNodePolicy", `{nodeSelector: null}`, "spec.nodeSelector", "Required"),
	refused("SriovNetworkNodePolicy", `{priority: 100}`, "spec.priority", "less than or equal to 99"),
	refused("SriovNetworkNodePolicy", `{priority: -1}`, "spec.priority", "greater than or equal to 0"),
	refused("SriovNetworkNodePolicy", `{mtu: 0}`, "spec.mtu", "greater than or equal to 1"),
	refused("SriovNetworkNodePolicy", `{numVfs: -1}`, "spec.numVfs", "greater than or equal to 0"),
	refused("SriovNetworkNodePolicy", `{numVfs: 65536}`, "spec.numVfs", "less than or equal to 65535"),
	refused("SriovNetworkNodePolicy", `{numVfs: null}`, "spec.numVfs", "Required"),
	refused("SriovNetworkNodePolicy", `{deviceType: uio}`, "spec.deviceType", "netdevice", "vfio-pci"),
	refused("SriovNetworkNodePolicy", `{linkType: Ethernet}`, "spec.linkType", "eth", "IB"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: offload}`, "spec.eSwitchMode", "legacy", "switchdev"),
	refused("SriovNetworkNodePolicy", `{flowSteeringMode: swfs}`, "spec.flowSteeringMode", "smfs", "dmfs", "hmfs"),
	refused("SriovNetworkNodePolicy", `{firmwareApp: nic}`, "spec.firmwareApp", "flower", "flower-next"),
	refused("SriovNetworkNodePolicy", `{vdpaType: net}`, "spec.vdpaType", "virtio", "vhost"),

	// The NIC selector.
	refused("SriovNetworkNodePolicy", `{nicSelector: null}`, "spec.nicSelector", "Required"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {vendor: null}}`, "spec.nicSelector", "set at least one of vendor, deviceID, pfNames, rootDevices or netFilter"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {vendor: "", pfNames: [], rootDevices: []}}`, "spec.nicSelector", "set at least one of"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {vendor: "0x15b3"}}`, "spec.nicSelector.vendor", "four hexadecimal digits"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {vendor: mellanox}}`, "spec.nicSelector.vendor", "e.g. 15b3"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {deviceID: "101"}}`, "spec.nicSelector.deviceID", "e.g. 1017"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {pfNames: [""]}}`, "spec.nicSelector.pfNames[0]", "netdev name or altName"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {pfNames: [eth0, "eth0#"]}}`, "spec.nicSelector.pfNames[1]", "eth0", "VF ranges"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {pfNames: ["eth0#a-b"]}}`, "spec.nicSelector.pfNames[0]", "VF ranges"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {pfNames: ["eth0#3-1"]}}`, "spec.nicSelector.pfNames[0]", "must not be below the first"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {pfNames: ["eth0#0,3-1"]}}`, "spec.nicSelector.pfNames[0]", "must not be below the first"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {pfNames: ["eth0#0-4"]}}`, "spec.nicSelector.pfNames", "raise numVfs"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {pfNames: ["eth0#0-3", "eth1#1,4"]}}`, "spec.nicSelector.pfNames", "raise numVfs"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {rootDevices: ["3b:00.0"]}}`, "spec.nicSelector.rootDevices[0]", "PCI address with its domain"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {rootDevices: ["0000:3b:00.8"]}}`, "spec.nicSelector.rootDevices[0]", "PCI address"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {rootDevices: ["0000:3b:20.0"]}}`, "spec.nicSelector.rootDevices[0]", "PCI address"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {rootDevices: [eth0]}}`, "spec.nicSelector.rootDevices[0]", "PCI address"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {rootDevices: ["0000:3b:00.0#2-1"]}}`, "spec.nicSelector.rootDevices[0]", "must not be below the first"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {rootDevices: ["0000:3b:00.0#4"]}}`, "spec.nicSelector.rootDevices", "raise numVfs"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {netFilter: "aws/NetworkID:x"}}`, "spec.nicSelector.netFilter", "remove vendor"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {vendor: null, deviceID: "1017", netFilter: "aws/NetworkID:x"}}`, "spec.nicSelector.netFilter", "deviceID"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {vendor: null, pfNames: [eth0], netFilter: "aws/NetworkID:x"}}`, "spec.nicSelector.netFilter", "pfNames"),
	refused("SriovNetworkNodePolicy", `{nicSelector: {vendor: null, rootDevices: ["0000:3b:00.0"], netFilter: "aws/NetworkID:x"}}`, "spec.nicSelector.netFilter", "rootDevices"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: legacy, nicSelector: {vendor: null, netFilter: "aws/NetworkID:x"}}`, "spec.nicSelector.netFilter", "remove eSwitchMode"),
	refused("SriovNetworkNodePolicy", `{bridge: {ovs: {}}, nicSelector: {vendor: null, netFilter: "aws/NetworkID:x"}}`, "spec.nicSelector.netFilter", "remove bridge"),
	refused("SriovNetworkNodePolicy", `{linkType: ib, nicSelector: {vendor: null, netFilter: "aws/NetworkID:x"}}`, "spec.nicSelector.netFilter", "remove linkType"),

	// Fields of a policy that exclude or need each other.
	refused("SriovNetworkNodePolicy", `{isRdma: true, deviceType: vfio-pci}`, "spec.isRdma", "set isRdma to false or deviceType to netdevice"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, linkType: ib}`, "spec.eSwitchMode", "set linkType to eth"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, linkType: IB}`, "spec.eSwitchMode", "Ethernet only"),
	refused("SriovNetworkNodePolicy", `{bond: {name: bond1, mode: 802.3ad}}`, "spec.bond", "set eSwitchMode to switchdev"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: legacy, bond: {name: bond1, mode: 802.3ad}}`, "spec.bond", "set eSwitchMode to switchdev"),
	refused("SriovNetworkNodePolicy", `{bridge: {ovs: {}}}`, "spec.bridge", "set eSwitchMode to switchdev"),
	refused("SriovNetworkNodePolicy", `{vdpaType: virtio}`, "spec.vdpaType", "set eSwitchMode to switchdev"),
	refused("SriovNetworkNodePolicy", `{vdpaType: vhost, eSwitchMode: switchdev, deviceType: vfio-pci}`, "spec.vdpaType", "set deviceType to netdevice"),
	refused("SriovNetworkNodePolicy", `{externallyManaged: true, eSwitchMode: switchdev, bridge: {ovs: {}}}`, "spec.externallyManaged", "bridge", "remove one of the two"),
	refused("SriovNetworkNodePolicy", `{externallyManaged: true, eSwitchMode: switchdev, bond: {name: bond1, mode: 802.3ad}}`, "spec.externallyManaged", "bond", "remove one of the two"),
	refused("SriovNetworkNodePolicy", `{externallyManaged: true, firmwareApp: flower}`, "spec.externallyManaged", "firmwareApp", "remove one of the two"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bridge: {ovs: {bridge: {failMode: open}}}}`, "spec.bridge.ovs.bridge.failMode", "secure", "standalone"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bridge: {ovs: {uplink: {interface: {mtuRequest: 0}}}}}`, "spec.bridge.ovs.uplink.interface.mtuRequest", "greater than or equal to 1"),

	// The bond.
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bond: {mode: 802.3ad}}`, "spec.bond.name", "Required"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bond: {name: bond1}}`, "spec.bond.mode", "Required"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bond: {name: bond/1, mode: 802.3ad}}`, "spec.bond.name", "without space, / and :"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bond: {name: "bond 1", mode: 802.3ad}}`, "spec.bond.name", "without space"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bond: {name: "..", mode: 802.3ad}}`, "spec.bond.name", "kernel"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bond: {name: bond-of-16-chars, mode: 802.3ad}}`, "spec.bond.name", "1 to 15 characters"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bond: {name: bond1, mode: balance-rr}}`, "spec.bond.mode", "active-backup", "balance-xor", "802.3ad"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bond: {name: bond1, mode: balance-xor, xmitHashPolicy: vlan+srcmac}}`, "spec.bond.xmitHashPolicy", "layer3+4"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bond: {name: bond1, mode: active-backup, xmitHashPolicy: layer2}}`, "spec.bond.xmitHashPolicy", "remove xmitHashPolicy"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bond: {name: bond1, mode: balance-xor, lacpRate: fast}}`, "spec.bond.lacpRate", "set mode to 802.3ad"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bond: {name: bond1, mode: 802.3ad, lacpRate: slowest}}`, "spec.bond.lacpRate", "slow", "fast"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bond: {name: bond1, mode: 802.3ad, miimonMilliseconds: 0}}`, "spec.bond.miimonMilliseconds", "greater than or equal to 1"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bond: {name: bond1, mode: 802.3ad, ownership: Ours}}`, "spec.bond.ownership", "Managed", "Adopted"),
	refused("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bond: {name: bond1, mode: 802.3ad, mtu: 0}}`, "spec.bond.mtu", "greater than or equal to 1"),

	// Node states.
	refused("SriovNetworkNodeState", `{interfaces: [{numVfs: 4}]}`, "spec.interfaces[0].pciAddress", "Required"),
	refused("SriovNetworkNodeState", `{interfaces: [{pciAddress: "0000:5f:00.0"}, {pciAddress: "0000:5f:00.0"}]}`, "spec.interfaces[1]", "Duplicate"),
	refused("SriovNetworkNodeState", `{interfaces: [{pciAddress: "0000:5f:00.0", vfGroups: [{vfRange: 3-1}]}]}`, "vfGroups[0].vfRange", "FIRST not above LAST"),
	refused("SriovNetworkNodeState", `{interfaces: [{pciAddress: "0000:5f:00.0", vfGroups: [{resourceName: cx}]}]}`, "vfGroups[0].vfRange", "Required"),
	refused("SriovNetworkNodeState", `{system: {rdmaMode: both}}`, "spec.system.rdmaMode", "shared", "exclusive"),

	// Networks.
	refused("SriovNetwork", `{resourceName: null}`, "spec.resourceName", "Required"),
	refused("SriovNetwork", `{resourceName: openshift.io/cx}`, "spec.resourceName", "after the slash"),
	refused("SriovNetwork", `{networkNamespace: My_Namespace}`, "spec.networkNamespace", "lower-case letters"),
	refused("SriovNetwork", `{vlan: 4095}`, "spec.vlan", "less than or equal to 4094"),
	refused("SriovNetwork", `{vlan: -1}`, "spec.vlan", "greater than or equal to 0"),
	refused("SriovNetwork", `{vlanQoS: 8}`, "spec.vlanQoS", "less than or equal to 7"),
	refused("SriovNetwork", `{vlanQoS: -1}`, "spec.vlanQoS", "greater than or equal to 0"),
	refused("SriovNetwork", `{vlanProto: 802.1x}`, "spec.vlanProto", "802.1q or 802.1ad"),
	refused("SriovNetwork", `{spoofChk: "yes"}`, "spec.spoofChk", `"on"`, `"off"`),
	refused("SriovNetwork", `{trust: "true"}`, "spec.trust", `"on"`, `"off"`),
	refused("SriovNetwork", `{linkState: up}`, "spec.linkState", "auto", "enable", "disable"),
	refused("SriovNetwork", `{minTxRate: -1}`, "spec.minTxRate", "greater than or equal to 0"),
	refused("SriovNetwork", `{maxTxRate: -1}`, "spec.maxTxRate", "greater than or equal to 0"),
	refused("SriovNetwork", `{minTxRate: 200, maxTxRate: 100}`, "spec.minTxRate", "raise maxTxRate"),
	refused("SriovNetwork", `{logLevel: trace}`, "spec.logLevel", "info", "debug"),
	refused("SriovIBNetwork", `{resourceName: ""}`, "spec.resourceName"),
	refused("SriovIBNetwork", `{resourceName: a/b}`, "spec.resourceName", "after the slash"),
	refused("SriovIBNetwork", `{networkNamespace: a.b}`, "spec.networkNamespace", "name of a namespace"),
	refused("SriovIBNetwork", `{linkState: down}`, "spec.linkState", "auto", "enable", "disable"),
	refused("OVSNetwork", `{resourceName: a/b}`, "spec.resourceName", "after the slash"),
	refused("OVSNetwork", `{networkNamespace: "-a"}`, "spec.networkNamespace", "name of a namespace"),
	refused("OVSNetwork", `{vlan: 4096}`, "spec.vlan", "less than or equal to 4095"),
	refused("OVSNetwork", `{mtu: -1}`, "spec.mtu", "greater than or equal to 0"),
	refused("OVSNetwork", `{trunk: [{}]}`, "spec.trunk[0]", "set id, or minID and maxID"),
	refused("OVSNetwork", `{trunk: [{id: 4096}]}`, "spec.trunk[0].id", "less than or equal to 4095"),
	refused("OVSNetwork", `{trunk: [{minID: 1}]}`, "spec.trunk[0]", "set both or neither"),
	refused("OVSNetwork", `{trunk: [{minID: 2, maxID: 1}]}`, "spec.trunk[0]", "swap them"),
	refused("OffloadNetwork", `{cni: null}`, "spec.cni", "Required"),
	refused("OffloadNetwork", `{cni: ovn-kubernetes}`, "spec.cni", "kube-ovn", "antrea"),
	refused("OffloadNetwork", `{resourceName: a/b}`, "spec.resourceName", "after the slash"),
	refused("OffloadNetwork", `{resourcePrefix: a_b}`, "spec.resourcePrefix", "DNS name"),
	refused("OffloadNetwork", `{networkNamespace: A}`, "spec.networkNamespace", "name of a namespace"),
	refused("OffloadNetwork", `{cni: antrea, kubeOVN: {}}`, "spec.kubeOVN", "set cni to kube-ovn"),
	refused("OffloadNetwork", `{ipam: "{}"}`, "spec.ipam", "remove ipam"),
	refused("OffloadNetwork", `{kubeOVN: {mode: vlan}}`, "spec.kubeOVN.mode", "overlay", "underlay"),
	refused("OffloadNetwork", `{kubeOVN: {serverSocket: kube-ovn.sock}}`, "spec.kubeOVN.serverSocket", "absolute path"),
	refused("OffloadNetwork", `{kubeOVN: {mode: underlay}}`, "spec.kubeOVN.subnet", "cidrBlock, gateway and defaultInterface"),
	refused("OffloadNetwork", `{kubeOVN: {subnet: {cidrBlock: 10.0.0.0/8, gateway: 10.0.0.1, defaultInterface: bond1}}}`, "spec.kubeOVN.subnet", "set kubeOVN.mode to underlay"),
	refused("OffloadNetwork", `{kubeOVN: {mode: underlay, logicalSwitch: ovn-default, subnet: {cidrBlock: 10.0.0.0/8, gateway: 10.0.0.1, defaultInterface: bond1}}}`, "spec.kubeOVN.logicalSwitch", "remove it"),
	refused("OffloadNetwork", `{kubeOVN: {mode: underlay, subnet: {cidrBlock: 10.0.0.0, gateway: 10.0.0.1, defaultInterface: bond1}}}`, "spec.kubeOVN.subnet.cidrBlock", "such as 10.10.204.0/24"),
	refused("OffloadNetwork", `{kubeOVN: {mode: underlay, subnet: {cidrBlock: 10.0.0.0/8, gateway: router, defaultInterface: bond1}}}`, "spec.kubeOVN.subnet.gateway", "IP address"),
	refused("OffloadNetwork", `{kubeOVN: {mode: underlay, subnet: {cidrBlock: 10.0.0.0/8, gateway: 10.0.0.1, defaultInterface: "bond 1"}}}`, "spec.kubeOVN.subnet.defaultInterface", "e.g. bond1"),
	refused("OffloadNetwork", `{kubeOVN: {mode: underlay, subnet: {cidrBlock: 10.0.0.0/8, gateway: 10.0.0.1, defaultInterface: bond1, vlanID: 4095}}}`, "spec.kubeOVN.subnet.vlanID", "less than or equal to 4094"),
	refused("OffloadNetwork", `{kubeOVN: {mode: underlay, subnet: {cidrBlock: 10.0.0.0/8, gateway: 10.0.0.1, defaultInterface: bond1, excludeIPs: ["10.0.0.1-10.0.0.9"]}}}`, "spec.kubeOVN.subnet.excludeIPs[0]", "10.10.204.1..10.10.204.100"),

	// The operator's own settings and pools.
	refused("SriovOperatorConfig", `{logLevel: 3}`, "spec.logLevel", "less than or equal to 2"),
	refused("SriovOperatorConfig", `{logLevel: -1}`, "spec.logLevel", "greater than or equal to 0"),
	refused("SriovOperatorConfig", `{configurationMode: cron}`, "spec.configurationMode", "daemon", "systemd"),
	refused("SriovOperatorConfig", `{resourcePrefix: "a b"}`, "spec.resourcePrefix", "DNS name"),
	refused("SriovOperatorConfig", `{disablePlugins: [intel]}`, "spec.disablePlugins[0]", "mellanox"),
	refused("SriovOperatorConfig", `{supportedNics: [{vendor: "15b3", pf: "1017"}]}`, "spec.supportedNics[0].vf", "Required"),
	refused("SriovOperatorConfig", `{supportedNics: [{vendor: "15b", pf: "1017", vf: "1018"}]}`, "spec.supportedNics[0].vendor", "four hexadecimal digits"),
	refused("SriovOperatorConfig", `{supportedNics: [{vendor: "15b3", pf: "cx5", vf: "1018"}]}`, "spec.supportedNics[0].pf", "four hexadecimal digits"),
	refused("SriovOperatorConfig", `{supportedNics: [{vendor: "15b3", pf: "1017", vf: "101g"}]}`, "spec.supportedNics[0].vf", "four hexadecimal digits"),
	refused("SriovOperatorConfig", `{configDaemonEnvVars: {"A-B": "x"}}`, "spec.configDaemonEnvVars", "letters, digits and _"),
	refused("SriovNetworkPoolConfig", `{maxUnavailable: -1}`, "spec.maxUnavailable", "0 or more, or a percentage"),
	refused("SriovNetworkPoolConfig", `{maxUnavailable: 101%}`, "spec.maxUnavailable", "a percentage from 0% to 100%"),
	refused("SriovNetworkPoolConfig", `{maxUnavailable: half}`, "spec.maxUnavailable", "a percentage"),
	refused("SriovNetworkPoolConfig", `{rdmaMode: both}`, "spec.rdmaMode", "shared", "exclusive"),
	refused("SriovNetworkPoolConfig", `{drain: {deadlineSeconds: 0}}`, "spec.drain.deadlineSeconds", "greater than or equal to 1"),
	refused("SriovNetworkPoolConfig", `{drain: {deadlineSeconds: 604801}}`, "spec.drain.deadlineSeconds", "less than or equal to 604800"),
	refused("SriovNetworkPoolConfig", `{approval: Later}`, "spec.approval", "Automatic", "Manual"),
)

// accepted is an object at the edge of a rule.
func accepted(kind, patch string) TableEntry { return Entry(kind+" "+patch, kind, patch) }

var _ = DescribeTable("a single-object rule accepts",
	func(ctx SpecContext, kind, patch string) {
		Expect(try(ctx, changed(kind, patch))).To(Succeed())
	},
	accepted("SriovNetworkNodePolicy", `{}`),
	accepted("SriovNetworkNodePolicy", `{resourceName: a}`),
	accepted("SriovNetworkNodePolicy", `{resourceName: A_b-9}`),
	accepted("SriovNetworkNodePolicy", `{resourcePrefix: ""}`),
	accepted("SriovNetworkNodePolicy", `{resourcePrefix: corigine.com}`),
	accepted("SriovNetworkNodePolicy", `{numVfs: 0, nicSelector: {pfNames: ["eth0#0-3"]}}`),
	accepted("SriovNetworkNodePolicy", `{nicSelector: {vendor: ""  , deviceID: 101D}}`),
	accepted("SriovNetworkNodePolicy", `{nicSelector: {pfNames: ["eth0#0-1", "eth0#3", "enp1s0f0np0-very-long-altname#0,2-3"]}}`),
	accepted("SriovNetworkNodePolicy", `{nicSelector: {rootDevices: ["0000:3b:1f.7#0-3", "10000:01:00.0", "0000:AF:00.0"]}}`),
	accepted("SriovNetworkNodePolicy", `{nicSelector: {vendor: "", pfNames: [], netFilter: "openstack/NetworkID:e48c7670-bcb4-4f9c-8038-012b6571501d"}}`),
	accepted("SriovNetworkNodePolicy", `{linkType: ETH, nicSelector: {vendor: null, netFilter: "aws/NetworkID:x"}}`),
	accepted("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, linkType: ETH}`),
	accepted("SriovNetworkNodePolicy", `{eSwitchMode: legacy, linkType: IB, isRdma: true}`),
	accepted("SriovNetworkNodePolicy", `{deviceType: vfio-pci, isRdma: false}`),
	accepted("SriovNetworkNodePolicy", `{externallyManaged: true, bridge: {}}`),
	accepted("SriovNetworkNodePolicy", `{externallyManaged: true, eSwitchMode: switchdev}`),
	accepted("SriovNetworkNodePolicy", `{vdpaType: vhost, eSwitchMode: switchdev, deviceType: netdevice}`),
	accepted("SriovNetworkNodePolicy", `{vdpaType: virtio, eSwitchMode: switchdev}`),
	accepted("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bond: {name: bond-of-15-char, mode: active-backup}}`),
	accepted("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bond: {name: b, mode: balance-xor, xmitHashPolicy: encap3+4}}`),
	accepted("SriovNetworkNodePolicy", `{eSwitchMode: switchdev, bond: {name: b, mode: 802.3ad, lacpRate: slow, ownership: Adopted}}`),
	accepted("SriovNetworkNodeState", `{interfaces: [{pciAddress: "0000:5f:00.0", vfGroups: [{vfRange: 0-0}, {vfRange: 1-65534}]}]}`),
	accepted("SriovNetwork", `{vlan: 4094, vlanQoS: 7, vlanProto: 802.1AD, minTxRate: 0, maxTxRate: 0}`),
	accepted("SriovNetwork", `{vlanProto: 802.1Q, minTxRate: 100, maxTxRate: 0, logLevel: "", networkNamespace: ""}`),
	accepted("SriovNetwork", `{minTxRate: 100, maxTxRate: 100}`),
	accepted("OVSNetwork", `{vlan: 4095, mtu: 0, trunk: [{id: 0}, {minID: 1, maxID: 1}, {id: 5, minID: 7, maxID: 9}]}`),
	accepted("OffloadNetwork", `{cni: antrea, ipam: "{}"}`),
	accepted("OffloadNetwork", `{kubeOVN: {mode: underlay, subnet: {cidrBlock: "10.0.0.0/8,fd00::/64", gateway: "10.0.0.1,fd00::1", defaultInterface: bond1, vlanID: 4094, excludeIPs: ["10.0.0.1..10.0.0.9", "fd00::1"]}}}`),
	accepted("SriovOperatorConfig", `{featureGates: {whatever: true}, configDaemonEnvVars: {A_1: "x"}, disablePlugins: [mellanox]}`),
	accepted("SriovNetworkPoolConfig", `{maxUnavailable: 0}`),
	accepted("SriovNetworkPoolConfig", `{drain: {deadlineSeconds: 600, force: true}}`),
	accepted("SriovNetworkPoolConfig", `{maxUnavailable: 100%}`),
	accepted("SriovNetworkPoolConfig", `{maxUnavailable: 5, nodeSelector: {matchExpressions: [{key: a, operator: Exists}]}, ovsHardwareOffloadConfig: {name: mcp}}`),
)
