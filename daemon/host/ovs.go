package host

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
)

// OVS talks to the Open vSwitch of the host, through its database. Errors are
// *Error; what the database or ovs-vswitchd say is in Text. When nobody answers,
// errors.Is(err, ErrOVSNotRunning) holds.
type OVS interface {
	// Bridges lists all bridges, ordered by name, in one transaction.
	Bridges(ctx context.Context) ([]OVSBridge, error)
	// EnsureBridge makes a bridge and its uplink what is wanted, in one transaction,
	// and returns when ovs-vswitchd has taken it over and opened the uplink. Ports
	// other than the uplink stay, an uplink under another name goes. What somebody
	// else added to a column stays; what an earlier call set and is wanted no more
	// goes.
	//
	// EEXIST: a bridge of this name is there, and not the owner's. EBUSY: the uplink is a
	// port of another bridge. ErrOVSUplink: the database has the bridge, and
	// ovs-vswitchd could not open or attach the uplink. ErrOVSNotTaken: ovs-vswitchd did
	// not take it over before ctx ended.
	EnsureBridge(ctx context.Context, want OVSWant) error
	// RemoveBridge removes the owner's bridge and returns when ovs-vswitchd has let
	// its ports go. That there is none is no error. EPERM: the bridge is not the
	// owner's. EBUSY: it has ports besides the uplink. ErrOVSNotTaken as above.
	RemoveBridge(ctx context.Context, name, owner string) error
}

// Errors of OVS, found by errors.Is.
var (
	// ErrOVSNotRunning: the database server does not answer.
	ErrOVSNotRunning = errors.New("Open vSwitch is not running on this node") //nolint:staticcheck // a name is written with a capital letter
	// ErrOVSNotTaken: the database took the change, ovs-vswitchd has not.
	ErrOVSNotTaken = errors.New("ovs-vswitchd has not taken over the change")
	// ErrOVSUplink: ovs-vswitchd could not open or attach the uplink.
	ErrOVSUplink = errors.New("ovs-vswitchd cannot use the uplink")
)

// Keys of external_ids that are ours.
const (
	// OVSOwner marks bridges and uplink ports that we made; its value is the PCI
	// address of the PF. It is written in the transaction that makes the bridge, so
	// that there is never a bridge of ours without it.
	OVSOwner = "sriov-offload-operator"
	// OVSSet holds, as a JSON list on the bridge, what we set in columns that others
	// write to as well. It is how we know what to take away later.
	OVSSet = "sriov-offload-operator-set"
)

// OVSBridge is a row of the table Bridge with what belongs to it. The keys that
// are ours are not in ExternalIDs.
type OVSBridge struct {
	Name string
	// Owner is the value of OVSOwner; empty for a bridge of somebody else's.
	Owner string
	// DatapathType and FailMode are empty when the column is.
	DatapathType, FailMode   string
	ExternalIDs, OtherConfig map[string]string
	// Set is what OVSSet holds, as OVSWant.Keys gives it.
	Set []string
	// Ports ordered by name, without the bridge's own.
	Ports []OVSPort
}

// OVSPort is a row of the table Port.
type OVSPort struct {
	Name  string
	Owner string
	// Interfaces ordered by name; more than one for a bond of Open vSwitch.
	Interfaces []OVSInterface
}

// OVSInterface is a row of the table Interface.
type OVSInterface struct {
	Name string
	// Type is empty for a netdev of the kernel.
	Type                              string
	Options, ExternalIDs, OtherConfig map[string]string
	// MTURequest is nil when the column is empty.
	MTURequest *int
	// OFPort is nil until ovs-vswitchd has seen the interface, and when it cannot
	// make a bridge of this datapath type; negative if it could not attach the
	// interface; Error says why.
	OFPort *int
	Error  string
}

// OVSWant is a bridge as it should be. Map entries are added to their columns,
// the other columns are as they are here.
type OVSWant struct {
	Name string
	// Owner is the PCI address of the PF.
	Owner                    string
	DatapathType, FailMode   string
	ExternalIDs, OtherConfig map[string]string
	// Uplink: of it, OFPort and Error mean nothing.
	Uplink OVSInterface
}

// Keys names, ordered, what is wanted in columns that others write to as well.
func (w *OVSWant) Keys() []string {
	keys := []string{}
	for column, entries := range map[string]map[string]string{
		"bridge/external_ids": w.ExternalIDs, "bridge/other_config": w.OtherConfig,
		"uplink/options": w.Uplink.Options, "uplink/external_ids": w.Uplink.ExternalIDs, "uplink/other_config": w.Uplink.OtherConfig,
	} {
		for key := range entries {
			keys = append(keys, column+"/"+key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Column is what a column should be: what is wanted, and what is there unless an
// earlier call set it. Name is as in Keys, "bridge/external_ids".
func (w *OVSWant) Column(name string, wanted, there map[string]string, set []string) map[string]string {
	out := maps.Clone(there)
	if out == nil {
		out = map[string]string{}
	}
	maps.DeleteFunc(out, func(key, _ string) bool { return slices.Contains(set, name+"/"+key) })
	maps.Copy(out, wanted)
	return out
}

// Marks are the keys of external_ids that are ours.
func (w *OVSWant) Marks() map[string]string {
	// A list of texts can always be encoded.
	set, _ := json.Marshal(w.Keys())
	return map[string]string{OVSOwner: w.Owner, OVSSet: string(set)}
}

// Unmark takes our keys out of a bridge's external_ids. What cannot be read as
// a list of keys is one without entries.
func Unmark(externalIDs map[string]string) (rest map[string]string, owner string, set []string) {
	rest = maps.Clone(externalIDs)
	owner = rest[OVSOwner]
	_ = json.Unmarshal([]byte(rest[OVSSet]), &set)
	delete(rest, OVSOwner)
	delete(rest, OVSSet)
	return rest, owner, set
}

// IsUplink tells whether a port of an owner's bridge is its uplink: the port with
// this name, or one that carries the owner's mark under an earlier name.
func (p *OVSPort) IsUplink(owner, name string) bool {
	return p.Owner == owner || name != "" && p.Name == name
}
