// Package injector gives pods the device resources that their network
// annotations ask for, when they are created.
//
// In: a pod on its way through admission, and the NetworkAttachmentDefinitions
// that its annotations name. Out: the pod with a request and an equal limit for
// every resource that these definitions name, in its first container. Without
// the request, the scheduler gives the pod no device, and Multus hands none to
// the CNI: Kube-OVN then attaches a veth pair without a word.
//
// A pod is never refused: what cannot be read is left to Multus, which says so
// on the pod. Deciding is pure (inject.go); the handler around it reads through
// the client that it is given, and writes nothing.
package injector
