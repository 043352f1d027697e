// Package changes holds changes of a node's spec together with the machine that
// they meet, and works out by the planner what each of them takes from whom.
//
// Flow: a spec before and after -> the inventory of a machine that is as the spec
// before says -> plan.Compute of the spec after -> steps, VFs touched, disruption
// and pods. The reference page about disruption is written from it, and its test
// holds it to a table.
//
// The package imports api/v1, inventory, driver, ledger and plan alone.
package changes
