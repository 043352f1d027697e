// Package policy writes the status of policies: how many nodes match and are
// ready, what was lost to stronger policies, and why nothing matched.
//
// Flow: what the node state controller recorded in the fleet goes in, facts are
// gathered over the nodes that the policy selects, one pure function turns them
// into conditions, and the status is written if it changed. Bursts of changes,
// such as many nodes becoming ready at once, are collected first.
//
// No status is written before every selected node was merged with the present
// version of the policy, so a status is never about an older version, and a
// restart of the manager writes nothing.
//
// The package imports api, merge, fleet, nodes, settings and controller-runtime.
package policy
