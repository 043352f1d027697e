package plan

import (
	"fmt"
	"slices"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
)

// EnsureBridge makes an Open vSwitch bridge of ours with the PF as uplink, or
// changes it to what is wanted.
type EnsureBridge struct {
	PF string
	// Bridge as wanted; its one uplink is the PF. The name of the PF's netdev is
	// found when the step is carried out: a change of the mode may have renamed it.
	Bridge *sriovv1.OVSConfigExt
	// Makes: there is no such bridge yet. Attaches: the PF is not its uplink.
	Makes, Attaches bool
	// Columns that differ, as the database names them.
	Columns []string
	// Lowers tells that the MTU of the PF becomes smaller: frames of a VF whose user
	// has a larger MTU are then dropped.
	Lowers bool
}

// staleKeys stands among the columns when they are as wanted but for keys that we set
// earlier.
const staleKeys = "keys that are no longer wanted"

// RemoveBridge removes an Open vSwitch bridge of ours.
type RemoveBridge struct {
	PF string
	// Name of the bridge.
	Name string
	// VFs by index, ordered, whose representors are ports of the bridge. They go with
	// the pods that use them; until then the bridge stays.
	VFs []int
}

// Kind implements Step.
func (EnsureBridge) Kind() string { return "EnsureBridge" }

// Kind implements Step.
func (RemoveBridge) Kind() string { return "RemoveBridge" }

// Device implements Step.
func (s EnsureBridge) Device() string { return s.PF }

// Device implements Step.
func (s RemoveBridge) Device() string { return s.PF }

// A netdev that becomes a port hands its frames to Open vSwitch from then on, and
// the host's own network no longer gets them.
func (s EnsureBridge) touches() touched {
	return touched{all: s.Lowers, link: s.Makes || s.Attaches || s.Lowers}
}

func (s RemoveBridge) touches() touched { return touched{vfs: s.VFs, link: true} }

func (s EnsureBridge) String() string {
	switch {
	case s.Makes:
		return fmt.Sprintf("%s: make Open vSwitch bridge %s with the PF as uplink", s.PF, s.Bridge.Name)
	case s.Attaches:
		return fmt.Sprintf("%s: attach the PF to Open vSwitch bridge %s", s.PF, s.Bridge.Name)
	}
	if slices.Contains(s.Columns, staleKeys) {
		return fmt.Sprintf("%s: take keys that are no longer wanted from Open vSwitch bridge %s", s.PF, s.Bridge.Name)
	}
	return fmt.Sprintf("%s: set %s of Open vSwitch bridge %s", s.PF, strings.Join(s.Columns, ", "), s.Bridge.Name)
}

func (s RemoveBridge) String() string {
	return fmt.Sprintf("%s: remove Open vSwitch bridge %s", s.PF, s.Name)
}
