// Package ssa writes typed objects by server-side apply.
//
// Flow: a typed object that holds exactly the fields its writer wants goes in,
// an apply request that holds exactly those fields goes out. The manager and
// the daemon both write through it, so that "what a field manager owns" has one
// meaning.
//
// A typed Go object says more than its writer means: a null creation time, an
// empty status, empty structs. Applied as it is, it would make the writer owner
// of fields that it never thought about. This package sends only
//
//   - apiVersion, kind, name, namespace and, if set, uid;
//   - for Apply: labels, annotations, owner references, finalizers and every
//     top-level field other than status that is not empty;
//   - for ApplyStatus: status, for ApplyStatusFields those of its fields.
//
// Values inside spec and status are sent as their JSON tags say; null members of
// objects are dropped.
//
// The package imports apimachinery and the controller-runtime client only.
package ssa
