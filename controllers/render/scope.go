package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// scope reduces the manifests to those of one operator, which is the owner of
// everything in its namespace and of nothing else. Objects without a namespace
// are taken to be in that one, as they would be when they are applied to it.
// More than one namespace without a choice is a problem.
func (m manifests) scope(namespace string, l *loader) (*scoped, []string) {
	if namespace == "" {
		found := m.namespaces()
		if len(found) > 1 {
			l.problem("", "", "", fmt.Sprintf("the manifests have several namespaces: %s; every namespace has an operator of its own, choose one with --namespace",
				strings.Join(found, ", ")))
			return nil, nil
		}
		namespace = metav1.NamespaceDefault
		if len(found) == 1 {
			namespace = found[0]
		}
	}
	s := &scoped{manifests: manifests{nodes: m.nodes, networks: m.networks}, namespace: namespace}
	var notes []string
	s.policies, notes = within(namespace, kindPolicy, m.policies, l, notes)
	s.states, notes = within(namespace, kindState, m.states, l, notes)
	s.pools, notes = within(namespace, kindPool, m.pools, l, notes)
	s.configs, notes = within(namespace, kindConfig, m.configs, l, notes)
	return s, notes
}

// namespaces that the manifests name, sorted.
func (m manifests) namespaces() []string {
	found := map[string]bool{}
	collect(found, m.policies)
	collect(found, m.states)
	collect(found, m.pools)
	collect(found, m.configs)
	delete(found, "")
	return slices.Sorted(maps.Keys(found))
}

// object lets generic code read the metadata of a T.
type object[T any] interface {
	*T
	metav1.Object
}

func collect[T any, P object[T]](found map[string]bool, list []T) {
	for i := range list {
		found[P(&list[i]).GetNamespace()] = true
	}
}

// within returns the objects of the namespace. An object without a namespace
// counts, unless the namespace has one of the same name already.
func within[T any, P object[T]](namespace, kind string, list []T, l *loader, notes []string) ([]T, []string) {
	var kept []T
	names := map[string]bool{}
	for i := range list {
		o := P(&list[i])
		if in := o.GetNamespace(); in != "" && in != namespace {
			notes = append(notes, fmt.Sprintf("%s %s/%s: ignored, it is not in namespace %s", kind, in, o.GetName(), namespace))
			continue
		}
		if names[o.GetName()] {
			l.problem("", kind+" "+o.GetName(), "metadata.namespace", "is given once without and once with namespace "+namespace)
			continue
		}
		names[o.GetName()] = true
		o.SetNamespace(namespace)
		kept = append(kept, list[i])
	}
	return kept, notes
}
