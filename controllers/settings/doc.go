// Package settings holds the settings of the operator that controllers use,
// with the defaults that are in force without a SriovOperatorConfig.
//
// Flow: the SriovOperatorConfig named default of the operator's namespace goes
// in, a value with every default filled in comes out.
//
// The package imports api and the controller-runtime client.
package settings
