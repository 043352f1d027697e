package ovs

import (
	"fmt"
	"maps"
	"slices"
	"syscall"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// Names of rows that are made in a transaction.
const (
	newBridge    = "new_bridge"
	newLocal     = "new_local_port"
	newLocalIf   = "new_local_interface"
	newUplink    = "new_uplink_port"
	newInterface = "new_uplink_interface"
)

// ensure returns the operations that make a bridge what is wanted.
func (t *tables) ensure(want host.OVSWant) ([]ovsdb.Operation, error) {
	b := t.bridgeNamed(want.Name)
	if b != nil && b.externalIDs[host.OVSOwner] != want.Owner {
		return nil, &refusal{errno: syscall.EEXIST, text: "bridge " + want.Name + " is not ours"}
	}
	if at, _ := t.portNamed(want.Uplink.Name); at != nil && at != b {
		return nil, &refusal{errno: syscall.EBUSY, text: fmt.Sprintf("%s is a port of bridge %s", want.Uplink.Name, at.name)}
	}
	if b == nil {
		return t.makeBridge(want), nil
	}
	return t.changeBridge(b, want), nil
}

// makeBridge makes what ovs-vsctl add-br and add-port make: a bridge has a port and
// an internal interface of its own name.
func (t *tables) makeBridge(want host.OVSWant) []ovsdb.Operation {
	ids := maps.Clone(want.ExternalIDs)
	if ids == nil {
		ids = map[string]string{}
	}
	maps.Copy(ids, want.Marks())
	row := ovsdb.Row{
		"name": want.Name, "datapath_type": want.DatapathType, "fail_mode": optionalText(want.FailMode),
		"external_ids": toMap(ids), "other_config": toMap(want.OtherConfig), "ports": uuids(newLocal, newUplink),
	}
	ops := []ovsdb.Operation{
		insert(tableInterface, newLocalIf, ovsdb.Row{"name": want.Name, "type": "internal"}),
		insert(tablePort, newLocal, ovsdb.Row{"name": want.Name, "interfaces": uuids(newLocalIf)}),
		insert(tableBridge, newBridge, row),
		t.onRoot(ovsdb.Operation{
			Op: ovsdb.OperationMutate, Mutations: []ovsdb.Mutation{*ovsdb.NewMutation("bridges", ovsdb.MutateOperationInsert, uuids(newBridge))},
		}),
	}
	return append(ops, makeUplink(want)...)
}

func makeUplink(want host.OVSWant) []ovsdb.Operation {
	u := want.Uplink
	return []ovsdb.Operation{
		insert(tableInterface, newInterface, ovsdb.Row{
			"name": u.Name, "type": u.Type, "mtu_request": optionalNumber(u.MTURequest),
			"options": toMap(u.Options), "external_ids": toMap(u.ExternalIDs), "other_config": toMap(u.OtherConfig),
		}),
		insert(tablePort, newUplink, ovsdb.Row{
			"name": u.Name, "interfaces": uuids(newInterface), "external_ids": toMap(map[string]string{host.OVSOwner: want.Owner}),
		}),
	}
}

// changeBridge changes the rows of a bridge that is there. What it builds on must
// not have changed meanwhile.
func (t *tables) changeBridge(b *bridge, want host.OVSWant) []ovsdb.Operation {
	rest, _, set := host.Unmark(b.externalIDs)
	ids := want.Column("bridge/external_ids", want.ExternalIDs, rest, set)
	maps.Copy(ids, want.Marks())
	row := ovsdb.Row{
		"datapath_type": want.DatapathType, "fail_mode": optionalText(want.FailMode), "external_ids": toMap(ids),
		"other_config": toMap(want.Column("bridge/other_config", want.OtherConfig, b.otherConfig, set)),
	}
	ops := []ovsdb.Operation{unchanged(tableBridge, b.uuid, b.raw)}
	var uplink *port
	kept := []string{}
	for _, p := range b.ports {
		switch {
		case p.name == want.Uplink.Name:
			uplink = p
			kept = append(kept, p.uuid)
		case p.externalIDs[host.OVSOwner] != want.Owner:
			kept = append(kept, p.uuid)
		}
	}
	if uplink == nil {
		ops = append(ops, makeUplink(want)...)
		kept = append(kept, newUplink)
	} else {
		ops = append(ops, changeUplink(uplink, want, set)...)
	}
	row["ports"] = uuids(kept...)
	return append(ops, update(tableBridge, b.uuid, row))
}

func changeUplink(p *port, want host.OVSWant, set []string) []ovsdb.Operation {
	ids := maps.Clone(p.externalIDs)
	ids[host.OVSOwner] = want.Owner
	ops := []ovsdb.Operation{
		unchanged(tablePort, p.uuid, p.raw),
		update(tablePort, p.uuid, ovsdb.Row{"external_ids": toMap(ids)}),
	}
	u := want.Uplink
	for _, i := range p.interfaces {
		ops = append(ops, unchanged(tableInterface, i.uuid, i.raw), update(tableInterface, i.uuid, ovsdb.Row{
			"type": u.Type, "mtu_request": optionalNumber(u.MTURequest),
			"options":      toMap(want.Column("uplink/options", u.Options, i.row.Options, set)),
			"external_ids": toMap(want.Column("uplink/external_ids", u.ExternalIDs, i.row.ExternalIDs, set)),
			"other_config": toMap(want.Column("uplink/other_config", u.OtherConfig, i.row.OtherConfig, set)),
		}))
	}
	return ops
}

// remove returns the operations that remove a bridge; none when there is none.
// Its ports and interfaces go with it: the database keeps no row of these tables
// that nothing refers to.
func (t *tables) remove(name, owner string) ([]ovsdb.Operation, error) {
	b := t.bridgeNamed(name)
	if b == nil {
		return nil, nil
	}
	if b.externalIDs[host.OVSOwner] != owner {
		return nil, &refusal{errno: syscall.EPERM, text: "bridge " + name + " is not ours"}
	}
	for _, p := range b.ports {
		if p.name != name && p.externalIDs[host.OVSOwner] != owner {
			return nil, &refusal{errno: syscall.EBUSY, text: fmt.Sprintf("bridge %s has port %s besides the uplink", name, p.name)}
		}
	}
	return []ovsdb.Operation{
		unchanged(tableBridge, b.uuid, b.raw),
		t.onRoot(ovsdb.Operation{
			Op: ovsdb.OperationMutate, Mutations: []ovsdb.Mutation{*ovsdb.NewMutation("bridges", ovsdb.MutateOperationDelete, uuids(b.uuid))},
		}),
	}, nil
}

// onRoot directs an operation at the one row of the table Open_vSwitch.
func (t *tables) onRoot(op ovsdb.Operation) ovsdb.Operation {
	op.Table, op.Where = tableRoot, is(t.root)
	return op
}

func is(uuid string) []ovsdb.Condition {
	return []ovsdb.Condition{ovsdb.NewCondition("_uuid", ovsdb.ConditionEqual, ovsdb.UUID{GoUUID: uuid})}
}

func insert(table, name string, row ovsdb.Row) ovsdb.Operation {
	return ovsdb.Operation{Op: ovsdb.OperationInsert, Table: table, UUIDName: name, Row: row}
}

func update(table, uuid string, row ovsdb.Row) ovsdb.Operation {
	return ovsdb.Operation{Op: ovsdb.OperationUpdate, Table: table, Where: is(uuid), Row: row}
}

// unchanged fails the transaction when somebody changed the columns of a row.
func unchanged(table, uuid string, row ovsdb.Row) ovsdb.Operation {
	now := 0
	return ovsdb.Operation{
		Op: ovsdb.OperationWait, Table: table, Where: is(uuid), Until: string(ovsdb.WaitConditionEqual), Timeout: &now,
		Columns: slices.Sorted(maps.Keys(row)), Rows: []ovsdb.Row{row},
	}
}

func uuids(names ...string) ovsdb.OvsSet {
	out := ovsdb.OvsSet{GoSet: []any{}}
	for _, n := range names {
		out.GoSet = append(out.GoSet, ovsdb.UUID{GoUUID: n})
	}
	return out
}

func toMap(m map[string]string) ovsdb.OvsMap {
	out := ovsdb.OvsMap{GoMap: map[any]any{}}
	for k, v := range m {
		out.GoMap[k] = v
	}
	return out
}

func optionalText(s string) ovsdb.OvsSet {
	if s == "" {
		return ovsdb.OvsSet{GoSet: []any{}}
	}
	return ovsdb.OvsSet{GoSet: []any{s}}
}

func optionalNumber(n *int) ovsdb.OvsSet {
	if n == nil {
		return ovsdb.OvsSet{GoSet: []any{}}
	}
	return ovsdb.OvsSet{GoSet: []any{*n}}
}
