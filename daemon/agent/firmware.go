package agent

import (
	"fmt"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/firmware"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// ports are those of a PF that has several.
func ports(pf *inventory.PF) []sriovv1.PortStatus {
	if len(pf.FurtherPorts) == 0 {
		return nil
	}
	var out []sriovv1.PortStatus
	for _, n := range pf.Ports() {
		p := sriovv1.PortStatus{Name: n.Name, PortName: n.PortName, AltNames: n.AltNames, Mac: n.MAC, MTU: n.MTU}
		p.LinkAdminState, p.LinkSpeed = linkState(n)
		if n.HWTCOffload != nil {
			on := n.HWTCOffload.On
			p.HWTCOffload = &on
		}
		out = append(out, p)
	}
	return out
}

func linkState(n *inventory.Netdev) (admin, speed string) {
	admin = "down"
	if n.Up {
		admin = "up"
	}
	if n.SpeedMbps != nil {
		speed = fmt.Sprintf("%d Mb/s", *n.SpeedMbps)
	}
	return admin, speed
}

// firmwareNotes say what the operator cannot do by itself about a link to
// firmware of ours: it survives a boot on the disk, and the driver may be bound
// before that is there.
func firmwareNotes(pf *inventory.PF, owned ledger.Firmware, node *inventory.Node) []string {
	if owned.Link == "" {
		return nil
	}
	var out []string
	switch {
	case owned.DropIn != "":
		tool := "dracut -f"
		if !node.Firmware.Dracut {
			tool = "update-initramfs -u"
		}
		out = append(out, fmt.Sprintf("/%s makes the initramfs take the firmware along once it is built again (%s); until then a node whose initramfs has the driver boots with its former firmware, and the daemon loads the right one again", owned.DropIn, tool))
	case owned.SearchPath != "":
		out = append(out, fmt.Sprintf("the kernel forgets firmware_class.path at boot, and the daemon sets it again and loads the firmware; to boot with it, add firmware_class.path=/%s to the kernel's command line", owned.SearchPath))
	}
	if pf.Application != nil && firmware.Linked(node.Firmware, pf.PCIAddress) == "" {
		out = append(out, fmt.Sprintf("the link /%s leads to no firmware", owned.Link))
	}
	return out
}

// portWithoutOffload names a further port that does not offload; empty if there
// is none.
func portWithoutOffload(pf *inventory.PF) string {
	for i := range pf.FurtherPorts {
		if f := pf.FurtherPorts[i].HWTCOffload; f == nil || !f.On {
			return pf.FurtherPorts[i].Name
		}
	}
	return ""
}

// runsApp tells whether the wanted application runs.
func runsApp(want sriovv1.Interface, pf *inventory.PF) bool {
	return want.FirmwareApp == "" || pf.Application != nil && pf.Application.Running == firmware.Runs(want.FirmwareApp)
}
