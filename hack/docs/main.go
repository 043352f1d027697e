// Command docs writes the reference pages that are generated from code: blockers
// and explained failures, the NICs that are known, what changes take from whom, and the rules
// of the kernel that the operator relies on.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/sriov-offload/sriov-offload-operator/daemon/failure"
	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: docs FOLDER")
		os.Exit(2)
	}
	for name, page := range map[string]string{"failures.md": failures(), "nics.md": nics(), "disruption.md": disruption(), "kernel-rules.md": kernelRules()} {
		if err := os.WriteFile(filepath.Join(os.Args[1], name), []byte(page), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "docs:", err)
			os.Exit(1)
		}
	}
}

func failures() string {
	var b strings.Builder
	b.WriteString(`# Blockers and failures

Generated from code by ` + "`make generate`" + `.

## Blockers

A blocker is a fact that forbids what a policy asks for on one PF. It is found before anything is touched, and shown in
` + "`status.interfaces[].blockers`" + ` of the node state and in its Ready condition (reason Blocked). Other PFs are not affected.

`)
	t := table.NewWriter()
	t.AppendHeader(table.Row{"Code", "Meaning", "Remedy"})
	for _, c := range plan.BlockerCodes() {
		t.AppendRow(table.Row{c.Code, c.Meaning, c.Remedy})
	}
	b.WriteString(t.RenderMarkdown())
	b.WriteString(`

## Failures

A failure is a refusal met while a plan is carried out. The Ready condition (reason ApplyFailed) names the step, the device,
the kernel's own words, what it means and what to do. The first entry that fits is used; the daemon tries again, at longer
and longer intervals up to five minutes.

`)
	t = table.NewWriter()
	t.AppendHeader(table.Row{"Code", "Step", "Signature", "Meaning", "Remedy"})
	for _, e := range failure.Catalogue() {
		t.AppendRow(table.Row{e.Code, strings.Join(e.Steps, ", "), signature(e), e.Message, e.Remedy})
	}
	b.WriteString(t.RenderMarkdown() + "\n")
	return b.String()
}

// signature is what is recognised: errnos by description, faults, words of the kernel.
func signature(e failure.Entry) string {
	var parts []string
	for _, errno := range e.Errnos {
		parts = append(parts, errno.Error())
	}
	for _, f := range e.Faults {
		parts = append(parts, string(f))
	}
	for _, text := range e.Texts {
		parts = append(parts, fmt.Sprintf("%q", text))
	}
	return strings.Join(parts, ", ")
}
