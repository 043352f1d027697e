package deviceplugin

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// ConfigMapPrefix is the first part of the name of a node's ConfigMap; the rest is the node's name.
const ConfigMapPrefix = sriovv1.DevicePluginConfigPrefix

// ConfigKey is the key of the ConfigMap under which the device plugin's configuration is.
const ConfigKey = sriovv1.DevicePluginConfigKey

// Defaults of the operator that rendering needs.
type Defaults struct {
	// ResourcePrefix of resources whose policy sets none. Empty: that of the API.
	ResourcePrefix string
}

// config is the configuration file of sriov-network-device-plugin, as far as we
// write it (its pkg/types: ResourceConfList, ResourceConfig, NetDeviceSelectors).
type config struct {
	ResourceList []resource `json:"resourceList"`
}

type resource struct {
	ResourcePrefix  string    `json:"resourcePrefix"`
	ResourceName    string    `json:"resourceName"`
	Selectors       selectors `json:"selectors"`
	ExcludeTopology bool      `json:"excludeTopology,omitempty"`
}

// selectors is one object, or a list when the VFs of a resource differ in more
// than their address. The plugin gives a device to the first that matches; ours
// select disjoint VFs.
type selectors []selector

// MarshalJSON writes one selector as an object: plugins before 3.6 know no list.
func (s selectors) MarshalJSON() ([]byte, error) {
	if len(s) == 1 {
		return json.Marshal(s[0])
	}
	return json.Marshal([]selector(s))
}

// selector is ANDed over its fields. The plugin reads the flags in here only
// and ignores them elsewhere.
type selector struct {
	PCIAddresses []string `json:"pciAddresses,omitempty"`
	RootDevices  []string `json:"rootDevices,omitempty"`
	flags
}

type flags struct {
	IsRdma       bool   `json:"isRdma,omitempty"`
	NeedVhostNet bool   `json:"needVhostNet,omitempty"`
	VdpaType     string `json:"vdpaType,omitempty"`
}

// selectorKey tells apart what cannot be in one selector.
type selectorKey struct {
	flags
	// itself: the function of the spec is offered, not VFs of it.
	itself bool
}

func compareKeys(a, b selectorKey) int {
	number := func(v bool) int {
		if v {
			return 1
		}
		return 0
	}
	return cmp.Or(
		number(a.itself)-number(b.itself),
		number(a.IsRdma)-number(b.IsRdma),
		number(a.NeedVhostNet)-number(b.NeedVhostNet),
		cmp.Compare(a.VdpaType, b.VdpaType),
	)
}

// pool is one resource on its way to the file: its VF ranges by selector and
// PCI address of the PF.
type pool struct {
	prefix, name    string
	vfs             map[selectorKey]map[string][]sriovv1.VFRange
	excludeTopology bool
}

// Render returns the device plugin's configuration for a node with this merged
// spec, and the full names (prefix/name) of the resources in it, sorted. Every
// resource selects exactly the VFs of its groups. Equal input gives equal bytes.
//
// On a virtual platform, which the inventory tells by a netFilter, the function
// that a policy selects is a VF already and is offered itself.
//
// excludeTopology holds for a whole resource: it is set if one group wants it.
// The error names every group whose resource the plugin would refuse.
func Render(spec sriovv1.SriovNetworkNodeStateSpec, inventory []sriovv1.InterfaceStatus, defaults Defaults) (data []byte, resources []string, err error) {
	virtual := map[string]bool{}
	for i := range inventory {
		virtual[inventory[i].PCIAddress] = inventory[i].NetFilter != ""
	}
	pools, err := collect(spec.Interfaces, virtual, cmp.Or(defaults.ResourcePrefix, sriovv1.DefaultResourcePrefix))
	if err != nil {
		return nil, nil, err
	}
	file := config{ResourceList: make([]resource, 0, len(pools))}
	for _, p := range pools {
		file.ResourceList = append(file.ResourceList, p.resource())
		resources = append(resources, p.prefix+"/"+p.name)
	}
	data, err = json.MarshalIndent(file, "", "  ")
	if err != nil {
		return nil, nil, fmt.Errorf("encoding device plugin configuration: %w", err)
	}
	return append(data, '\n'), resources, nil
}

// collect sorts the VFs of all PFs into resources, ordered by prefix and name.
func collect(interfaces []sriovv1.Interface, virtual map[string]bool, defaultPrefix string) ([]*pool, error) {
	var pools []*pool
	var errs []error
	for i := range interfaces {
		pf := &interfaces[i]
		for _, g := range pf.VfGroups {
			itself := virtual[pf.PCIAddress]
			if itself && !g.VfRange.Contains(0) {
				continue // a function that is offered itself is one device
			}
			if !resourceName.MatchString(g.ResourceName) {
				errs = append(errs, fmt.Errorf("rendering VFs %s of PF %s: resourceName %q is not a resource name", g.VfRange, pf.PCIAddress, g.ResourceName))
				continue
			}
			p := poolOf(&pools, cmp.Or(g.ResourcePrefix, defaultPrefix), g.ResourceName)
			p.add(selectorKey{flags{g.IsRdma, g.NeedVhostNet, g.VdpaType}, itself}, pf.PCIAddress, g.VfRange)
			p.excludeTopology = p.excludeTopology || g.ExcludeTopology
		}
	}
	slices.SortFunc(pools, func(a, b *pool) int { return cmp.Or(cmp.Compare(a.prefix, b.prefix), cmp.Compare(a.name, b.name)) })
	return pools, errors.Join(errs...)
}

// resourceName is what the plugin accepts; it ends at once on anything else.
var resourceName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

func poolOf(pools *[]*pool, prefix, name string) *pool {
	for _, p := range *pools {
		if p.prefix == prefix && p.name == name {
			return p
		}
	}
	p := &pool{prefix: prefix, name: name, vfs: map[selectorKey]map[string][]sriovv1.VFRange{}}
	*pools = append(*pools, p)
	return p
}

func (p *pool) add(key selectorKey, pciAddress string, vfs sriovv1.VFRange) {
	if p.vfs[key] == nil {
		p.vfs[key] = map[string][]sriovv1.VFRange{}
	}
	p.vfs[key][pciAddress] = append(p.vfs[key][pciAddress], vfs)
}

func (p *pool) resource() resource {
	r := resource{ResourcePrefix: p.prefix, ResourceName: p.name, ExcludeTopology: p.excludeTopology}
	for _, key := range sortedKeys(p.vfs, compareKeys) {
		s := selector{flags: key.flags}
		for _, pf := range sortedKeys(p.vfs[key], strings.Compare) {
			if key.itself {
				s.PCIAddresses = append(s.PCIAddresses, pf)
			} else {
				s.RootDevices = append(s.RootDevices, rootDevice(pf, p.vfs[key][pf]))
			}
		}
		r.Selectors = append(r.Selectors, s)
	}
	return r
}

func sortedKeys[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compare)
	return keys
}

// rootDevice names VFs of a PF as "0000:86:00.0#0-3,6". All ranges are in one
// string because the plugin reads only the first entry of a PF.
func rootDevice(pf string, vfs []sriovv1.VFRange) string {
	slices.SortFunc(vfs, func(a, b sriovv1.VFRange) int { return cmp.Compare(a.First, b.First) })
	joined := vfs[:0:0]
	for _, r := range vfs {
		if last := len(joined) - 1; last >= 0 && r.First <= joined[last].Last+1 {
			joined[last].Last = max(joined[last].Last, r.Last)
			continue
		}
		joined = append(joined, r)
	}
	parts := make([]string, 0, len(joined))
	for _, r := range joined {
		text := r.String()
		if r.First == r.Last {
			text = strconv.Itoa(r.First)
		}
		parts = append(parts, text)
	}
	return pf + "#" + strings.Join(parts, ",")
}

// ConfigMap returns the ConfigMap of the node, in the namespace of its node
// state. The node state owns it once it is known to an API server, so that the
// one goes with the other, and its generation is noted, so that the plugin's
// init container can tell whether it is the configuration of the present spec.
func ConfigMap(state *sriovv1.SriovNetworkNodeState, data []byte) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Name:      ConfigMapPrefix + state.Name,
			Namespace: state.Namespace,
			Labels:    map[string]string{LabelManagedBy: ManagedBy},
		},
		Data: map[string]string{ConfigKey: string(data)},
	}
	if state.Generation > 0 {
		cm.Annotations = map[string]string{sriovv1.AnnotationStateGeneration: strconv.FormatInt(state.Generation, 10)}
	}
	if state.UID != "" {
		owner := metav1.NewControllerRef(state, sriovv1.GroupVersion.WithKind("SriovNetworkNodeState"))
		cm.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	return cm
}
