// Package ovs talks to the Open vSwitch of a real machine, through the socket of
// its database server: host.OVS.
//
// Flow: bridges wanted -> one transaction on the database, guarded against changes
// by others -> ovs-vswitchd carries it out -> what it says of the uplink. Each
// call connects anew: there is nothing to keep alive while Open vSwitch restarts.
//
// The package imports daemon/host and libovsdb.
package ovs
