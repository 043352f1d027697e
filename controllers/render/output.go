package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"sigs.k8s.io/yaml"
)

// Output formats.
const (
	OutputYAML = "yaml"
	OutputJSON = "json"
)

// list is a Kubernetes List of objects of any kind.
type list struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Items      []any  `json:"items"`
}

// write prints the objects: as YAML documents, or as one JSON List.
func write(out io.Writer, format string, objects []any) error {
	var buf bytes.Buffer
	if err := encode(&buf, format, objects); err != nil {
		return fmt.Errorf("encoding output: %w", err)
	}
	if _, err := out.Write(buf.Bytes()); err != nil {
		return fmt.Errorf("writing output: %w", err)
	}
	return nil
}

func encode(buf *bytes.Buffer, format string, objects []any) error {
	if format == OutputJSON {
		encoder := json.NewEncoder(buf)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(list{APIVersion: "v1", Kind: "List", Items: objects})
	}
	for i, o := range objects {
		if i > 0 {
			buf.WriteString("---\n")
		}
		data, err := yaml.Marshal(o)
		if err != nil {
			return err
		}
		buf.Write(data)
	}
	return nil
}
