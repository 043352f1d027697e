package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/observe"
	"github.com/sriov-offload/sriov-offload-operator/test/fleet"
)

// row is what the table shows of one node: what its daemon says, and what its
// simulated kernel is like at this moment.
type row struct{ node, ready, reason, vfs, bound, eswitch, plan string }

// view looks at a fleet and the policy that it carries out on ready nodes.
type view struct {
	fleet  *fleet.Fleet
	nodes  []fleet.Node
	policy *sriovv1.SriovNetworkNodePolicy
	ready  int
}

// watch shows how the nodes move until the policy and every node are ready.
func (v *view) watch(ctx context.Context) error {
	screen := newScreen()
	return wait(ctx, v.fleet, "the nodes", func(ctx context.Context) error {
		rows, missing, err := v.look(ctx)
		if err != nil {
			return err
		}
		screen.draw(rows)
		return missing
	})
}

// look reads the fleet; missing says what is not there yet.
func (v *view) look(ctx context.Context) (rows []row, missing, err error) {
	for _, node := range v.nodes {
		var s sriovv1.SriovNetworkNodeState
		err := v.fleet.Client.Get(ctx, client.ObjectKey{Namespace: v.policy.Namespace, Name: node.Name}, &s)
		if apierrors.IsNotFound(err) {
			missing = fmt.Errorf("node %s has no state yet", node.Name)
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		live, err := observe.Node(ctx, node.Kernel.Admin())
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, nodeRow(&s, live))
		missing = cmp.Or(missing, nodeMissing(&s))
	}
	var current sriovv1.SriovNetworkNodePolicy
	if err := v.fleet.Client.Get(ctx, client.ObjectKeyFromObject(v.policy), &current); err != nil {
		return nil, nil, err
	}
	ready := readyCondition(current.Status.Conditions)
	if ready.Status != metav1.ConditionTrue || current.Status.ObservedGeneration != current.Generation || current.Status.ReadyNodes != v.ready {
		missing = cmp.Or(missing, fmt.Errorf("policy %s: %d of %d nodes ready: %s: %s", current.Name, current.Status.ReadyNodes, v.ready, ready.Reason, ready.Message))
	}
	if missing == nil {
		_, missing = v.devicePluginConfig(ctx)
	}
	return rows, missing, nil
}

// nodeMissing says what a node is not ready with, nil if it is.
func nodeMissing(s *sriovv1.SriovNetworkNodeState) error {
	ready := readyCondition(s.Status.Conditions)
	if ready.Status != metav1.ConditionTrue || s.Status.ObservedGeneration != s.Generation {
		return fmt.Errorf("node %s: %s: %s", s.Name, ready.Reason, ready.Message)
	}
	for i := range s.Status.Interfaces {
		if nic := &s.Status.Interfaces[i]; nic.LinkSpeed == "" {
			return fmt.Errorf("node %s: the link of %s is not up yet", s.Name, nic.Name)
		}
	}
	return nil
}

func nodeRow(s *sriovv1.SriovNetworkNodeState, live inventory.Node) row {
	ready := readyCondition(s.Status.Conditions)
	r := row{node: s.Name, ready: string(ready.Status), reason: ready.Reason}
	var vfs, modes []string
	bound := 0
	for i := range live.PFs {
		pf := &live.PFs[i]
		vfs = append(vfs, fmt.Sprint(len(pf.VFs)))
		modes = append(modes, cmp.Or(pf.Eswitch.Mode, sriovv1.EswitchModeLegacy))
		for j := range pf.VFs {
			if pf.VFs[j].Driver != "" {
				bound++
			}
		}
	}
	r.vfs, r.eswitch, r.bound = strings.Join(vfs, ","), strings.Join(modes, ","), fmt.Sprint(bound)
	if p := s.Status.Plan; p != nil {
		r.plan = fmt.Sprintf("%d steps", len(p.Steps))
	}
	return r
}

// devicePluginConfig returns that of the first node.
func (v *view) devicePluginConfig(ctx context.Context) (string, error) {
	var cm corev1.ConfigMap
	key := client.ObjectKey{Namespace: v.policy.Namespace, Name: "device-plugin-config-" + v.nodes[0].Name}
	if err := v.fleet.Client.Get(ctx, key, &cm); err != nil {
		return "", err
	}
	return cm.Data["config.json"], nil
}

// screen redraws a table in place on a terminal; elsewhere it prints a line for
// each change.
type screen struct {
	terminal bool
	lines    int
	shown    []row
	seen     map[string]row
}

func newScreen() *screen {
	return &screen{terminal: term.IsTerminal(int(os.Stdout.Fd())), seen: map[string]row{}}
}

func (s *screen) draw(rows []row) {
	if slices.Equal(rows, s.shown) {
		return
	}
	s.shown = rows
	if s.terminal {
		s.table(rows)
		return
	}
	for _, r := range rows {
		// VFs are bound one by one: not worth a line each.
		r.bound = ""
		if s.seen[r.node] != r {
			s.seen[r.node] = r
			fmt.Printf("    %-6s ready=%-7s reason=%-12s vfs=%-4s eswitch=%-20s %s\n", r.node, r.ready, r.reason, r.vfs, r.eswitch, r.plan)
		}
	}
}

func (s *screen) table(rows []row) {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
		// A row that wraps could not be drawn over.
		t.Style().Size.WidthMax = width - 1
	}
	t.AppendHeader(table.Row{"NODE", "READY", "REASON", "VFS", "BOUND", "ESWITCH", "PLAN"})
	for _, r := range rows {
		t.AppendRow(table.Row{r.node, r.ready, r.reason, r.vfs, r.bound, r.eswitch, r.plan})
	}
	text := t.Render()
	if s.lines > 0 {
		fmt.Printf("\x1b[%dA\x1b[J", s.lines)
	}
	fmt.Println(text)
	s.lines = strings.Count(text, "\n") + 1
}
