// Package controlplane starts a real etcd and kube-apiserver for tests and the
// demo, with this project's CRDs installed.
//
// Flow: the binaries come from hack/k8s by `make k8s-binaries` (make test and
// make demo do that by themselves); callers get a rest.Config.
//
// The package imports envtest and nothing of ours. Production code never
// imports it.
package controlplane
