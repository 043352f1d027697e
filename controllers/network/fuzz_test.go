package network_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/network"
)

// FuzzText: no text in any field changes the structure of the configuration, or
// puts a key where it has none. Texts of their own come out as they went in;
// JSON of users stays below its key, or behind the plugin.
func FuzzText(f *testing.F) {
	for _, s := range []string{
		"", "x", `"`, `\`, `","type":"evil`, `{"type":"dhcp"}`, `{"type":"dhcp"},"type":"evil"`, `{"type":"a"}],"name":"evil","plugins":[{"type":"b"}`,
		"{}\n{}", `{"mac":true}`, `{"mac":true,"mac":false}`, `{"type":"\u0000"}`, "\xff", `{"type":"tuning"},{"type":"vrf"}`, `{"TYPE":"evil","type":"a"}`,
		`{"type":"a","cniVersion":"9","name":"n"}`, `null`, `[]`, `{"type":"a","x":1e999}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		meta := metav1.ObjectMeta{Namespace: operator, Name: "n"}
		for _, n := range []sriovv1.Network{
			&sriovv1.SriovNetwork{ObjectMeta: meta, Spec: sriovv1.SriovNetworkSpec{ResourceName: s, VlanProto: s, SpoofChk: s, Trust: s, LinkState: s, LogLevel: s, LogFile: s}},
			&sriovv1.SriovNetwork{ObjectMeta: meta, Spec: sriovv1.SriovNetworkSpec{IPAM: s}},
			&sriovv1.SriovNetwork{ObjectMeta: meta, Spec: sriovv1.SriovNetworkSpec{Capabilities: s}},
			&sriovv1.SriovNetwork{ObjectMeta: meta, Spec: sriovv1.SriovNetworkSpec{MetaPlugins: s}},
			&sriovv1.SriovIBNetwork{ObjectMeta: meta, Spec: sriovv1.SriovIBNetworkSpec{LinkState: s, IPAM: s, Capabilities: s, MetaPlugins: s}},
			&sriovv1.OVSNetwork{ObjectMeta: meta, Spec: sriovv1.OVSNetworkSpec{Bridge: s, InterfaceType: s}},
			&sriovv1.OVSNetwork{ObjectMeta: meta, Spec: sriovv1.OVSNetworkSpec{IPAM: s, Capabilities: s, MetaPlugins: s}},
			&sriovv1.OffloadNetwork{ObjectMeta: meta, Spec: sriovv1.OffloadNetworkSpec{CNI: "antrea", IPAM: s}},
			&sriovv1.OffloadNetwork{ObjectMeta: meta, Spec: sriovv1.OffloadNetworkSpec{CNI: "kube-ovn", KubeOVN: &sriovv1.KubeOVNNetwork{ServerSocket: s, LogicalSwitch: s}}},
			&sriovv1.OffloadNetwork{ObjectMeta: meta, Spec: sriovv1.OffloadNetworkSpec{CNI: s}},
		} {
			nad, err := network.Render(n, defaults)
			if err != nil {
				continue
			}
			checkLoads(t, nad.Spec.Config)
			checkStructure(t, n, nad.Spec.Config)
		}
	})
}

// keys that a plugin of ours may have.
var keys = map[string]bool{
	"cniVersion": true, "name": true, "type": true, "vlan": true, "spoofchk": true, "trust": true, "vlanQoS": true, "vlanProto": true, "min_tx_rate": true,
	"max_tx_rate": true, "capabilities": true, "link_state": true, "logLevel": true, "logFile": true, "ipam": true, "bridge": true, "mtu": true,
	"trunk": true, "interface_type": true, "server_socket": true, "provider": true,
}

func checkStructure(t *testing.T, n sriovv1.Network, config string) {
	t.Helper()
	top := decode(t, config)
	plugin := top
	if list, isList := top["plugins"].([]any); isList {
		for key := range top {
			if key != "plugins" && key != "name" && key != "cniVersion" {
				t.Errorf("key %q beside the plugins: %s", key, config)
			}
		}
		plugin = list[0].(map[string]any)
		if plugin["name"] != nil || plugin["cniVersion"] != nil {
			t.Errorf("the plugin has a name or version of its own: %s", config)
		}
	}
	for key := range plugin {
		if !keys[key] {
			t.Errorf("key %q: %s", key, config)
		}
	}
	if strings.Count(config, `"cniVersion"`) < 1 || top["name"] == nil {
		t.Errorf("no name or version: %s", config)
	}
	wantType := map[string]string{"SriovNetwork": "sriov", "SriovIBNetwork": "ib-sriov", "OVSNetwork": "ovs"}[network.KindOf(n)]
	if offload, is := n.(*sriovv1.OffloadNetwork); is {
		wantType = offload.Spec.CNI
	}
	if plugin["type"] != wantType {
		t.Errorf("type %v, want %s: %s", plugin["type"], wantType, config)
	}
	checkTexts(t, n, plugin)
}

// checkTexts compares texts with what they were; encoding replaces what is not UTF-8.
func checkTexts(t *testing.T, n sriovv1.Network, plugin map[string]any) {
	t.Helper()
	got, want := map[string]any{}, map[string]any{}
	expect := func(key, text string) {
		if text != "" {
			got[key], want[key] = plugin[key], strings.ToValidUTF8(text, "\ufffd")
		}
	}
	switch n := n.(type) {
	case *sriovv1.SriovNetwork:
		expect("spoofchk", n.Spec.SpoofChk)
		expect("logFile", n.Spec.LogFile)
		expect("link_state", n.Spec.LinkState)
	case *sriovv1.OVSNetwork:
		expect("bridge", n.Spec.Bridge)
	case *sriovv1.OffloadNetwork:
		if n.Spec.KubeOVN != nil {
			expect("server_socket", n.Spec.KubeOVN.ServerSocket)
		}
	}
	normal := cmp.Transformer("utf8", func(s string) string { return strings.ReplaceAll(s, "\ufffd", "") })
	if diff := cmp.Diff(want, got, normal); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func decode(t *testing.T, config string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(config), &m); err != nil {
		t.Fatalf("%v: %s", err, config)
	}
	return m
}
