package apply_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// From any start to any target: one run converges, or what is left is explained
// by blockers, by a hold, or by an explained failure; and the kernel is never
// asked for what it forbids.
func TestConverge(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := scenarios(3, false).Draw(rt, "scenario")
		if err := bubble(t, func(ctx context.Context) error { return converges(ctx, s) }); err != nil {
			rt.Fatalf("%v\n%s", err, s)
		}
	})
}

func converges(ctx context.Context, s *scenario) error {
	k := s.boot(ctx)
	defer k.Close()
	for n, spec := range s.specs {
		first, err := take(ctx, k, spec)
		if err != nil {
			return fmt.Errorf("spec %d: %w", n, err)
		}
		if err := errors.Join(explained(&first), modeKept(&first)); err != nil {
			return fmt.Errorf("spec %d: %w", n, err)
		}
		second, err := take(ctx, k, spec)
		if err != nil {
			return fmt.Errorf("spec %d, second turn: %w", n, err)
		}
		if err := settled(&first, &second); err != nil {
			return fmt.Errorf("spec %d: %w\n%s", n, err, k.Dump())
		}
		k.Settle()
		if err := reached(ctx, k, spec, &second); err != nil {
			return fmt.Errorf("spec %d: %w\n%s", n, err, k.Dump())
		}
		if f := k.Forbidden(); len(f) > 0 {
			return fmt.Errorf("spec %d: forbidden: %s", n, strings.Join(f, "; "))
		}
	}
	return nil
}

// explained tells whether every failure has an explanation.
func explained(t *turn) error {
	for i := range t.result.Failures {
		f := &t.result.Failures[i]
		if f.Code == "" || f.Code == "Unexplained" || f.Message == "" || f.Remedy == "" {
			return fmt.Errorf("no explanation of %w", f)
		}
	}
	for _, b := range t.plan.Blockers {
		if b.Code == "" || b.Message == "" || b.Remedy == "" {
			return fmt.Errorf("no explanation of blocker %+v", b)
		}
	}
	return nil
}

// settled: what ran without a failure is not planned again.
func settled(first, second *turn) error {
	failed := map[string]bool{}
	for i := range first.result.Failures {
		for _, c := range first.run.Chains {
			// A failure ends the chain of all its PFs.
			for _, pf := range c.PFs {
				failed[pf] = failed[pf] || slices.Contains(c.PFs, first.result.Failures[i].PF)
			}
		}
	}
	for _, c := range second.run.Chains {
		// Files on the host are about a PF until it is given back, and about what there
		// is of one that failed.
		if c.OfNode() && len(second.plan.Released)+len(first.result.Failures) > 0 {
			continue
		}
		// Which MTUs the ports have after their driver was bound again shows then.
		if !failed[c.PFs[0]] && !reloads(first.run, c.PFs[0]) {
			return fmt.Errorf("second plan of %s is not empty: %v\nfirst plan: %v", c.PFs[0], c.Stages, first.run.Steps())
		}
	}
	return nil
}

// reached compares the host with the spec, independently of the planner. PFs with
// blockers, held chains and failures are none of its business.
func reached(ctx context.Context, k *simhost.Kernel, spec sriovv1.SriovNetworkNodeStateSpec, last *turn) error {
	observed, err := observe.Node(ctx, k.Admin())
	if err != nil {
		return err
	}
	skip := map[string]bool{}
	for _, b := range last.plan.Blockers {
		skip[b.PF] = true
	}
	for _, c := range last.plan.Chains {
		for _, pf := range c.PFs {
			skip[pf] = true
		}
	}
	if err := bondsReached(spec, &observed, skip); err != nil {
		return err
	}
	for i := range spec.Interfaces {
		want := &spec.Interfaces[i]
		if skip[want.PCIAddress] {
			continue
		}
		if err := fulfilled(want, observed.PF(want.PCIAddress)); err != nil {
			return fmt.Errorf("%s: %w", ifaceText(want), err)
		}
	}
	return bridged(&spec, &observed, skip)
}

func fulfilled(want *sriovv1.Interface, pf *inventory.PF) error {
	if !want.ExternallyManaged {
		mode := want.EswitchMode
		switch {
		case mode != "":
		case pf.Driver == "nfp":
			mode = pf.Eswitch.Mode
		default:
			mode = "legacy"
		}
		if err := loads(want, pf); err != nil {
			return err
		}
		switch {
		case *pf.NumVFs != want.NumVfs || len(pf.VFs) != want.NumVfs:
			return fmt.Errorf("numVfs is %d", *pf.NumVFs)
		case pf.Eswitch.Supported && pf.Eswitch.Mode != mode:
			return fmt.Errorf("mode is %s", pf.Eswitch.Mode)
		case want.FlowSteeringMode != "" && pf.SteeringMode != want.FlowSteeringMode:
			return fmt.Errorf("steering mode is %q", pf.SteeringMode)
		case mode == "switchdev" && (pf.DeviceID == "1013" || pf.DeviceID == "1015") && pf.Eswitch.InlineMode != "transport":
			return fmt.Errorf("inline mode is %s", pf.Eswitch.InlineMode)
		case !pf.Netdev.Up:
			return fmt.Errorf("netdev is down")
		case pf.Netdev.MTU < want.MTU:
			return fmt.Errorf("MTU is %d", pf.Netdev.MTU)
		case !*pf.Autoprobe:
			return fmt.Errorf("autoprobe is off")
		}
		if err := offloads(want, pf); err != nil {
			return err
		}
	}
	for _, g := range want.VfGroups {
		for i := g.VfRange.First; i <= g.VfRange.Last; i++ {
			if err := provided(&g, pf, pf.VF(i), want.ExternallyManaged); err != nil {
				return fmt.Errorf("VF %d: %w", i, err)
			}
		}
	}
	return nil
}

func offloads(want *sriovv1.Interface, pf *inventory.PF) error {
	if want.EswitchMode != "switchdev" {
		return nil
	}
	if !pf.Netdev.HWTCOffload.On || len(pf.Representors) != want.NumVfs {
		return fmt.Errorf("uplink %+v, %d representors", pf.Netdev.HWTCOffload, len(pf.Representors))
	}
	for _, r := range pf.Representors {
		if !r.Netdev.HWTCOffload.On {
			return fmt.Errorf("representor of VF %d does not offload", r.VF)
		}
	}
	return nil
}

func provided(g *sriovv1.VfGroup, pf *inventory.PF, vf *inventory.VF, external bool) error {
	switch {
	case vf == nil:
		return fmt.Errorf("it is not there")
	case g.DeviceType == sriovv1.DeviceTypeVFIO:
		if vf.Driver != "vfio-pci" {
			return fmt.Errorf("driver is %q", vf.Driver)
		}
		return nil
	case !slices.Contains([]string{"mlx5_core", "igbvf", "iavf", "bnxt_en", "nfp_netvf", "newcomer_vf"}, vf.Driver):
		return fmt.Errorf("driver is %q", vf.Driver)
	case vf.DriverOverride == "vfio-pci":
		return fmt.Errorf("override is %q", vf.DriverOverride)
	case vf.Pod != "" || vf.Netdev == nil:
		return nil
	case g.MTU > 0 && vf.Netdev.MTU != g.MTU:
		return fmt.Errorf("MTU is %d", vf.Netdev.MTU)
	case vf.Driver == "mlx5_core" && vf.AdminMAC == "" && !external && pf.Netdev.LinkType == "ETH":
		return fmt.Errorf("MAC is not kept")
	}
	return equipped(g, pf, vf, external)
}

// equipped tells whether a VF that nobody uses has the RDMA and vDPA device of its
// group, and the GUIDs that go with them.
func equipped(g *sriovv1.VfGroup, pf *inventory.PF, vf *inventory.VF, external bool) error {
	mlx5 := vf.Driver == "mlx5_core" && !external
	switch {
	case g.IsRdma && vf.RDMA == nil:
		return fmt.Errorf("there is no RDMA device")
	case g.IsRdma && mlx5 && vf.RDMA.NodeGUID == "":
		return fmt.Errorf("the RDMA device has no node GUID")
	case mlx5 && pf.Netdev.LinkType == "IB" && vf.RDMA != nil && vf.RDMA.NodeGUID == "":
		return fmt.Errorf("the VF has no GUID")
	case g.VdpaType == "" && vf.VDPA.Ours(vf.PCIAddress):
		return fmt.Errorf("there is a vDPA device %+v", vf.VDPA)
	case g.VdpaType != "" && (vf.VDPA == nil || vf.VDPA.Type != g.VdpaType):
		return fmt.Errorf("the vDPA device is %+v", vf.VDPA)
	}
	return nil
}

// Disruption is never understated: run without a hold, a plan takes VFs from no
// other pods than those that it named, and from none if it said so.
func TestDisruption(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := scenarios(2, false).Draw(rt, "scenario")
		if err := bubble(t, func(ctx context.Context) error { return admitsDisruption(ctx, s) }); err != nil {
			rt.Fatalf("%v\n%s", err, s)
		}
	})
}

func admitsDisruption(ctx context.Context, s *scenario) error {
	k := s.boot(ctx)
	defer k.Close()
	for n, spec := range s.specs {
		before := held(k.Dump())
		t, err := takeIf(ctx, k, spec, true)
		if err != nil {
			return err
		}
		k.Settle()
		after := held(k.Dump())
		disruption, pods := plan.Disruption(t.run, t.observed)
		for vf, state := range before {
			if after[vf] == state {
				continue
			}
			pod := podOf(state)
			switch {
			case disruption == sriovv1.DisruptionNone:
				return fmt.Errorf("spec %d: disruption None, and yet %s changed from %s to %s", n, vf, state, after[vf])
			case t.observed.PodsUnknown == "" && !slices.Contains(pods, pod):
				return fmt.Errorf("spec %d: pod %s lost %s and is not among %v", n, pod, vf, pods)
			}
		}
	}
	return nil
}

// held returns the state of every VF that a pod holds, by PCI address: driver
// and netdev as the machine's dump has them.
func held(dump string) map[string]string {
	lines := strings.Split(dump, "\n")
	owners := map[string]string{}
	for _, line := range lines {
		if words := strings.Fields(line); len(words) == 4 && words[0] == "pod" && words[2] == "holds" {
			owners[words[3]] = words[1]
		}
	}
	out := map[string]string{}
	for i, line := range lines {
		words := strings.Fields(line)
		// A VF without a driver is of no use to its pod: there is nothing to lose.
		if len(words) < 6 || words[0] != "vf" || owners[words[2]] == "" || words[5] == "none" {
			continue
		}
		state := owners[words[2]] + " " + words[5]
		if next := strings.Fields(lines[i+1]); len(next) > 0 && next[0] == "netdev" {
			state += " " + strings.Join(next, " ")
		}
		out[words[2]] = state
	}
	return out
}

func podOf(state string) string { return strings.Fields(state)[0] }

// reloads tells whether a plan binds the driver of a PF again.
func reloads(p plan.Plan, pf string) bool {
	return slices.ContainsFunc(p.Steps(), func(s plan.Step) bool {
		_, is := s.(plan.ReloadDriver)
		return is && s.Device() == pf
	})
}
