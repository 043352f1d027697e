package ovs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"syscall"
	"time"

	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// database is the one that ovs-vswitchd follows.
const database = "Open_vSwitch"

// Client implements host.OVS.
type Client struct {
	// Sockets are where the database server may listen; the first that exists is
	// used.
	Sockets []string
}

// object is what errors are about.
const object = "Open vSwitch"

// errStale tells that somebody changed what a transaction builds on.
var errStale = errors.New("the database was changed by others meanwhile")

// tries of a transaction that others came before.
const tries = 5

// Bridges implements host.OVS.
func (c *Client) Bridges(ctx context.Context) ([]host.OVSBridge, error) {
	out, err := within(ctx, c, func(s *session) ([]host.OVSBridge, error) {
		db, err := s.read(ctx)
		if err != nil {
			return nil, err
		}
		return db.list(), nil
	})
	return out, failed(ctx, "listing bridges", err)
}

// EnsureBridge implements host.OVS.
func (c *Client) EnsureBridge(ctx context.Context, want host.OVSWant) error {
	_, err := within(ctx, c, func(s *session) (struct{}, error) {
		err := s.change(ctx, func(db *tables) ([]ovsdb.Operation, error) { return db.ensure(want) })
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, s.uplinkWorks(ctx, want)
	})
	return failed(ctx, fmt.Sprintf("setting up bridge %s with uplink %s", want.Name, want.Uplink.Name), err)
}

// RemoveBridge implements host.OVS.
func (c *Client) RemoveBridge(ctx context.Context, name, owner string) error {
	_, err := within(ctx, c, func(s *session) (struct{}, error) {
		return struct{}{}, s.change(ctx, func(db *tables) ([]ovsdb.Operation, error) { return db.remove(name, owner) })
	})
	return failed(ctx, "removing bridge "+name, err)
}

// refusal is an answer that callers tell apart by errno.
type refusal struct {
	errno syscall.Errno
	text  string
}

func (r *refusal) Error() string { return r.text }

// failed turns an error into what callers see.
func failed(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	out := &host.Error{Op: op, Object: object, Err: err}
	var r *refusal
	var no ovsdb.OperationError
	switch {
	case errors.As(err, &r):
		out.Errno, out.Text = r.errno, r.text
	// The library does not say why the context ended.
	case ctx.Err() != nil && errors.Is(err, host.ErrOVSNotTaken):
		out.Err = fmt.Errorf("%w: %w", host.ErrOVSNotTaken, context.Cause(ctx))
	case ctx.Err() != nil:
		out.Err = fmt.Errorf("the database server has not answered: %w", context.Cause(ctx))
	case errors.As(err, &no):
		out.Text = no.Error()
	case errors.Is(err, host.ErrOVSUplink):
		out.Text = err.Error()
	}
	return out
}

// session is one connection to the database.
type session struct{ client client.Client }

// within connects, runs f and disconnects.
func within[T any](ctx context.Context, c *Client, f func(*session) (T, error)) (T, error) {
	var zero T
	if ctx.Err() != nil {
		return zero, ctx.Err()
	}
	// Only rows as such are read and written: the schema of each version is as good.
	schema, err := model.NewClientDBModel(database, map[string]model.Model{})
	if err != nil {
		return zero, fmt.Errorf("setting up the client: %w", err)
	}
	endpoint := url.URL{Scheme: "unix", Path: c.socket()}
	db, err := client.NewOVSDBClient(schema, client.WithEndpoint(endpoint.String()))
	if err != nil {
		return zero, fmt.Errorf("setting up the client: %w", err)
	}
	if err := db.Connect(ctx); err != nil {
		return zero, unreachable(c.socket(), err)
	}
	defer db.Close()
	v, err := f(&session{db})
	if errors.Is(err, client.ErrNotConnected) {
		return zero, unreachable(c.socket(), err)
	}
	return v, err
}

// socket is the first that exists, or the first of all.
func (c *Client) socket() string {
	for _, path := range c.Sockets {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return c.Sockets[0]
}

// unreachable tells a server that is not there from one with which something else
// is wrong.
func unreachable(socket string, err error) error {
	var dial *net.OpError
	if errors.As(err, &dial) || errors.Is(err, client.ErrNotConnected) {
		return fmt.Errorf("%w: connecting to %s: %w", host.ErrOVSNotRunning, socket, err)
	}
	return fmt.Errorf("connecting to %s: %w", socket, err)
}

// transact carries out operations, all of them or none.
func (s *session) transact(ctx context.Context, ops []ovsdb.Operation) ([]ovsdb.OperationResult, error) {
	results, err := s.client.Transact(ctx, ops...)
	if err != nil {
		return nil, fmt.Errorf("asking the database: %w", err)
	}
	refused, err := ovsdb.CheckOperationResults(results, ops)
	if len(refused) > 0 {
		// All that come after the first were not tried.
		err = refused[0]
	}
	var late *ovsdb.TimedOut
	switch {
	case errors.As(err, &late):
		return nil, errStale
	case err != nil:
		return nil, fmt.Errorf("the database refused it: %w", err)
	}
	return results, nil
}

// change makes one transaction of what is computed from the tables, and waits
// until ovs-vswitchd has carried it out.
func (s *session) change(ctx context.Context, compute func(*tables) ([]ovsdb.Operation, error)) error {
	err := errStale
	for range tries {
		if err = s.changeOnce(ctx, compute); !errors.Is(err, errStale) {
			return err
		}
	}
	return err
}

func (s *session) changeOnce(ctx context.Context, compute func(*tables) ([]ovsdb.Operation, error)) error {
	db, err := s.read(ctx)
	if err != nil {
		return err
	}
	ops, err := compute(db)
	if err != nil || len(ops) == 0 {
		return err
	}
	// As ovs-vsctl does: ovs-vswitchd sets cur_cfg to next_cfg when it has carried out
	// everything up to it.
	ops = append(ops, db.onRoot(ovsdb.Operation{
		Op: ovsdb.OperationMutate, Mutations: []ovsdb.Mutation{*ovsdb.NewMutation("next_cfg", ovsdb.MutateOperationAdd, 1)},
	}), db.onRoot(ovsdb.Operation{Op: ovsdb.OperationSelect, Columns: []string{"next_cfg"}}))
	results, err := s.transact(ctx, ops)
	if err != nil {
		return err
	}
	rows := results[len(ops)-1].Rows
	if len(rows) != 1 {
		return fmt.Errorf("the table Open_vSwitch has %d rows", len(rows))
	}
	return s.awaitTaken(ctx, db, number(rows[0]["next_cfg"]))
}

// Pauses between looks at cur_cfg.
const (
	firstLook = 5 * time.Millisecond
	lastLook  = 500 * time.Millisecond
)

// awaitTaken waits until ovs-vswitchd has carried out the configuration.
func (s *session) awaitTaken(ctx context.Context, db *tables, wanted int) error {
	look := db.onRoot(ovsdb.Operation{Op: ovsdb.OperationSelect, Columns: []string{"cur_cfg"}})
	for gap := firstLook; ; gap = min(2*gap, lastLook) {
		results, err := s.transact(ctx, []ovsdb.Operation{look})
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("%w: %w", host.ErrOVSNotTaken, ctx.Err())
		case err != nil:
			return err
		case len(results[0].Rows) == 1 && number(results[0].Rows[0]["cur_cfg"]) >= wanted:
			return nil
		}
		timer := time.NewTimer(gap)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", host.ErrOVSNotTaken, ctx.Err())
		}
	}
}

// uplinkWorks reads back what ovs-vswitchd says of the uplink.
func (s *session) uplinkWorks(ctx context.Context, want host.OVSWant) error {
	db, err := s.read(ctx)
	if err != nil {
		return err
	}
	_, port := db.portNamed(want.Uplink.Name)
	if port == nil {
		return fmt.Errorf("%w: it was removed again meanwhile", host.ErrOVSUplink)
	}
	for _, i := range port.interfaces {
		switch {
		case i.row.Error != "":
			return fmt.Errorf("%w: %s", host.ErrOVSUplink, i.row.Error)
		case i.row.OFPort == nil:
			return fmt.Errorf("%w: ovs-vswitchd made no bridge %s of datapath type %q; its log says why", host.ErrOVSUplink, want.Name, want.DatapathType)
		case *i.row.OFPort < 0:
			return fmt.Errorf("%w: ovs-vswitchd did not attach %s; its log says why", host.ErrOVSUplink, want.Uplink.Name)
		}
	}
	return nil
}
