package hosttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// OVSMachine is an Open vSwitch to check, with an empty database.
type OVSMachine struct {
	OVS host.OVS
	// DatapathType and Type are for bridges and uplinks that can be set up here.
	DatapathType, Type string
	// Netdevs are two that can be uplinks.
	Netdevs [2]string
	// AddBridge and AddPort do what ovs-vsctl add-br and add-port do.
	AddBridge func(bridge string) error
	AddPort   func(bridge, port string) error
	// SetColumn sets a key of a column of a bridge or its uplink, named as in
	// host.OVSWant.Keys.
	SetColumn func(bridge, uplink, column, key, value string) error
	// Stop ends the database server and ovs-vswitchd, or ovs-vswitchd alone.
	Stop func(vswitchdOnly bool)
}

// The PF of the specs and its bridge.
const (
	ovsOwner  = "0000:5f:00.0"
	ovsBridge = "br-0000_5f_00.0"
)

// OVS checks the rules of host.OVS. Open returns a machine of its own for each.
func OVS(t *testing.T, around func(*testing.T, func(*testing.T)), open func(*testing.T) OVSMachine) {
	t.Helper()
	for _, spec := range []struct {
		label string
		run   func(*ovsSession)
	}{
		{"a bridge is made with its uplink, and is as wanted", ovsMade},
		{"a bridge that is as wanted stays as it is", ovsTwice},
		{"what others added stays, what we set earlier goes", ovsColumns},
		{"an uplink under another name takes the place of the earlier one", ovsRenamed},
		{"ports of others stay", ovsForeignPort},
		{"a bridge of somebody else's is not touched", ovsForeignBridge},
		{"an uplink is not taken from another bridge", ovsTaken},
		{"an uplink that cannot be opened is an error with the words of ovs-vswitchd", ovsMissingNetdev},
		{"a datapath type that is not known is an error", ovsUnknownDatapath},
		{"a bridge is removed, and that there is none is no error", ovsRemoved},
		{"a bridge with ports of others is not removed", ovsInUse},
		{"without a database server every call says so at once", ovsDown},
		{"without ovs-vswitchd a change is in the database, and the call ends with its context", ovsNotTaken},
		{"an ended context ends every call", ovsEnded},
	} {
		t.Run(spec.label, func(t *testing.T) {
			around(t, func(t *testing.T) {
				m := open(t)
				spec.run(&ovsSession{T: t, OVSMachine: m})
			})
		})
	}
}

type ovsSession struct {
	*testing.T
	OVSMachine
}

// want is a bridge with every column set.
func (s *ovsSession) want() host.OVSWant {
	mtu := 1400
	return host.OVSWant{
		Name: ovsBridge, Owner: ovsOwner, DatapathType: s.DatapathType, FailMode: "secure",
		ExternalIDs: map[string]string{"owner": "sriov", "a b": `"quoted"`}, OtherConfig: map[string]string{"mac-aging-time": "600"},
		Uplink: host.OVSInterface{
			Name: s.Netdevs[0], Type: s.Type, MTURequest: &mtu,
			Options: map[string]string{"o": "1"}, ExternalIDs: map[string]string{"x": "y"}, OtherConfig: map[string]string{"c": "d"},
		},
	}
}

func (s *ovsSession) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *ovsSession) ensure(want host.OVSWant) error {
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	return s.OVS.EnsureBridge(ctx, want)
}

func (s *ovsSession) remove(name, owner string) error {
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	return s.OVS.RemoveBridge(ctx, name, owner)
}

// bridges returns the bridges, with the OpenFlow ports that are there as 1.
func (s *ovsSession) bridges() []host.OVSBridge {
	s.Helper()
	found, err := s.OVS.Bridges(s.Context())
	s.must(err)
	for _, b := range found {
		for _, p := range b.Ports {
			for i := range p.Interfaces {
				if n := p.Interfaces[i].OFPort; n != nil && *n > 0 {
					one := 1
					p.Interfaces[i].OFPort = &one
				}
			}
		}
	}
	return found
}

// has compares the bridges with what is wanted.
func (s *ovsSession) has(want host.OVSWant) {
	s.Helper()
	one := 1
	uplink := want.Uplink
	uplink.OFPort = &one
	bridge := host.OVSBridge{
		Name: want.Name, Owner: want.Owner, DatapathType: want.DatapathType, FailMode: want.FailMode,
		ExternalIDs: want.ExternalIDs, OtherConfig: want.OtherConfig, Set: want.Keys(),
		Ports: []host.OVSPort{{Name: uplink.Name, Owner: want.Owner, Interfaces: []host.OVSInterface{uplink}}},
	}
	found := s.bridges()
	if len(found) != 1 {
		s.Fatalf("%d bridges: %+v", len(found), found)
	}
	equalMaps := cmp.Transformer("entries", func(m map[string]string) string { return fmt.Sprint(m) })
	if diff := cmp.Diff(bridge, found[0], equalMaps); diff != "" {
		s.Errorf("bridge (-want +got):\n%s", diff)
	}
}

// fails demands an error that is the given one, names what was tried, and says it.
func (s *ovsSession) fails(err, is error, says string) {
	s.Helper()
	he, ok := errors.AsType[*host.Error](err)
	switch {
	case !ok || he.Op == "" || he.Object == "":
		s.Fatalf("the error does not say what was tried on what: %v", err)
	case !errors.Is(err, is):
		s.Fatalf("got %v, want %v", err, is)
	case !strings.Contains(err.Error(), says):
		s.Errorf("%q does not say %q", err, says)
	case errors.Is(is, host.ErrOVSUplink) && !strings.Contains(he.Text, says):
		s.Errorf("the words of ovs-vswitchd are %q", he.Text)
	}
}

func ovsMade(s *ovsSession) {
	want := s.want()
	s.must(s.ensure(want))
	s.has(want)
}

func ovsTwice(s *ovsSession) {
	want := s.want()
	s.must(s.ensure(want))
	s.must(s.ensure(want))
	s.has(want)
}

func ovsColumns(s *ovsSession) {
	want := s.want()
	s.must(s.ensure(want))
	s.must(s.SetColumn(want.Name, want.Uplink.Name, "bridge/external_ids", "theirs", "1"))
	s.must(s.SetColumn(want.Name, want.Uplink.Name, "uplink/other_config", "theirs", "2"))
	want.FailMode, want.Uplink.MTURequest = "", nil
	want.ExternalIDs = map[string]string{"owner": "changed"}
	want.OtherConfig = nil
	want.Uplink.Options, want.Uplink.OtherConfig = nil, map[string]string{"c": "e"}
	s.must(s.ensure(want))
	found := s.bridges()[0]
	uplink := found.Ports[0].Interfaces[0]
	got := []any{found.FailMode, found.ExternalIDs, found.OtherConfig, uplink.Options, uplink.ExternalIDs, uplink.OtherConfig, uplink.MTURequest == nil}
	expected := []any{"", map[string]string{"owner": "changed", "theirs": "1"}, map[string]string{}, map[string]string{},
		map[string]string{"x": "y"}, map[string]string{"c": "e", "theirs": "2"}, true}
	if fmt.Sprint(got) != fmt.Sprint(expected) {
		s.Errorf("columns are %v, want %v", got, expected)
	}
	if !slices.Equal(found.Set, want.Keys()) {
		s.Errorf("noted as set by us: %v, want %v", found.Set, want.Keys())
	}
}

func ovsRenamed(s *ovsSession) {
	want := s.want()
	s.must(s.ensure(want))
	want.Uplink.Name = s.Netdevs[1]
	s.must(s.ensure(want))
	s.has(want)
}

func ovsForeignPort(s *ovsSession) {
	want := s.want()
	s.must(s.ensure(want))
	s.must(s.AddPort(want.Name, "theirs"))
	want.OtherConfig = map[string]string{"mac-aging-time": "300"}
	s.must(s.ensure(want))
	var names []string
	for _, p := range s.bridges()[0].Ports {
		names = append(names, p.Name+" of "+p.Owner)
	}
	slices.Sort(names)
	expected := []string{s.Netdevs[0] + " of " + ovsOwner, "theirs of "}
	slices.Sort(expected)
	if !slices.Equal(names, expected) {
		s.Errorf("ports are %v, want %v", names, expected)
	}
}

func ovsForeignBridge(s *ovsSession) {
	s.must(s.AddBridge(ovsBridge))
	before := s.bridges()
	s.fails(s.ensure(s.want()), syscall.EEXIST, ovsBridge)
	s.fails(s.remove(ovsBridge, ovsOwner), syscall.EPERM, ovsBridge)
	if diff := cmp.Diff(before, s.bridges()); diff != "" {
		s.Errorf("the bridge was changed:\n%s", diff)
	}
	want := s.want()
	want.Name = "br-other"
	s.must(s.ensure(want))
	s.fails(s.remove("br-other", "0000:5f:00.1"), syscall.EPERM, "br-other")
}

func ovsTaken(s *ovsSession) {
	s.must(s.AddBridge("br-int"))
	s.must(s.AddPort("br-int", s.Netdevs[0]))
	s.fails(s.ensure(s.want()), syscall.EBUSY, "br-int")
	if found := s.bridges(); len(found) != 1 {
		s.Errorf("bridges are %+v", found)
	}
}

func ovsMissingNetdev(s *ovsSession) {
	want := s.want()
	want.Uplink.Name, want.Uplink.Type = "nosuchdev0", ""
	err := s.ensure(want)
	s.fails(err, host.ErrOVSUplink, "could not open network device nosuchdev0 (No such device)")
	uplink := s.bridges()[0].Ports[0].Interfaces[0]
	if uplink.OFPort == nil || *uplink.OFPort >= 0 || !strings.Contains(err.Error(), uplink.Error) || uplink.Error == "" {
		s.Errorf("uplink is %+v", uplink)
	}
	s.must(s.remove(want.Name, want.Owner))
}

func ovsUnknownDatapath(s *ovsSession) {
	want := s.want()
	want.DatapathType = "nosuchtype"
	s.fails(s.ensure(want), host.ErrOVSUplink, "nosuchtype")
	s.must(s.ensure(s.want()))
	s.has(s.want())
	// What the uplink was before does not count.
	s.fails(s.ensure(want), host.ErrOVSUplink, "nosuchtype")
	s.must(s.ensure(s.want()))
	s.has(s.want())
}

func ovsRemoved(s *ovsSession) {
	s.must(s.AddBridge("br-int"))
	want := s.want()
	s.must(s.ensure(want))
	s.must(s.remove(want.Name, want.Owner))
	s.must(s.remove(want.Name, want.Owner))
	if found := s.bridges(); len(found) != 1 || found[0].Name != "br-int" {
		s.Errorf("bridges are %+v", found)
	}
	s.must(s.ensure(want))
}

func ovsInUse(s *ovsSession) {
	want := s.want()
	s.must(s.ensure(want))
	s.must(s.AddPort(want.Name, "theirs"))
	s.fails(s.remove(want.Name, want.Owner), syscall.EBUSY, "theirs")
	if found := s.bridges(); len(found) != 1 || len(found[0].Ports) != 2 {
		s.Errorf("bridges are %+v", found)
	}
}

func ovsDown(s *ovsSession) {
	s.must(s.ensure(s.want()))
	s.Stop(false)
	began := time.Now()
	_, err := s.OVS.Bridges(s.Context())
	for _, err := range []error{err, s.ensure(s.want()), s.remove(ovsBridge, ovsOwner)} {
		s.fails(err, host.ErrOVSNotRunning, "Open vSwitch is not running on this node")
	}
	if lasted := time.Since(began); lasted > patience/2 {
		s.Errorf("it took %v", lasted)
	}
}

func ovsNotTaken(s *ovsSession) {
	s.Stop(true)
	ctx, cancel := context.WithTimeout(s.Context(), 300*time.Millisecond)
	defer cancel()
	err := s.OVS.EnsureBridge(ctx, s.want())
	s.fails(err, host.ErrOVSNotTaken, "")
	if !errors.Is(err, context.DeadlineExceeded) {
		s.Errorf("%v does not say that time ran out", err)
	}
	found := s.bridges()
	if len(found) != 1 || found[0].Ports[0].Interfaces[0].OFPort != nil {
		s.Errorf("bridges are %+v", found)
	}
	removing, cancel := context.WithTimeout(s.Context(), 300*time.Millisecond)
	defer cancel()
	s.fails(s.OVS.RemoveBridge(removing, ovsBridge, ovsOwner), host.ErrOVSNotTaken, "")
}

func ovsEnded(s *ovsSession) {
	ctx, cancel := context.WithCancelCause(s.Context())
	why := errors.New("told to stop")
	cancel(why)
	_, err := s.OVS.Bridges(ctx)
	for _, err := range []error{err, s.OVS.EnsureBridge(ctx, s.want()), s.OVS.RemoveBridge(ctx, ovsBridge, ovsOwner)} {
		s.fails(err, why, "")
	}
}
