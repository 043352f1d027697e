// Package drain makes room for disruptive plans: it moves the pods away that a
// node's published plan would take VFs from, or all of them, a few nodes at a time.
//
// Flow: the plan in the status of a node state, the node, its pool, the operator's
// settings and the pods on the node go in; a cordon, evictions and the condition
// Drained, bound to the hash of the plan, come out. The daemon goes on when that
// condition is true for the plan that it has.
//
// What is decided is pure. Next says what comes next for one node; Judge what
// becomes of each pod on it; Settle what a round of evictions means; Grant which
// nodes of a pool get a slot. The reconcilers gather, ask, write down and then act,
// in this order, so that a manager which is killed anywhere finds on the objects
// what it needs to go on:
//
//   - that a node holds a slot, and that we cordoned it, is on the node, and is
//     written together with the cordon;
//   - which plan a drain is about, since when it waits and runs, and how often it
//     took too long, is in the node state;
//   - Drained is true only while the node holds its slot. It is taken back before
//     the node is uncordoned.
//
// The key of Reconciler is the node; it only works for nodes that hold a slot.
// Slots are handed out by Slots, which has one key and one worker, so that
// no two decisions about the same pool happen at once; both read their own writes
// through ssa.Latest. Nothing blocks: whoever waits is looked at again.
//
// The package imports api, fleet, nodes, nodestate, settings, the drain package of
// kubectl and controller-runtime, and never the daemon.
package drain
