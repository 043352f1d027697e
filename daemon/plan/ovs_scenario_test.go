package plan_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// runOVS runs the commands that concern Open vSwitch:
//
//	ovs bridge NAME                   a bridge of somebody else's
//	ovs ours NAME PF NETDEV [COLUMN/KEY=VALUE...] [mtu=N]
//	                                  a bridge of ours, with the keys that we set
//	ovs port BRIDGE PORT              a port of somebody else's
//	ovs representor BRIDGE PF VF      the representor of a VF as a port
//	ovs column BRIDGE COLUMN KEY VALUE
//	ovs stop                          neither database server nor ovs-vswitchd
//	ovs rename NETDEV NAME            a netdev gets another name
func (m *machine) runOVS(args []string) error {
	switch args[0] {
	case "bridge":
		return m.k.AddOVSBridge(args[1])
	case "ours":
		err := m.k.Admin().OVS.EnsureBridge(m.t.Context(), ovsWant(args[1:]))
		if errors.Is(err, host.ErrOVSUplink) {
			// The netdev is not there; the bridge is.
			return nil
		}
		return err
	case "port":
		return m.k.AddOVSPort(args[1], args[2])
	case "representor":
		return m.k.AddOVSPort(args[1], m.representor(args[2], args[3]))
	case "column":
		return m.k.SetOVSColumn(args[1], args[2], args[3], args[4])
	case "rename":
		return m.k.RenameLink(args[1], args[2])
	case "stop":
		m.k.StopOVS(false)
		return nil
	}
	return fmt.Errorf("no such command: ovs %s", args[0])
}

func ovsWant(args []string) host.OVSWant {
	want := host.OVSWant{Name: args[0], Owner: args[1], Uplink: host.OVSInterface{Name: args[2]}}
	columns := map[string]*map[string]string{
		"bridge/external_ids": &want.ExternalIDs, "bridge/other_config": &want.OtherConfig,
		"uplink/options": &want.Uplink.Options, "uplink/external_ids": &want.Uplink.ExternalIDs, "uplink/other_config": &want.Uplink.OtherConfig,
	}
	for _, arg := range args[3:] {
		name, value, _ := strings.Cut(arg, "=")
		var mtu int
		if name == "mtu" {
			_, _ = fmt.Sscan(value, &mtu)
			want.Uplink.MTURequest = &mtu
			continue
		}
		slash := strings.LastIndexByte(name, '/')
		column := columns[name[:slash]]
		if *column == nil {
			*column = map[string]string{}
		}
		(*column)[name[slash+1:]] = value
	}
	return want
}

// representor is the name of the representor of a VF.
func (m *machine) representor(pf, vf string) string {
	m.t.Helper()
	list, err := m.h.Links.List(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	for _, l := range list {
		if l.ParentDevice == pf && strings.HasSuffix(l.PortName, "vf"+vf) {
			return l.Name
		}
	}
	m.t.Fatalf("no representor of VF %s of %s", vf, pf)
	return ""
}
