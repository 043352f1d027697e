package agent

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	sriovv1 "github.com/sriov-offload/sriov-offload-operator/api/v1"
	"github.com/sriov-offload/sriov-offload-operator/daemon/firmware"
	"github.com/sriov-offload/sriov-offload-operator/daemon/inventory"
	"github.com/sriov-offload/sriov-offload-operator/daemon/ledger"
)

// agilioNode has an Agilio with two ports that runs flower through our link.
func agilioNode() inventory.Node {
	n := node()
	pf := &n.PFs[0]
	pf.BoardID = "AMDA0097-0001"
	pf.Application = &inventory.Application{Running: "flower"}
	pf.Netdev.PortName = "p0"
	pf.FurtherPorts = []inventory.Netdev{{
		Name: "ens41f0np1", PortName: "p1", MAC: "08:c0:eb:f4:85:ac", MTU: 1500, AltNames: []string{"second"}, HWTCOffload: &inventory.Feature{On: true},
	}}
	n.Firmware.Folders = []firmware.Folder{{Path: firmware.System, Files: []firmware.File{
		{Name: "netronome/pci-" + address + ".nffw", Target: "flower/nic_AMDA0097.nffw"},
	}}}
	n.Firmware.Dracut = true
	return n
}

func reported(n inventory.Node, owned ledger.Firmware) sriovv1.SriovNetworkNodeStateStatus {
	want := spec()
	want.Interfaces[0].FirmwareApp = "flower-next"
	return Report(sriovv1.SriovNetworkNodeStateStatus{}, Facts{
		Spec: want, Observed: &n, Owned: ledger.Record{Firmware: map[string]ledger.Firmware{address: owned}},
	}, metav1.Now())
}

func offloadMessage(s sriovv1.SriovNetworkNodeStateStatus) string {
	for _, c := range s.Conditions {
		if c.Type == sriovv1.ConditionOffloadReady {
			return string(c.Status) + " " + c.Message
		}
	}
	return ""
}

// The status shows the application as the driver names it, every port, and what
// is left for a person to do.
func TestReportFirmware(t *testing.T) {
	link := "lib/firmware/netronome/pci-" + address + ".nffw"
	s := reported(agilioNode(), ledger.Firmware{Link: link, DropIn: "etc/dracut.conf.d/98-x.conf"})
	nic := s.Interfaces[0]
	want := []sriovv1.PortStatus{
		{Name: "ens41f0np0", PortName: "p0", Mac: "08:c0:eb:f4:85:ab", MTU: 1500, LinkSpeed: "25000 Mb/s", LinkAdminState: "up", HWTCOffload: ptr(true)},
		{Name: "ens41f0np1", PortName: "p1", AltNames: []string{"second"}, Mac: "08:c0:eb:f4:85:ac", MTU: 1500, LinkAdminState: "down", HWTCOffload: ptr(true)},
	}
	if diff := cmp.Diff(want, nic.Ports); diff != "" || nic.FirmwareApp != "flower" || nic.BoardID != "AMDA0097-0001" {
		t.Errorf("firmware %q on board %q, ports:\n%s", nic.FirmwareApp, nic.BoardID, diff)
	}
	if len(nic.Notes) != 1 || !strings.Contains(nic.Notes[0], "/etc/dracut.conf.d/98-x.conf") || !strings.Contains(nic.Notes[0], "dracut -f") {
		t.Errorf("notes %q", nic.Notes)
	}
	if got := offloadMessage(s); !strings.HasPrefix(got, "True") {
		t.Errorf("offload: %s", got)
	}
	s = reported(agilioNode(), ledger.Firmware{Link: link, SearchPath: firmware.Own})
	if notes := s.Interfaces[0].Notes; len(notes) != 1 || !strings.Contains(notes[0], "firmware_class.path=/var/lib/sriov-offload-operator/firmware") {
		t.Errorf("notes %q", notes)
	}
	if notes := reported(agilioNode(), ledger.Firmware{}).Interfaces[0].Notes; notes != nil {
		t.Errorf("notes without a link of ours: %q", notes)
	}
}

func TestReportFirmwareIncomplete(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*inventory.Node)
		says   string
	}{
		"another application":      {func(n *inventory.Node) { n.PFs[0].Application.Running = "abm" }, "firmware flower-next does not run"},
		"the second port does not": {func(n *inventory.Node) { n.PFs[0].FurtherPorts[0].HWTCOffload.On = false }, "off on the port ens41f0np1"},
	} {
		n := agilioNode()
		c.change(&n)
		if got := offloadMessage(reported(n, ledger.Firmware{})); !strings.HasPrefix(got, "False") || !strings.Contains(got, c.says) {
			t.Errorf("%s: %s", name, got)
		}
	}
	n := agilioNode()
	n.Firmware.Folders[0].Files[0].Broken = true
	if notes := reported(n, ledger.Firmware{Link: "lib/x"}).Interfaces[0].Notes; len(notes) != 1 || !strings.Contains(notes[0], "leads to no firmware") {
		t.Errorf("notes of a broken link: %q", notes)
	}
}
