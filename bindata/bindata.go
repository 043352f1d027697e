// Package bindata holds the manifests of what the operator deploys, as they are
// without any setting. It imports the standard library only.
package bindata

import "embed"

// Manifests has one DaemonSet per file: config-daemon.yaml and device-plugin.yaml.
//
//go:embed *.yaml
var Manifests embed.FS
