package failure

// FaultDisconnected says that the kernel did all that it was told, and the node has
// lost a connection by it.
const FaultDisconnected Fault = "Disconnected"

// safetyEntries explain what a change cost the node.
func safetyEntries() []Entry {
	return []Entry{
		{Code: "ConnectivityLost", Faults: []Fault{FaultDisconnected},
			Message: "the node lost a connection that it had before the change, so the PF goes back to its state of before",
			Remedy:  "find out why the named connection is lost: the switch port, a bond or VLAN on the PF, the host's network manager; then change the policy, the same change is not made again"},
	}
}
