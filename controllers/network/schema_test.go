package network_test

import (
	"io/fs"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/sriov-offload/sriov-offload-operator/config/crd"
)

// definitions are the schemas of the spec of each kind of network.
func definitions(t *testing.T) map[string]apiextensionsv1.JSONSchemaProps {
	t.Helper()
	files, err := fs.Glob(crd.Definitions(), "*/*networks.yaml")
	if err != nil || len(files) != 4 {
		t.Fatalf("definitions %v, %v", files, err)
	}
	out := map[string]apiextensionsv1.JSONSchemaProps{}
	for _, file := range files {
		data, err := fs.ReadFile(crd.Definitions(), file)
		if err != nil {
			t.Fatal(err)
		}
		d := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(data, d); err != nil {
			t.Fatal(err)
		}
		out[d.Spec.Names.Kind] = d.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	}
	return out
}

func collectSchema(t *testing.T, used map[string]bool, path string, schema apiextensionsv1.JSONSchemaProps) {
	t.Helper()
	if schema.Items != nil {
		collectSchema(t, used, path, *schema.Items.Schema)
	}
	for name, member := range schema.Properties {
		if !used[path+"."+name] {
			t.Errorf("no golden file sets %s.%s", path, name)
		}
		collectSchema(t, used, path+"."+name, member)
	}
}
