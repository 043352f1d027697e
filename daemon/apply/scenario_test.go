package apply_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/apply"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// port is a PF of a scenario.
type port struct {
	address, netdev string
	// eswitch that can be switched; steering modes that can be chosen.
	eswitch  bool
	steering []string
	// fixed: the firmware decides on the mode.
	fixed bool
	total int
	// rdma: there are RDMA devices; infiniband: the port is InfiniBand.
	rdma, infiniband bool
}

// models are the NICs that scenarios are made of.
var models = map[string]struct {
	make     func(...simhost.NICOption) simhost.NIC
	ports    []port
	options  []simhost.NICOption
	steering []string
}{
	"cx5": {make: simhost.ConnectX5, steering: []string{"dmfs", "smfs"}, ports: []port{
		{address: "0000:5f:00.0", netdev: "ens41f0np0", eswitch: true}, {address: "0000:5f:00.1", netdev: "ens41f1np1", eswitch: true}}},
	"cx6dx": {make: simhost.ConnectX6Dx, steering: []string{"smfs", "dmfs", "hmfs"}, ports: []port{
		{address: "0000:3b:00.0", netdev: "enp59s0f0np0", eswitch: true}, {address: "0000:3b:00.1", netdev: "enp59s0f1np1", eswitch: true}}},
	"cx4lx": {make: simhost.ConnectX4Lx, steering: []string{"dmfs"}, ports: []port{
		{address: "0000:04:00.0", netdev: "enp4s0f0np0", eswitch: true}, {address: "0000:04:00.1", netdev: "enp4s0f1np1", eswitch: true}}},
	"vpi": {make: simhost.ConnectX6VPI, steering: []string{"smfs", "dmfs"}, ports: []port{
		{address: "0000:d8:00.0", netdev: "ibp216s0f0", infiniband: true}, {address: "0000:d8:00.1", netdev: "ibp216s0f1", infiniband: true}}},
	"igb": {make: simhost.Igb82576, ports: []port{
		{address: "0000:01:00.0", netdev: "enp1s0f0"}, {address: "0000:01:00.1", netdev: "enp1s0f1"}}},
	"e810": {make: simhost.E810, ports: []port{
		{address: "0000:17:00.0", netdev: "ens801f0np0", eswitch: true}, {address: "0000:17:00.1", netdev: "ens801f1np1", eswitch: true}}},
	"bnxt": {make: simhost.BCM57414, ports: []port{
		{address: "0000:af:00.0", netdev: "ens5f0np0", eswitch: true}, {address: "0000:af:00.1", netdev: "ens5f1np1", eswitch: true}}},
	"flower": {make: simhost.AgilioFlower, ports: []port{{address: "0000:05:00.0", netdev: "ens3np0", fixed: true}}},
	"nfp":    {make: simhost.AgilioNIC, ports: []port{{address: "0000:05:00.0", netdev: "ens3np0", fixed: true}}},
	"newcomer": {make: simhost.Newcomer, ports: []port{
		{address: "0000:c1:00.0", netdev: "enp193s0f0np0", eswitch: true}, {address: "0000:c1:00.1", netdev: "enp193s0f1np1", eswitch: true}}},
	"newcomer-vfs": {make: simhost.Newcomer, options: []simhost.NICOption{simhost.SwitchdevNeedsVFs()}, ports: []port{
		{address: "0000:c1:00.0", netdev: "enp193s0f0np0", eswitch: true}, {address: "0000:c1:00.1", netdev: "enp193s0f1np1", eswitch: true}}},
}

// action is something that somebody else does to the machine. It may be refused.
type action struct {
	text string
	do   func(context.Context, *simhost.Kernel) error
}

func (a action) String() string { return a.text }

// scenario is a machine, what was done to it before we came, and what is wanted
// of it.
type scenario struct {
	nics   []func() simhost.NIC
	text   string
	opts   simhost.Options
	ports  []port
	before []action
	specs  []sriovv1.SriovNetworkNodeStateSpec
}

func (s *scenario) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "machine: %s\n", s.text)
	for _, a := range s.before {
		fmt.Fprintf(&b, "before: %s\n", a)
	}
	for _, spec := range s.specs {
		for _, iface := range spec.Interfaces {
			fmt.Fprintf(&b, "want: %s\n", ifaceText(&iface))
		}
		for _, bond := range spec.Bonds {
			fmt.Fprintf(&b, "want: %s\n", bondText(&bond))
		}
		for i := range spec.Bridges.OVS {
			fmt.Fprintf(&b, "want: %s\n", bridgeText(&spec.Bridges.OVS[i]))
		}
		b.WriteString("--\n")
	}
	return b.String()
}

// GoString keeps rapid's report of a draw short.
func (s *scenario) GoString() string { return "scenario" }

func ifaceText(i *sriovv1.Interface) string {
	text := fmt.Sprintf("%s numVfs %d mode %q steering %q firmware %q mtu %d external %t",
		i.PCIAddress, i.NumVfs, i.EswitchMode, i.FlowSteeringMode, i.FirmwareApp, i.MTU, i.ExternallyManaged)
	for _, g := range i.VfGroups {
		text += fmt.Sprintf(" [%s %s mtu %d rdma %t vdpa %s]", g.VfRange, g.DeviceType, g.MTU, g.IsRdma, g.VdpaType)
	}
	return text
}

// boot makes the machine. Inside a synctest bubble only.
func (s *scenario) boot(ctx context.Context) *simhost.Kernel {
	opts := s.opts
	opts.NICs = nil
	for _, make := range s.nics {
		opts.NICs = append(opts.NICs, make())
	}
	k := simhost.New(opts)
	s.happen(ctx, k)
	return k
}

// happen does what others do before we come.
func (s *scenario) happen(ctx context.Context, k *simhost.Kernel) {
	for _, a := range s.before {
		// An administrator is refused what the kernel refuses.
		_ = a.do(ctx, k)
		k.Settle()
	}
}

// bubble runs f in virtual time and returns what it found wrong. Draws happen
// outside: a failed draw must not unwind a bubble.
func bubble(t *testing.T, f func(ctx context.Context) error) error {
	t.Helper()
	var err error
	synctest.Test(t, func(t *testing.T) { err = f(t.Context()) })
	return err
}

// turn is one turn of the daemon's loop: observe, plan, hold what would take VFs
// from pods, apply.
type turn struct {
	observed inventory.Node
	plan     plan.Plan
	run      plan.Plan
	result   apply.Result
	losses   map[string]ledger.Loss
}

// take takes one turn of a daemon that has just started.
func take(ctx context.Context, k *simhost.Kernel, spec sriovv1.SriovNetworkNodeStateSpec) (turn, error) {
	return takeIf(ctx, k, spec, false)
}

func takeIf(ctx context.Context, k *simhost.Kernel, spec sriovv1.SriovNetworkNodeStateSpec, ungated bool) (turn, error) {
	h := k.Host()
	led, err := ledger.Open(ctx, k.Store())
	if err != nil {
		return turn{}, err
	}
	recovery := apply.Recovery{
		Observe: func(ctx context.Context) (inventory.Node, error) { return observe.Node(ctx, h) }, Drivers: driver.Default(),
	}
	if _, err := apply.Recover(ctx, h, led, recovery); err != nil {
		return turn{}, err
	}
	observed, p, err := look(ctx, h, spec, led)
	if err != nil {
		return turn{}, err
	}
	if err := led.ForgetLosses(ctx, p.Outlived...); err != nil {
		return turn{}, err
	}
	t := turn{observed: observed, plan: p, run: gate(&spec, p, observed)}
	if ungated {
		t.run = p
	}
	k.EarlyBinds()
	t.result = apply.Run(ctx, h, led, observed, t.run)
	if early := k.EarlyBinds(); len(spec.Bonds) > 0 && len(early) > 0 {
		return turn{}, fmt.Errorf("VFs were bound before the NIC offloads their bond: %v", early)
	}
	recovery.After = &t.result
	t.losses, err = apply.Recover(ctx, h, led, recovery)
	t.result.Blame(t.losses)
	return t, err
}

// look observes and plans.
func look(ctx context.Context, h host.Host, spec sriovv1.SriovNetworkNodeStateSpec, led *ledger.Ledger) (inventory.Node, plan.Plan, error) {
	observed, err := observe.Node(ctx, h)
	if err != nil {
		return observed, plan.Plan{}, err
	}
	in := plan.Input{Spec: spec, Observed: observed, Owned: led.Record(), Drivers: driver.Default()}
	return observed, plan.Compute(in), nil
}

// gate holds chains that would disrupt. It is the rule of agent.Decide in
// daemon/agent/gate.go, which cannot be imported here because it imports apply:
// who changes one changes the other.
func gate(spec *sriovv1.SriovNetworkNodeStateSpec, p plan.Plan, observed inventory.Node) plan.Plan {
	run := plan.Plan{Released: p.Released, ReleasedBonds: p.ReleasedBonds, ReleasedBridges: p.ReleasedBridges}
	for _, c := range p.Chains {
		d, _ := plan.Disruption(plan.Plan{Chains: []plan.Chain{c}}, observed)
		permitted := !plan.TakesVFs(c, observed) && !slices.ContainsFunc(c.PFs, func(address string) bool {
			pf := observed.PF(address)
			return pf != nil && pf.NodeNetwork != "" && !plan.Allowed(spec, address)
		})
		if d == sriovv1.DisruptionNone || d == sriovv1.DisruptionNode && permitted {
			run.Chains = append(run.Chains, c)
		}
	}
	return run
}

// stabilize takes turns, with new lives after crashes, until two in a row have
// nothing to do, or the same failures come back. The machine settles before each:
// an arriving netdev is an event that wakes the daemon.
func stabilize(ctx context.Context, k *simhost.Kernel, spec sriovv1.SriovNetworkNodeStateSpec) error {
	idle, failed := 0, 0
	for idle < 2 && failed < 3 {
		if k.Crashed() {
			k.Restart()
		}
		k.Settle()
		t, err := take(ctx, k, spec)
		if k.Crashed() {
			continue
		}
		if err != nil {
			return fmt.Errorf("taking a turn: %w", err)
		}
		switch {
		case t.run.Empty() && len(t.run.Released)+len(t.run.ReleasedBonds)+len(t.run.ReleasedBridges) == 0:
			idle++
		case len(t.result.Failures) > 0:
			failed++
		default:
			idle = 0
		}
	}
	k.Settle()
	return nil
}

// machines draws NICs.
func machines(t *rapid.T) *scenario {
	s := &scenario{}
	s.opts.NoIOMMU = rapid.IntRange(0, 9).Draw(t, "noIOMMU") == 9
	if rapid.Bool().Draw(t, "delays") {
		s.opts.Delays = simhost.TypicalDelays()
	}
	if rapid.IntRange(0, 9).Draw(t, "lacks module") == 9 {
		s.opts.NoModules = []string{rapid.SampledFrom([]string{
			simhost.ModuleVFIO, simhost.ModuleRDMA, simhost.ModuleVDPA, simhost.ModuleVirtio, simhost.ModuleVhost,
		}).Draw(t, "module")}
	}
	kind := rapid.SampledFrom([]string{
		"cx5", "cx6dx", "igb", "cx5 igb", "cx6dx cx5", "cx4lx", "e810", "bnxt", "flower", "nfp", "newcomer", "newcomer-vfs",
		"e810 bnxt", "flower newcomer", "vpi", "cx6dx", "cx5 vpi",
	}).Draw(t, "nics")
	s.opts.NetworkManager = rapid.Bool().Draw(t, "networkManager")
	s.text = fmt.Sprintf("%s noIOMMU %t delays %v without %v NetworkManager %t", kind, s.opts.NoIOMMU, s.opts.Delays, s.opts.NoModules, s.opts.NetworkManager)
	for _, name := range strings.Fields(kind) {
		s.addNIC(t, name)
	}
	return s
}

func (s *scenario) addNIC(t *rapid.T, name string) {
	total := rapid.IntRange(1, 5).Draw(t, "total")
	opts := []simhost.NICOption{simhost.TotalVFs(total)}
	note := func(text string, o simhost.NICOption) {
		opts = append(opts, o)
		s.text += " " + text
	}
	if rapid.Bool().Draw(t, "down") {
		note("down", simhost.Down())
	}
	if rapid.Bool().Draw(t, "plain") {
		note("plain representors", simhost.RepresentorsWithoutOffload())
	}
	if rapid.IntRange(0, 15).Draw(t, "partial") == 15 {
		note("enabled at most 2", simhost.EnabledAtMost(2))
	}
	if rapid.IntRange(0, 15).Draw(t, "mmio") == 15 {
		note("without MMIO", simhost.WithoutMMIO())
	}
	if rapid.IntRange(0, 15).Draw(t, "eswitch") == 15 {
		note("without eswitch", simhost.WithoutEswitch())
	}
	model := models[name]
	steering := model.steering
	if len(steering) > 0 && rapid.IntRange(0, 5).Draw(t, "steering") == 5 {
		note("without steering", simhost.WithoutSteering())
		steering = nil
	}
	if rapid.IntRange(0, 3).Draw(t, "compat") == 3 {
		note("compat steering", simhost.CompatSteering())
	}
	rdma := strings.HasPrefix(name, "cx") || name == "vpi"
	if rdma && rapid.IntRange(0, 15).Draw(t, "rdma") == 15 {
		note("without RDMA", simhost.WithoutRDMA())
		rdma = false
	}
	if name == "vpi" && rapid.IntRange(0, 3).Draw(t, "silent") == 3 {
		note("silent GUIDs", simhost.SilentGUIDs())
	}
	opts = append(opts, model.options...)
	if model.ports[0].fixed {
		s.drawFirmware(t, note)
	}
	s.nics = append(s.nics, func() simhost.NIC { return model.make(opts...) })
	for _, p := range model.ports {
		p.total, p.steering, p.rdma = total, steering, rdma
		s.ports = append(s.ports, p)
	}
}

// scenarios draws a machine with a past, and up to most specs. Whether the
// kubelet answers may be drawn too.
func scenarios(most int, kubelet bool) *rapid.Generator[*scenario] {
	return rapid.Custom(func(t *rapid.T) *scenario {
		s := machines(t)
		for _, p := range s.ports {
			s.before = append(s.before, past(t, p)...)
			s.before = append(s.before, pastOVS(t, p)...)
		}
		if !kubelet && rapid.IntRange(0, 11).Draw(t, "podsUnknown") == 11 {
			s.before = append(s.before, action{"pods unavailable", func(_ context.Context, k *simhost.Kernel) error {
				k.PodsUnavailable(errors.New("the kubelet does not answer"))
				return nil
			}})
		}
		for range rapid.IntRange(1, most).Draw(t, "specs") {
			s.specs = append(s.specs, specOf(t, s.ports, !kubelet))
		}
		return s
	})
}

// past draws what somebody did to a PF before.
func past(t *rapid.T, p port) []action {
	var out []action
	// add adds an action once in odds+1 cases; shrinking leaves it out.
	add := func(odds int, text string, do func(context.Context, *simhost.Kernel) error) {
		if rapid.IntRange(0, odds).Draw(t, text) == odds {
			out = append(out, action{p.address + " " + text, do})
		}
	}
	vfs := rapid.IntRange(0, p.total).Draw(t, "numvfs before")
	if len(p.steering) > 0 {
		mode := rapid.SampledFrom(p.steering).Draw(t, "steering before")
		add(2, "steering "+mode, func(ctx context.Context, k *simhost.Kernel) error {
			// Refused where the parameter is missing, and its file is there instead.
			if k.Admin().Devlink.SetParam(ctx, host.DevlinkOf(p.address), "flow_steering_mode", mode) == nil {
				return nil
			}
			return k.Admin().FS.WriteFile(ctx, "sys/class/net/"+p.netdev+"/compat/devlink/steering_mode", []byte(mode))
		})
	}
	// Some drivers make VFs in switchdev mode only, or want their mode first.
	if p.eswitch {
		add(3, "mode switchdev first", func(ctx context.Context, k *simhost.Kernel) error {
			return k.Admin().Devlink.SetEswitchMode(ctx, host.DevlinkOf(p.address), "switchdev")
		})
	}
	if p.fixed {
		out = append(out, firmwarePast(t, p)...)
	}
	add(3, "autoprobe 0", set(p.address, "sriov_drivers_autoprobe", "0"))
	add(0, fmt.Sprintf("numvfs %d", vfs), set(p.address, "sriov_numvfs", strconv.Itoa(vfs)))
	if p.eswitch {
		// The kernel refuses while VFs are bound.
		add(1, "mode switchdev", func(ctx context.Context, k *simhost.Kernel) error {
			return k.Admin().Devlink.SetEswitchMode(ctx, host.DevlinkOf(p.address), "switchdev")
		})
		add(2, "offload on", func(ctx context.Context, k *simhost.Kernel) error {
			return k.Admin().Ethtool.SetFeature(ctx, p.netdev, host.FeatureHWTCOffload, true)
		})
	}
	add(1, "autoprobe 1", set(p.address, "sriov_drivers_autoprobe", "1"))
	add(2, "mtu 3000", onLink(p.netdev, func(ctx context.Context, l host.Links, index int) error { return l.SetMTU(ctx, index, 3000) }))
	add(2, "up", onLink(p.netdev, func(ctx context.Context, l host.Links, index int) error { return l.SetUp(ctx, index, true) }))
	add(11, "node network", func(_ context.Context, k *simhost.Kernel) error {
		k.SetNodeNetwork(p.netdev, "carries the default route")
		return nil
	})
	add(11, "bond", func(ctx context.Context, k *simhost.Kernel) error {
		bond := "b" + p.netdev[len(p.netdev)-3:]
		down := onLink(p.netdev, func(ctx context.Context, l host.Links, index int) error { return l.SetUp(ctx, index, false) })
		return errors.Join(down(ctx, k), k.AddBond(bond, simhost.BondOptions{Mode: "active-backup"}), k.Enslave(bond, p.netdev))
	})
	for i := range vfs {
		onVF := func(odds int, text string, do func(context.Context, *simhost.Kernel, string) error) {
			add(odds, fmt.Sprintf("vf %d %s", i, text), func(ctx context.Context, k *simhost.Kernel) error {
				target, err := k.Admin().FS.ReadLink(ctx, fmt.Sprintf("sys/bus/pci/devices/%s/virtfn%d", p.address, i))
				if err != nil {
					return err
				}
				return do(ctx, k, path.Base(target))
			})
		}
		onVF(4, "unbind", func(ctx context.Context, k *simhost.Kernel, vf string) error {
			return set(vf, "driver/unbind", vf)(ctx, k)
		})
		onVF(4, "override vfio-pci", func(ctx context.Context, k *simhost.Kernel, vf string) error {
			return set(vf, "driver_override", "vfio-pci")(ctx, k)
		})
		onVF(2, "probe", func(ctx context.Context, k *simhost.Kernel, vf string) error {
			return k.Admin().FS.WriteFile(ctx, "sys/bus/pci/drivers_probe", []byte(vf))
		})
		onVF(5, "vdpa", func(ctx context.Context, k *simhost.Kernel, vf string) error {
			return k.Admin().VDPA.Create(ctx, "vdpa:"+vf, host.DevlinkOf(vf))
		})
		onVF(6, "pod", func(_ context.Context, k *simhost.Kernel, vf string) error {
			return k.AssignVF(vf, fmt.Sprintf("ns/%s-%d", p.netdev, i))
		})
		onVF(6, "host pod", func(_ context.Context, k *simhost.Kernel, vf string) error {
			return k.AssignVF(vf, fmt.Sprintf("ns/%s-%d", p.netdev, i), simhost.KeepNetdev)
		})
	}
	return out
}

func set(address, attribute, value string) func(context.Context, *simhost.Kernel) error {
	return func(ctx context.Context, k *simhost.Kernel) error {
		return k.Admin().FS.WriteFile(ctx, "sys/bus/pci/devices/"+address+"/"+attribute, []byte(value))
	}
}

func onLink(name string, do func(context.Context, host.Links, int) error) func(context.Context, *simhost.Kernel) error {
	return func(ctx context.Context, k *simhost.Kernel) error {
		links := k.Admin().Links
		list, err := links.List(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(list, func(l host.Link) bool { return l.Name == name })
		if i < 0 {
			return errors.New("no such link")
		}
		return do(ctx, links, list[i].Index)
	}
}

// specOf draws a spec for some of the ports, with steering modes that the NIC
// refuses or without: where a refused one leaves the VFs depends on when they
// were taken away.
func specOf(t *rapid.T, ports []port, refused bool) sriovv1.SriovNetworkNodeStateSpec {
	spec := sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "test"}
	for _, p := range ports {
		if rapid.IntRange(0, 3).Draw(t, "in spec") > 0 {
			spec.Interfaces = append(spec.Interfaces, ifaceOf(t, p, refused))
		}
	}
	addBridges(t, &spec)
	return spec
}

func ifaceOf(t *rapid.T, p port, refused bool) sriovv1.Interface {
	i := sriovv1.Interface{
		PCIAddress:        p.address,
		NumVfs:            rapid.IntRange(0, p.total).Draw(t, "numVfs"),
		MTU:               rapid.SampledFrom([]int{0, 0, 1500, 4000}).Draw(t, "mtu"),
		ExternallyManaged: rapid.IntRange(0, 7).Draw(t, "external") == 7,
	}
	if rapid.IntRange(0, 15).Draw(t, "too many") == 15 {
		i.NumVfs = p.total + 1
	}
	i.EswitchMode = rapid.SampledFrom([]string{"", "legacy", "switchdev", "switchdev"}).Draw(t, "mode")
	if p.infiniband && rapid.IntRange(0, 7).Draw(t, "no eswitch") > 0 {
		i.EswitchMode = ""
	}
	if !p.eswitch && !p.fixed && rapid.IntRange(0, 7).Draw(t, "legacy only") > 0 {
		i.EswitchMode = ""
	}
	steering := append([]string{"", ""}, p.steering...)
	if refused || len(p.steering) == 0 && rapid.IntRange(0, 9).Draw(t, "steering of no use") == 9 {
		steering = []string{"", "", "dmfs", "smfs", "hmfs"}
	}
	i.FlowSteeringMode = rapid.SampledFrom(steering).Draw(t, "steering")
	i.FirmwareApp = firmwareOf(t, p, i.ExternallyManaged)
	for first := 0; first < i.NumVfs; {
		last := rapid.IntRange(first, i.NumVfs-1).Draw(t, "last")
		g := sriovv1.VfGroup{
			DeviceType: rapid.SampledFrom([]string{"netdevice", "netdevice", "vfio-pci", ""}).Draw(t, "type"),
			MTU:        rapid.SampledFrom([]int{0, 1500, 2000, 9000}).Draw(t, "group mtu"),
			VfRange:    sriovv1.VFRange{First: first, Last: last},
		}
		g.IsRdma = g.DeviceType != "vfio-pci" && rapid.IntRange(0, 3).Draw(t, "isRdma") == 3 && (p.rdma || rapid.IntRange(0, 9).Draw(t, "of no use") == 9)
		if g.DeviceType != "vfio-pci" && (p.rdma && i.EswitchMode == "switchdev" && rapid.IntRange(0, 3).Draw(t, "vdpa") == 3 || rapid.IntRange(0, 31).Draw(t, "vdpa of no use") == 31) {
			g.VdpaType = rapid.SampledFrom([]string{"virtio", "vhost"}).Draw(t, "vdpaType")
		}
		if rapid.IntRange(0, 4).Draw(t, "gap") > 0 {
			i.VfGroups = append(i.VfGroups, g)
		}
		first = last + 1
	}
	return i
}
