package plan

import (
	"fmt"

	"github.com/sriov-offload/sriov-offload-operator/daemon/firmware"
)

// LinkFirmware makes the link that lets the driver of a card load an application,
// and what belongs to it: the drop-in for the initramfs, the kernel's search path.
type LinkFirmware struct {
	PF string
	// App is the wanted application: flower or flower-next.
	App string
	// Link from the root, Target as it is to be.
	Link, Target string
	// Before is where the link leads now; empty if there is none.
	Before string
	// SearchPath that firmware_class.path is to name; empty if it may stay.
	SearchPath string
	// DropIn for the initramfs; nil if there is none.
	DropIn *firmware.DropIn
	// Folders that are missing, outer ones first.
	Folders []string
	// RunsBefore is the application that runs now, for the ledger: the name of its
	// folder, where the card's link tells it.
	RunsBefore string
}

// UnlinkFirmware takes away what LinkFirmware made.
type UnlinkFirmware struct {
	PF string
	// Link of ours; empty if there is none any more.
	Link string
	// Before is where the link led when we came; empty to remove it.
	Before string
	// DropIn and Folders to remove, if they are there and, folders, empty.
	DropIn  string
	Folders []string
	// SearchPath tells to clear firmware_class.path, which names this folder.
	SearchPath string
}

// ReloadDriver unbinds a PF from its driver and binds it again, so that the
// driver loads the firmware anew; then it waits for netdev and application.
type ReloadDriver struct {
	PF, Driver string
	// App that must run then, as the driver names it; empty for any.
	App string
	// Name of the wanted application, for the text: flower-next is flower to the
	// driver.
	Name string
	// From is the application that runs now, for the text.
	From string
	// RunsBefore is the same for the ledger, as in LinkFirmware.
	RunsBefore string
	// Link that is to lead to Before again if the firmware is not taken; an empty
	// Before removes it. Without Link there is nothing to put back.
	Link, Before string
}

// ReleaseFirmware forgets what we did for a card's firmware: nothing is left of it.
type ReleaseFirmware struct{ PF string }

// Kind implements Step.
func (LinkFirmware) Kind() string    { return "LinkFirmware" }
func (UnlinkFirmware) Kind() string  { return "UnlinkFirmware" }
func (ReloadDriver) Kind() string    { return "ReloadDriver" }
func (ReleaseFirmware) Kind() string { return "ReleaseFirmware" }

// Device implements Step.
func (s LinkFirmware) Device() string    { return s.PF }
func (s UnlinkFirmware) Device() string  { return s.PF }
func (s ReloadDriver) Device() string    { return s.PF }
func (s ReleaseFirmware) Device() string { return s.PF }

// Without its driver a PF has neither netdevs nor VFs.
func (ReloadDriver) touches() touched { return touched{all: true, link: true} }

func (LinkFirmware) touches() touched    { return touched{} }
func (UnlinkFirmware) touches() touched  { return touched{} }
func (ReleaseFirmware) touches() touched { return touched{} }

func (s LinkFirmware) String() string {
	text := fmt.Sprintf("%s: link firmware /%s to %s", s.PF, s.Link, s.Target)
	if s.SearchPath != "" {
		text += fmt.Sprintf(", with firmware_class.path /%s", s.SearchPath)
	}
	if s.DropIn != nil {
		text += fmt.Sprintf(", with /%s for the initramfs", s.DropIn.Path)
	}
	return text
}

func (s UnlinkFirmware) String() string {
	switch {
	case s.Link == "":
		return s.PF + ": remove what belonged to the firmware link"
	case s.Before != "":
		return fmt.Sprintf("%s: link firmware /%s to %s again", s.PF, s.Link, s.Before)
	}
	return fmt.Sprintf("%s: remove firmware link /%s", s.PF, s.Link)
}

func (s ReloadDriver) String() string {
	app := "its first application firmware"
	if s.Name != "" {
		app = "application firmware " + s.Name
	}
	if s.From != "" {
		return fmt.Sprintf("%s: bind %s again, to load %s instead of %s", s.PF, s.Driver, app, s.From)
	}
	return fmt.Sprintf("%s: bind %s again, to load %s", s.PF, s.Driver, app)
}

func (s ReleaseFirmware) String() string { return s.PF + ": forget the firmware link" }
