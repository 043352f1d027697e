package network

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/containernetworking/cni/libcni"
	nadv1 "github.com/k8snetworkplumbingwg/network-attachment-definition-client/pkg/apis/k8s.cni.cncf.io/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// Kinds of networks.
const (
	kindSriov   = "SriovNetwork"
	kindIB      = "SriovIBNetwork"
	kindOVS     = "OVSNetwork"
	kindOffload = "OffloadNetwork"
)

// DefinitionKind is the kind of what a network becomes.
var DefinitionKind = schema.GroupVersionKind{Group: "k8s.cni.cncf.io", Version: "v1", Kind: "NetworkAttachmentDefinition"}

// Defaults of the operator that rendering needs.
type Defaults struct {
	// Namespace of the operator: only its networks may have a networkNamespace.
	Namespace string
	// ResourcePrefix of resources for which the network sets none. Empty: that of the API.
	ResourcePrefix string
}

// InvalidError says why a network cannot be rendered. Only a change of the
// network helps, so a retry has no point.
type InvalidError struct {
	// Field is the path of the field, e.g. spec.ipam.
	Field string
	// Message says what is wrong and what would be right.
	Message string
}

// Error implements error.
func (e *InvalidError) Error() string { return e.Field + ": " + e.Message }

func invalid(field, format string, args ...any) error {
	return &InvalidError{Field: field, Message: fmt.Sprintf(format, args...)}
}

// Render returns the NetworkAttachmentDefinition of a network. What users wrote
// is only ever a value in its JSON, never a part of its structure, and the
// result was read back by libcni. Equal input gives equal bytes. The error is an
// *InvalidError.
func Render(n sriovv1.Network, d Defaults) (*nadv1.NetworkAttachmentDefinition, error) {
	if err := checkNamespace(n, d); err != nil {
		return nil, err
	}
	config, resource, err := renderConfig(n, d)
	if err != nil {
		return nil, err
	}
	if err := readBack(config, n.GetName()); err != nil {
		return nil, err
	}
	nad := &nadv1.NetworkAttachmentDefinition{
		TypeMeta: metav1.TypeMeta{APIVersion: DefinitionKind.GroupVersion().String(), Kind: DefinitionKind.Kind},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: n.TargetNamespace(),
			Name:      n.GetName(),
			Annotations: map[string]string{
				sriovv1.AnnotationResourceName: resource,
				sriovv1.AnnotationNetworkOwner: OwnerRef(n),
			},
		},
		Spec: nadv1.NetworkAttachmentDefinitionSpec{Config: string(config)},
	}
	if n.GetUID() != "" && n.GetNamespace() == n.TargetNamespace() {
		nad.OwnerReferences = []metav1.OwnerReference{ownerReference(n)}
	}
	return nad, nil
}

// renderConfig returns what the CNI is told, and the full name of the resource.
func renderConfig(n sriovv1.Network, d Defaults) (config []byte, resource string, err error) {
	prefix := cmp.Or(d.ResourcePrefix, sriovv1.DefaultResourcePrefix)
	switch n := n.(type) {
	case *sriovv1.SriovNetwork:
		config, err = sriovConfig(n)
		return config, prefix + "/" + n.Spec.ResourceName, err
	case *sriovv1.SriovIBNetwork:
		config, err = ibConfig(n)
		return config, prefix + "/" + n.Spec.ResourceName, err
	case *sriovv1.OVSNetwork:
		config, err = ovsConfig(n)
		return config, prefix + "/" + n.Spec.ResourceName, err
	case *sriovv1.OffloadNetwork:
		config, err = offloadConfig(n)
		return config, offloadResource(n, d), err
	}
	return nil, "", fmt.Errorf("rendering %s/%s: %T is no kind of network", n.GetNamespace(), n.GetName(), n)
}

// checkNamespace keeps those who may make networks in one namespace from
// attaching the pods of another: only the operator's namespace may.
func checkNamespace(n sriovv1.Network, d Defaults) error {
	if n.TargetNamespace() == n.GetNamespace() || n.GetNamespace() == d.Namespace {
		return nil
	}
	return invalid("spec.networkNamespace", "is %s, and only networks in the operator's namespace %s may attach pods of another namespace; "+
		"remove networkNamespace, or move the network to %s", n.TargetNamespace(), d.Namespace, d.Namespace)
}

// KindOf is the kind of a network: objects from a typed client do not say it.
func KindOf(n sriovv1.Network) string {
	switch n.(type) {
	case *sriovv1.SriovNetwork:
		return kindSriov
	case *sriovv1.SriovIBNetwork:
		return kindIB
	case *sriovv1.OVSNetwork:
		return kindOVS
	}
	return kindOffload
}

// OwnerRef is the value of sriovv1.AnnotationNetworkOwner on what is made for a network.
func OwnerRef(n sriovv1.Network) string {
	return ownerRef(KindOf(n), n.GetNamespace(), n.GetName())
}

func ownerRef(kind, namespace, name string) string {
	return kind + "." + sriovv1.Group + "/" + namespace + "/" + name
}

// parseOwnerRef is the inverse of ownerRef.
func parseOwnerRef(value string) (kind, namespace, name string, ok bool) {
	parts := strings.Split(value, "/")
	if len(parts) != 3 {
		return "", "", "", false
	}
	kind, ok = strings.CutSuffix(parts[0], "."+sriovv1.Group)
	return kind, parts[1], parts[2], ok
}

// ownerReference does not block the network's deletion, so that nobody needs a
// right on its finalizers.
func ownerReference(n sriovv1.Network) metav1.OwnerReference {
	yes, no := true, false
	return metav1.OwnerReference{
		APIVersion: sriovv1.GroupVersion.String(), Kind: KindOf(n), Name: n.GetName(), UID: n.GetUID(),
		Controller: &yes, BlockOwnerDeletion: &no,
	}
}

// header is at the top of a configuration: of the plugin, or of the list of plugins.
type header struct {
	CNIVersion string `json:"cniVersion,omitempty"`
	Name       string `json:"name,omitempty"`
}

// cniVersion of the kinds whose one plugin decides about it.
const cniVersion = "1.0.0"

// encodeConfig makes the configuration of one plugin, or of a list when others
// are chained after it. main gets the header that it has to have.
func encodeConfig(name string, main func(header) any, metaPlugins string) ([]byte, error) {
	top := header{CNIVersion: cniVersion, Name: name}
	chained, err := rawObjects("spec.metaPlugins", metaPlugins)
	if err != nil {
		return nil, err
	}
	if len(chained) == 0 {
		return encode(main(top))
	}
	plugins := []any{main(header{})}
	for i, p := range chained {
		if t, isText := p["type"].(string); !isText || t == "" {
			return nil, invalid("spec.metaPlugins", `object %d has no "type", which names its CNI plugin`, i+1)
		}
		plugins = append(plugins, p)
	}
	return encode(struct {
		header
		Plugins []any `json:"plugins"`
	}{top, plugins})
}

func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding a CNI configuration: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// readBack reads the configuration as Multus does, so that what no CNI would
// take is not written.
func readBack(config []byte, name string) error {
	// Plugins decode all of it, libcni of a single plugin only what it knows: a
	// number that is too large is for them to stumble over.
	var top map[string]any
	if err := json.Unmarshal(config, &top); err != nil {
		return invalid("spec", "no CNI plugin can read the configuration: %v", err)
	}
	if top["plugins"] == nil {
		one, err := libcni.NetworkPluginConfFromBytes(config)
		if err != nil {
			return invalid("spec", "libcni refuses the configuration: %v", err)
		}
		if one.Network.Name != name {
			return invalid("metadata.name", "is read back as %q", one.Network.Name)
		}
		return nil
	}
	if _, err := libcni.NetworkConfFromBytes(config); err != nil {
		return invalid("spec", "libcni refuses the configuration: %v", err)
	}
	return nil
}
