package main

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan/changes"
)

// disruption is what each change takes from whom, as the planner says.
func disruption() string {
	var b strings.Builder
	b.WriteString(`# What a change takes from whom

Generated from code by ` + "`make generate`" + `: each row is what the daemon's planner makes of the change.

The machine has a PF of an NVIDIA ConnectX-6 Dx in switchdev mode with 8 VFs in two groups, of two policies: VFs 0-3 and VFs 4-7. Pod
shop/web holds VF 1, shop/db holds VF 5. Where nothing else is said, the policy of VFs 4-7 changes.

* **Steps** are what the daemon does, in order. Nothing in it means that the host stays as it is.
* **VFs** are those that a step touches. Other VFs, used or not, do not notice.
* **Pods** hold such a VF: the plan waits until they are gone (disruption VFPods). A change of which none is listed is carried out at once.
* **Later** are VFs that are in use and keep their present setting; they get the new one when their pod is gone. Nothing waits for them.

A PF over which the node's own network runs is never taken away from it: such a change is a blocker (NodeNetwork).

`)
	t := table.NewWriter()
	t.AppendHeader(table.Row{"Change", "Steps", "VFs", "Pods", "Later"})
	cases := changes.Cases()
	for i := range cases {
		e := cases[i].Effect()
		t.AppendRow(table.Row{cases[i].What, steps(e), indices(e.VFs), lost(e), indices(e.Waiting)})
	}
	b.WriteString(t.RenderMarkdown() + "\n")
	return b.String()
}

func steps(e changes.Effect) string {
	if len(e.Blockers) > 0 {
		return "none: blocker " + strings.Join(e.Blockers, ", ")
	}
	return strings.Join(e.Steps, ", ")
}

func lost(e changes.Effect) string {
	if e.Disruption != sriovv1.DisruptionNone && len(e.Pods) == 0 {
		return string(e.Disruption)
	}
	return strings.Join(e.Pods, ", ")
}

// indices writes 4 6 7 as "4, 6, 7".
func indices(vfs []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(vfs), "[]"), " ", ", ")
}
