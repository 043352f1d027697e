package apply_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/apply"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// netdevs that come too late are bound once more, then reported; when they come
// in the end, all is well.
func TestLateNetdevs(t *testing.T) {
	err := bubble(t, func(ctx context.Context) error {
		k := simhost.New(simhost.Options{
			NICs: []simhost.NIC{simhost.ConnectX5()}, Delays: simhost.Delays{Netdev: 25 * time.Second},
		})
		defer k.Close()
		began := time.Now()
		turn, err := take(ctx, k, guide(1, pf0))
		if err != nil {
			return err
		}
		if diff := cmp.Diff([]string{pf0 + " VFNetdevMissing"}, codes(&turn)); diff != "" {
			return errors.New(diff)
		}
		if spent := time.Since(began); spent < 40*time.Second || spent > time.Minute {
			return fmt.Errorf("gave up after %v", spent)
		}
		if err := stabilize(ctx, k, guide(1, pf0)); err != nil {
			return err
		}
		again, err := take(ctx, k, guide(1, pf0))
		return errors.Join(err, nothingLeft(&again), reached(ctx, k, guide(1, pf0), &again))
	})
	if err != nil {
		t.Error(err)
	}
}

// The VFs of an InfiniBand PF need no netdev, and their MAC is left alone.
func TestInfiniband(t *testing.T) {
	err := bubble(t, func(ctx context.Context) error {
		k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5(simhost.Infiniband())}})
		defer k.Close()
		spec := guide(2, pf0)
		spec.Interfaces[0].EswitchMode = ""
		spec.Interfaces[0].LinkType = "ib"
		turn, err := take(ctx, k, spec)
		if err != nil {
			return err
		}
		again, err := take(ctx, k, spec)
		if f := k.Forbidden(); len(f) > 0 {
			return fmt.Errorf("forbidden: %v", f)
		}
		return errors.Join(err, turn.result.Err(), nothingLeft(&again))
	})
	if err != nil {
		t.Error(err)
	}
}

// orphans is a link dump of a kernel before 5.14, which does not say to whom a
// link belongs.
type orphans struct{ host.Links }

func (o orphans) List(ctx context.Context) ([]host.Link, error) {
	list, err := o.Links.List(ctx)
	for i := range list {
		list[i].ParentDevice = ""
	}
	return list, err
}

// deafDevlink takes every mode and sets none.
type deafDevlink struct{ host.Devlink }

func (deafDevlink) SetEswitchMode(context.Context, host.DevlinkHandle, string) error { return nil }

// deafFS takes what is written to a file and does nothing with it.
type deafFS struct {
	host.FS
	file string
}

func (d deafFS) WriteFile(ctx context.Context, name string, data []byte) error {
	if path.Base(name) == d.file {
		return nil
	}
	return d.FS.WriteFile(ctx, name, data)
}

// The kernel says yes and does nothing, or something else: what counts is what is
// read back.
func TestReadBack(t *testing.T) {
	for _, c := range []struct {
		name string
		spec sriovv1.SriovNetworkNodeStateSpec
		deaf func(*host.Host)
		code string
	}{
		{"eswitch mode", guide(2, pf0), func(h *host.Host) { h.Devlink = deafDevlink{h.Devlink} }, "EswitchTimeout"},
		{"no driver", mixed(), func(h *host.Host) { h.FS = deafFS{h.FS, "drivers_probe"} }, "DriverNotBound"},
		{"another driver", mixed(), func(h *host.Host) { h.FS = deafFS{h.FS, "driver_override"} }, "DriverNotBound"},
	} {
		t.Run(c.name, func(t *testing.T) {
			on(t, func(ctx context.Context, k *simhost.Kernel) error {
				if err := set(pf0, "sriov_numvfs", "2")(ctx, k); err != nil {
					return err
				}
				k.Settle()
				h := k.Host()
				led, err := ledger.Open(ctx, k.Store())
				if err != nil {
					return err
				}
				observed, p, err := look(ctx, h, c.spec, led)
				if err != nil {
					return err
				}
				c.deaf(&h)
				result := apply.Run(ctx, h, led, observed, p)
				if diff := cmp.Diff([]string{pf0 + " " + c.code}, codes(&turn{result: result})); diff != "" {
					return fmt.Errorf("failures:\n%s\n%w", diff, result.Err())
				}
				return nil
			})
		})
	}
}

func TestOldKernel(t *testing.T) {
	on(t, func(ctx context.Context, k *simhost.Kernel) error {
		h := k.Host()
		h.Links = orphans{h.Links}
		led, err := ledger.Open(ctx, k.Store())
		if err != nil {
			return err
		}
		spec := guide(3, pf0, pf1)
		observed, p, err := look(ctx, h, spec, led)
		if err != nil {
			return err
		}
		result := apply.Run(ctx, h, led, observed, p)
		again, err := take(ctx, k, spec)
		return errors.Join(err, result.Err(), nothingLeft(&again), reached(ctx, k, spec, &again))
	})
}

// The operations of a run grow with the number of VFs, not with its square.
func TestOperations(t *testing.T) {
	count := func(vfs int) (total int) {
		err := bubble(t, func(ctx context.Context) error {
			k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX5(simhost.TotalVFs(64))}, Delays: simhost.TypicalDelays()})
			defer k.Close()
			turn, err := take(ctx, k, guide(vfs, pf0, pf1))
			total = k.Ops().Total()
			return errors.Join(err, turn.result.Err())
		})
		if err != nil {
			t.Fatal(err)
		}
		return total
	}
	few, many := count(8), count(64)
	if many > 10*few {
		t.Errorf("%d operations for 64 VFs, %d for 8", many, few)
	}
	t.Logf("%d operations for 2 ports with 8 VFs, %d with 64", few, many)
}
