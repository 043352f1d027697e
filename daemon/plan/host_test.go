package plan_test

import (
	"fmt"
	"strings"

	"github.com/sriov-offload/sriov-offload-operator/daemon/plan"
)

// hostText writes down the steps on the host's files, with their content in short,
// and the warnings.
func hostText(p plan.Plan) string {
	var b strings.Builder
	for _, c := range p.Chains {
		for _, stage := range c.Stages {
			for _, s := range stage {
				if !c.OfNode() {
					continue
				}
				fmt.Fprintf(&b, "- %s\n", s)
				if put, ok := s.(plan.PutHostFile); ok {
					b.WriteString(inShort(put.Content))
				}
			}
		}
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "warning %s %s: %s\n", w.PF, w.Code, w.Message)
		if w.Remedy == "" {
			fmt.Fprintln(&b, "  NO REMEDY")
		}
	}
	return b.String()
}

// inShort is the names that a file gives, and what it says about which PF.
func inShort(content string) string {
	var b strings.Builder
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		_, name, named := strings.Cut(line, ", NAME=")
		switch {
		case named:
			fmt.Fprintf(&b, "    name %s\n", name)
		case strings.HasPrefix(line, "# VFs and"), strings.HasPrefix(line, "unmanaged"):
			fmt.Fprintf(&b, "    %s\n", line)
		}
	}
	return b.String()
}
