package agent

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
	"github.com/sriov-offload/sriov-offload-operator/daemon/host/simhost"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan/changes"
)

// without is a machine from which some pods have gone: their VFs are the host's again.
func without(node inventory.Node, pods ...string) inventory.Node {
	node.PFs = slices.Clone(node.PFs)
	for i := range node.PFs {
		node.PFs[i].VFs = slices.Clone(node.PFs[i].VFs)
		for j := range node.PFs[i].VFs {
			vf := &node.PFs[i].VFs[j]
			if !slices.Contains(pods, vf.Pod) {
				continue
			}
			vf.Pod = ""
			if vf.Driver == "mlx5_core" {
				vf.Netdev = &inventory.Netdev{Index: 40 + j, Name: "back", MTU: 1500, LinkType: node.PFs[i].Netdev.LinkType}
			}
		}
	}
	return node
}

// What the table of changes says is what is published: disruption and pods. The hash
// stays while the pods are moved away one after the other.
func TestChangesAsPublished(t *testing.T) {
	cases := changes.Cases()
	if len(cases) < 25 {
		t.Errorf("only %d kinds of change", len(cases))
	}
	for i := range cases {
		c, effect := &cases[i], cases[i].Effect()
		spec := sriovv1.SriovNetworkNodeStateSpec{ComputedFrom: "x", Interfaces: c.After}
		owned := ledger.Record{PFs: map[string]ledger.PF{changes.PF: c.Owned}}
		publish := func(node inventory.Node, before Before) (Decision, *sriovv1.PlanStatus) {
			f := Facts{Spec: spec, Observed: &node, Owned: owned, Plan: Plan(spec, node, owned, driver.Default())}
			f.Decision = Decide(spec, node, f.Plan, before)
			return f.Decision, Report(sriovv1.SriovNetworkNodeStateStatus{}, f, metav1.Now()).Plan
		}
		decision, published := publish(c.Machine(), Before{})
		if published == nil {
			published = &sriovv1.PlanStatus{Disruption: sriovv1.DisruptionNone}
		}
		if diff := cmp.Diff(effect.Pods, published.AffectedPods); diff != "" || published.Disruption != effect.Disruption {
			t.Errorf("%s: published %s of %v", c.What, published.Disruption, published.AffectedPods)
		}
		for n := range effect.Pods {
			answer := Answer{PlanHash: decision.Hash, Reason: sriovv1.ReasonDraining}
			got, _ := publish(without(c.Machine(), effect.Pods[:n+1]...), Before{Answer: answer, Held: decision.Held})
			if got.Hash != decision.Hash || got.Verdict != WaitForDrain {
				t.Errorf("%s: without %v the plan is another one (%s)", c.What, effect.Pods[:n+1], got.Verdict)
			}
		}
	}
}

// The same on a machine that is brought there by the daemon itself: pods of groups
// that a change does not touch are never among the affected.
func TestChangesOnAMachine(t *testing.T) {
	cases := changes.Cases()
	tried := 0
	for i := range cases {
		c := &cases[i]
		if c.Found != nil || c.Owned.Initial.NumVFs > 0 || strings.Contains(c.What, "InfiniBand") || strings.Contains(c.What, "externallyManaged` becomes false") {
			continue
		}
		tried++
		t.Run(c.What, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := simhost.New(simhost.Options{NICs: []simhost.NIC{simhost.ConnectX6Dx()}})
				defer k.Close()
				l := newLife(t, k, sriovv1.SriovNetworkNodeStateSpec{Interfaces: c.Before})
				l.live(t.Context(), 6)
				observed, err := observe.Node(t.Context(), k.Admin())
				l.must(err)
				for _, vf := range observed.PF(changes.PF).VFs {
					if pod := map[int]string{1: "shop/web", 5: "shop/db"}[vf.Index]; pod != "" {
						l.must(k.AssignVF(vf.PCIAddress, pod))
					}
				}
				k.ResetOps()
				l.spec.Interfaces = c.After
				facts := l.turn(t.Context())
				effect := c.Effect()
				if effect.Disruption == sriovv1.DisruptionNone {
					if facts.Decision.Verdict == WaitForDrain {
						t.Errorf("it waits for %v", facts.Decision.AffectedPods)
					}
					return
				}
				if diff := cmp.Diff(effect.Pods, l.status.Plan.AffectedPods); diff != "" || l.status.Plan.Disruption != effect.Disruption {
					t.Errorf("published: %+v\n%s", l.status.Plan, diff)
				}
				after, err := observe.Node(t.Context(), k.Admin())
				l.must(err)
				if p := Plan(l.spec, after, l.a.ledger.Record(), driver.Default()); plan.HashOf(p.Chains) == "" {
					t.Error("the change was made before anybody was asked")
				}
			})
		})
	}
	if tried < 20 {
		t.Errorf("only %d kinds of change were tried", tried)
	}
}
