package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"golang.org/x/term"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/test/fleet"
)

// row is what the table shows of one node.
type row struct{ node, ready, reason, vfs, eswitch, offload, next string }

// watch shows how the nodes move until the policy and every node are ready.
func watch(ctx context.Context, f *fleet.Fleet, policy *sriovv1.SriovNetworkNodePolicy) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	screen := newScreen()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	var last error
	for {
		if err := f.Err(); err != nil {
			return err
		}
		rows, missing, err := look(ctx, f, policy)
		if err == nil {
			last = missing
			screen.draw(rows)
			if missing == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not converged after %s: %w", patience, last)
		case <-ticker.C:
		}
	}
}

// look reads the fleet; missing says what is not there yet.
func look(ctx context.Context, f *fleet.Fleet, policy *sriovv1.SriovNetworkNodePolicy) (rows []row, missing, err error) {
	var states sriovv1.SriovNetworkNodeStateList
	if err := f.Client.List(ctx, &states, client.InNamespace(namespace)); err != nil {
		return nil, nil, err
	}
	var current sriovv1.SriovNetworkNodePolicy
	if err := f.Client.Get(ctx, client.ObjectKeyFromObject(policy), &current); err != nil {
		return nil, nil, err
	}
	slices.SortFunc(states.Items, func(a, b sriovv1.SriovNetworkNodeState) int { return strings.Compare(a.Name, b.Name) })
	for i := range states.Items {
		s := &states.Items[i]
		ready := readyCondition(s.Status.Conditions)
		rows = append(rows, nodeRow(s, ready))
		if ready.Status != metav1.ConditionTrue || s.Status.ObservedGeneration != s.Generation {
			missing = fmt.Errorf("node %s: %s: %s", s.Name, ready.Reason, ready.Message)
		}
	}
	ready := readyCondition(current.Status.Conditions)
	switch {
	case len(states.Items) < 3:
		missing = fmt.Errorf("%d of 3 node states exist", len(states.Items))
	case ready.Status != metav1.ConditionTrue || current.Status.ObservedGeneration != current.Generation || current.Status.ReadyNodes != 2:
		missing = fmt.Errorf("policy %s: %d of 2 nodes ready: %s: %s", current.Name, current.Status.ReadyNodes, ready.Reason, ready.Message)
	}
	if missing == nil {
		_, missing = devicePluginConfig(ctx, f, "node1")
	}
	return rows, missing, nil
}

func nodeRow(s *sriovv1.SriovNetworkNodeState, ready metav1.Condition) row {
	r := row{node: s.Name, ready: string(ready.Status), reason: ready.Reason, offload: "-"}
	var vfs, modes []string
	for i := range s.Status.Interfaces {
		nic := &s.Status.Interfaces[i]
		vfs = append(vfs, fmt.Sprint(nic.NumVfs))
		modes = append(modes, nic.EswitchMode)
	}
	r.vfs, r.eswitch = strings.Join(vfs, ","), strings.Join(modes, ",")
	for _, c := range s.Status.Conditions {
		if c.Type == sriovv1.ConditionOffloadReady {
			r.offload = string(c.Status)
		}
	}
	if p := s.Status.Plan; p != nil && len(p.Steps) > 0 {
		r.next = fmt.Sprintf("%s (%d steps)", p.Steps[0], len(p.Steps))
	}
	return r
}

func devicePluginConfig(ctx context.Context, f *fleet.Fleet, node string) (string, error) {
	var cm corev1.ConfigMap
	key := client.ObjectKey{Namespace: namespace, Name: "device-plugin-config-" + node}
	if err := f.Client.Get(ctx, key, &cm); err != nil {
		return "", err
	}
	return cm.Data["config.json"], nil
}

// screen redraws a table in place on a terminal; elsewhere it prints a line for
// each change.
type screen struct {
	terminal bool
	lines    int
	seen     map[string]row
}

func newScreen() *screen {
	return &screen{terminal: term.IsTerminal(int(os.Stdout.Fd())), seen: map[string]row{}}
}

func (s *screen) draw(rows []row) {
	if !s.terminal {
		for _, r := range rows {
			if s.seen[r.node] != r {
				s.seen[r.node] = r
				fmt.Printf("    %-6s ready=%-7s reason=%-14s vfs=%-4s eswitch=%s %s\n", r.node, r.ready, r.reason, r.vfs, r.eswitch, r.next)
			}
		}
		return
	}
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.AppendHeader(table.Row{"NODE", "READY", "REASON", "VFS", "ESWITCH", "OFFLOAD", "NEXT STEP"})
	for _, r := range rows {
		t.AppendRow(table.Row{r.node, r.ready, r.reason, r.vfs, r.eswitch, r.offload, r.next})
	}
	text := t.Render()
	if s.lines > 0 {
		fmt.Printf("\x1b[%dA\x1b[J", s.lines)
	}
	fmt.Println(text)
	s.lines = strings.Count(text, "\n") + 1
}
