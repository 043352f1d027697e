package plan

import (
	"fmt"
	"strings"
)

// SetKernelArguments changes, through the boot loader's own tools, with which
// arguments the kernel is started from the next boot on. Nothing happens before.
type SetKernelArguments struct {
	// Tool is one of those of the inventory.
	Tool string
	// Add are those to be there, Remove those of ours to be taken back.
	Add, Remove []string
}

// SetRDMAMode tells the RDMA subsystem whether its devices are shared by all
// network namespaces. The kernel refuses that while there is a second namespace;
// then the ledger notes so, and the step has done what it could.
type SetRDMAMode struct{ Mode string }

// LoadModule loads a module of the kernel.
type LoadModule struct{ Module string }

// Reboot restarts the machine. The ledger notes why before.
type Reboot struct{ Reasons []Reason }

// Reason is why a machine has to be restarted.
type Reason struct {
	// Key identifies the reason: one that survives a reboot is none for another one.
	Key string
	// Text says in words what the reboot is for.
	Text string
}

// Kind implements Step.
func (SetKernelArguments) Kind() string { return "SetKernelArguments" }
func (SetRDMAMode) Kind() string        { return "SetRDMAMode" }
func (LoadModule) Kind() string         { return "LoadModule" }
func (Reboot) Kind() string             { return "Reboot" }

// Device implements Step.
func (s SetKernelArguments) Device() string {
	if len(s.Add) == 0 {
		return ofLoader
	}
	return ofMachine
}
func (SetRDMAMode) Device() string { return ofRDMA }
func (LoadModule) Device() string  { return ofModules }
func (Reboot) Device() string      { return ofMachine }

func (SetKernelArguments) touches() touched { return touched{} }
func (SetRDMAMode) touches() touched        { return touched{} }
func (LoadModule) touches() touched         { return touched{} }
func (Reboot) touches() touched             { return touched{} }

func (s SetKernelArguments) String() string {
	var parts []string
	if len(s.Add) > 0 {
		parts = append(parts, "add "+strings.Join(s.Add, " ")+" to")
	}
	if len(s.Remove) > 0 {
		parts = append(parts, "take "+strings.Join(s.Remove, " ")+" from")
	}
	return fmt.Sprintf("%s the kernel's command line of the next boot, with %s", strings.Join(parts, " and "), s.Tool)
}

func (s SetRDMAMode) String() string { return "set RDMA namespace mode " + s.Mode }

func (s LoadModule) String() string { return "load module " + s.Module }

func (s Reboot) String() string {
	parts := make([]string, 0, len(s.Reasons))
	for _, r := range s.Reasons {
		parts = append(parts, r.Text)
	}
	return "reboot the node: " + strings.Join(parts, "; ")
}
