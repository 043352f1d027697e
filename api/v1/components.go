package v1

// Reasons of conditions of a SriovOperatorConfig.
const (
	// ReasonDeployed: what the operator deploys runs, with the settings, on every
	// node that it is meant for.
	ReasonDeployed = "Deployed"
	// ReasonRollingOut: what the operator deploys does not run everywhere yet; the
	// message says what and on how many nodes.
	ReasonRollingOut = "RollingOut"
	// ReasonNotDefault: only the SriovOperatorConfig named default is read.
	ReasonNotDefault = "NotDefault"
)
