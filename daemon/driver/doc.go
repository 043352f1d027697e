// Package driver says, as data, what each PF driver can do and in which order
// it wants things done.
//
// Flow: daemon/plan looks a PF's driver up in a Table and follows the
// Strategy. Sources of the rules are named at each entry. The list of NICs names
// models in messages and in the documentation; no decision depends on it.
//
// The package is pure and imports nothing of ours.
package driver
