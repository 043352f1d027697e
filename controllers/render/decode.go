package render

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	kjson "sigs.k8s.io/json"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// manifests are the objects of all files, in the order of the files.
type manifests struct {
	policies []sriovv1.SriovNetworkNodePolicy
	states   []sriovv1.SriovNetworkNodeState
	pools    []sriovv1.SriovNetworkPoolConfig
	configs  []sriovv1.SriovOperatorConfig
	nodes    []node
	networks networks
}

// node is a Node as far as it matters here; the rest of it belongs to others
// and may be newer than this program.
type node struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              json.RawMessage `json:"spec,omitempty"`
	Status            json.RawMessage `json:"status,omitempty"`
}

// Kinds that are used.
const (
	kindPolicy = "SriovNetworkNodePolicy"
	kindState  = "SriovNetworkNodeState"
	kindPool   = "SriovNetworkPoolConfig"
	kindConfig = "SriovOperatorConfig"
	kindNode   = "Node"
)

// loader collects objects and problems.
type loader struct {
	schemas   *schemas
	manifests manifests
	problems  []Problem
	ignored   []string // one line per object that is not read
	seen      map[string]string
}

// load reads all objects of all files. The problems are those of the input, the
// error is one of this program.
func load(ctx context.Context, opts Options) (*loader, error) {
	s, err := newSchemas()
	if err != nil {
		return nil, err
	}
	l := &loader{schemas: s, seen: map[string]string{}}
	files, problems := expand(opts.Files, opts.Recursive)
	l.problems = append(l.problems, problems...)
	for _, file := range files {
		documents, problems := read(file, opts.Stdin)
		l.problems = append(l.problems, problems...)
		for _, d := range documents {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := l.document(ctx, d); err != nil {
				return nil, err
			}
		}
	}
	return l, nil
}

// document reads an object, or all objects of a list.
func (l *loader) document(ctx context.Context, d document) error {
	var value any
	if err := utiljson.Unmarshal(d.data, &value); err != nil {
		return fmt.Errorf("decoding %s: %w", d.source, err)
	}
	object, isObject := value.(map[string]any)
	if !isObject {
		l.problem(d.source, "", "", "not an object")
		return nil
	}
	return l.object(ctx, d.source, object)
}

func (l *loader) object(ctx context.Context, source string, object map[string]any) error {
	apiVersion, _ := object["apiVersion"].(string)
	kind, _ := object["kind"].(string)
	if apiVersion == "" || kind == "" {
		l.problem(source, "", "", "apiVersion and kind are required")
		return nil
	}
	if items, isList := object["items"].([]any); isList && strings.HasSuffix(kind, "List") {
		return l.list(ctx, source, apiVersion, strings.TrimSuffix(kind, "List"), items)
	}
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		l.problem(source, kind, "apiVersion", err.Error())
		return nil
	}
	name := identity(kind, object)
	isOurs := gv.Group == sriovv1.Group
	switch {
	case isOurs && !l.schemas.has(kind):
		l.problem(source, name, "kind", fmt.Sprintf("there is no kind %s in %s; nearest is %s", kind, gv.Group, l.schemas.nearest(kind)))
	case isOurs && gv != sriovv1.GroupVersion:
		l.problem(source, name, "apiVersion", fmt.Sprintf("%s is not supported; it has to be %s", apiVersion, sriovv1.GroupVersion))
	case !isOurs && (apiVersion != "v1" || kind != kindNode):
		l.ignore(source, name)
	case !l.isNamed(source, name, object) || l.isDuplicate(source, name):
	case kind == kindNode:
		return l.add(source, name, kind, object)
	default:
		return l.admit(ctx, source, name, kind, object)
	}
	return nil
}

// list reads the items of a list. Those of a typed list may lack apiVersion and kind.
func (l *loader) list(ctx context.Context, source, apiVersion, itemKind string, items []any) error {
	for i, item := range items {
		at := fmt.Sprintf("%s items[%d]", source, i)
		object, isObject := item.(map[string]any)
		if !isObject {
			l.problem(at, "", "", "not an object")
			continue
		}
		if _, has := object["kind"]; !has && itemKind != "" {
			object["kind"] = itemKind
			if _, has := object["apiVersion"]; !has {
				object["apiVersion"] = apiVersion
			}
		}
		if err := l.object(ctx, at, object); err != nil {
			return err
		}
	}
	return nil
}

// identity is kind and namespace/name, as far as the object says.
func identity(kind string, object map[string]any) string {
	metadata, _ := object["metadata"].(map[string]any)
	namespace, _ := metadata["namespace"].(string)
	name, _ := metadata["name"].(string)
	switch {
	case name == "":
		return kind
	case namespace == "" || kind == kindNode:
		return kind + " " + name
	default:
		return kind + " " + namespace + "/" + name
	}
}

// ignore notes that an object is left aside.
func (l *loader) ignore(source, identity string) {
	l.ignored = append(l.ignored, fmt.Sprintf("%s: %s: ignored, it has no influence on node states", source, identity))
}

func (l *loader) isNamed(source, identity string, object map[string]any) bool {
	metadata, _ := object["metadata"].(map[string]any)
	if name, _ := metadata["name"].(string); name == "" {
		l.problem(source, identity, "metadata.name", "a name is required")
		return false
	}
	return true
}

func (l *loader) isDuplicate(source, identity string) bool {
	if first, seen := l.seen[identity]; seen {
		l.problem(source, identity, "", "the object is already in "+first)
		return true
	}
	l.seen[identity] = source
	return false
}

// admit holds an object of ours to the rules of its definition, those of kinds
// that are not used here too: it would be refused with the others.
func (l *loader) admit(ctx context.Context, source, identity, kind string, object map[string]any) error {
	s, err := l.schemas.of(kind, sriovv1.GroupVersion.Version)
	if err != nil {
		return err
	}
	problems := s.admit(ctx, object)
	for _, p := range problems {
		l.problem(source, identity, p.Field, p.Message)
	}
	if len(problems) > 0 {
		return nil
	}
	return l.add(source, identity, kind, object)
}

// add decodes an object into its type.
func (l *loader) add(source, identity, kind string, object map[string]any) error {
	data, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", identity, err)
	}
	switch kind {
	case kindPolicy:
		decode(l, source, identity, data, &l.manifests.policies)
	case kindState:
		decode(l, source, identity, data, &l.manifests.states)
	case kindPool:
		decode(l, source, identity, data, &l.manifests.pools)
	case kindConfig:
		decode(l, source, identity, data, &l.manifests.configs)
	case kindSriovNetwork:
		decode(l, source, identity, data, &l.manifests.networks.sriov)
	case kindIBNetwork:
		decode(l, source, identity, data, &l.manifests.networks.ib)
	case kindOVSNetwork:
		decode(l, source, identity, data, &l.manifests.networks.ovs)
	case kindOffloadNetwork:
		decode(l, source, identity, data, &l.manifests.networks.offload)
	case kindNode:
		decode(l, source, identity, data, &l.manifests.nodes)
	default:
		l.ignore(source, identity)
	}
	return nil
}

func decode[T any](l *loader, source, identity string, data []byte, into *[]T) {
	var object T
	strict, err := kjson.UnmarshalStrict(data, &object)
	for _, err := range append(strict, err) {
		if err == nil {
			continue
		}
		var typeError *json.UnmarshalTypeError
		unknown, isUnknown := strings.CutPrefix(err.Error(), "unknown field ")
		switch {
		case isUnknown:
			l.problem(source, identity, strings.Trim(unknown, `"`), unknownField)
		case errors.As(err, &typeError):
			l.problem(source, identity, typeError.Field, fmt.Sprintf("is a %s, wanted %s", typeError.Value, typeError.Type))
		default:
			l.problem(source, identity, "", err.Error())
		}
	}
	if err == nil && len(strict) == 0 {
		*into = append(*into, object)
	}
}

// unknownField is what is said about a field that no type or schema has.
const unknownField = "unknown field"

func (l *loader) problem(source, object, field, message string) {
	l.problems = append(l.problems, Problem{Source: source, Object: object, Field: field, Message: message})
}

// writeNotes says on w which objects were left aside.
func writeNotes(w io.Writer, notes []string) error {
	for _, n := range notes {
		if _, err := fmt.Fprintln(w, n); err != nil {
			return fmt.Errorf("writing notes: %w", err)
		}
	}
	return nil
}
