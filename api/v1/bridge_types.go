package v1

// Bridge to which the PF of a policy is attached.
type Bridge struct {
	// ovs makes an Open vSwitch bridge with the PF as uplink. Needs eSwitchMode switchdev.
	//
	// +optional
	OVS *OVSConfig `json:"ovs,omitempty"`
}

// OVSConfig describes an Open vSwitch bridge and its uplink.
type OVSConfig struct {
	// bridge holds settings of the bridge itself.
	//
	// +optional
	Bridge OVSBridgeConfig `json:"bridge,omitzero"`
	// uplink holds settings of the port that the PF becomes.
	//
	// +optional
	Uplink OVSUplinkConfig `json:"uplink,omitzero"`
}

// OVSBridgeConfig holds columns of the Bridge table of the Open_vSwitch database.
type OVSBridgeConfig struct {
	// datapathType of the bridge. Unset: system.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	DatapathType string `json:"datapathType,omitempty"`
	// failMode of the bridge. Unset: the database's own default.
	//
	// +optional
	// +kubebuilder:validation:Enum=secure;standalone
	FailMode string `json:"failMode,omitempty"`
	// externalIDs to add to the column external_ids.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 63 && size(self[k]) <= 256)",message="externalIDs: a key must not be longer than 63 characters and a value not longer than 256"
	ExternalIDs map[string]string `json:"externalIDs,omitempty"`
	// otherConfig to add to the column other_config.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 63 && size(self[k]) <= 256)",message="otherConfig: a key must not be longer than 63 characters and a value not longer than 256"
	OtherConfig map[string]string `json:"otherConfig,omitempty"`
}

// OVSUplinkConfig describes the uplink port of an Open vSwitch bridge.
type OVSUplinkConfig struct {
	// interface holds settings of the uplink's Interface row.
	//
	// +optional
	Interface OVSInterfaceConfig `json:"interface,omitzero"`
}

// OVSInterfaceConfig holds columns of the Interface table of the Open_vSwitch database.
type OVSInterfaceConfig struct {
	// type of the interface. Unset: system.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Type string `json:"type,omitempty"`
	// options to add to the column options.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 63 && size(self[k]) <= 256)",message="options: a key must not be longer than 63 characters and a value not longer than 256"
	Options map[string]string `json:"options,omitempty"`
	// externalIDs to add to the column external_ids.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 63 && size(self[k]) <= 256)",message="externalIDs: a key must not be longer than 63 characters and a value not longer than 256"
	ExternalIDs map[string]string `json:"externalIDs,omitempty"`
	// otherConfig to add to the column other_config.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 63 && size(self[k]) <= 256)",message="otherConfig: a key must not be longer than 63 characters and a value not longer than 256"
	OtherConfig map[string]string `json:"otherConfig,omitempty"`
	// mtuRequest is the MTU in bytes that Open vSwitch sets on the uplink.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	MTURequest *int `json:"mtuRequest,omitempty"`
}

// Bridges of a node.
type Bridges struct {
	// ovs bridges, ordered by name.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	OVS []OVSConfigExt `json:"ovs,omitempty"`
}

// OVSConfigExt is an Open vSwitch bridge of a node.
type OVSConfigExt struct {
	// name of the bridge.
	//
	// +kubebuilder:validation:MaxLength=128
	Name string `json:"name"`
	// bridge holds settings of the bridge itself.
	//
	// +optional
	Bridge OVSBridgeConfig `json:"bridge,omitzero"`
	// uplinks of the bridge.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Uplinks []OVSUplinkConfigExt `json:"uplinks,omitempty"`
}

// OVSUplinkConfigExt is an uplink of an Open vSwitch bridge of a node.
type OVSUplinkConfigExt struct {
	// pciAddress of the PF.
	//
	// +kubebuilder:validation:MaxLength=64
	PCIAddress string `json:"pciAddress"`
	// name of the PF's netdev.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Name string `json:"name,omitempty"`
	// interface holds settings of the uplink's Interface row.
	//
	// +optional
	Interface OVSInterfaceConfig `json:"interface,omitzero"`
}
