// Package networks tests the networks and the pod helper on a real API server:
// with a running manager, and the definitions of Multus and Kube-OVN.
//
// Flow: specs write networks, policies and the objects of others; what the
// manager makes of them is read back. The manager runs with the rights of
// config/rbac and no more.
package networks
