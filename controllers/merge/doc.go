// Package merge computes what one node should look like from all policies.
//
// In: policies, and per node its labels, its inventory (the interfaces of its
// node state's status) and the RDMA mode of its pool. Out: the spec of its
// node state, and per policy what it matched, what it lost to a stronger
// policy and, where it matched nothing, what came nearest.
//
// The package is pure and total: the result depends on the values that go in
// and not on their order, every input has a result, and what is wrong with one
// policy or PF leaves the others alone. It imports api/v1 and the standard
// library only.
package merge
