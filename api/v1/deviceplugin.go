package v1

// How the device plugin of a node gets its configuration: the manager writes a
// ConfigMap for the node, the init container of the plugin's pod reads it.
const (
	// DevicePluginConfigPrefix is the first part of the name of a node's
	// ConfigMap; the rest is the node's name.
	DevicePluginConfigPrefix = "device-plugin-config-"
	// DevicePluginConfigKey is the key under which the plugin's file is.
	DevicePluginConfigKey = "config.json"
	// AnnotationStateGeneration on the ConfigMap of a node is the generation of
	// the node state, in decimal, whose spec it was rendered from.
	AnnotationStateGeneration = "sriovnetwork.openshift.io/node-state-generation"
)
