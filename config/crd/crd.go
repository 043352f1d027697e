// Package crd holds the generated custom resource definitions, so that the
// binary validates manifests by the very rules that an API server applies. It
// imports the standard library only.
package crd

import (
	"embed"
	"io/fs"
)

//go:embed bases/*.yaml
var bases embed.FS

// Definitions has one YAML file per definition, all in its folder "bases".
func Definitions() fs.FS { return bases }
