package observe

import (
	"context"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
)

// What an observation waits for. A healthy kernel answers within milliseconds,
// and within seconds when it has to ask firmware; one that holds a lock for a
// driver that hangs may not answer for minutes, or ever.
const (
	// podsBound is for the kubelet.
	podsBound = 10 * time.Second
	// doorBound is for one question to the kernel.
	doorBound = 30 * time.Second
	// nextBound is for every further one after one without an answer, and is
	// halved by each down to leastBound: devices that hang do not take all the
	// time of those that do not, however many they are.
	nextBound  = 5 * time.Second
	leastBound = 100 * time.Millisecond
	// ceiling is for the whole observation.
	ceiling = 2 * time.Minute
)

// late is why a call was given up, after so long.
type late time.Duration

func (l late) Error() string { return "no answer within " + time.Duration(l).String() }

// Unwrap makes it a deadline like any other.
func (l late) Unwrap() error { return context.DeadlineExceeded }

// tooLong is why a whole observation was given up.
type tooLong time.Duration

func (l tooLong) Error() string { return "it took longer than " + time.Duration(l).String() }

// Unwrap makes it a deadline like any other.
func (l tooLong) Unwrap() error { return context.DeadlineExceeded }

// patience is how long one observation still waits for an answer.
type patience struct {
	// bound of the next call; after is that of the one after it if it gets none.
	bound, after time.Duration
	// unanswered are errors of calls given up, by what was asked: to ask it again
	// would only wait for the same lock.
	unanswered map[string]error
	// last of them; nil while all calls were answered.
	last error
}

// ask makes one call of a door. Object is what is asked; empty for what is asked
// once only.
func ask[T any](ctx context.Context, p *patience, object string, f func(context.Context) (T, error)) (T, error) {
	if err := p.unanswered[object]; err != nil {
		var zero T
		return zero, err
	}
	within, cancel := context.WithTimeoutCause(ctx, p.bound, late(p.bound))
	defer cancel()
	v, err := f(within)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		p.bound, p.after, p.last = p.after, max(p.after/2, leastBound), err
		if object != "" {
			p.unanswered[object] = err
		}
	}
	return v, err
}

// patient returns the doors of a host that an observation asks, each call bounded.
// The doors themselves return when the context ends, even if the kernel does not.
func patient(h host.Host) (host.Host, *patience) {
	p := &patience{bound: doorBound, after: nextBound, unanswered: map[string]error{}}
	h.FS = files{h.FS, p}
	h.Devlink = devlink{h.Devlink, p}
	h.Links = rtnetlink{h.Links, p}
	h.Bonds = bonding{h.Bonds, p}
	h.Ethtool = features{h.Ethtool, p}
	h.VDPA = vdpa{h.VDPA, p}
	h.RDMA = rdma{h.RDMA, p}
	// That the kubelet is late says nothing of the kernel, nor the other way round.
	h.Pods = kubelet{h.Pods, &patience{bound: podsBound}}
	return h, p
}

type files struct {
	host.FS
	p *patience
}

func (d files) ReadFile(ctx context.Context, path string) ([]byte, error) {
	return ask(ctx, d.p, path, func(ctx context.Context) ([]byte, error) { return d.FS.ReadFile(ctx, path) })
}

func (d files) ReadDir(ctx context.Context, path string) ([]string, error) {
	return ask(ctx, d.p, path, func(ctx context.Context) ([]string, error) { return d.FS.ReadDir(ctx, path) })
}

func (d files) ReadLink(ctx context.Context, path string) (string, error) {
	return ask(ctx, d.p, path, func(ctx context.Context) (string, error) { return d.FS.ReadLink(ctx, path) })
}

type devlink struct {
	host.Devlink
	p *patience
}

func (d devlink) Eswitch(ctx context.Context, h host.DevlinkHandle) (host.Eswitch, error) {
	return ask(ctx, d.p, h.String(), func(ctx context.Context) (host.Eswitch, error) { return d.Devlink.Eswitch(ctx, h) })
}

func (d devlink) Info(ctx context.Context, h host.DevlinkHandle) (host.DevlinkInfo, error) {
	return ask(ctx, d.p, h.String(), func(ctx context.Context) (host.DevlinkInfo, error) { return d.Devlink.Info(ctx, h) })
}

func (d devlink) Param(ctx context.Context, h host.DevlinkHandle, name string) (string, error) {
	return ask(ctx, d.p, h.String(), func(ctx context.Context) (string, error) { return d.Devlink.Param(ctx, h, name) })
}

func (d devlink) PermanentParam(ctx context.Context, h host.DevlinkHandle, name string) (int, error) {
	return ask(ctx, d.p, h.String(), func(ctx context.Context) (int, error) { return d.Devlink.PermanentParam(ctx, h, name) })
}

func (d devlink) Ports(ctx context.Context) ([]host.DevlinkPort, error) {
	return ask(ctx, d.p, "", d.Devlink.Ports)
}

type rtnetlink struct {
	host.Links
	p *patience
}

func (d rtnetlink) List(ctx context.Context) ([]host.Link, error) {
	return ask(ctx, d.p, "", d.Links.List)
}

func (d rtnetlink) VFs(ctx context.Context, index int) ([]host.LinkVF, error) {
	return ask(ctx, d.p, "", func(ctx context.Context) ([]host.LinkVF, error) { return d.Links.VFs(ctx, index) })
}

func (d rtnetlink) NodeNetwork(ctx context.Context) (map[int]string, error) {
	return ask(ctx, d.p, "", d.Links.NodeNetwork)
}

type bonding struct {
	host.Bonds
	p *patience
}

func (d bonding) List(ctx context.Context) ([]host.Bond, error) {
	return ask(ctx, d.p, "", d.Bonds.List)
}

type features struct {
	host.Ethtool
	p *patience
}

func (d features) Feature(ctx context.Context, netdev, feature string) (host.Feature, error) {
	return ask(ctx, d.p, "", func(ctx context.Context) (host.Feature, error) { return d.Ethtool.Feature(ctx, netdev, feature) })
}

func (d features) FirmwareVersion(ctx context.Context, netdev string) (string, error) {
	return ask(ctx, d.p, "", func(ctx context.Context) (string, error) { return d.Ethtool.FirmwareVersion(ctx, netdev) })
}

type kubelet struct {
	host.Pods
	p *patience
}

func (d kubelet) DeviceOwners(ctx context.Context) (map[string]string, error) {
	return ask(ctx, d.p, "", d.Pods.DeviceOwners)
}

type rdma struct {
	host.RDMA
	p *patience
}

func (d rdma) NetnsMode(ctx context.Context) (string, error) {
	return ask(ctx, d.p, "", d.RDMA.NetnsMode)
}
