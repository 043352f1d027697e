package failure

import "syscall"

// Kinds of steps that change Open vSwitch.
const (
	ensureBridge = "EnsureBridge"
	removeBridge = "RemoveBridge"
)

// Faults of Open vSwitch.
const (
	// FaultOVSNotRunning: the database server does not answer.
	FaultOVSNotRunning Fault = "OVSNotRunning"
	// FaultOVSNotTaken: the database took a change, ovs-vswitchd did not.
	FaultOVSNotTaken Fault = "OVSNotTaken"
	// FaultOVSUplink: ovs-vswitchd could not open or attach the uplink.
	FaultOVSUplink Fault = "OVSUplink"
)

// ovsEntries: vswitchd/bridge.c, lib/netdev-linux.c and ovsdb/transaction.c of Open
// vSwitch. The words are those of the column error of the table Interface, and of
// the database.
func ovsEntries() []Entry {
	ensure, both := []string{ensureBridge}, []string{ensureBridge, removeBridge}
	return []Entry{
		{Code: "OVSNotRunning", Steps: both, Faults: []Fault{FaultOVSNotRunning},
			Message: "Open vSwitch has stopped since the host was observed",
			Remedy:  "start ovsdb-server and ovs-vswitchd on the node; it is tried again"},
		{Code: "OVSNotTaken", Steps: both, Faults: []Fault{FaultOVSNotTaken},
			Message: "the database of Open vSwitch has the change, but ovs-vswitchd did not carry it out in time",
			Remedy:  "check that ovs-vswitchd runs on the node and see its log (ovs-vswitchd.log); it is tried again"},
		{Code: "UplinkMissing", Steps: ensure, Faults: []Fault{FaultOVSUplink}, Texts: []string{"No such device"},
			Message: "ovs-vswitchd does not find the PF's netdev",
			Remedy:  "none at first: it is tried again with the name that the netdev has then; if it comes back, check that ovs-vswitchd runs in the host's network namespace"},
		{Code: "UplinkBusy", Steps: ensure, Faults: []Fault{FaultOVSUplink}, Texts: []string{"Device or resource busy"},
			Message: "the PF's netdev belongs to something else: a bond, a bridge of the kernel, or another Open vSwitch",
			Remedy:  "take it out (ip link set dev NETDEV nomaster)"},
		{Code: "UplinkRefused", Steps: ensure, Faults: []Fault{FaultOVSUplink},
			Message: "ovs-vswitchd made the bridge, but cannot use the PF as its uplink",
			Remedy:  "see its words and its log (ovs-vswitchd.log); correct datapathType and the uplink's type and options in the policy's bridge"},
		{Code: "BridgeForeign", Steps: both, Errnos: []syscall.Errno{syscall.EEXIST, syscall.EPERM},
			Message: "somebody else made a bridge of this name in the meantime, or took our mark (external_ids:sriov-offload-operator) from it",
			Remedy:  "remove the bridge (ovs-vsctl del-br), or remove bridge from the policy"},
		{Code: "BridgePorts", Steps: both, Errnos: []syscall.Errno{syscall.EBUSY},
			Message: "a port got in the way in the meantime: the PF is on another bridge, or the bridge that is to go got a port",
			Remedy:  "none at first: the host is observed and planned again; if it comes back, remove the port (ovs-vsctl del-port)"},
		{Code: "BridgeRefused", Steps: both, Texts: []string{"constraint violation", "referential integrity", "domain error", "range error", "syntax error"},
			Message: "the database of Open vSwitch does not take these values",
			Remedy:  "see its words; correct the policy's bridge"},
		{Code: "OVSTimeout", Steps: both, Faults: []Fault{FaultTimeout},
			Message: "the database server of Open vSwitch did not answer in time",
			Remedy:  "none at first: it is tried again; if it comes back, restart ovsdb-server on the node"},
	}
}
