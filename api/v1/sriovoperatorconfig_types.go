package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// SriovOperatorConfigSpec holds settings of the operator. Everything is optional.
type SriovOperatorConfigSpec struct {
	// configDaemonNodeSelector selects the nodes that run the daemon, by equality on every label.
	// Unset: every Linux node, since only the daemon can tell whether a node has an SR-IOV capable NIC.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	ConfigDaemonNodeSelector map[string]string `json:"configDaemonNodeSelector,omitempty"`
	// enableInjector deploys the webhook that adds resource requests to pods that name a network.
	//
	// +optional
	EnableInjector *bool `json:"enableInjector,omitempty"`
	// enableOperatorWebhook deploys the admission webhook of the operator.
	//
	// +optional
	EnableOperatorWebhook *bool `json:"enableOperatorWebhook,omitempty"`
	// logLevel of all components: 0 what was changed, 1 also why, 2 everything.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2
	LogLevel int `json:"logLevel,omitempty"`
	// disableDrain lets disruptive plans run without moving pods away first. For clusters of one node.
	//
	// +optional
	DisableDrain bool `json:"disableDrain,omitempty"`
	// enableOvsOffload turns on hw-offload in Open vSwitch on nodes that have a switchdev PF.
	//
	// +optional
	EnableOvsOffload bool `json:"enableOvsOffload,omitempty"`
	// configurationMode daemon configures NICs from the daemon's pod; systemd also before the network comes up at boot.
	//
	// +optional
	// +kubebuilder:validation:Enum=daemon;systemd
	// +kubebuilder:default=daemon
	ConfigurationMode string `json:"configurationMode,omitempty"`
	// useCDI makes the device plugin hand out devices through the Container Device Interface.
	//
	// +optional
	UseCDI bool `json:"useCDI,omitempty"`
	// disablePlugins switches off parts of the daemon by name: mellanox is what changes NIC firmware settings.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:Enum=mellanox
	DisablePlugins []string `json:"disablePlugins,omitempty"`
	// featureGates switch features on or off by name. Unknown names are reported in the conditions.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	FeatureGates map[string]bool `json:"featureGates,omitempty"`
	// configDaemonEnvVars are environment variables of the daemon.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(name, name.matches('^[A-Za-z_][A-Za-z0-9_]*$'))",message="configDaemonEnvVars: a name must be letters, digits and _, and not start with a digit"
	ConfigDaemonEnvVars map[string]string `json:"configDaemonEnvVars,omitempty"`
	// resourcePrefix is the DNS name before the slash of resources of policies that do not set one.
	//
	// +optional
	// +kubebuilder:default=openshift.io
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",message="resourcePrefix must be a DNS name in lower case, e.g. openshift.io"
	ResourcePrefix string `json:"resourcePrefix,omitempty"`
	// supportedNics are NIC models that somebody vouches for. None needs to be listed: every PF with the SR-IOV capability is
	// configured as its driver and its devlink instance say, whether its model is known or not.
	//
	// +optional
	// +listType=map
	// +listMapKey=vendor
	// +listMapKey=pf
	// +listMapKey=vf
	// +kubebuilder:validation:MaxItems=256
	SupportedNics []SupportedNic `json:"supportedNics,omitempty"`
}

// SupportedNic is a NIC model by its PCI ids, four hexadecimal digits each.
type SupportedNic struct {
	// vendor is the PCI vendor id.
	//
	// +required
	// +kubebuilder:validation:MaxLength=4
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-fA-F]{4}$')",message="supportedNics: vendor must be four hexadecimal digits, e.g. 15b3 (lspci -nn shows them)"
	Vendor string `json:"vendor"`
	// pf is the PCI device id of the PF.
	//
	// +required
	// +kubebuilder:validation:MaxLength=4
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-fA-F]{4}$')",message="supportedNics: pf must be four hexadecimal digits, e.g. 1017 (lspci -nn shows them)"
	PF string `json:"pf"`
	// vf is the PCI device id of its VFs.
	//
	// +required
	// +kubebuilder:validation:MaxLength=4
	// +kubebuilder:validation:XValidation:rule="self.matches('^[0-9a-fA-F]{4}$')",message="supportedNics: vf must be four hexadecimal digits, e.g. 1018 (lspci -nn shows them)"
	VF string `json:"vf"`
}

// SriovOperatorConfigStatus says whether the settings are in force.
type SriovOperatorConfigStatus struct {
	// conditions: Ready, Reconciling, Stalled.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation that this status describes.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// SriovOperatorConfig configures the operator itself. The one named default in the operator's namespace is read; without it
// the built-in defaults are in force.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=sriovoperatorconfigs,shortName=soc,categories=sriov
// +kubebuilder:printcolumn:name="READY",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="REASON",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="MODE",type=string,priority=1,JSONPath=`.spec.configurationMode`
// +kubebuilder:printcolumn:name="PREFIX",type=string,priority=1,JSONPath=`.spec.resourcePrefix`
// +kubebuilder:printcolumn:name="MESSAGE",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="AGE",type=date,JSONPath=`.metadata.creationTimestamp`
type SriovOperatorConfig struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what is asked for.
	//
	// +optional
	Spec SriovOperatorConfigSpec `json:"spec,omitzero"`
	// status is what was found.
	//
	// +optional
	Status SriovOperatorConfigStatus `json:"status,omitzero"`
}

// SriovOperatorConfigList is a list of SriovOperatorConfigs.
//
// +kubebuilder:object:root=true
type SriovOperatorConfigList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []SriovOperatorConfig `json:"items"`
}
