// Package network makes NetworkAttachmentDefinitions, and what belongs to them,
// from the network kinds: SriovNetwork, SriovIBNetwork, OVSNetwork and
// OffloadNetwork.
//
// In: one network, the operator's defaults and, for an OffloadNetwork, what the
// cluster says about the CNI and the nodes. Out: the NetworkAttachmentDefinition
// in the network's namespace; for Kube-OVN the Subnet that is bound to it, and
// in mode underlay the ProviderNetwork and the Vlan; and the network's status.
//
// Deciding is pure: render.go with sriov.go, ovs.go and offload.go (what the
// CNI is told), kubeovn.go (objects of Kube-OVN), checks*.go (what is missing)
// and conditions.go. These files import api/v1, api machinery and libcni, and
// no client. The reconciler around them, one for all kinds, reads and writes
// through the manager's client.
//
// Nothing of the CNI's own is ever changed: what is not marked with
// sriovv1.AnnotationNetworkOwner or with our label is read only.
package network
