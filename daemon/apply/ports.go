package apply

import (
	"context"
	"errors"
	"syscall"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// onPorts does something with the ports that a step names.
func (e *executor) onPorts(ctx context.Context, pf, port string, do func(context.Context, host.Link) error) error {
	if port == "" {
		return e.onUplink(ctx, pf, do)
	}
	return retryGone(func() error {
		links, err := e.portsOf(ctx, pf, port)
		if err != nil {
			return err
		}
		for _, l := range links {
			if err := do(ctx, l); err != nil {
				return err
			}
		}
		return nil
	})
}

// portsOf returns the links of one port, waiting for it, or those of all ports.
func (e *executor) portsOf(ctx context.Context, pf, port string) ([]host.Link, error) {
	var found []host.Link
	what := "port " + port + " of the PF"
	if port == plan.AllPorts {
		what = "the ports of the PF"
	}
	err := e.await(ctx, what, func(ctx context.Context) (bool, error) {
		dump, err := e.dump(ctx)
		if err != nil {
			return false, err
		}
		own, err := e.links(ctx, dump, pf)
		if err != nil {
			return false, err
		}
		found = nil
		for _, l := range own {
			_, physical := physicalPort(l.PortName)
			if physical && (port == plan.AllPorts || l.PortName == port) {
				found = append(found, l)
			}
		}
		return len(found) > 0, nil
	})
	return found, noNetdev(err)
}

// gone tells that a netdev was renamed or removed meanwhile.
func gone(err error) bool { return errors.Is(err, syscall.ENODEV) }

// unsupported tells that a device has no eswitch.
func unsupported(err error) bool { return errors.Is(err, syscall.EOPNOTSUPP) }
