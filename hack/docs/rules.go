package main

import (
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/sriov-offload/sriov-offload-operator/daemon/host/hosttest"
)

// kernelRules is the table of the rules that the planner relies on, and where each
// is proven.
func kernelRules() string {
	var b strings.Builder
	b.WriteString(`# Rules of the kernel

Generated from code by ` + "`make generate`" + `.

What the operator relies on of the kernel is written down as one conformance specification (` + "`daemon/host/hosttest`" + `). The simulated
kernel of the tests passes all of it but what is said of a simulated device. ` + "`make test-vm`" + ` runs what applies to a machine on a real one:

`)
	t := table.NewWriter()
	t.AppendHeader(table.Row{"Machine", "What it is"})
	for _, m := range hosttest.Machines() {
		t.AppendRow(table.Row{m.Name, m.What})
	}
	b.WriteString(t.RenderMarkdown())
	b.WriteString(`

"hardware only" is a rule of drivers that no emulated or simulated device has: it was read in their source, and is followed by the
simulated kernel. Nobody has told us yet of a try on hardware.

`)
	t = table.NewWriter()
	t.AppendHeader(table.Row{"Rule", "Proven on"})
	for _, spec := range hosttest.Specs() {
		t.AppendRow(table.Row{spec.Label, provenOn(spec)})
	}
	for _, label := range hosttest.OVSLabels() {
		t.AppendRow(table.Row{"Open vSwitch: " + label, "Open vSwitch"})
	}
	b.WriteString(t.RenderMarkdown() + "\n")
	return b.String()
}

func provenOn(spec hosttest.Spec) string {
	var on []string
	for _, m := range hosttest.Machines() {
		if spec.Applies(m.Device.Capabilities) {
			on = append(on, m.Name)
		}
	}
	if len(on) == 0 {
		return "hardware only"
	}
	return strings.Join(on, ", ")
}
