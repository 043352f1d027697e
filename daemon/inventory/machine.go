package inventory

import (
	"slices"
	"strings"
)

// Machine is how the machine's kernel was started and what it can still get.
type Machine struct {
	// CommandLine are the arguments of the running kernel (/proc/cmdline).
	CommandLine []string
	// CommandLineUnknown is why they are not known; empty when they are.
	CommandLineUnknown string
	// BootLoader is the tool that changes kernel arguments: one of those that
	// daemon/host names; empty when there is none that is known.
	BootLoader string
	// VTd tells that the firmware describes an Intel IOMMU (ACPI table DMAR).
	VTd bool
	// RDMAMode is "shared" or "exclusive"; empty when the kernel has none.
	RDMAMode string
	// RDMAModeUnknown is why it is not known; empty when it is.
	RDMAModeUnknown string
	// Loadable are modules of interest that are not loaded and could be, by the name
	// that modprobe takes, with '_'.
	Loadable []string
}

// Argument returns the values that an argument of the kernel's command line has,
// in order: {"on"} for intel_iommu=on. Found tells whether it is there at all.
func (m *Machine) Argument(name string) (values []string, found bool) {
	for _, a := range m.CommandLine {
		key, value, has := strings.Cut(a, "=")
		if key != name {
			continue
		}
		found = true
		if has {
			values = append(values, strings.Split(value, ",")...)
		}
	}
	return values, found
}

// Started tells whether the kernel was started with an argument: "iommu=pt". One of
// several values counts.
func (m *Machine) Started(argument string) bool {
	name, value, _ := strings.Cut(argument, "=")
	values, found := m.Argument(name)
	return found && (value == "" || slices.Contains(values, value))
}
