package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/sriov-offload/sriov-offload-operator/daemon/failure"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/bounded"
)

const (
	pciDrivers = "sys/bus/pci/drivers"
	pciProbe   = "sys/bus/pci/drivers_probe"
)

// readInt reads an attribute of a PCI function that holds a number.
func (r *runner) readInt(ctx context.Context, address, attribute string) (int, error) {
	data, err := r.host.FS.ReadFile(ctx, path.Join(host.DeviceDir(address), attribute))
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", attribute, err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0, fmt.Errorf("reading %s of %s: %w", attribute, address, err)
	}
	return n, nil
}

// write writes an attribute of a PCI function.
func (r *runner) write(ctx context.Context, address, attribute, value string) error {
	err := r.host.FS.WriteFile(ctx, path.Join(host.DeviceDir(address), attribute), []byte(value))
	if err != nil {
		return fmt.Errorf("writing %s: %w", attribute, err)
	}
	return nil
}

// linkBase returns the last element of a link of a PCI function, empty when
// there is no such link.
func (r *runner) linkBase(ctx context.Context, address, link string) (string, error) {
	target, err := r.host.FS.ReadLink(ctx, path.Join(host.DeviceDir(address), link))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", link, err)
	}
	return path.Base(target), nil
}

func (r *runner) driver(ctx context.Context, address string) (string, error) {
	return r.linkBase(ctx, address, "driver")
}

// override returns driver_override, empty when there is none.
func (r *runner) override(ctx context.Context, address string) (string, error) {
	data, err := r.host.FS.ReadFile(ctx, path.Join(host.DeviceDir(address), "driver_override"))
	if err != nil {
		return "", fmt.Errorf("reading driver_override: %w", err)
	}
	text := strings.TrimSpace(string(data))
	if text == "(null)" {
		return "", nil
	}
	return text, nil
}

// vfAddress returns the PCI address of a VF.
func (r *runner) vfAddress(ctx context.Context, pf string, index int) (string, error) {
	target, err := r.host.FS.ReadLink(ctx, path.Join(host.DeviceDir(pf), "virtfn"+strconv.Itoa(index)))
	if err != nil {
		return "", fmt.Errorf("finding VF %d: %w", index, err)
	}
	return path.Base(target), nil
}

// vfIndexes returns the VFs that are on the bus.
func (r *runner) vfIndexes(ctx context.Context, pf string) ([]int, error) {
	names, err := r.host.FS.ReadDir(ctx, host.DeviceDir(pf))
	if err != nil {
		return nil, fmt.Errorf("listing VFs: %w", err)
	}
	var out []int
	for _, name := range names {
		number, ok := strings.CutPrefix(name, "virtfn")
		if !ok {
			continue
		}
		if index, err := strconv.Atoi(number); err == nil {
			out = append(out, index)
		}
	}
	return out, nil
}

// countVFs counts the VFs that are on the bus; where they are no functions of one,
// those that the driver says it has.
func (r *runner) countVFs(ctx context.Context, pf string) (int, error) {
	if host.Bus(pf) != host.BusPCI {
		return r.readInt(ctx, pf, numVFs)
	}
	indexes, err := r.vfIndexes(ctx, pf)
	return len(indexes), err
}

// hasNetdev tells whether a function has a netdev in the host's network
// namespace: sysfs shows only those.
func (r *runner) hasNetdev(ctx context.Context, address string) (bool, error) {
	names, err := r.host.FS.ReadDir(ctx, path.Join(host.DeviceDir(address), "net"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for the netdev: %w", err)
	}
	return len(names) > 0, nil
}

// links returns the links that belong to a PCI function, out of a dump. Kernels
// before 5.14 do not say to whom a link belongs; then the folder of the function
// does.
func (r *runner) links(ctx context.Context, dump []host.Link, address string) ([]host.Link, error) {
	var own []host.Link
	for _, l := range dump {
		if l.ParentDevice == address {
			own = append(own, l)
		}
	}
	if len(own) > 0 {
		return own, nil
	}
	names, err := r.host.FS.ReadDir(ctx, path.Join(host.DeviceDir(address), "net"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking for the netdev: %w", err)
	}
	for _, l := range dump {
		for _, name := range names {
			if l.Name == name {
				own = append(own, l)
			}
		}
	}
	return own, nil
}

func (r *runner) dump(ctx context.Context) ([]host.Link, error) {
	list, err := r.host.Links.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing links: %w", err)
	}
	return list, nil
}

// uplink returns a function's own link, in switchdev mode the uplink
// representor: the physical port with the lowest number, else a link without
// port name. VF representors have the PF as their parent too.
func uplink(own []host.Link) (host.Link, bool) {
	const none = 1 << 16
	best, bestPort := host.Link{}, none+1
	for _, l := range own {
		port := none
		if l.PortName != "" {
			n, ok := physicalPort(l.PortName)
			if !ok {
				continue
			}
			port = n
		}
		if port < bestPort || port == bestPort && l.Index < best.Index {
			best, bestPort = l, port
		}
	}
	return best, bestPort <= none
}

// physicalPort parses p<N> or p<N>s<M>.
func physicalPort(name string) (int, bool) {
	number, ok := strings.CutPrefix(name, "p")
	if !ok {
		return 0, false
	}
	number, _, _ = strings.Cut(number, "s")
	n, err := strconv.Atoi(number)
	return n, err == nil
}

// vfPort parses the port name of a VF representor, pf<N>vf<M>, with c<K> in
// front when the VF is another controller's: that one is not ours.
func vfPort(name string) (int, bool) {
	rest, ok := strings.CutPrefix(name, "pf")
	if !ok {
		return 0, false
	}
	_, number, ok := strings.Cut(rest, "vf")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(number)
	return n, err == nil
}

// uplinkOf returns the link of a PF, waiting for it: it may be made anew while
// the eswitch mode changes.
func (r *runner) uplinkOf(ctx context.Context, pf string) (host.Link, error) {
	var found host.Link
	err := r.await(ctx, "the PF's netdev", func(ctx context.Context) (bool, error) {
		dump, err := r.dump(ctx)
		if err != nil {
			return false, err
		}
		own, err := r.links(ctx, dump, pf)
		if err != nil {
			return false, err
		}
		var ok bool
		found, ok = uplink(own)
		return ok, nil
	})
	return found, noNetdev(err)
}

// noNetdev turns having waited in vain for a netdev into that fault.
func noNetdev(err error) error {
	var f *fault
	if errors.As(err, &f) {
		return &fault{kind: failure.FaultNoNetdev, text: f.text, err: f.err}
	}
	return err
}

// representors returns the links of a PF's VF representors by VF index, and the
// switch ID of the uplink. Their names say nothing: CNIs rename them. Devlink is
// asked only for VFs of want that the link dump does not name.
func (r *runner) representors(ctx context.Context, pf string, want []int) (byVF map[int]host.Link, switchID string, err error) {
	dump, err := r.dump(ctx)
	if err != nil {
		return nil, "", err
	}
	own, err := r.links(ctx, dump, pf)
	if err != nil {
		return nil, "", err
	}
	up, ok := uplink(own)
	if !ok || up.SwitchID == "" {
		return nil, "", nil
	}
	byVF = map[int]host.Link{}
	for _, l := range own {
		if n, ok := vfPort(l.PortName); ok && l.SwitchID == up.SwitchID {
			byVF[n] = l
		}
	}
	if len(missing(byVF, want)) == 0 {
		return byVF, up.SwitchID, nil
	}
	ports, err := r.portsSoon(ctx)
	if err != nil {
		return nil, "", err
	}
	for _, p := range ports {
		if p.Handle != host.DevlinkOf(pf) || p.Flavour != "pcivf" || p.VFNumber == nil {
			continue
		}
		for _, l := range dump {
			if l.Index == p.NetdevIndex && byVF[*p.VFNumber].Index == 0 {
				byVF[*p.VFNumber] = l
			}
		}
	}
	return byVF, up.SwitchID, nil
}

// missing returns the VFs that have no representor.
func missing(byVF map[int]host.Link, want []int) []int {
	var out []int
	for _, vf := range want {
		if _, ok := byVF[vf]; !ok {
			out = append(out, vf)
		}
	}
	return out
}

// portsWait bounds a dump of devlink ports.
const portsWait = 2 * time.Second

// portsSoon lists the devlink ports, none if that takes long: the kernel takes
// the lock of one instance after the other, and another PF's may be held for
// minutes while its VFs are made.
func (r *runner) portsSoon(ctx context.Context) ([]host.DevlinkPort, error) {
	soon, cancel := context.WithTimeout(ctx, portsWait)
	defer cancel()
	ports, err := r.host.Devlink.Ports(soon)
	switch {
	case err == nil:
		return ports, nil
	case ctx.Err() == nil && (soon.Err() != nil || errors.Is(err, bounded.ErrPending)):
		return nil, nil
	}
	return nil, fmt.Errorf("listing devlink ports: %w", err)
}
