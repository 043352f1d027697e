package ovs

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// Tables of the database, see ovs-vswitchd.conf.db(5).
const (
	tableRoot      = "Open_vSwitch"
	tableBridge    = "Bridge"
	tablePort      = "Port"
	tableInterface = "Interface"
)

// Columns that are read.
var (
	bridgeColumns    = []string{"_uuid", "name", "datapath_type", "fail_mode", "external_ids", "other_config", "ports"}
	portColumns      = []string{"_uuid", "name", "external_ids", "interfaces"}
	interfaceColumns = []string{"_uuid", "name", "type", "options", "external_ids", "other_config", "mtu_request", "ofport", "error"}
)

// tables are the bridges with all that belongs to them, as of one transaction.
type tables struct {
	// root is the row of the table Open_vSwitch.
	root    string
	bridges []*bridge
}

type bridge struct {
	uuid, name, datapathType, failMode string
	externalIDs, otherConfig           map[string]string
	ports                              []*port
	// raw are the columns that changes build on.
	raw ovsdb.Row
}

type port struct {
	uuid, name  string
	externalIDs map[string]string
	interfaces  []*iface
	raw         ovsdb.Row
}

type iface struct {
	uuid string
	row  host.OVSInterface
	raw  ovsdb.Row
}

// read reads the tables in one transaction.
func (s *session) read(ctx context.Context) (*tables, error) {
	selects := func(table string, columns ...string) ovsdb.Operation {
		return ovsdb.Operation{Op: ovsdb.OperationSelect, Table: table, Columns: columns}
	}
	results, err := s.transact(ctx, []ovsdb.Operation{
		selects(tableRoot, "_uuid", "datapath_types"), selects(tableBridge, bridgeColumns...),
		selects(tablePort, portColumns...), selects(tableInterface, interfaceColumns...),
	})
	if err != nil {
		return nil, err
	}
	if len(results[0].Rows) != 1 {
		// ovs-vsctl init makes it, which every distribution's start script runs.
		return nil, errors.New("the database is not initialized: the table Open_vSwitch is empty")
	}
	return parseTables(results[0].Rows[0], results[1].Rows, results[2].Rows, results[3].Rows), nil
}

func parseTables(root ovsdb.Row, bridges, ports, interfaces []ovsdb.Row) *tables {
	out := &tables{root: uuidOf(root["_uuid"])}
	byUUID := map[string]*iface{}
	for _, row := range interfaces {
		i := parseInterface(row)
		byUUID[i.uuid] = i
	}
	portByUUID := map[string]*port{}
	for _, row := range ports {
		p := &port{uuid: uuidOf(row["_uuid"]), name: text(row["name"]), externalIDs: entries(row["external_ids"])}
		p.raw = pick(row, "external_ids", "interfaces")
		for _, id := range elements(row["interfaces"]) {
			if i := byUUID[uuidOf(id)]; i != nil {
				p.interfaces = append(p.interfaces, i)
			}
		}
		portByUUID[p.uuid] = p
	}
	for _, row := range bridges {
		b := &bridge{
			uuid: uuidOf(row["_uuid"]), name: text(row["name"]), datapathType: text(row["datapath_type"]), failMode: text(row["fail_mode"]),
			externalIDs: entries(row["external_ids"]), otherConfig: entries(row["other_config"]),
		}
		b.raw = pick(row, "external_ids", "other_config", "ports")
		made := madeOf(root, b.datapathType)
		for _, id := range elements(row["ports"]) {
			p := portByUUID[uuidOf(id)]
			if p == nil {
				continue
			}
			b.ports = append(b.ports, p)
			for _, i := range p.interfaces {
				if !made {
					i.row.OFPort = nil
				}
			}
		}
		out.bridges = append(out.bridges, b)
	}
	slices.SortFunc(out.bridges, func(a, b *bridge) int { return cmp.Compare(a.name, b.name) })
	return out
}

// madeOf tells whether ovs-vswitchd can make a bridge of a datapath type. Of a
// bridge that got another type later, the numbers of its interfaces stay in the
// database, though there is no bridge any more (bridge_reconfigure in
// vswitchd/bridge.c destroys it, and fails to create it). A database without the
// column, from before 2.4, or before the first start does not tell.
func madeOf(root ovsdb.Row, datapathType string) bool {
	types := elements(root["datapath_types"])
	if len(types) == 0 {
		return true
	}
	return slices.Contains(types, any(cmp.Or(datapathType, "system")))
}

func parseInterface(row ovsdb.Row) *iface {
	return &iface{
		uuid: uuidOf(row["_uuid"]),
		row: host.OVSInterface{
			Name: text(row["name"]), Type: text(row["type"]), Options: entries(row["options"]),
			ExternalIDs: entries(row["external_ids"]), OtherConfig: entries(row["other_config"]),
			MTURequest: optional(row["mtu_request"]), OFPort: optional(row["ofport"]), Error: text(row["error"]),
		},
		raw: pick(row, "options", "external_ids", "other_config"),
	}
}

// list is what callers see of the tables.
func (t *tables) list() []host.OVSBridge {
	var out []host.OVSBridge
	for _, b := range t.bridges {
		shown := host.OVSBridge{Name: b.name, DatapathType: b.datapathType, FailMode: b.failMode, OtherConfig: b.otherConfig}
		shown.ExternalIDs, shown.Owner, shown.Set = host.Unmark(b.externalIDs)
		for _, p := range b.ports {
			if p.name == b.name {
				continue
			}
			_, owner, _ := host.Unmark(p.externalIDs)
			port := host.OVSPort{Name: p.name, Owner: owner}
			for _, i := range p.interfaces {
				port.Interfaces = append(port.Interfaces, i.row)
			}
			slices.SortFunc(port.Interfaces, func(a, b host.OVSInterface) int { return cmp.Compare(a.Name, b.Name) })
			shown.Ports = append(shown.Ports, port)
		}
		slices.SortFunc(shown.Ports, func(a, b host.OVSPort) int { return cmp.Compare(a.Name, b.Name) })
		out = append(out, shown)
	}
	return out
}

// bridgeNamed returns nil when there is none.
func (t *tables) bridgeNamed(name string) *bridge {
	for _, b := range t.bridges {
		if b.name == name {
			return b
		}
	}
	return nil
}

// portNamed returns a port and its bridge; nil when there is none.
func (t *tables) portNamed(name string) (*bridge, *port) {
	for _, b := range t.bridges {
		for _, p := range b.ports {
			if p.name == name {
				return b, p
			}
		}
	}
	return nil, nil
}

func pick(row ovsdb.Row, columns ...string) ovsdb.Row {
	out := ovsdb.NewRow()
	for _, c := range columns {
		out[c] = row[c]
	}
	return out
}

// elements of a set; a set of one is written as its element (RFC 7047, 5.1).
func elements(value any) []any {
	switch v := value.(type) {
	case nil:
		return nil
	case ovsdb.OvsSet:
		return v.GoSet
	}
	return []any{value}
}

// text is the value of a text column, empty when the column is.
func text(value any) string {
	for _, e := range elements(value) {
		if s, ok := e.(string); ok {
			return s
		}
	}
	return ""
}

// optional is the value of a number column, nil when the column is empty.
func optional(value any) *int {
	for _, e := range elements(value) {
		if f, ok := e.(float64); ok {
			n := int(f)
			return &n
		}
	}
	return nil
}

func number(value any) int {
	if n := optional(value); n != nil {
		return *n
	}
	return 0
}

func uuidOf(value any) string {
	id, _ := value.(ovsdb.UUID)
	return id.GoUUID
}

// entries of a map of texts.
func entries(value any) map[string]string {
	out := map[string]string{}
	m, _ := value.(ovsdb.OvsMap)
	for k, v := range m.GoMap {
		key, isKey := k.(string)
		text, isText := v.(string)
		if isKey && isText {
			out[key] = text
		}
	}
	return out
}
