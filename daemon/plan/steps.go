package plan

import (
	"fmt"
	"strings"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/driver"
)

// driverVFIO is the kernel driver that hands a VF to user space.
const driverVFIO = sriovv1.DeviceTypeVFIO

// touched is what a step may take away from its users.
type touched struct {
	// all VFs of the PF, or these.
	all bool
	vfs []int
	// link of the PF: traffic through it is interrupted.
	link bool
}

// RemoveVFs sets sriov_numvfs to 0.
type RemoveVFs struct {
	PF string
	// Count of VFs that exist; for the text only.
	Count int
}

// CreateVFs sets sriov_numvfs from 0 to Count and waits for the VFs.
type CreateVFs struct {
	PF    string
	Count int
}

// SetAutoprobe tells the kernel whether to bind new VFs by itself. While it is
// off, only VFs with a driver_override can be bound (Linux 5.3).
type SetAutoprobe struct {
	PF string
	On bool
}

// SetLinkUp sets the PF's netdev up.
type SetLinkUp struct {
	PF string
	// Port is the phys_port_name of a further port, or AllPorts; empty for the
	// PF's own netdev.
	Port string
}

// SetMTU sets the MTU of the PF's netdev.
type SetMTU struct {
	PF string
	// Port as in SetLinkUp.
	Port string
	MTU  int
	// Lowers tells that the PF's MTU is larger now: frames of a VF whose user has a
	// larger MTU are then dropped.
	Lowers bool
	// AtLeast leaves a larger MTU as it is.
	AtLeast bool
}

// SetEswitchMode sets the mode of the PF's eswitch.
type SetEswitchMode struct {
	PF string
	// Mode is legacy or switchdev.
	Mode string
	// Trial is set when it is not known whether the driver takes the mode in this
	// order: the ledger remembers what came of it.
	Trial driver.Order
}

// SetInlineMode sets the inline mode of the PF's eswitch, on all vports.
type SetInlineMode struct {
	PF string
	// Mode is none, link, network or transport.
	Mode string
}

// SetSteeringMode sets the flow steering mode of the PF. The eswitch must be in
// legacy mode.
type SetSteeringMode struct {
	PF string
	// Mode is dmfs, smfs or hmfs.
	Mode string
}

// AwaitRepresentors waits until the uplink has a switch ID and Count VFs have a
// representor. It changes nothing.
type AwaitRepresentors struct {
	PF    string
	Count int
}

// SetHWTCOffload turns the feature on the PF's netdev on or off.
type SetHWTCOffload struct {
	PF string
	// Port as in SetLinkUp.
	Port string
	On   bool
}

// SetRepresentorHWTCOffload turns the feature on for the representors of VFs.
type SetRepresentorHWTCOffload struct {
	PF string
	// VFs by index, ordered.
	VFs []int
}

// BindVF binds a VF to a driver, after unbinding it from another one.
type BindVF struct {
	PF string
	VF int
	// Driver to bind; empty together with KernelDefault means "whatever the
	// kernel picks".
	Driver string
	// KernelDefault: driver_override is cleared and the kernel picks the driver,
	// which should be Driver. Otherwise driver_override is set to Driver.
	KernelDefault bool
	// RDMA tells that the VF must have an RDMA device then.
	RDMA bool
}

// UnbindVF leaves a VF without a driver.
type UnbindVF struct {
	PF string
	VF int
}

// SetVFOverride sets the driver_override of a VF. It has an effect only when the
// VF is bound the next time.
type SetVFOverride struct {
	PF string
	VF int
	// Driver is empty to clear the override.
	Driver string
}

// SetVFMTU sets the MTU of a VF's netdev.
type SetVFMTU struct {
	PF  string
	VF  int
	MTU int
}

// SetVFAdminMAC sets the administrative MAC of a VF to the MAC that it has.
type SetVFAdminMAC struct {
	PF string
	VF int
}

// Kind implements Step.
func (RemoveVFs) Kind() string                 { return "RemoveVFs" }
func (CreateVFs) Kind() string                 { return "CreateVFs" }
func (SetAutoprobe) Kind() string              { return "SetAutoprobe" }
func (SetLinkUp) Kind() string                 { return "SetLinkUp" }
func (SetMTU) Kind() string                    { return "SetMTU" }
func (SetEswitchMode) Kind() string            { return "SetEswitchMode" }
func (SetInlineMode) Kind() string             { return "SetInlineMode" }
func (SetSteeringMode) Kind() string           { return "SetSteeringMode" }
func (AwaitRepresentors) Kind() string         { return "AwaitRepresentors" }
func (SetHWTCOffload) Kind() string            { return "SetHWTCOffload" }
func (SetRepresentorHWTCOffload) Kind() string { return "SetRepresentorHWTCOffload" }
func (BindVF) Kind() string                    { return "BindVF" }
func (UnbindVF) Kind() string                  { return "UnbindVF" }
func (SetVFOverride) Kind() string             { return "SetVFOverride" }
func (SetVFMTU) Kind() string                  { return "SetVFMTU" }
func (SetVFAdminMAC) Kind() string             { return "SetVFAdminMAC" }

// Device implements Step.
func (s RemoveVFs) Device() string                 { return s.PF }
func (s CreateVFs) Device() string                 { return s.PF }
func (s SetAutoprobe) Device() string              { return s.PF }
func (s SetLinkUp) Device() string                 { return s.PF }
func (s SetMTU) Device() string                    { return s.PF }
func (s SetEswitchMode) Device() string            { return s.PF }
func (s SetInlineMode) Device() string             { return s.PF }
func (s SetSteeringMode) Device() string           { return s.PF }
func (s AwaitRepresentors) Device() string         { return s.PF }
func (s SetHWTCOffload) Device() string            { return s.PF }
func (s SetRepresentorHWTCOffload) Device() string { return s.PF }
func (s BindVF) Device() string                    { return s.PF }
func (s UnbindVF) Device() string                  { return s.PF }
func (s SetVFOverride) Device() string             { return s.PF }
func (s SetVFMTU) Device() string                  { return s.PF }
func (s SetVFAdminMAC) Device() string             { return s.PF }

// Removing and creating VFs resets the PF on igb; a mode change takes the
// netdev of mlx5 down; a new MTU makes most drivers restart their queues.
func (RemoveVFs) touches() touched      { return touched{all: true, link: true} }
func (CreateVFs) touches() touched      { return touched{all: true, link: true} }
func (SetEswitchMode) touches() touched { return touched{all: true, link: true} }
func (s SetMTU) touches() touched       { return touched{all: s.Lowers, link: true} }

func (s BindVF) touches() touched        { return touched{vfs: []int{s.VF}} }
func (s UnbindVF) touches() touched      { return touched{vfs: []int{s.VF}} }
func (s SetVFMTU) touches() touched      { return touched{vfs: []int{s.VF}} }
func (s SetVFAdminMAC) touches() touched { return touched{vfs: []int{s.VF}} }

func (SetAutoprobe) touches() touched              { return touched{} }
func (SetLinkUp) touches() touched                 { return touched{} }
func (SetInlineMode) touches() touched             { return touched{} }
func (SetSteeringMode) touches() touched           { return touched{} }
func (AwaitRepresentors) touches() touched         { return touched{} }
func (SetHWTCOffload) touches() touched            { return touched{} }
func (SetRepresentorHWTCOffload) touches() touched { return touched{} }
func (SetVFOverride) touches() touched             { return touched{} }

func (s RemoveVFs) String() string {
	return fmt.Sprintf("%s: remove %s", s.PF, countVFs(s.Count))
}

func (s CreateVFs) String() string {
	return fmt.Sprintf("%s: create %s", s.PF, countVFs(s.Count))
}

func (s SetAutoprobe) String() string {
	return fmt.Sprintf("%s: turn autoprobe of VFs %s", s.PF, onOff(s.On))
}

func (s SetLinkUp) String() string { return s.PF + ": set link" + portText(s.Port) + " up" }

func (s SetMTU) String() string {
	if s.Lowers {
		return fmt.Sprintf("%s: lower MTU%s to %d", s.PF, portText(s.Port), s.MTU)
	}
	return fmt.Sprintf("%s: set MTU%s %d", s.PF, portText(s.Port), s.MTU)
}

func (s SetEswitchMode) String() string {
	return fmt.Sprintf("%s: set eswitch mode %s", s.PF, s.Mode)
}

func (s SetInlineMode) String() string {
	return fmt.Sprintf("%s: set eswitch inline mode %s", s.PF, s.Mode)
}

func (s SetSteeringMode) String() string {
	return fmt.Sprintf("%s: set flow steering mode %s", s.PF, s.Mode)
}

func (s AwaitRepresentors) String() string {
	if s.Count == 1 {
		return s.PF + ": await 1 representor"
	}
	return fmt.Sprintf("%s: await %d representors", s.PF, s.Count)
}

func (s SetHWTCOffload) String() string {
	return fmt.Sprintf("%s: turn hw-tc-offload%s %s", s.PF, portText(s.Port), onOff(s.On))
}

func (s SetRepresentorHWTCOffload) String() string {
	what := "representors"
	if len(s.VFs) == 1 {
		what = "representor"
	}
	return fmt.Sprintf("%s: turn hw-tc-offload on for the %s of %s", s.PF, what, vfsText(s.VFs))
}

func (s BindVF) String() string {
	if s.Driver == "" {
		return fmt.Sprintf("%s: bind VF %d to its kernel driver", s.PF, s.VF)
	}
	return fmt.Sprintf("%s: bind VF %d to %s", s.PF, s.VF, s.Driver)
}

func (s UnbindVF) String() string { return fmt.Sprintf("%s: unbind VF %d", s.PF, s.VF) }

func (s SetVFOverride) String() string {
	if s.Driver == "" {
		return fmt.Sprintf("%s: clear driver_override of VF %d", s.PF, s.VF)
	}
	return fmt.Sprintf("%s: set driver_override of VF %d to %s", s.PF, s.VF, s.Driver)
}

func (s SetVFMTU) String() string {
	return fmt.Sprintf("%s: set MTU %d on VF %d", s.PF, s.MTU, s.VF)
}

func (s SetVFAdminMAC) String() string {
	return fmt.Sprintf("%s: keep the MAC of VF %d", s.PF, s.VF)
}

func countVFs(n int) string {
	if n == 1 {
		return "1 VF"
	}
	return fmt.Sprintf("%d VFs", n)
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// vfsText names VFs: "VF 3", "VFs 0-2,5".
func vfsText(indices []int) string {
	if len(indices) == 1 {
		return fmt.Sprintf("VF %d", indices[0])
	}
	return "VFs " + ranges(indices)
}

// ranges writes ordered indices as "0-2,5".
func ranges(indices []int) string {
	var b strings.Builder
	for i := 0; i < len(indices); {
		last := i
		for last+1 < len(indices) && indices[last+1] == indices[last]+1 {
			last++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%d", indices[i])
		if last > i {
			fmt.Fprintf(&b, "-%d", indices[last])
		}
		i = last + 1
	}
	return b.String()
}
