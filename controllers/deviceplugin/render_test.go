package deviceplugin_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/controllers/deviceplugin"
)

// The types of the plugin (its pkg/types), with all that it reads, so that a
// field in the wrong place does not decode.
type pluginConfig struct {
	ResourceList []pluginResource `json:"resourceList"`
}

type pluginResource struct {
	ResourcePrefix  string          `json:"resourcePrefix,omitempty"`
	ResourceName    string          `json:"resourceName"`
	DeviceType      string          `json:"deviceType,omitempty"`
	ExcludeTopology bool            `json:"excludeTopology,omitempty"`
	Selectors       json.RawMessage `json:"selectors,omitempty"`
}

type pluginSelector struct {
	Vendors      []string `json:"vendors,omitempty"`
	Devices      []string `json:"devices,omitempty"`
	Drivers      []string `json:"drivers,omitempty"`
	PCIAddresses []string `json:"pciAddresses,omitempty"`
	PfNames      []string `json:"pfNames,omitempty"`
	RootDevices  []string `json:"rootDevices,omitempty"`
	LinkTypes    []string `json:"linkTypes,omitempty"`
	IsRdma       bool     `json:"isRdma,omitempty"`
	NeedVhostNet bool     `json:"needVhostNet,omitempty"`
	VdpaType     string   `json:"vdpaType,omitempty"`
}

func decodeStrict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// selectorsOf reads one object or a list, as the plugin does.
func selectorsOf(r pluginResource) ([]pluginSelector, error) {
	if bytes.HasPrefix(r.Selectors, []byte("[")) {
		var list []pluginSelector
		return list, decodeStrict(r.Selectors, &list)
	}
	var one pluginSelector
	err := decodeStrict(r.Selectors, &one)
	return []pluginSelector{one}, err
}

// vf is one VF and how it is offered.
type vf struct {
	PF    string
	Index int
}

type offer struct {
	Resource     string
	IsRdma       bool
	NeedVhostNet bool
	VdpaType     string
}

var rootDevice = regexp.MustCompile(`^([0-9a-f:.]+)#([0-9,-]+)$`)

// expandRootDevice reads an entry as the plugin does.
func expandRootDevice(entry string) (vfs []vf, err error) {
	parts := rootDevice.FindStringSubmatch(entry)
	if parts == nil {
		return nil, fmt.Errorf("rootDevices entry %q", entry)
	}
	for text := range strings.SplitSeq(parts[2], ",") {
		r, err := sriovv1.ParseVFRange(text)
		if err != nil {
			return nil, err
		}
		for i := r.First; i <= r.Last; i++ {
			vfs = append(vfs, vf{parts[1], i})
		}
	}
	return vfs, nil
}

// offered returns how every VF is offered, and an error if one is offered
// twice or a PF is named twice in one selector: the plugin reads the first only.
func offered(data []byte) (map[vf]offer, error) {
	var config pluginConfig
	if err := decodeStrict(data, &config); err != nil {
		return nil, err
	}
	offers := map[vf]offer{}
	resources := map[string]bool{}
	for _, r := range config.ResourceList {
		name := r.ResourcePrefix + "/" + r.ResourceName
		if resources[name] {
			return nil, fmt.Errorf("resource %s twice", name)
		}
		resources[name] = true
		selectors, err := selectorsOf(r)
		if err != nil {
			return nil, err
		}
		for _, s := range selectors {
			seen := map[string]bool{}
			for _, entry := range s.RootDevices {
				vfs, err := expandRootDevice(entry)
				if err != nil {
					return nil, err
				}
				if seen[vfs[0].PF] {
					return nil, fmt.Errorf("PF %s twice in one selector", vfs[0].PF)
				}
				seen[vfs[0].PF] = true
				for _, v := range vfs {
					if _, twice := offers[v]; twice {
						return nil, fmt.Errorf("VF %v twice", v)
					}
					offers[v] = offer{name, s.IsRdma, s.NeedVhostNet, s.VdpaType}
				}
			}
		}
	}
	return offers, nil
}

func group(resource string, first, last int) sriovv1.VfGroup {
	return sriovv1.VfGroup{ResourceName: resource, VfRange: sriovv1.VFRange{First: first, Last: last}}
}

func TestRender(t *testing.T) {
	spec := sriovv1.SriovNetworkNodeStateSpec{Interfaces: []sriovv1.Interface{
		{PCIAddress: "0000:86:00.0", NumVfs: 8, VfGroups: []sriovv1.VfGroup{group("a", 0, 1), group("a", 2, 3), group("b", 4, 5), group("a", 6, 6)}},
		{PCIAddress: "0000:3b:00.0", NumVfs: 8, VfGroups: []sriovv1.VfGroup{
			{ResourceName: "a", VfRange: sriovv1.VFRange{First: 0, Last: 7}, IsRdma: true, ExcludeTopology: true},
		}},
		{PCIAddress: "0000:af:00.0", NumVfs: 2, VfGroups: []sriovv1.VfGroup{
			{ResourceName: "a", ResourcePrefix: "mellanox.com", VfRange: sriovv1.VFRange{First: 0, Last: 1}, VdpaType: "vhost", NeedVhostNet: true},
		}},
	}}
	data, resources, err := deviceplugin.Render(spec, nil, deviceplugin.Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "resourceList": [
    {
      "resourcePrefix": "mellanox.com",
      "resourceName": "a",
      "selectors": {
        "rootDevices": [
          "0000:af:00.0#0-1"
        ],
        "needVhostNet": true,
        "vdpaType": "vhost"
      }
    },
    {
      "resourcePrefix": "openshift.io",
      "resourceName": "a",
      "selectors": [
        {
          "rootDevices": [
            "0000:86:00.0#0-3,6"
          ]
        },
        {
          "rootDevices": [
            "0000:3b:00.0#0-7"
          ],
          "isRdma": true
        }
      ],
      "excludeTopology": true
    },
    {
      "resourcePrefix": "openshift.io",
      "resourceName": "b",
      "selectors": {
        "rootDevices": [
          "0000:86:00.0#4-5"
        ]
      }
    }
  ]
}
`
	if diff := cmp.Diff(want, string(data)); diff != "" {
		t.Errorf("config.json (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"mellanox.com/a", "openshift.io/a", "openshift.io/b"}, resources); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}

func TestRenderNothing(t *testing.T) {
	data, resources, err := deviceplugin.Render(sriovv1.SriovNetworkNodeStateSpec{}, nil, deviceplugin.Defaults{ResourcePrefix: "example.com"})
	if err != nil || len(resources) != 0 || string(data) != "{\n  \"resourceList\": []\n}\n" {
		t.Errorf("got %s, %v, %v", data, resources, err)
	}
}

// TestRenderVirtualPlatform: a function with a netFilter is a VF already, so it
// is offered itself, by its own address.
func TestRenderVirtualPlatform(t *testing.T) {
	spec := sriovv1.SriovNetworkNodeStateSpec{Interfaces: []sriovv1.Interface{
		{PCIAddress: "0000:00:05.0", NumVfs: 1, VfGroups: []sriovv1.VfGroup{group("net", 0, 0)}},
		{PCIAddress: "0000:86:00.0", NumVfs: 1, VfGroups: []sriovv1.VfGroup{group("net", 0, 0)}},
	}}
	inventory := []sriovv1.InterfaceStatus{{PCIAddress: "0000:00:05.0", NetFilter: "openstack/NetworkID:1"}, {PCIAddress: "0000:86:00.0"}}
	data, _, err := deviceplugin.Render(spec, inventory, deviceplugin.Defaults{})
	if err != nil {
		t.Fatal(err)
	}
	var config pluginConfig
	if err := decodeStrict(data, &config); err != nil {
		t.Fatal(err)
	}
	got, err := selectorsOf(config.ResourceList[0])
	if err != nil {
		t.Fatal(err)
	}
	want := []pluginSelector{{RootDevices: []string{"0000:86:00.0#0"}}, {PCIAddresses: []string{"0000:00:05.0"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("selectors (-want +got):\n%s", diff)
	}
}

func TestRenderRefusesWhatThePluginDiesOf(t *testing.T) {
	spec := sriovv1.SriovNetworkNodeStateSpec{Interfaces: []sriovv1.Interface{
		{PCIAddress: "0000:86:00.0", VfGroups: []sriovv1.VfGroup{group("", 0, 0), group("a/b", 1, 2)}},
	}}
	_, _, err := deviceplugin.Render(spec, nil, deviceplugin.Defaults{})
	want := `rendering VFs 0-0 of PF 0000:86:00.0: resourceName "" is not a resource name
rendering VFs 1-2 of PF 0000:86:00.0: resourceName "a/b" is not a resource name`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// TestPropertyRender: the VFs of all resources are exactly the VFs of the
// groups, each once and with the flags of its group, in any order of input.
func TestPropertyRender(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var spec sriovv1.SriovNetworkNodeStateSpec
		want := map[vf]offer{}
		for i := range rapid.IntRange(0, 4).Draw(t, "PFs") {
			pf := sriovv1.Interface{PCIAddress: fmt.Sprintf("0000:%02x:00.%d", 0x86-i/2, i%2)}
			next := 0
			for range rapid.IntRange(0, 5).Draw(t, "groups") {
				first := next + rapid.IntRange(0, 2).Draw(t, "gap")
				next = first + rapid.IntRange(1, 4).Draw(t, "length")
				g := group(rapid.SampledFrom([]string{"a", "b", "c_d-e"}).Draw(t, "resource"), first, next-1)
				g.ResourcePrefix = rapid.SampledFrom([]string{"", "mellanox.com"}).Draw(t, "prefix")
				g.IsRdma = rapid.Bool().Draw(t, "isRdma")
				g.NeedVhostNet = rapid.Bool().Draw(t, "needVhostNet")
				g.VdpaType = rapid.SampledFrom([]string{"", "vhost", "virtio"}).Draw(t, "vdpaType")
				g.ExcludeTopology = rapid.Bool().Draw(t, "excludeTopology")
				pf.VfGroups = append(pf.VfGroups, g)
				prefix := "default.io"
				if g.ResourcePrefix != "" {
					prefix = g.ResourcePrefix
				}
				for index := first; index < next; index++ {
					want[vf{pf.PCIAddress, index}] = offer{prefix + "/" + g.ResourceName, g.IsRdma, g.NeedVhostNet, g.VdpaType}
				}
			}
			spec.Interfaces = append(spec.Interfaces, pf)
		}
		defaults := deviceplugin.Defaults{ResourcePrefix: "default.io"}
		data, resources, err := deviceplugin.Render(spec, nil, defaults)
		if err != nil {
			t.Fatal(err)
		}
		got, err := offered(data)
		if err != nil {
			t.Fatalf("%v in\n%s", err, data)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("offered VFs (-want +got):\n%s", diff)
		}
		named := map[string]bool{}
		for _, o := range want {
			named[o.Resource] = true
		}
		if len(named) != len(resources) || !slices.IsSorted(resources) {
			t.Fatalf("resources %v, want %v sorted", resources, named)
		}
		spec.Interfaces = rapid.Permutation(spec.Interfaces).Draw(t, "interfaces")
		for i := range spec.Interfaces {
			spec.Interfaces[i].VfGroups = rapid.Permutation(spec.Interfaces[i].VfGroups).Draw(t, "VF groups")
		}
		again, _, err := deviceplugin.Render(spec, nil, defaults)
		if err != nil || !bytes.Equal(data, again) {
			t.Fatalf("order matters (%v):\n%s\n%s", err, data, again)
		}
	})
}

func TestConfigMap(t *testing.T) {
	state := &sriovv1.SriovNetworkNodeState{ObjectMeta: metav1.ObjectMeta{Name: "node1", Namespace: "ns"}}
	want := &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Name: "device-plugin-config-node1", Namespace: "ns",
			Labels: map[string]string{"app.kubernetes.io/managed-by": "sriov-offload-operator"},
		},
		Data: map[string]string{"config.json": "{}"},
	}
	if diff := cmp.Diff(want, deviceplugin.ConfigMap(state, []byte("{}"))); diff != "" {
		t.Errorf("without an API server (-want +got):\n%s", diff)
	}
	yes := true
	state.UID, state.Generation = "1234", 7
	want.Annotations = map[string]string{"sriovnetwork.openshift.io/node-state-generation": "7"}
	want.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "sriovnetwork.openshift.io/v1", Kind: "SriovNetworkNodeState", Name: "node1", UID: "1234", Controller: &yes, BlockOwnerDeletion: &yes,
	}}
	if diff := cmp.Diff(want, deviceplugin.ConfigMap(state, []byte("{}"))); diff != "" {
		t.Errorf("owned (-want +got):\n%s", diff)
	}
}
