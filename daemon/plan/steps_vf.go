package plan

import "fmt"

// CreateVDPA makes a vDPA device of a VF and binds it to the driver of its type.
type CreateVDPA struct {
	PF string
	VF int
	// Type is virtio or vhost.
	Type string
}

// BindVDPA binds the vDPA device of a VF to the driver of another type.
type BindVDPA struct {
	PF string
	VF int
	// Type is virtio or vhost.
	Type string
}

// RemoveVDPA removes the vDPA device of a VF. The kernel waits for whoever has it
// open, and meanwhile answers nobody about vDPA devices.
type RemoveVDPA struct {
	PF string
	VF int
}

// SetVFGUID sets the InfiniBand node and port GUID of a VF through its PF. The
// VF's driver takes them at its next probe.
type SetVFGUID struct {
	PF   string
	VF   int
	GUID string
}

// RebindVF takes a VF's kernel driver away and gives it back: its RDMA device has
// the GUIDs of the moment of the probe.
type RebindVF struct {
	PF string
	VF int
	// Driver that the kernel should pick; empty means any.
	Driver string
	// GUID tells that the RDMA device must have a node GUID afterwards.
	GUID bool
}

// Kind implements Step.
func (CreateVDPA) Kind() string { return "CreateVDPA" }
func (BindVDPA) Kind() string   { return "BindVDPA" }
func (RemoveVDPA) Kind() string { return "RemoveVDPA" }
func (SetVFGUID) Kind() string  { return "SetVFGUID" }
func (RebindVF) Kind() string   { return "RebindVF" }

// Device implements Step.
func (s CreateVDPA) Device() string { return s.PF }
func (s BindVDPA) Device() string   { return s.PF }
func (s RemoveVDPA) Device() string { return s.PF }
func (s SetVFGUID) Device() string  { return s.PF }
func (s RebindVF) Device() string   { return s.PF }

func (s CreateVDPA) touches() touched { return touched{vfs: []int{s.VF}} }
func (s BindVDPA) touches() touched   { return touched{vfs: []int{s.VF}} }
func (s RemoveVDPA) touches() touched { return touched{vfs: []int{s.VF}} }
func (s SetVFGUID) touches() touched  { return touched{vfs: []int{s.VF}} }
func (s RebindVF) touches() touched   { return touched{vfs: []int{s.VF}} }

func (s CreateVDPA) String() string {
	return fmt.Sprintf("%s: make a %s vDPA device of VF %d", s.PF, s.Type, s.VF)
}

func (s BindVDPA) String() string {
	return fmt.Sprintf("%s: make the vDPA device of VF %d a %s device", s.PF, s.VF, s.Type)
}

func (s RemoveVDPA) String() string {
	return fmt.Sprintf("%s: remove the vDPA device of VF %d", s.PF, s.VF)
}

func (s SetVFGUID) String() string {
	return fmt.Sprintf("%s: set GUID %s on VF %d", s.PF, s.GUID, s.VF)
}

func (s RebindVF) String() string {
	return fmt.Sprintf("%s: bind VF %d to its driver again for its RDMA device", s.PF, s.VF)
}
